"""Several ways of signaling as one, and a node that uses two at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import RegistryError, RemoteProtocolError
from p2pchat.events import Trouble
from p2pchat.identity.signed_documents import Acceptance, seal_document
from p2pchat.interfaces import ISignaling
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.guest_registrations import FIRST_REST
from p2pchat.peer.known_ways import MAX_ROUTES
from p2pchat.peer.node import Node
from p2pchat.peer.profile import load_profile
from p2pchat.peer.registry_signaling import RegistrySignaling
from p2pchat.peer.sealing_keys import SealingKeys
from p2pchat.peer.settings import NodeSettings
from p2pchat.peer.signaling import (
    AVAILABLE_TIMEOUT,
    HEDGE,
    DocumentReceived,
    OfferDelivered,
    PeerRecord,
    SignalingAvailable,
    SignalingContext,
    SignalingEvent,
    SignalingGroup,
    SignalingLost,
    Undeliverable,
)
from p2pchat.session.approval import AcceptPolicy
from p2pchat.session.call_events import DeliveryFailure
from p2pchat.wire.addresses import Address, Scope
from p2pchat.wire.documents import Description, Offer, Registration, Ringing
from tests.identity.people import ALICE, BOB, CAROL, identity, sealing_key
from tests.peer.fake_signaling import FakeSignaling, RoomSignaling
from tests.simulation.internet import Internet
from tests.simulation.world import Person, World, runtime_on

BODY = Ringing("session")
OFFER = Offer("session", Description("stranger", b"\x09" * 32, "ufrag", ()))
STUN: tuple[Address, ...] = (("192.0.2.1", 3478), ("192.0.2.2", 3478))


class RecordTests(SynchronousTestCase):
    """What a registry shows of a peer."""

    def test_read(self) -> None:
        """A record is read as it is written; what it may leave out, it may."""
        shown = {"peer_id": BOB.peer_id, "username": "bob", "nat": "none", "online": False}
        published = {**shown, "as_of": 5, "ip": "192.0.2.1", "port": 1}
        published["addresses"] = ["192.0.2.1:1"]
        self.assertEqual(
            PeerRecord.from_json(published),
            PeerRecord(BOB.peer_id, "bob", "none", False, 5.0, "192.0.2.1", 1, ("192.0.2.1:1",)),
        )
        nothing = {**shown, "as_of": None, "ip": None, "port": None, "addresses": None}
        record = PeerRecord(BOB.peer_id, "bob", "none", False)
        for one in (shown, nothing):
            self.assertEqual(PeerRecord.from_json(one), record)

    def test_refused(self) -> None:
        """Nothing else is shown to anybody."""
        good = {"peer_id": BOB.peer_id, "username": "bob"}
        self.assertEqual(PeerRecord.from_json(good), PeerRecord(BOB.peer_id, "bob"))
        for changes in (
            *({"peer_id": "../x"}, {"peer_id": 5}, {"username": None}, {"username": "b\x1bb"}),
            *({"username": BOB.peer_id}, {"online": 1}, {"as_of": -1}, {"port": 65536}),
            *({"nat": "n" * 65}, {"addresses": [5]}, {"addresses": {"a": 1}}),
        ):
            with self.subTest(changes=changes):
                self.assertRaises(RemoteProtocolError, PeerRecord.from_json, {**good, **changes})


class GroupCase(SynchronousTestCase):
    """Two ways of signaling."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.first, self.second = FakeSignaling("first"), FakeSignaling("second")
        self.group = SignalingGroup([self.first, self.second], self.clock)
        self.told: list[SignalingEvent] = []
        self.mistakes: list[Exception] = []
        self.begin()

    def begin(self) -> None:
        """Let the group begin."""
        self.group.start(
            SignalingContext(
                Acceptance(frozenset({ALICE.peer_id}), self.clock.seconds),
                SealingKeys(sealing_key(ALICE), Contacts()),
                lambda: Registration("alice"),
                lambda _peer_id: False,
                lambda _peer_id: True,
                self.take,
            )
        )

    def take(self, event: SignalingEvent) -> None:
        """Keep what is told, or make a mistake."""
        if self.mistakes:
            raise self.mistakes.pop()
        self.told.append(event)

    def available(self, *members: FakeSignaling) -> None:
        """Let these become available."""
        for one in members:
            one.context.receive(SignalingAvailable(one.name))


