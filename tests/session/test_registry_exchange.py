"""What two say on a link of where they are found."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.announcement import MOST
from p2pchat.session.registry_exchange import RegistryExchange
from p2pchat.wire.messages import LISTS, Registries
from tests.session.pair import Pair

ONE, TWO = Registries("one"), Registries("two")


class ExchangeTests(SynchronousTestCase):
    """One side of a link."""

    def setUp(self) -> None:
        self.ours: Registries | None = ONE
        self.learned: list[Registries] = []
        self.exchange = RegistryExchange(lambda: self.ours, self.learned.append)
        self.exchange.link_opened()

    def said(self, *features: str) -> Registries | None:
        """Return what goes out to a peer with these features."""
        return self.exchange.next_message(features or (LISTS,))

    def test_said(self) -> None:
        """It is said on each link, and when it changes, to whoever takes it."""
        self.assertIsNone(self.said("renew"))
        self.assertEqual([self.said(), self.said()], [ONE, None])
        self.ours = TWO
        self.exchange.changed()
        self.assertEqual(self.said(), TWO)
        self.exchange.link_opened()
        self.assertEqual(self.said(), TWO)

    def test_nothing(self) -> None:
        """To one who is no contact nothing is said, nor later, when he is none any more."""
        self.ours = None
        self.assertIsNone(self.said())
        self.ours = ONE
        self.exchange.changed()
        self.assertEqual(self.said(), ONE)
        self.ours = None
        self.exchange.changed()
        self.assertIsNone(self.said())

    def test_too_often(self) -> None:
        """Whoever says it again and again breaks a rule."""
        for _ in range(MOST):
            self.exchange.receive(ONE)
        self.assertRaises(RemoteProtocolError, self.exchange.receive, ONE)


class LinkTests(SynchronousTestCase):
    """Two whole endpoints."""

    def test_both(self) -> None:
        """Each learns on the link what the other says, and what changes there."""
        known = {"alice": ONE, "bob": TWO}
        pair = Pair(lists=known)
        pair.connect()
        pair.run(1.0)
        self.assertEqual((pair.alice.lists, pair.bob.lists), (["two"], ["one"]))
        known["alice"] = TWO
        pair.alice.endpoint.registries_changed()
        pair.run(1.0)
        self.assertEqual(pair.bob.lists, ["one", "two"])

    def test_one(self) -> None:
        """A change may be for one peer alone."""
        known = {"alice": ONE}
        pair = Pair(lists=known)
        pair.connect()
        pair.run(1.0)
        known["alice"] = TWO
        pair.alice.endpoint.registries_changed("somebody else")
        pair.run(1.0)
        self.assertEqual(pair.bob.lists, ["one"])
        pair.alice.endpoint.registries_changed(pair.alice.other)
        pair.run(1.0)
        self.assertEqual(pair.bob.lists, ["one", "two"])
