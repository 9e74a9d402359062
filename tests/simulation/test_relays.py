"""Whole peers and a relay: where no direct path is possible, and where one comes later."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.approval import AcceptPolicy
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC
from tests.simulation.link import Link
from tests.simulation.world import RELAY, Person, World


def nat_read(person: Person) -> str:
    """Return what a person last read of their NAT."""
    read = person.events(events.NatRead)
    return read[-1].detail if read else ""


class RelayTests(SynchronousTestCase):
    """A registry that offers a relay over UDP and TCP."""

    def setUp(self) -> None:
        self.world = World(3, relay=True)

    def converse(self, alice: Person, bob: Person) -> None:
        """Let both say something and read it."""
        alice.say("over to you", bob)
        bob.say("and back", alice)
        self.world.wait(lambda: alice.texts() and bob.texts(), 10, "both lines")

    def path(self, person: Person) -> set[str]:
        """Return the candidate types of the path in use."""
        last = person.events(events.PathFound)[-1]
        return {last.local, last.remote}

    def test_both_random(self) -> None:
        """Two random mappings: the relay carries, soon and without any probing."""
        alice, bob = self.world.couple(self.world.nat(SYMMETRIC), self.world.nat(SYMMETRIC))
        self.assertLess(self.world.connect(alice, bob), 1.0)
        self.converse(alice, bob)
        self.assertIn("relay", self.path(alice))
        sent = sum(self.world.internet.fates.values())
        self.world.internet.run(10)
        self.assertLess(sum(self.world.internet.fates.values()) - sent, 700)

    def test_udp_blocked(self) -> None:
        """A peer whose network lets no UDP through talks over the relay's TCP port."""
        alice, bob = self.world.couple(
            self.world.internet.nat(udp=False), self.world.nat(PORT_RESTRICTED_CONE)
        )
        self.await_blocked(alice)
        self.assertLess(self.world.connect(alice, bob), 0.65)
        self.converse(alice, bob)
        self.assertIn("relay", self.path(bob))

    def await_blocked(self, person: Person) -> None:
        """Wait until a person has read that UDP is blocked."""
        self.world.wait(lambda: "blocked" in nat_read(person), 5, "the verdict")

    def test_noticed_within_a_second(self) -> None:
        """That UDP is blocked is read less than a second after the registration."""
        alice = self.world.person("alice", self.world.internet.nat(udp=False))
        self.world.wait(lambda: alice.events(events.Registered), 5, "the registration")
        took = self.world.wait(lambda: "blocked" in nat_read(alice), 5, "the verdict")
        self.assertLess(took, 1.0)

    def test_called_before_noticed(self) -> None:
        """A call in the very moment of the registration doesn't wait for the verdict either."""
        bob = self.world.person("bob", self.world.nat(PORT_RESTRICTED_CONE))
        self.world.internet.run(2)
        alice = self.world.person("alice", self.world.internet.nat(udp=False))
        self.world.wait(lambda: alice.events(events.Registered), 5, "the registration")
        self.assertLess(self.world.connect(alice, bob), 1.5)
        self.converse(alice, bob)

    def test_noticed_while_it_rings(self) -> None:
        """What is found out while the other person decides makes the relay ready for the answer."""
        bob = self.world.person(
            "bob", self.world.nat(PORT_RESTRICTED_CONE), accept=AcceptPolicy.ASK
        )
        self.world.internet.run(2)
        alice = self.world.person("alice", self.world.internet.nat(udp=False))
        self.world.wait(lambda: alice.events(events.Registered), 5, "the registration")
        self.world.result(alice.node.connect(bob.node.peer_id))
        self.world.internet.run(2)
        assert self.world.relay is not None
        self.assertEqual(1, len(self.world.relay.allocations))
        bob.node.accept("alice")
        took = self.world.wait(lambda: alice.is_connected_to(bob), 5, "connected")
        self.assertLess(took, 0.6)

    def test_slow_network(self) -> None:
        """A round trip of 1.2 seconds isn't taken for a blocked network."""
        slow = self.world.internet.nat(kind=PORT_RESTRICTED_CONE)
        slow.link = Link(latency=0.6)
        alice = self.world.person("alice", slow)
        bob = self.world.person("bob", self.world.nat(PORT_RESTRICTED_CONE))
        self.world.wait(lambda: "one mapping" in nat_read(alice), 20, "the mapping")
        self.world.internet.run(5)  # the filtering is told too
        self.assertFalse(any(one.udp_blocked for one in alice.events(events.NatRead)))
        told = len(alice.events(events.NatRead))
        self.world.internet.run(300)
        self.assertEqual(told, len(alice.events(events.NatRead)), "it isn't said again")
        self.world.connect(alice, bob)
        self.world.wait(lambda: "relay" not in self.path(alice), 60, "a direct path")
        self.converse(alice, bob)

    def test_udp_blocked_at_both(self) -> None:
        """Two such peers talk from relay to relay."""
        nats = [self.world.internet.nat(udp=False) for _ in range(2)]
        alice, bob = self.world.couple(*nats)
        self.await_blocked(alice)
        self.assertLess(self.world.connect(alice, bob), 1.0)
        self.converse(alice, bob)

    def test_plain_pair_asks_no_relay(self) -> None:
        """Where plain punching does it at once, no relay is troubled."""
        alice, bob = self.world.couple(
            self.world.nat(PORT_RESTRICTED_CONE), self.world.nat(PORT_RESTRICTED_CONE)
        )
        self.world.connect(alice, bob)
        self.converse(alice, bob)
        self.world.internet.run(30)
        assert self.world.relay is not None
        self.assertEqual([], self.world.relay.requests)

    def test_relay_only(self) -> None:
        """Who wants only relays tells and contacts no other address."""
        alice = self.world.person("alice", self.world.nat(PORT_RESTRICTED_CONE), relay_only=True)
        bob = self.world.person("bob", self.world.nat(PORT_RESTRICTED_CONE))
        self.world.internet.run(3)
        self.world.internet.trace = []
        self.assertLess(self.world.connect(alice, bob), 3.0)
        self.converse(alice, bob)
        self.world.internet.run(40)
        ours = {alice.host.address, self.world.internet.nats[0].address}
        theirs = {bob.host.address, self.world.internet.nats[1].address}
        crossing = [
            record
            for record in self.world.internet.trace
            if {record[1][0], record[2][0]} & ours and {record[1][0], record[2][0]} & theirs
        ]
        self.assertEqual([], crossing)
        told = [event.addresses for event in bob.events(events.Checking)]
        self.assertFalse([one for one in told[0] if not one.startswith(RELAY)])

    def test_direct_later(self) -> None:
        """A conversation that began on the relay moves to a direct path, nothing lost."""
        left = self.world.internet.nat(udp=False)
        alice, bob = self.world.couple(left, self.world.nat(PORT_RESTRICTED_CONE))
        self.world.internet.run(4)
        self.world.connect(alice, bob)
        self.converse(alice, bob)
        left.udp = True
        self.world.wait(lambda: "relay" not in self.path(alice), 90, "a direct path")
        said = [alice.say(f"line {number}", bob) for number in range(50)]
        self.world.wait(lambda: len(bob.texts()) == 51, 10, "all lines")
        self.assertEqual(50, len(set(said)))

    def test_direct_dies(self) -> None:
        """A direct path that dies is replaced by the relay."""
        left = self.world.internet.nat(kind=PORT_RESTRICTED_CONE)
        alice, bob = self.world.couple(left, self.world.nat(PORT_RESTRICTED_CONE))
        self.world.connect(alice, bob)
        self.assertNotIn("relay", self.path(alice))
        left.udp = False
        alice.say("are you there?", bob)
        spent = self.world.wait(lambda: bool(bob.texts()), 30, "the line")
        self.assertLess(spent, 12)
        self.assertIn("relay", self.path(alice))
