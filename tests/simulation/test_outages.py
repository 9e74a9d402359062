"""What dies, moves or falls silent in the middle of a conversation."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.approval import AcceptPolicy
from tests.cases import each
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC
from tests.simulation.world import Person, World


class OutageTests(SynchronousTestCase):
    """Alice and Bob, both behind port-restricted NATs, in conversation."""

    def setUp(self) -> None:
        self.world = World(7)
        nats = [self.world.nat(PORT_RESTRICTED_CONE) for _ in range(2)]
        self.nats = [nat for nat in nats if nat is not None]
        self.alice, self.bob = self.world.couple(*self.nats)
        self.world.connect(self.alice, self.bob)

    def chat(self, within: float = 30.0) -> float:
        """Let each say one more line; returns the seconds until both have read them."""
        heard = len(self.alice.texts()), len(self.bob.texts())
        self.alice.say(f"line {heard[1]} of alice", self.bob)
        self.bob.say(f"line {heard[0]} of bob", self.alice)
        return self.world.wait(
            lambda: len(self.alice.texts()) > heard[0] and len(self.bob.texts()) > heard[1],
            within,
            "one more line each",
        )

    def test_both_move(self) -> None:
        """
        Both get another network, one shortly after the other: back within two seconds.

        Whoever is there first makes an offer that goes down an event stream which is dead already.
        """
        for number in range(24):
            self.world = World(number)
            self.alice, self.bob = self.world.couple(
                *(self.world.nat(PORT_RESTRICTED_CONE) for _ in range(2))
            )
            self.world.connect(self.alice, self.bob)
            self.world.internet.run(number % 12 / 11)
            self.alice.host.move(behind=self.world.nat(PORT_RESTRICTED_CONE))
            self.world.internet.run(number % 4 / 10)
            self.bob.host.move(behind=self.world.nat(PORT_RESTRICTED_CONE))
            self.assertLess(self.chat(), 2.0, number)
            self.assert_complete()

    def assert_complete(self) -> None:
        """Nothing was lost, doubled or turned round."""
        people = (self.alice, self.bob)
        self.world.wait(
            lambda: not any(c.undelivered for one in people for c in one.node.conversations()),
            awaited="every delivery",
        )
        for reader, writer in ((self.alice, self.bob), (self.bob, self.alice)):
            said = [event.text for event in writer.events(events.MessageSent)]
            self.assertEqual(said, reader.texts())

    def test_registry_dies(self) -> None:
        """A running conversation doesn't need the registry; the peers come back to a new one."""
        self.world.host.kill()
        self.chat()
        self.world.internet.run(120)
        self.chat()
        self.assertTrue(self.alice.events(events.RegistryLost))
        self.assertFalse(self.alice.events(events.PathLost))
        self.world.host.boot()
        self.world.boot_registry()
        spent = self.world.wait(lambda: self.world.registered == 2, 60, "both registered again")
        self.assertLess(spent, 30)
        self.chat()
        self.assert_complete()

    def test_half_a_minute_without_network(self) -> None:
        """What both type while one is cut off arrives once the network is back."""
        self.alice.host.online = False
        self.alice.say("typed in the dark", self.bob)
        self.bob.say("are you there?", self.alice)
        self.world.internet.run(30)
        self.assertTrue(self.bob.events(events.PathLost))
        self.alice.say("still dark", self.bob)
        self.alice.host.online = True
        spent = self.chat(60)
        self.assertLess(spent, 20)
        self.assert_complete()
        self.assertTrue(self.bob.events(events.Connected)[-1].resumed)

    def test_nat_reboots_with_traffic(self) -> None:
        """A NAT that forgets its mappings costs a few seconds when somebody is typing."""
        self.nats[0].reboot()
        self.assertLess(self.chat(), 5)
        self.assert_complete()

    def test_nat_reboots_in_silence(self) -> None:
        """A NAT that forgets its mappings while nobody types is noticed by the heartbeat."""
        self.nats[1].reboot()
        heartbeat = self.alice.node.settings.heartbeat
        self.world.internet.run(heartbeat + 5)
        self.assertLess(self.chat(), 1)
        self.assert_complete()

    def test_both_nats_reboot(self) -> None:
        """Both sides lose their mappings at the same moment."""
        for nat in self.nats:
            nat.reboot()
        self.assertLess(self.chat(), 10)
        self.assert_complete()

    def test_host_moves(self) -> None:
        """A host that comes up in another network, as from Wi-Fi to mobile, goes on."""
        other = self.world.internet.nat(kind=PORT_RESTRICTED_CONE)
        self.alice.host.move(behind=other)
        self.assertLess(self.chat(), 15)
        self.assert_complete()

    def test_idle_for_an_hour(self) -> None:
        """Heartbeats keep mappings that live for two minutes open for an hour."""
        self.world.internet.run(3600)
        self.assertFalse(self.alice.events(events.PathLost))
        self.assertLess(self.chat(), 1)

    def test_peer_dies_and_returns(self) -> None:
        """A peer killed and started again is a new conversation; lost lines were never marked."""
        self.chat()
        self.bob.host.kill()
        self.alice.say("are you gone?", self.bob)
        self.world.internet.run(30)
        self.assertTrue(self.alice.events(events.PathLost))
        self.bob.host.boot()
        again = self.world.start_on(self.bob.host, "bob", self.bob.profile)
        self.world.wait(lambda: again.is_connected_to(self.alice), 60, "the rescue")
        self.world.wait(lambda: bool(again.texts()), 10, "what waited")
        self.assertEqual(["are you gone?"], again.texts())
        self.assertFalse(self.alice.events(events.Connected)[-1].resumed)

    def test_killed_peer_must_be_asked_again(self) -> None:
        """A person who answers every call by hand is asked once more after a restart."""
        self.bob.host.kill()
        self.world.internet.run(60)
        self.bob.host.boot()
        again = self.world.start_on(self.bob.host, "bob", self.bob.profile, accept=AcceptPolicy.ASK)
        self.world.wait(lambda: bool(again.events(events.OfferReceived)), 60, "an offer")
        again.node.accept("alice")
        self.world.wait(lambda: again.is_connected_to(self.alice), 60, "a conversation")

    def test_patience_ends(self) -> None:
        """A peer who stays away is given up, and the person reads how much wasn't delivered."""
        self.bob.host.kill()
        self.alice.say("hello?", self.bob)
        self.world.internet.run(400)
        self.assertEqual(
            [("lost", 1)],
            [(e.reason, e.undelivered) for e in self.alice.events(events.Disconnected)],
        )
        self.assertEqual([], self.alice.node.conversations())

    def test_leaving(self) -> None:
        """One who leaves says so; the record is gone at once, and what was said arrives before."""
        self.alice.say("bye", self.bob)
        self.world.result(self.alice.node.stop())
        self.world.internet.run(1)
        self.assertEqual(["bye"], self.bob.texts())
        self.assertEqual(["left"], [e.reason for e in self.bob.events(events.Disconnected)])
        self.assertEqual(1, self.world.registered)
        self.assertEqual([], self.bob.node.conversations())


