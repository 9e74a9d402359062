"""
Trials on real kernel NATs: a small internet in network namespaces of one Linux machine.

They run only as root, on Linux with `ip`, `nft` and `conntrack`, and only when asked for::

    P2PCHAT_LAB=1 python -m twisted.trial tests.lab

`P2PCHAT_LAB_REPEAT` (default 1) is how often each pair of NATs, or each disturbance, is tried.
Trials with a relay need coturn as well.
"""
