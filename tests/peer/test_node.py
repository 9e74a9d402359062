"""
A node at its edges: what it refuses, and how it begins and ends.

Conversations between whole nodes are in tests/simulation; here the other end is a stranger, or a
registry that lies, played by the test.
"""

from __future__ import annotations

import gc
import sys
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import ConfigurationError, RegistryError, RegistryUnreachable, WhoError
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import seal_document, sign_document
from p2pchat.interfaces import INode
from p2pchat.peer.node import FAREWELL
from p2pchat.peer.profile import load_profile
from p2pchat.peer.settings import NodeSettings
from p2pchat.session.approval import AcceptPolicy
from p2pchat.session.callers import MAX_STRANGERS
from p2pchat.session.retry_after import JITTER
from p2pchat.traversal.check_slots import MAX_CHECKING, MAX_WAITING
from p2pchat.traversal.send_budget import PACKETS
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import (
    Answer,
    Body,
    Candidate,
    Candidates,
    CandidateType,
    Description,
    Offer,
    PeerDocument,
    Refusal,
    Registration,
    Removal,
    Ringing,
    Sealed,
    Subscription,
)
from p2pchat.wire.strict_json import JsonObject
from tests.identity.people import BOB, identity
from tests.peer.registry_case import BusyStore
from tests.simulation.behaviour import PORT_RESTRICTED_CONE
from tests.simulation.recorder import Recorder
from tests.simulation.world import EPOCH, GATHERING, Person, World, make_node, runtime_on

STRANGER = ("203.0.113.90", 4000)


def offer(session: str = "session", address: Address = STRANGER, **changed: Any) -> Offer:
    """Make a stranger's offer."""
    where = (Candidate(CandidateType.HOST, address),)
    members = {"username": "stranger", "exchange": b"\x09" * 32, "candidates": where, **changed}
    return Offer(session, Description(ufrag="ufrag", **members))


class NodeCase(SynchronousTestCase):
    """Alice, who asks before she accepts, and a registry that passes on what the test likes."""

    policy = AcceptPolicy.ASK

    def setUp(self) -> None:
        self.world = World(9)
        self.alice = self.world.person("alice", accept=self.policy)
        self.world.wait(lambda: self.alice.events(events.NatRead), awaited="registration")
        self.world.internet.run(GATHERING)
        self.nonces = Random(1)

    def sign(self, body: Body, by: Identity = BOB, to: str = "", age: float = 0.0) -> str:
        """Sign a document for Alice, sealed to her if it is one for peers."""
        now, nonce = EPOCH + self.alice.host.reactor.seconds() - age, self.nonces.randbytes(8).hex()
        audience = to or self.alice.node.peer_id
        if isinstance(body, PeerDocument):
            key = self.alice.profile.sealing_key.record_key
            return seal_document(by, audience, body, key, now=now, nonce=nonce)
        return sign_document(by, audience, body, now, nonce)

    def deliver(self, token: str) -> None:
        """Put a token on Alice's event stream, as only a registry can."""
        self.assertTrue(self.world.registry.streams.deliver(self.alice.node.peer_id, token))
        self.world.internet.run(0.1)

    def sent_to_strangers(self) -> list[Address]:
        """Return where Alice's datagrams went since tracing began, the registry apart."""
        trace = self.world.internet.trace or []
        hosts = self.world.host.addresses
        return [to for _, source, to, *_ in trace if source[0] not in hosts and to[0] not in hosts]


class Newer(Sealed):
    """A document of a program that comes after ours."""

    def to_json(self) -> JsonObject:
        """Return the members, the version among them."""
        return {**super().to_json(), "v": 3}


class VersionTests(NodeCase):
    """Programs that don't understand each other say so."""

    def test_newer(self) -> None:
        """Our person reads that somebody's program is newer; nothing else comes of it."""
        self.deliver(self.sign(Newer(b"whatever that has inside")))
        complaint = self.alice.events(events.Trouble)[-1].reason
        self.assertIn(f"{BOB.peer_id} wrote a document of version 3", complaint)
        self.assertIn("version 2", complaint)
        self.assertEqual(self.alice.node.conversations(), [])