class FakeTests(GroupCase):
    """The ways of this file are ways of signaling."""

    def test_interface(self) -> None:
        """Both do what is promised of one."""
        for one in (
            self.first,
            RoomSignaling({}, ALICE, runtime_on(Internet(1).host(), Random(1))),
        ):
            self.assertTrue(verifyObject(ISignaling, one))


class AvailableTests(GroupCase):
    """Whether documents reach us."""

    def test_told(self) -> None:
        """What one tells is told; that it is new, only after it was away."""
        self.available(self.first, self.first)
        self.first.context.receive(SignalingLost("gone", 1.0))
        self.available(self.first)
        told = [one.is_new for one in self.told if isinstance(one, SignalingAvailable)]
        self.assertEqual(told, [True, False, True])

    def test_servers(self) -> None:
        """The STUN servers of all are used."""
        for one, stun in ((self.first, STUN[:1]), (self.second, STUN)):
            one.context.receive(SignalingAvailable(one.name, stun))
        self.assertEqual(self.told[-1], SignalingAvailable("second", STUN))

    def test_waiting(self) -> None:
        """A call waits until there is one way; who comes then doesn't wait."""
        waiting = [self.group.available() for _ in range(2)]
        self.assertNoResult(waiting[0])
        self.available(self.second)
        for one in (*waiting, self.group.available()):
            self.successResultOf(one)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_patience(self) -> None:
        """The wait ends, and the registry's return is nothing to who went on."""
        waiting = self.group.available()
        self.clock.advance(AVAILABLE_TIMEOUT)
        self.successResultOf(waiting)
        self.available(self.first)

    def test_first_loss(self) -> None:
        """At the start nothing is lost while another may be there in a moment."""
        self.first.context.receive(SignalingLost("away", 1.0))
        self.assertEqual(self.told, [])
        self.second.context.receive(SignalingLost("away, too", 1.0))
        self.assertEqual(self.told, [SignalingLost("away, too", 1.0, name="second")])
        states = [(one.state, one.reason) for one in self.group.infos()]
        self.assertEqual(states, [("away", "away"), ("away", "away, too")])

    def test_one_of_two(self) -> None:
        """The loss of one of several is told once, with those where we are still found."""
        self.assertEqual([one.state for one in self.group.infos()], ["starting"] * 2)
        self.available(self.first, self.second)
        self.told.clear()
        for _ in range(3):
            self.first.context.receive(SignalingLost("gone", 1.0))
        self.assertEqual(self.told, [SignalingLost("gone", 1.0, False, "first", ("second",))])
        self.assertEqual([one.state for one in self.group.infos()], ["away", "reachable"])

    def test_lost(self) -> None:
        """Calls wait again when the last way is lost, and until we leave at most."""
        self.available(self.first, self.second)
        self.first.context.receive(SignalingLost("gone", 1.0))
        self.successResultOf(self.group.available())
        self.second.context.receive(SignalingLost("gone", 1.0))
        waiting = self.group.available()
        self.assertNoResult(waiting)
        self.successResultOf(self.group.stop())
        self.successResultOf(waiting)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_connecting(self) -> None:
        """What is away is tried at once when the network returns; displaced, when we want it."""
        self.first.context.receive(SignalingLost("gone", 1.0))
        self.second.context.receive(SignalingLost("taken over", 1.0, is_displaced=True))
        self.group.retry()
        self.assertEqual((self.first.calls, self.second.calls), (["refresh"], []))
        self.group.available()
        self.assertEqual((self.first.calls, self.second.calls), (["refresh"], ["refresh"]))
        self.assertTrue(self.group.refresh())
        self.assertEqual([len(one.calls) for one in (self.first, self.second)], [2, 2])


