"""
Readings of our NAT for people: ``/nat``, and ``p2pchat --nat-type``.

:mod:`reading` is what the node's own sockets show, :mod:`discovery` a test by RFC 5780, and
:mod:`classic` pystun3's label; :mod:`report` puts the last two together, and :mod:`words` says what
they mean.  All use the vocabulary of RFC 4787, as :mod:`p2pchat.traversal.nat` has it, and none
decides anything: how a path is found is for :mod:`p2pchat.traversal`.
"""