class RefusedDocumentTests(NodeCase):
    """What a lying registry, or a stranger, sends in vain."""

    def assert_nothing(self, *tokens: str) -> None:
        """These tokens change nothing, send nothing, and tell the person nothing."""
        self.world.internet.trace = []
        told = len(self.alice.told)
        for token in tokens:
            self.deliver(token)
        self.world.internet.run(1)
        self.assertEqual(self.alice.told[told:], [])
        self.assertEqual(self.alice.node.conversations(), [])
        self.assertEqual(self.sent_to_strangers(), [])
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertTrue(self.alice.node.peer_id in self.world.registry.streams)

    def test_control(self) -> None:
        """A good offer is taken: the test's own documents are right."""
        self.deliver(self.sign(offer()))
        self.assertEqual([e.accepted for e in self.alice.events(events.OfferReceived)], [False])

    def test_not_signed(self) -> None:
        """Text, damaged and truncated documents."""
        good = self.sign(offer())
        header, payload, signature = good.split(".")
        other = self.sign(offer("other")).split(".")[2]
        self.assert_nothing(
            *("x", "{}", "a.b.c", good[:-5], f"{header}.{payload}.", f"{header}.{payload}.{other}")
        )
        self.assertTrue(signature)

    def test_for_somebody_else(self) -> None:
        """An offer for another peer, or for the registry."""
        self.assert_nothing(
            self.sign(offer(), to=BOB.peer_id), self.sign(offer(), to=self.world.url)
        )

    def test_not_for_peers(self) -> None:
        """Documents that only a registry takes."""
        bodies: tuple[Body, ...] = (Registration("bob"), Subscription(), Removal())
        self.assert_nothing(*(self.sign(body) for body in bodies))

    def test_without_a_call(self) -> None:
        """Answers to what was never asked."""
        where = (Candidate(CandidateType.HOST, STRANGER),)
        bodies: tuple[Body, ...] = (
            *(Ringing("s"), Refusal("s", "declined"), Candidates("s", where, True)),
            Answer("s", Description("bob", b"\x09" * 32, "u", where)),
        )
        self.assert_nothing(*(self.sign(body) for body in bodies))

    def test_replayed(self) -> None:
        """An offer that was declined and is passed on again by the registry."""
        token = self.sign(offer())
        self.deliver(token)
        self.alice.node.reject("stranger")
        self.assert_nothing(token, token)

    def test_stale(self) -> None:
        """An old offer, kept back: the person reads why nothing came of it."""
        self.deliver(self.sign(offer(), age=3600))
        self.deliver(self.sign(offer(), age=-3600))
        troubles = [one.reason for one in self.alice.events(events.Trouble)][1:]  # http://
        self.assertIn("3600 seconds old", troubles[0])
        self.assertIn("ahead", troubles[1])
        self.assertEqual(self.alice.node.conversations(), [])

    def test_no_address_is_probed(self) -> None:
        """An offer that waits for the person sends nothing to its candidates."""
        self.world.internet.trace = []
        self.deliver(self.sign(offer()))
        self.world.internet.run(5)
        self.assertEqual(self.sent_to_strangers(), [])


class AcceptingTests(NodeCase):
    """Who accepts all still isn't made to send anywhere."""

    policy = AcceptPolicy.ALL

    def test_forbidden_addresses(self) -> None:
        """Candidates that are no host's get not one datagram."""
        self.world.internet.trace = []
        for number, ip in enumerate(("224.0.0.1", "0.0.0.0", "255.255.255.255", "127.0.0.1")):
            self.deliver(self.sign(offer(f"s{number}", (ip, 9)), identity(50 + number)))
        self.world.internet.run(10)
        self.assertEqual(self.sent_to_strangers(), [])

    def test_ipv6_candidate(self) -> None:
        """An address that our socket can't send to is nothing to stumble over."""
        self.deliver(self.sign(offer("s", ("2001:db8::1", 9))))
        self.world.internet.run(10)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertTrue(self.alice.node.peer_id in self.world.registry.streams)

    def test_unfit_key(self) -> None:
        """An offer whose key makes no secret is declined; the node goes on."""
        self.deliver(self.sign(offer(exchange=bytes(32))))
        self.assertEqual(self.alice.events(events.CallFailed)[0].reason, "not-proved")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_checks_are_bounded(self) -> None:
        """One offer makes us send a bounded number of small datagrams to its address."""
        self.world.internet.trace = []
        self.deliver(self.sign(offer()))
        self.world.internet.run(60)
        sent = self.sent_to_strangers()
        self.assertEqual(set(sent), {STRANGER})
        self.assertLess(len(sent), 50)