class PeersTests(GroupCase):
    """Who is found."""

    def setUp(self) -> None:
        super().setUp()
        self.first.names = {BOB.peer_id: "bob"}
        self.second.names = {BOB.peer_id: "bob", CAROL.peer_id: "carol"}

    def test_all(self) -> None:
        """Whoever is found by several is there once; one way that fails costs nothing else."""
        found = self.successResultOf(self.group.peers())
        self.assertEqual({one.peer_id for one in found}, {BOB.peer_id, CAROL.peer_id})
        self.assertEqual(len(found), 2)
        self.first.error = RegistryError("away")
        self.assertEqual(self.successResultOf(self.group.peers()), found)
        self.second.error = RegistryError("away, too")
        self.assertIs(self.failureResultOf(self.group.peers()).value, self.first.error)

    def test_find(self) -> None:
        """One is found where anybody knows him; that nobody does is known when all say so."""
        found = self.successResultOf(self.group.find(CAROL.peer_id))
        self.assertEqual(found, PeerRecord(CAROL.peer_id, "carol"))
        self.assertIsNone(self.successResultOf(self.group.find(ALICE.peer_id)))
        self.first.error = RegistryError("away")
        self.failureResultOf(self.group.find(ALICE.peer_id), RegistryError)

    def test_presence(self) -> None:
        """One is online who is online anywhere; of whom no way can tell, nothing is said."""
        del self.first.names[BOB.peer_id]
        everybody = [ALICE.peer_id, BOB.peer_id, CAROL.peer_id]
        found = self.successResultOf(self.group.presence(everybody))
        self.assertEqual(found, dict(zip(everybody, (False, True, True), strict=True)))
        self.first.error = RegistryError("away")
        known = {BOB.peer_id: True, CAROL.peer_id: True}
        self.assertEqual(self.successResultOf(self.group.presence(everybody)), known)
        self.second.error = RegistryError("away, too")
        self.assertEqual(self.successResultOf(self.group.presence(everybody)), {})

    def test_available(self) -> None:
        """While one is available, nobody waits for another."""
        self.first.error = RegistryError("away")
        self.available(self.second)
        self.successResultOf(self.group.find(CAROL.peer_id))