class CallTests(SynchronousTestCase):
    """How calls begin, and how they come to nothing."""

    def setUp(self) -> None:
        self.world = World(11)

    def people(self, **settings: object) -> tuple[Person, Person]:
        """Start Alice and Bob behind NATs of their own."""
        return self.world.couple(
            self.world.nat(PORT_RESTRICTED_CONE),
            self.world.nat(PORT_RESTRICTED_CONE),
            **settings,
        )

    def test_asked_and_accepted(self) -> None:
        """The called person is asked, the caller hears that it rings, and accepting connects."""
        alice, bob = self.people(accept=AcceptPolicy.ASK)
        self.world.result(alice.node.connect("bob"))
        self.world.wait(lambda: bool(alice.events(events.Rings)), 5, "ringing")
        self.assertEqual([False], [e.accepted for e in bob.events(events.OfferReceived)])
        bob.node.accept("alice")
        self.world.wait(lambda: alice.is_connected_to(bob), 5, "connected")

    def test_asked_and_declined(self) -> None:
        """A refusal reaches the caller at once."""
        alice, bob = self.people(accept=AcceptPolicy.ASK)
        self.world.result(alice.node.connect("bob"))
        self.world.wait(lambda: bool(bob.events(events.OfferReceived)), 5, "an offer")
        bob.node.reject("alice")
        self.world.wait(lambda: bool(alice.events(events.CallFailed)), 1, "the refusal")
        self.assertEqual("declined", alice.events(events.CallFailed)[0].reason)

    def test_no_address_before_acceptance(self) -> None:
        """While nobody accepted, not one datagram goes from the called to the caller."""
        alice, bob = self.people(accept=AcceptPolicy.ASK)
        self.world.internet.trace = []
        self.world.result(alice.node.connect("bob"))
        self.world.internet.run(30)
        ours = {bob.host.address, *(nat.address for nat in self.world.internet.nats[1:])}
        theirs = {alice.host.address, self.world.internet.nats[0].address}
        crossing = [
            record
            for record in self.world.internet.trace
            if record[1][0] in ours and record[2][0] in theirs
        ]
        self.assertEqual([], crossing)

    def test_caller_gives_up(self) -> None:
        """An offer that nobody answers ends for both."""
        alice, bob = self.people(accept=AcceptPolicy.ASK)
        self.world.result(alice.node.connect("bob"))
        self.world.wait(lambda: bool(alice.events(events.CallFailed)), 120, "the end")
        self.assertIn(alice.events(events.CallFailed)[0].reason, {"no-answer", "cancelled"})
        self.world.wait(lambda: bool(bob.events(events.OfferEnded)), 5, "the end at the other side")
        self.assertEqual([], bob.node.conversations())

    def test_both_call_at_once(self) -> None:
        """Two offers that cross make one conversation."""
        alice, bob = self.people(accept=AcceptPolicy.ASK)
        alice.node.connect(bob.node.peer_id)
        bob.node.connect(alice.node.peer_id)
        self.world.wait(
            lambda: alice.is_connected_to(bob) and bob.is_connected_to(alice), 5, "connected"
        )
        alice.say("a", bob)
        bob.say("b", alice)
        self.world.wait(lambda: bool(alice.texts() and bob.texts()), 2, "both lines")
        self.world.internet.run(20)
        self.assertEqual(1, len(alice.events(events.Connected)))
        self.assertEqual(1, len(bob.events(events.Connected)))

    def test_unknown_peer(self) -> None:
        """A call to nobody fails at once and says so."""
        alice, _ = self.people()
        self.world.result(alice.node.connect("9b1deb4d-3b7d-8bad-9bdd-2b0d7b3dcb6d"))
        self.world.wait(lambda: bool(alice.events(events.CallFailed)), 1, "the failure")
        self.assertEqual("unknown-peer", alice.events(events.CallFailed)[0].reason)

    def test_lines_typed_while_calling(self) -> None:
        """What is typed before the other side accepted is delivered when it has."""
        alice, bob = self.people(accept=AcceptPolicy.ASK)
        self.world.result(alice.node.connect("bob"))
        alice.say("first words", bob)
        self.world.internet.run(20)
        bob.node.accept("alice")
        self.world.wait(lambda: bool(bob.texts()), 5, "the line")

    def test_several_conversations(self) -> None:
        """One person talks with five at once, and the lines don't mix."""
        alice, _ = self.people()
        others = [
            self.world.person(f"friend{n}", self.world.nat(PORT_RESTRICTED_CONE)) for n in range(5)
        ]
        self.world.internet.run(1)
        for other in others:
            self.world.connect(alice, other)
        for other in others:
            alice.say(f"for {other.name}", other)
            other.say(f"from {other.name}", alice)
        self.world.internet.run(1)
        self.assertEqual([[f"for {one.name}"] for one in others], [one.texts() for one in others])
        self.assertEqual({f"from {one.name}" for one in others}, set(alice.texts()))

    def test_dead_event_stream(self) -> None:
        """A caller whose NAT has forgotten its event stream renews it before anybody is blamed."""
        nats = [self.world.internet.nat(kind=PORT_RESTRICTED_CONE) for _ in range(2)]
        alice, bob = self.world.couple(*nats)
        for _ in range(3):
            nats[0].reboot()
            self.assertLess(self.world.connect(alice, bob), 10)
            self.world.internet.run(5)
            alice.node.disconnect(bob.node.peer_id)
            self.world.internet.run(5)
        self.assertEqual(alice.events(events.CallFailed), [])
        self.assertEqual(alice.events(events.RegistryLost), [])

    @each(*product((True, False), (True, False), (0.0, 4.0, 12.0)))
    def test_dead_streams(self, of_caller: bool, of_called: bool, after: float) -> None:
        """
        Event streams that died in silence, of either side, are renewed by themselves, and in time.

        :param after: seconds from their death to the call.
        """
        nats = [self.world.internet.nat(kind=PORT_RESTRICTED_CONE) for _ in range(2)]
        alice, bob = self.world.couple(*nats)
        for idle in (21.0, 23.0, 25.5):
            self.world.internet.run(idle)
            for nat, dies in zip(nats, (of_caller, of_called), strict=True):
                if dies:
                    nat.reboot()
            self.world.internet.run(after)
            self.assertLess(self.world.connect(alice, bob), 10 - after if after < 10 else 1)
            self.assertEqual(len(bob.events(events.OfferReceived)), 1)
            bob.told.clear()
            alice.node.disconnect(bob.node.peer_id)
        for person in (alice, bob):
            self.assertEqual(person.events(events.CallFailed), [])
            self.assertEqual(person.events(events.RegistryLost), [])

    @each((0.0,), (4.0,), (15.0,))
    def test_dead_connections(self, after: float) -> None:
        """A request on a connection that died in silence goes out again on another one."""
        nat = self.world.internet.nat(kind=PORT_RESTRICTED_CONE)
        alice, _ = self.world.couple(nat, self.world.internet.nat(kind=PORT_RESTRICTED_CONE))
        for _ in range(3):
            nat.reboot()
            self.world.internet.run(after)
            found = self.world.result(alice.node.peers(), 6)
            self.assertEqual({one.username for one in found}, {"alice", "bob"})
            self.world.internet.run(31)
        self.assertEqual(alice.events(events.RegistryLost), [])

    def test_hopeless_pair(self) -> None:
        """Where punching can't work the person reads what was tried, after every attempt."""

        alice, _bob = self.world.couple(self.world.nat(SYMMETRIC), self.world.nat(SYMMETRIC))
        self.world.result(alice.node.connect("bob"))
        self.world.wait(lambda: bool(alice.events(events.CallFailed)), 60, "the failure")
        failure = alice.events(events.CallFailed)[0]
        self.assertEqual("no-path", failure.reason)
        self.assertIn("checks sent", failure.explanation)
        self.assertEqual(3, len(alice.events(events.Calling)))