class StrangersTests(NodeCase):
    """Offers of people nobody knows."""

    def offers(self, first: int, count: int) -> None:
        """Let so many different strangers make an offer."""
        for number in range(first, first + count):
            self.deliver(self.sign(offer(f"s{number}"), identity(1000 + number)))

    def test_name_that_is_an_id(self) -> None:
        """Who calls himself by somebody's id, or a part of it, isn't listened to."""
        for name in (BOB.peer_id, BOB.peer_id[:8]):
            self.deliver(self.sign(offer("liar", username=name), identity(1000)))
            self.assertEqual(self.alice.events(events.OfferReceived), [])
        called = self.world.result(self.alice.node.connect(BOB.peer_id))
        self.assertEqual(called, BOB.peer_id)

    def test_flood(self) -> None:
        """Of a flood of strangers few are answered: our own calls need the registry, too."""
        metrics = self.world.registry.metrics
        before = metrics.answers.total()
        self.offers(0, 200)
        self.assertGreater(metrics.answers.total(), before)
        self.assertLess(metrics.answers.total() - before, 30)

    def test_limit(self) -> None:
        """MAX_STRANGERS wait; who comes after that is told that we are busy."""
        self.offers(0, MAX_STRANGERS + 3)
        self.assertEqual(len(self.alice.events(events.OfferReceived)), MAX_STRANGERS)
        self.assertEqual(len(self.alice.node.conversations()), MAX_STRANGERS)

    def test_room_again(self) -> None:
        """Who was declined makes room."""
        self.offers(0, MAX_STRANGERS)
        self.alice.node.reject(identity(1000).peer_id)
        self.offers(MAX_STRANGERS, 1)
        self.assertEqual(len(self.alice.events(events.OfferReceived)), MAX_STRANGERS + 1)

    def test_forgotten(self) -> None:
        """Offers that nobody answers go, and leave nothing behind."""
        self.offers(0, 5)
        self.world.internet.run(150)
        self.assertEqual(len(self.alice.events(events.OfferEnded)), 5)
        self.assertEqual(self.alice.node.conversations(), [])
        peer_id = identity(1000).peer_id
        self.assertRaises(WhoError, self.alice.node.why, peer_id)


class ContactsTests(NodeCase):
    """Who accepts contacts only."""

    policy = AcceptPolicy.CONTACTS

    def test_contact(self) -> None:
        """One whom the person called or accepted before is let in, another waits."""
        self.alice.profile.contacts.keep(BOB.peer_id, "bob")
        self.deliver(self.sign(offer("one")))
        self.deliver(self.sign(offer("two"), identity(77)))
        accepted = [event.accepted for event in self.alice.events(events.OfferReceived)]
        self.assertEqual(accepted, [True, False])