class OtherRegistriesTests(GroupCase):
    """Registries that contacts name: Bob's is another one than ours."""

    def setUp(self) -> None:
        super().setUp()
        self.made: dict[str, FakeSignaling] = {}
        self.named: dict[str, tuple[str, ...]] = {BOB.peer_id: ("http://bobs.test/", "nonsense")}
        self.first = FakeSignaling("http://ours.test", scope=Scope.PRIVATE)
        named = self.named
        self.group = SignalingGroup(
            [self.first], self.clock, self.make, lambda one: named.get(one, ()), ALICE.peer_id
        )
        self.begin()

    def make(self, url: str, nearest: Scope) -> FakeSignaling:
        """Make a way to a registry, which may be as near as ours."""
        self.assertIn(nearest, {Scope.PRIVATE, Scope.LOOPBACK})
        self.made[url] = FakeSignaling(url)
        return self.made[url]

    def test_at(self) -> None:
        """One of ours is used as it is; others are asked, and none where there can be no others."""
        self.assertIs(self.group.registry_at("http://OURS.test:80/"), self.first)
        self.assertEqual(self.group.registry_at("http://theirs.test").name, "http://theirs.test")
        alone = SignalingGroup([self.first], self.clock)
        self.assertRaises(RegistryError, alone.registry_at, "http://theirs.test")

    def test_named(self) -> None:
        """Only what is the URL of a registry counts, each once, and few of them."""
        self.assertEqual(self.group.registries_of(BOB.peer_id), ("http://bobs.test",))
        self.assertEqual(self.group.registries_of(CAROL.peer_id), ())
        self.named[CAROL.peer_id] = ("http://a.test",) * 3 + tuple(
            f"http://{n}.test" for n in range(9)
        )
        self.assertEqual(len(self.group.registries_of(CAROL.peer_id)), 5)

    def test_find(self) -> None:
        """Bob is looked for where he says, and only then at ours."""
        self.available(self.first)
        self.assertIsNone(self.successResultOf(self.group.find(BOB.peer_id)))
        self.made["http://bobs.test"].names[BOB.peer_id] = "bob"
        self.first.error = RegistryError("asked")
        found = self.successResultOf(self.group.find(BOB.peer_id))
        self.assertEqual(found.username, "bob")
        self.failureResultOf(self.group.find(CAROL.peer_id), RegistryError)
        self.assertEqual(list(self.made), ["http://bobs.test"])

    def test_resting(self) -> None:
        """One that can't be asked isn't asked again at once."""
        self.available(self.first)
        self.group.registry_at("http://bobs.test")
        theirs = self.made["http://bobs.test"]
        theirs.error = RegistryError("away")
        self.failureResultOf(self.group.find(BOB.peer_id), RegistryError)
        theirs.error, theirs.names[BOB.peer_id] = None, "bob"
        self.failureResultOf(self.group.find(BOB.peer_id), RegistryError)
        self.clock.advance(FIRST_REST)
        self.assertIsNotNone(self.successResultOf(self.group.find(BOB.peer_id)))

    def test_send(self) -> None:
        """Documents for Bob go to his registry, unlisted; what comes from there is for us."""
        self.available(self.first)
        self.group.send(BOB.peer_id, OFFER)
        theirs = self.made["http://bobs.test"]
        self.assertFalse(theirs.context.describe().listed)
        theirs.context.receive(SignalingAvailable(theirs.name, STUN))
        self.assertEqual((theirs.sent, self.first.sent), ([(BOB.peer_id, OFFER)], []))
        theirs.context.receive(DocumentReceived(BOB.peer_id, BODY))
        theirs.context.receive(SignalingLost("gone", 1.0))
        told = [one for one in self.told if not isinstance(one, SignalingAvailable)]
        session = OFFER.session
        self.assertEqual(
            told, [OfferDelivered(BOB.peer_id, session), DocumentReceived(BOB.peer_id, BODY)]
        )
        self.assertEqual(len(self.told), 3, "that we are guests is not told")

    def test_most_telling(self) -> None:
        """Of several failures that is told by which the peer isn't online where it is found."""
        self.named[BOB.peer_id] = ("http://dead.test", "http://bobs.test")
        self.available(self.first)
        self.first.error = RegistryError("nobody here", reason="unknown-peer")
        self.group.send(BOB.peer_id, BODY)
        dead = self.made["http://dead.test"]
        dead.context.receive(SignalingLost("can't be reached", 1.0))
        bobs = self.made["http://bobs.test"]
        bobs.error = RegistryError("not there", reason="peer-offline")
        bobs.context.receive(SignalingAvailable(bobs.name))
        undelivered = DeliveryFailure(BODY, "peer-offline", "not there")
        self.assertEqual(self.told[-1], Undeliverable(BOB.peer_id, undelivered))
        bobs.error = RegistryError("stuck")
        self.group.send(BOB.peer_id, BODY)
        undelivered = DeliveryFailure(BODY, "registry", "stuck")  # the dead one rests
        self.assertEqual(self.told[-1], Undeliverable(BOB.peer_id, undelivered))

    def test_warned(self) -> None:
        """What such a registry gives reason to warn of is told once."""
        self.group.send(BOB.peer_id, BODY)
        theirs = self.made["http://bobs.test"]
        for _ in range(2):
            theirs.context.receive(Trouble("http:// to a public address"))
        self.assertEqual(len(self.told), 1)

    def test_too_slow(self) -> None:
        """While one says nothing the next way is tried, after a second."""
        self.available(self.first)
        self.group.send(BOB.peer_id, BODY)
        self.clock.advance(HEDGE)
        self.assertEqual(self.first.sent, [(BOB.peer_id, BODY)])

    def test_ours_away(self) -> None:
        """A call to Bob needn't wait for our registry where his will do."""
        waiting = self.group.available(BOB.peer_id)
        other = self.group.available(CAROL.peer_id)
        theirs = self.made["http://bobs.test"]
        theirs.context.receive(SignalingAvailable(theirs.name))
        self.successResultOf(waiting)
        self.assertNoResult(other)
        self.group.send(BOB.peer_id, BODY)
        self.assertEqual(theirs.sent, [(BOB.peer_id, BODY)])

    def test_stop(self) -> None:
        """They are left with ours."""
        self.group.send(BOB.peer_id, BODY)
        self.group.registry_at("http://other.test")
        self.successResultOf(self.group.stop())
        self.assertEqual([one.calls for one in self.made.values()], [["stop"], ["stop"]])

    def test_join(self) -> None:
        """We register where somebody invited us only if that is needed to be found."""
        self.available(self.first)
        waiting = self.group.join("http://theirs.test")  # ours is in our own network
        self.assertNoResult(waiting)
        self.available(self.made["http://theirs.test"])
        self.assertTrue(self.successResultOf(waiting))
        self.assertFalse(self.successResultOf(self.group.join("http://theirs.test")))
        self.assertFalse(self.successResultOf(self.group.join("http://third.test")))


