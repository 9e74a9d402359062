"""
Readings of our NAT for people: ``/nat``, and ``p2pchat --nat-type``.

::

    reading     the node's own reading, by its own sockets, and what it means; pure
    discovery   a test by RFC 5780, on a socket of its own
    classic     pystun3's label, in a thread
    report      the last two together, and what they mean

All use the vocabulary of RFC 4787, as :mod:`p2pchat.traversal.nat` has it, and none decides
anything: how a path is found is for :mod:`p2pchat.traversal`.
"""