class FloodTests(NodeCase):
    """A flood of strangers, each with a key of its own, where nobody is asked."""

    policy = AcceptPolicy.ALL

    def strangers(self, first: int, count: int, every: float, hosts: int = 32) -> None:
        """Let strangers make offers that name so many hosts, and say nothing more."""
        for number in range(first, first + count):
            named = (f"198.51.{number % 250}.{n + 1}" for n in range(hosts))
            told = tuple(Candidate(CandidateType.SERVER_REFLEXIVE, (one, 9)) for one in named)
            token = self.sign(offer(f"s{number}", candidates=told), identity(1000 + number))
            self.world.registry.streams.deliver(self.alice.node.peer_id, token)
            self.world.internet.run(every)

    def test_nothing_is_left(self) -> None:
        """Hundreds who never connect leave nothing behind, and no memory in use."""
        self.strangers(0, 60, 0.1, hosts=2)
        self.world.internet.run(60)
        gc.collect()
        before = sys.getallocatedblocks()
        self.strangers(60, 200, 0.1, hosts=2)
        self.assertGreater(len(self.alice.events(events.OfferReceived)), 100)
        self.world.internet.run(150)
        self.assertEqual((self.alice.node.sessions, self.alice.node.attempts), (0, 0))
        self.assertEqual(self.alice.node.conversations(), [])
        self.alice.told.clear()
        gc.collect()
        after = sys.getallocatedblocks()
        self.assertLess(after - before, 30 * 200, "blocks: their keys, which are cached")

    def test_bound(self) -> None:
        """However many come, few are attempted at a time, and no second sees many packets."""
        self.world.internet.trace = []
        self.strangers(0, 300, 1 / 60)
        self.assertLessEqual(self.alice.node.attempts, MAX_CHECKING + MAX_WAITING)
        self.assertLessEqual(self.alice.node.sessions, 100)
        self.world.internet.run(10)
        ours = self.alice.host.address
        hosts = self.world.host.addresses
        times = [
            when
            for when, source, to, *_ in self.world.internet.trace
            if source[0] == ours and to[0] not in hosts
        ]
        self.assertGreater(len(times), 3 * PACKETS)
        for index in range(len(times) - PACKETS):
            self.assertGreater(times[index + PACKETS] - times[index], 1)

    def test_friends(self) -> None:
        """Meanwhile our person's call, and a contact's, come about at once."""
        bob, carol = (self.world.person(name) for name in ("bob", "carol"))
        self.world.settle(bob, carol)
        self.alice.profile.contacts.keep(carol.node.peer_id, "carol")
        self.strangers(0, 300, 1 / 60)
        began = self.world.internet.clock.seconds()
        self.alice.node.connect(bob.node.peer_id)
        carol.node.connect(self.alice.node.peer_id)
        for number in range(300, 330):
            self.strangers(number, 1, 1 / 60)
        found = [one.milliseconds for one in self.alice.events(events.Connected)]
        self.assertEqual(len(found), 2, self.world.internet.clock.seconds() - began)

    def test_conversation_goes_on(self) -> None:
        """A stranger with whom there is a conversation finds a new path, and isn't told busy."""
        bob = self.world.person("bob", self.world.nat(PORT_RESTRICTED_CONE))
        self.world.settle(bob)
        self.world.connect(bob, self.alice)
        self.strangers(0, 100, 1 / 60)
        nat = self.world.nat(PORT_RESTRICTED_CONE)
        bob.host.move(behind=nat)
        for number in range(100, 500):
            self.strangers(number, 1, 1 / 60)
        bob.say("still here", self.alice)
        self.world.wait(lambda: "still here" in self.alice.texts())
        self.assertEqual(bob.events(events.Disconnected), [])


