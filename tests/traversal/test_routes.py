"""Routes of datagrams."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.routes import Datagram, Fragmentation, Route, addressed


class AddressedTests(SynchronousTestCase):
    """Datagrams for one route."""

    def test_same(self) -> None:
        """They are those that the constructor makes."""
        route, way = Route(("192.0.2.1", 4000), "relay/1"), Fragmentation.FORBIDDEN
        made = addressed([b"a", b"b"], route, way)
        expected = [Datagram(data, route.address, None, route.base, way) for data in (b"a", b"b")]
        self.assertEqual(made, expected)
        self.assertEqual([one.base for one in made], ["relay/1"] * 2)
        self.assertEqual({type(one) for one in made}, {Datagram})