class SendingTests(GroupCase):
    """By which way documents go."""

    def setUp(self) -> None:
        super().setUp()
        self.available(self.first, self.second)
        self.told.clear()

    def test_first(self) -> None:
        """To one of whom nothing is known: the first; while that is away, the next."""
        self.group.send(BOB.peer_id, BODY)
        self.first.context.receive(SignalingLost("gone", 1.0))
        self.group.send(CAROL.peer_id, BODY)
        self.assertEqual(self.first.sent, [(BOB.peer_id, BODY)])
        self.assertEqual(self.second.sent, [(CAROL.peer_id, BODY)])

    def test_found(self) -> None:
        """To one who was found: the way by which he was."""
        self.second.names = {BOB.peer_id: "bob"}
        self.successResultOf(self.group.peers(username="bob"))
        self.group.send(BOB.peer_id, BODY)
        self.assertEqual((self.first.sent, self.second.sent), ([], [(BOB.peer_id, BODY)]))

    def test_heard(self) -> None:
        """To one who was heard: the way by which he was heard last."""
        for one in (self.first, self.second):
            one.context.receive(DocumentReceived(BOB.peer_id, BODY))
        self.group.send(BOB.peer_id, BODY)
        self.assertEqual((self.first.sent, self.second.sent), ([], [(BOB.peer_id, BODY)]))

    def test_away(self) -> None:
        """A way that is away is none, even where the peer was heard by it last."""
        self.second.context.receive(DocumentReceived(BOB.peer_id, BODY))
        self.second.context.receive(SignalingLost("gone", 1.0))
        self.group.send(BOB.peer_id, BODY)
        self.assertEqual((self.first.sent, self.second.sent), ([(BOB.peer_id, BODY)], []))

    def test_in_vain(self) -> None:
        """A way that takes an offer which nobody answers is followed by the others, in turn."""
        for _ in range(2):
            self.group.send(BOB.peer_id, OFFER)
        sent = (BOB.peer_id, OFFER)
        self.assertEqual((self.first.sent, self.second.sent), ([sent], [sent]))
        self.second.context.receive(DocumentReceived(BOB.peer_id, BODY))
        self.group.send(BOB.peer_id, OFFER)
        self.assertEqual(self.second.sent, [sent] * 2)

    def test_next(self) -> None:
        """What one way can't deliver goes by the next."""
        self.first.error = RegistryError("nobody of this id", reason="unknown-peer")
        self.group.send(BOB.peer_id, BODY)
        self.assertEqual((self.second.sent, self.told), ([(BOB.peer_id, BODY)], []))

    def test_undeliverable(self) -> None:
        """What no way can deliver comes back, with what the first one said."""
        self.first.error = RegistryError("nobody of this id", reason="unknown-peer")
        self.second.error = RegistryError("gone", reason="peer-offline")
        self.group.send(BOB.peer_id, BODY)
        undelivered = DeliveryFailure(BODY, "unknown-peer", "nobody of this id")
        self.assertEqual(self.told, [Undeliverable(BOB.peer_id, undelivered)])

    def test_mistake(self) -> None:
        """A mistake of ours in taking it back is logged."""
        self.first.error = self.second.error = RegistryError("gone")
        self.mistakes.append(ZeroDivisionError())
        self.group.send(BOB.peer_id, BODY)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_many(self) -> None:
        """Of very many who were heard, the last are remembered."""
        for number in range(MAX_ROUTES + 1):
            self.second.context.receive(DocumentReceived(str(number), BODY))
        for number in (1, 0):
            self.group.send(str(number), BODY)
        self.assertEqual((self.first.sent, self.second.sent), ([("0", BODY)], [("1", BODY)]))