class CommandTests(NodeCase):
    """What a person can ask for that can't be had."""

    def test_interface(self) -> None:
        """The node is what its user interfaces stand on."""
        self.assertTrue(verifyObject(INode, self.alice.node))
        self.assertEqual(self.alice.node.conversations(), [])

    def test_nobody(self) -> None:
        """Each command about nobody says so."""
        node = self.alice.node
        for ask in (
            *(node.find, node.accept, node.reject, node.disconnect, node.why),
            lambda who: node.send(who, "hello"),
        ):
            for who in ("bob", BOB.peer_id, ""):
                self.assertRaises(WhoError, ask, who)

    def test_ourselves(self) -> None:
        """Nobody talks with themselves, by id or by name."""
        for who in (self.alice.node.peer_id, self.alice.node.peer_id.upper(), "alice"):
            with self.assertRaises(WhoError):
                self.world.result(self.alice.node.connect(who))

    def test_prefix(self) -> None:
        """Nobody is called by the first characters of an id; the sentence has all of it."""
        bob = self.world.person("bob")
        self.world.wait(lambda: bob.events(events.Registered), awaited="Bob")
        with self.assertRaises(WhoError) as caught:
            self.world.result(self.alice.node.connect(bob.node.peer_id[:16]))
        self.assertIn(f"/connect {bob.node.peer_id}", str(caught.exception))

    def test_not_waiting(self) -> None:
        """Only an offer that waits can be accepted or rejected, once."""
        self.deliver(self.sign(offer()))
        self.alice.node.reject("stranger")
        self.assertRaises(WhoError, self.alice.node.accept, "stranger")
        self.assertRaises(WhoError, self.alice.node.reject, "stranger")

    def test_registry_away(self) -> None:
        """A call by name without a registry fails with its sentence."""
        self.world.host.kill()
        with self.assertRaises(RegistryUnreachable):
            self.world.result(self.alice.node.connect("bob"))

    def test_registry_away_for_a_moment(self) -> None:
        """A call waits for the registry to be back, for the answer couldn't reach us before."""
        bob = self.world.person("bob")
        self.world.settle(bob)
        self.world.registry.streams.end(self.alice.node.peer_id, "bye")
        self.world.wait(lambda: self.alice.events(events.RegistryLost), awaited="the loss")
        self.world.result(self.alice.node.connect(bob.node.peer_id))
        self.world.wait(lambda: self.alice.is_connected_to(bob), awaited="a conversation")
        (calling,) = self.alice.events(events.Calling)
        self.assertEqual(calling.attempt, 1)
        told = [type(one) for one in self.alice.told]
        self.assertLess(told.index(events.RegistryLost), told.index(events.Calling))
        self.assertIs(told[told.index(events.Calling) - 1], events.Registered)

    def test_leaving_while_calling(self) -> None:
        """Who leaves while a call waits for the registry calls nobody."""
        self.world.host.kill()
        self.world.internet.run(60)
        call = self.alice.node.connect(BOB.peer_id)
        self.world.internet.run(1)
        self.world.result(self.alice.node.stop())
        with self.assertRaises(WhoError):
            self.world.result(call)

    def busy(self, seconds: int) -> BusyStore:
        """Let the registry's store be busy from now on, and ask for so many seconds."""
        store = self.world.registry.store = BusyStore(self.world, seconds)
        return store

    def bob(self) -> Person:
        """Let Bob be there."""
        bob = self.world.person("bob")
        self.world.settle(bob)
        return bob

    def test_busy_registry(self) -> None:
        """Who asks a registry that has no time reads at once how long to wait: lists and names."""
        self.busy(60)
        for ask in (self.alice.node.peers, lambda: self.alice.node.connect("bob")):
            with self.assertRaises(RegistryError) as caught:
                self.world.result(ask(), 1)
            self.assertIn("busy; worth asking again in 60 seconds", str(caught.exception))

    def test_call_at_a_busy_registry(self) -> None:
        """So does who calls; nothing is tried again behind the person's back."""
        bob, store = self.bob(), self.busy(60)
        self.world.result(self.alice.node.connect(bob.node.peer_id))
        self.world.wait(lambda: self.alice.events(events.CallFailed), 1, "the sentence")
        (failed,) = self.alice.events(events.CallFailed)
        self.assertIn("busy; worth asking again in 60 seconds", failed.explanation)
        self.world.registry.store = store.original
        self.world.internet.run(100)
        self.assertEqual(len(self.alice.events(events.Calling)), 1)

    def test_call_at_a_registry_busy_for_a_moment(self) -> None:
        """A call outlasts a short wait: the offer goes again when the registry may be asked."""
        bob, store = self.bob(), self.busy(5)
        started = self.world.internet.clock.seconds()
        self.world.result(self.alice.node.connect(bob.node.peer_id))
        self.world.internet.run(4.9)
        self.assertEqual(len(store.asked), 1)
        self.world.registry.store = store.original
        self.world.wait(lambda: self.alice.is_connected_to(bob), 5, "the conversation")
        self.assertLess(self.world.internet.clock.seconds() - started, 5 * (1 + JITTER) + 1)
        self.assertEqual(self.alice.events(events.CallFailed), [])

    def test_published_address(self) -> None:
        """The record shows an address exactly where the person asked for it."""
        shy, open_ = self.world.person("shy"), self.world.person("open", publish_address=True)
        self.world.internet.run(5)
        records = {one.username: one for one in self.world.result(shy.node.peers())}
        self.assertIsNone(records["shy"].addresses)
        (shown,) = records["open"].addresses
        self.assertTrue(shown.startswith(open_.host.address))


