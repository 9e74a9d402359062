"""
Several registries that act as one, as docs/scaling.rst sets them up: real processes, one machine.

They run only when asked for, with Debian's redis-server, and those of haproxy and nginx that are
installed::

    P2PCHAT_CLUSTER=1 python -m twisted.trial tests.cluster
"""