class TwoWaysCase(SynchronousTestCase):
    """People who are at a registry, and in one room."""

    def setUp(self) -> None:
        self.world = World(17)
        self.room: dict[str, RoomSignaling] = {}
        self.alice, self.bob = self.person("alice"), self.person("bob")
        self.world.settle(self.alice, self.bob)

    def person(self, name: str) -> Person:
        """Start somebody."""
        host = self.world.internet.host()
        runtime = runtime_on(host, Random(name))
        profile = load_profile(None, runtime.random_bytes)
        settings = NodeSettings(name, self.world.url, accept=AcceptPolicy.ALL)
        ways = [
            RegistrySignaling(settings.server, profile.identity, runtime),
            RoomSignaling(self.room, profile.identity, runtime),
        ]
        node = Node(runtime, settings, profile, ways)
        person = Person(name, host, node, profile)
        node.listen(person.told.append)
        node.start()
        return person


class TwoWaysTests(TwoWaysCase):
    """Which way carries a document changes nothing."""

    def test_interface(self) -> None:
        """A registry is one way of signaling."""
        runtime = runtime_on(self.alice.host, Random(1))
        self.assertTrue(verifyObject(ISignaling, RegistrySignaling(self.world.url, ALICE, runtime)))

    def test_told(self) -> None:
        """Of each way the person reads that it is there, and that it is lost."""
        servers = {one.server for one in self.alice.events(events.Registered)}
        self.assertEqual(servers, {self.world.url, "the room"})
        self.world.host.kill()
        self.world.wait(lambda: self.alice.events(events.RegistryLost), awaited="the loss")

    def test_room_only(self) -> None:
        """Without the registry people in the room find each other, by name, and talk."""
        self.world.host.kill()
        self.world.internet.run(60)
        self.world.result(self.alice.node.connect("bob"))
        self.world.wait(lambda: self.alice.is_connected_to(self.bob), awaited="a conversation")

    def test_registry_only(self) -> None:
        """Who has left the room is called by the registry, in one attempt."""
        del self.room[self.bob.node.peer_id]
        self.world.connect(self.alice, self.bob)
        self.assertEqual(len(self.alice.events(events.Calling)), 1)

    def test_nobody(self) -> None:
        """Who isn't found by either way is gone."""
        self.world.result(self.bob.node.stop())
        self.world.result(self.alice.node.connect(self.bob.node.peer_id))
        self.world.wait(lambda: self.alice.events(events.CallFailed), awaited="the failure")
        (failed,) = self.alice.events(events.CallFailed)
        self.assertEqual(failed.reason, "unknown-peer")

    def test_replayed(self) -> None:
        """A document that came by one way isn't taken by the other."""
        alice = self.alice.node.peer_id
        room, streams = self.room[alice], self.world.registry.streams
        ways: list[Callable[[str], object]] = [room.receive, partial(streams.deliver, alice)]
        for number in range(2):
            author = identity(100 + number)
            key = self.alice.profile.sealing_key.record_key
            token = seal_document(author, alice, OFFER, key, now=room.now(), nonce="nonce")
            for way in ways[:: 1 - 2 * number]:
                way(token)
                self.world.internet.run(1)
            called = [one.peer_id for one in self.alice.events(events.OfferReceived)]
            self.assertEqual(called.count(author.peer_id), 1)

    def test_stop(self) -> None:
        """Both ways end with the node."""
        self.world.result(self.alice.node.stop())
        self.assertNotIn(self.alice.node.peer_id, self.room)
        self.assertNotIn(self.alice.node.peer_id, self.world.registry.streams)
        self.world.internet.run(5)
        self.assertEqual(self.alice.host.reactor.getDelayedCalls(), [])