class LifeTests(NodeCase):
    """Beginning and end."""

    def second(self, **settings: Any) -> Person:
        """Make another node on Alice's host, not started."""
        host = self.alice.host
        runtime = runtime_on(host, Random(4))
        profile = load_profile(None, runtime.random_bytes)
        settings = {"server": self.world.url, **settings}
        node = make_node(runtime, NodeSettings("second", **settings), profile)
        person = Person("second", host, node, profile)
        node.listen(person.told.append)
        return person

    def test_port_in_use(self) -> None:
        """A port that is taken is named, with what to do; nothing was begun."""
        first = self.second(port=7777)
        self.world.result(first.node.start())
        second = self.second(port=7777)
        failed = second.node.start()
        message = str(self.failureResultOf(failed, ConfigurationError).value)
        self.assertIn("7777", message)
        self.assertIn("--port", message)
        self.world.internet.run(5)
        self.assertEqual(second.told, [])
        self.successResultOf(second.node.stop())

    def test_stop(self) -> None:
        """A stopped node has no socket, no timer and no record; stopping again is nothing."""
        self.world.result(self.alice.node.stop())
        self.successResultOf(self.alice.node.stop())
        self.world.internet.run(5)
        host = self.alice.host
        self.assertEqual(host.reactor.getDelayedCalls(), [])
        self.assertEqual((dict(host.udp_ports.bound), len(host.connections)), ({}, 0))
        self.assertEqual(self.world.registered, 0)

    def test_stop_without_registry(self) -> None:
        """A registry that doesn't answer holds nobody back for ever, and nothing fails later."""
        self.world.host.online = False
        self.world.result(self.alice.node.stop())
        self.world.internet.run(30)
        gc.collect()
        self.assertEqual(self.alice.host.reactor.getDelayedCalls(), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_farewell(self) -> None:
        """Where nobody hears it, a goodbye takes FAREWELL."""
        self.world.host.online = False
        started = self.world.internet.clock.seconds()
        self.world.result(self.alice.node.stop())
        self.assertLess(self.world.internet.clock.seconds() - started, FAREWELL + 0.1)

    def test_stop_unregistered(self) -> None:
        """A node that no registry has ends at once, although one is being asked."""
        self.world.host.online = False
        second = self.second()
        self.world.result(second.node.start())
        self.world.internet.run(0.5)
        started = self.world.internet.clock.seconds()
        self.world.result(second.node.stop())
        self.assertLess(self.world.internet.clock.seconds() - started, 0.1)

    def test_stop_displaced(self) -> None:
        """One whose place another program has leaves that one's record alone."""
        other = self.world.person("alice", profile=self.alice.profile)
        self.world.wait(lambda: self.alice.events(events.RegistryLost), awaited="the loss")
        self.world.result(self.alice.node.stop())
        self.world.internet.run(5)
        self.assertEqual(self.world.registered, 1)
        self.assertEqual(other.events(events.RegistryLost), [])

    def test_connect_displaced(self) -> None:
        """Whoever calls somebody takes the place back, and is connected."""
        bob = self.world.person("bob")
        other = self.world.person("alice", profile=self.alice.profile)
        self.world.wait(lambda: self.alice.events(events.RegistryLost), awaited="the loss")
        self.world.connect(self.alice, bob)
        self.assertEqual(len(other.events(events.RegistryLost)), 1)
        self.world.internet.run(60)
        self.assertEqual(len(self.alice.events(events.RegistryLost)), 1)

    def test_stop_before_start(self) -> None:
        """A node that was never started stops at once."""
        self.successResultOf(self.second().node.stop())

    def test_stop_while_asked(self) -> None:
        """An offer that waits is declined, not left hanging."""
        bob = self.world.person("bob")
        self.world.wait(lambda: bob.events(events.Registered), awaited="Bob")
        self.world.result(bob.node.connect(self.alice.node.peer_id))
        self.world.wait(lambda: self.alice.events(events.OfferReceived), awaited="the offer")
        self.world.result(self.alice.node.stop())
        self.world.internet.run(1)
        self.assertEqual([e.reason for e in bob.events(events.CallFailed)], ["declined"])

    def test_garbage_on_the_socket(self) -> None:
        """Whatever strangers send to the socket, nothing is answered and nothing told."""
        told = len(self.alice.told)
        ((_, port), _) = self.alice.host.udp_ports.bound
        stranger = Recorder.on(self.world.internet.host())
        random = Random(2)
        for number in range(300):
            start = bytes([random.choice((0, 1, 0x40, 0x7F, 0xC0, 0xFF, 0x20))])
            data = start + random.randbytes(number % 200)
            stranger.send(data, (self.alice.host.address, port))
        self.world.internet.run(5)
        self.assertEqual((stranger.received, self.alice.told[told:]), ([], []))
        self.assertEqual(self.flushLoggedErrors(), [])
