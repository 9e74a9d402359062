"""Relays only with one contact: what that one learns, and what others do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import WhoError
from p2pchat.peer.node import NO_RELAY
from tests.simulation.behaviour import PORT_RESTRICTED_CONE
from tests.simulation.world import RELAY, Person, World


class RelayOnlyTests(SynchronousTestCase):
    """Alice hides her addresses from Bob, and not from Carol."""

    def setUp(self) -> None:
        self.world = World(3, relay=True)
        self.alice, self.bob, self.carol = (
            self.world.person(name, self.world.nat(PORT_RESTRICTED_CONE))
            for name in ("alice", "bob", "carol")
        )
        self.world.settle(self.alice, self.bob, self.carol)
        contacts = self.alice.profile.contacts
        contacts.keep(self.bob.node.peer_id, "Bob")
        contacts.keep(self.carol.node.peer_id, "Carol")
        self.alice.node.relay_only("Bob", True)
        self.world.internet.run(3)

    def crossing(self, one: int, other: int) -> int:
        """Return how many packets went straight between two, each with its NAT."""
        people, nats = (self.alice, self.bob, self.carol), self.world.internet.nats
        ours, theirs = ({people[n].host.address, nats[n].address} for n in (one, other))
        ends = [{record[1][0], record[2][0]} for record in self.world.internet.trace or ()]
        return sum(bool(pair & ours and pair & theirs) for pair in ends)

    def talk(self, caller: Person, called: Person) -> None:
        """Let two talk for a while, all packets noted."""
        self.world.internet.trace = []
        self.world.connect(caller, called)
        caller.say("hi", called)
        self.world.internet.run(60)
        self.assertEqual(called.texts()[-1:], ["hi"])

    def test_calls(self) -> None:
        """Bob, whom she calls, is told the relay's address alone, and no packet goes straight."""
        self.talk(self.alice, self.bob)
        self.assertEqual(self.crossing(0, 1), 0)
        told = [event.addresses for event in self.bob.events(events.Checking)]
        self.assertFalse([one for one in told[0] if not one.startswith(RELAY)])

    def test_called(self) -> None:
        """Nor where Bob calls."""
        self.talk(self.bob, self.alice)
        self.assertEqual(self.crossing(0, 1), 0)

    def test_no_relay(self) -> None:
        """Where there is no relay, it is said that nothing goes."""
        troubles = [one.reason for one in self.alice.events(events.Trouble)]
        self.assertNotIn(NO_RELAY, troubles)
        world = World(4)
        dave = world.person("dave")
        world.settle(dave)
        dave.profile.contacts.keep(self.bob.node.peer_id, "Bob")
        dave.node.relay_only("Bob", True)
        self.assertIn(NO_RELAY, [one.reason for one in dave.events(events.Trouble)])

    def test_others(self) -> None:
        """With anybody else the path is direct."""
        self.talk(self.alice, self.carol)
        self.assertGreater(self.crossing(0, 2), 0)
        self.assertNotIn(RELAY, self.alice.events(events.PathFound)[-1].address)

    def test_undone(self) -> None:
        """It is kept with the contact, ends with a word, and is for contacts only."""
        self.assertEqual([one.relay_only for one in self.alice.node.contacts()], [True, False])
        self.alice.node.relay_only("Bob", False)
        self.talk(self.alice, self.bob)
        self.assertGreater(self.crossing(0, 1), 0)
        stranger = "f0000000-0000-8000-8000-000000000000"
        self.assertRaises(WhoError, self.alice.node.relay_only, stranger, True)
