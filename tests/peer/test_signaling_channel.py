"""The documents of one peer: what is let in, what goes out, and what comes back."""

from __future__ import annotations

from random import Random
from typing import cast

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from p2pchat.errors import RegistryError, RegistryUnreachable
from p2pchat.events import Trouble
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import MAX_AGE, Acceptance, open_document, sign_document
from p2pchat.peer.event_stream import Event
from p2pchat.peer.http_client import REQUEST_TIMEOUT
from p2pchat.peer.signaling import DocumentReceived, SignalingContext, SignalingEvent
from p2pchat.peer.signaling_channel import (
    EXPLAIN_INTERVAL,
    EXPLANATIONS,
    STRANGER_INTERVAL,
    STRANGERS,
    SignalingChannel,
)
from p2pchat.wire.documents import (
    MAX_LABEL,
    Answer,
    Body,
    Candidates,
    Description,
    Offer,
    PeerDocument,
    Refusal,
    Registration,
    Removal,
    Ringing,
    Subscription,
)
from p2pchat.wire.strict_json import JsonObject
from tests.identity.people import ALICE, BOB, CAROL, identity
from tests.peer.registry_case import RegistryCase
from tests.simulation.link import Link

OFFER = Offer("session", Description("bob", b"\x09" * 32, "ufrag", ()))
ANSWER = Answer("session", Description("bob", b"\x09" * 32, "ufrag", ()))
DELIVERED: tuple[PeerDocument, ...] = (
    OFFER,
    ANSWER,
    Candidates("session", (), True),
    Ringing("session"),
    Refusal("session", "declined", "not now"),
)


class NewerOffer(Offer):
    """An offer of a program that comes after ours."""

    def to_json(self) -> JsonObject:
        """Return the members, the version among them."""
        return {**super().to_json(), "v": 3}


class Undated(NewerOffer):
    """An offer of such a program that keeps its date elsewhere."""

    def to_json(self) -> JsonObject:
        """Return the members, without a date."""
        return {**super().to_json(), "iat": None}


class NewerAnswer(Answer):
    """An answer of such a program."""

    def to_json(self) -> JsonObject:
        """Return the members, the version among them."""
        return {**super().to_json(), "v": 3}


class NewerRefusal(Refusal):
    """A refusal of such a program."""

    def to_json(self) -> JsonObject:
        """Return the members, the version among them."""
        return {**super().to_json(), "v": 3}


def newer(session: str = "session") -> NewerOffer:
    """Return a newer program's offer."""
    return NewerOffer(session, Description("bob", b"\x09" * 32, "ufrag", ()))


class ChannelCase(RegistryCase):
    """Alice's channel, and all that it hands on."""

    def setUp(self) -> None:
        super().setUp()
        self.arrived: list[tuple[str, PeerDocument]] = []
        self.returned: list[tuple[str, PeerDocument, RegistryError]] = []
        self.unsent: list[PeerDocument] = []
        self.complaints: list[str] = []
        self.blocked: set[str] = set()
        self.expected: set[str] = set()
        self.nonces = Random(1)
        context = SignalingContext(
            Acceptance(frozenset({ALICE.peer_id})),
            lambda: Registration("alice"),
            self.blocked.__contains__,
            self.expected.__contains__,
            self.take,
        )
        self.channel = SignalingChannel(context, self.client.deliver, self.client.now)

    def take(self, event: SignalingEvent) -> None:
        """Keep what the channel tells."""
        match event:
            case DocumentReceived(author, body):
                self.arrived.append((author, body))
            case Trouble(sentence):
                self.complaints.append(sentence)

    def send(self, peer_id: str, body: PeerDocument) -> None:
        """Send a document, and keep what becomes of it."""
        self.unsent.append(body)
        sent: Deferred[None] = self.channel.send(peer_id, body)

        def ended(result: object) -> None:
            self.unsent.remove(body)
            if isinstance(result, Failure):
                result.trap(RegistryError)
                self.returned.append((peer_id, body, cast(RegistryError, result.value)))

        sent.addBoth(ended)

    def sign(
        self, body: Body, by: Identity = BOB, to: str = ALICE.peer_id, age: float = 0.0
    ) -> str:
        """Sign a document for Alice."""
        nonce = self.nonces.randbytes(8).hex()
        return sign_document(by, to, body, self.client.now() - age, nonce)

    def receive(self, *tokens: str) -> None:
        """Let tokens come on the event stream, and time for what follows from them."""
        for token in tokens:
            self.channel.receive(token)
        self.run_for(1)

    def refused_all(self, *tokens: str) -> None:
        """These tokens are handed on to nobody, answered by nothing, and logged as no failure."""
        self.receive(*tokens)
        self.assertEqual((self.arrived, self.returned, self.channel.is_idle), ([], [], True))
        self.assertEqual(self.flushLoggedErrors(), [])


class ArrivingTests(ChannelCase):
    """Only what is signed, for us, fresh, new and of a type for peers arrives."""

    def test_delivered(self) -> None:
        """Each type that peers send arrives, whole, with its author."""
        self.receive(*(self.sign(body) for body in DELIVERED))
        self.assertEqual(self.arrived, [(BOB.peer_id, body) for body in DELIVERED])
        self.assertEqual(self.complaints, [])

    def test_strangers(self) -> None:
        """Of strangers no more are read than a budget; who is expected never waits behind them."""
        stranger, count = Identity.from_seed(b"s" * 32), int(3 * STRANGERS)
        self.expected.add(BOB.peer_id)
        for _ in range(count):
            self.channel.receive(self.sign(Ringing("knock"), by=stranger))
        self.channel.receive(self.sign(Ringing("call")))
        authors = [peer_id for peer_id, _ in self.arrived]
        self.assertEqual(authors, [stranger.peer_id] * int(STRANGERS) + [BOB.peer_id])
        self.run_for(10 * STRANGER_INTERVAL)
        self.receive(*(self.sign(Ringing("again"), by=stranger) for _ in range(count)))
        self.assertEqual(len(self.arrived), STRANGERS + 1 + 10)

    def test_author(self) -> None:
        """The author is whoever signed."""
        self.receive(self.sign(OFFER, CAROL), self.sign(OFFER, BOB))
        self.assertEqual([who for who, _ in self.arrived], [CAROL.peer_id, BOB.peer_id])

    def test_not_signed(self) -> None:
        """What isn't signed by its author doesn't, and nobody is bothered."""
        good, other = self.sign(OFFER), self.sign(ANSWER)
        header, payload, _ = good.split(".")
        swapped = f"{header}.{payload}.{other.split('.')[2]}"
        self.refused_all("", "x", "{}", "a.b.c", good[:-5], f"{header}.{payload}.", swapped)
        self.assertEqual(self.complaints, [])

    def test_another_key(self) -> None:
        """A payload of Bob's under Carol's header and signature isn't Bob's."""
        ours, theirs = self.sign(OFFER, CAROL).split("."), self.sign(OFFER, BOB).split(".")
        self.refused_all(f"{ours[0]}.{theirs[1]}.{ours[2]}", f"{ours[0]}.{theirs[1]}.{theirs[2]}")

    def test_for_somebody_else(self) -> None:
        """What is meant for another peer, or the registry, doesn't."""
        self.refused_all(*(self.sign(OFFER, to=to) for to in (BOB.peer_id, self.world.url)))
        self.assertEqual(self.complaints, [])

    def test_not_for_peers(self) -> None:
        """What only a registry takes doesn't, though it is signed and for us."""
        bodies: tuple[Body, ...] = (Registration("bob"), Subscription(), Removal())
        self.refused_all(*(self.sign(body) for body in bodies))
        self.assertEqual(self.complaints, [])

    def test_replayed(self) -> None:
        """A document arrives once, however often the registry passes it on."""
        token = self.sign(OFFER)
        self.receive(token, token)
        self.run_for(MAX_AGE / 2)
        self.receive(token)
        self.assertEqual(self.arrived, [(BOB.peer_id, OFFER)])

    def test_stale(self) -> None:
        """One kept back, or dated ahead, doesn't; the person reads whose, and by how much."""
        self.refused_all(self.sign(ANSWER, age=MAX_AGE + 2), self.sign(ANSWER, age=-MAX_AGE - 2))
        old, ahead = self.complaints
        self.assertIn(f"the answer of {BOB.peer_id} was refused: 62 seconds old", old)
        self.assertIn("ahead", ahead)

    def test_nearly_stale(self) -> None:
        """Clocks may be wrong by a little less than MAX_AGE."""
        self.receive(self.sign(OFFER, age=MAX_AGE - 2), self.sign(ANSWER, age=2 - MAX_AGE))
        self.assertEqual([body for _, body in self.arrived], [OFFER, ANSWER])


class OutgoingCase(ChannelCase):
    """Alice and Bob are registered, and Bob listens."""

    def setUp(self) -> None:
        super().setUp()
        self.world.internet.link = Link(latency=0.01)
        self.events: list[Event] = []
        self.bob = self.make_client(BOB)
        self.result(self.client.register(Registration("alice")))
        self.result(self.bob.register(Registration("bob")))
        self.result(self.bob.subscribe(self.events.append, lambda _reason: None))

    def read(self) -> list[Body]:
        """Return what Bob got so far; each is signed by Alice, for Bob."""
        tokens = [event.data for event in self.events if event.name == "document"]
        documents = [open_document(token) for token in tokens]
        for one in documents:
            self.assertEqual((one.issuer, one.audience), (ALICE.peer_id, BOB.peer_id))
        return [one.body for one in documents]


class DeliveringTests(OutgoingCase):
    """What goes out."""

    def test_delivered(self) -> None:
        """It is signed and reaches its reader; the delivery is under way until it is answered."""
        for body in DELIVERED:
            self.send(BOB.peer_id, body)
            self.assertEqual(len(self.unsent), 1)
            self.run_for(1)
            self.assertEqual(self.unsent, [])
        self.assertEqual((self.read(), self.returned), (list(DELIVERED), []))

    def test_refused(self) -> None:
        """One that the registry refuses comes back, with the registry's word for it."""
        self.send(CAROL.peer_id, OFFER)
        self.run_for(1)
        ((peer_id, body, error),) = self.returned
        self.assertEqual((peer_id, body, error.reason), (CAROL.peer_id, OFFER, "unknown-peer"))
        self.assertIn(CAROL.peer_id, str(error))
        self.assertEqual(self.unsent, [])

    def test_offline(self) -> None:
        """So does one for a peer who is registered but doesn't listen."""
        self.result(self.make_client(CAROL).register(Registration("carol")))
        self.send(CAROL.peer_id, OFFER)
        self.run_for(1)
        self.assertEqual([error.reason for *_, error in self.returned], ["peer-offline"])

    def test_no_registry(self) -> None:
        """And so does one that finds no registry, in good time."""
        self.world.host.online = False
        self.send(BOB.peer_id, OFFER)
        self.run_for(3 * REQUEST_TIMEOUT)
        ((_, body, error),) = self.returned
        self.assertEqual(body, OFFER)
        self.assertIsInstance(error, RegistryUnreachable)
        self.assertEqual(self.unsent, [])


class PausingTests(OutgoingCase):
    """While the event stream is renewed."""

    def test_held(self) -> None:
        """Nothing goes out until the channel is resumed."""
        self.assertFalse(self.channel.is_paused)
        self.channel.pause()
        self.send(BOB.peer_id, OFFER)
        self.run_for(30)
        self.assertTrue(self.channel.is_paused)
        self.assertEqual((self.read(), self.returned, self.unsent), ([], [], [OFFER]))

    def test_in_order(self) -> None:
        """What was kept back goes out in the order in which it was said, before what follows."""
        self.channel.pause()
        for body in DELIVERED[:-1]:
            self.send(BOB.peer_id, body)
        self.channel.resume()
        self.assertFalse(self.channel.is_paused)
        self.send(BOB.peer_id, DELIVERED[-1])
        self.assertEqual(len(self.unsent), len(DELIVERED))
        self.run_for(1)
        self.assertEqual((self.read(), self.unsent), (list(DELIVERED), []))

    def test_never_overtaken(self) -> None:
        """However long single requests take, what goes to one peer arrives in order."""
        self.world.internet.link = Link(latency=(0.001, 0.5))
        bodies = [Ringing(f"session {number}") for number in range(20)]
        for body in bodies[:10]:
            self.send(BOB.peer_id, body)
        self.channel.pause()
        for body in bodies[10:]:
            self.send(BOB.peer_id, body)
        self.run_for(30)
        self.assertEqual((self.read(), self.unsent), (bodies[:1], bodies[1:]))
        self.channel.resume()
        self.run_for(120)
        self.assertEqual((self.read(), self.unsent), (bodies, []))

    def test_nobody_waits_for_another(self) -> None:
        """What goes to one peer doesn't wait for what goes to another."""
        self.world.host.online = False
        self.send(CAROL.peer_id, OFFER)
        self.send(CAROL.peer_id, Ringing("session"))
        self.run_for(0.1)
        self.world.host.online = True
        self.send(BOB.peer_id, OFFER)
        self.run_for(0.5)
        self.assertEqual(self.read(), [OFFER])
        self.run_for(4 * REQUEST_TIMEOUT)
        self.assertEqual([body for _, body, _ in self.returned], [OFFER, Ringing("session")])

    def test_dated_at_release(self) -> None:
        """What was held for longer than MAX_AGE is as fresh as it goes out."""
        self.channel.pause()
        self.send(BOB.peer_id, OFFER)
        for _ in range(3):
            self.run_for(MAX_AGE / 2)
            for client in (self.client, self.bob):  # a lease is shorter
                self.result(client.register(Registration("again")))
        self.channel.resume()
        self.run_for(1)
        self.assertEqual((self.read(), self.returned), ([OFFER], []))

    def test_released_once(self) -> None:
        """A second release, or one without a hold, delivers nothing again."""
        self.channel.resume()
        self.channel.pause()
        self.send(BOB.peer_id, OFFER)
        self.channel.resume()
        self.channel.resume()
        self.run_for(1)
        self.assertEqual(self.read(), [OFFER])

    def test_arriving_goes_on(self) -> None:
        """What comes in isn't held."""
        self.channel.pause()
        self.receive(self.sign(OFFER))
        self.assertEqual(self.arrived, [(BOB.peer_id, OFFER)])

    def test_refused_after_release(self) -> None:
        """The registry's refusal of what was held comes back like any other."""
        self.channel.pause()
        self.send(CAROL.peer_id, OFFER)
        self.channel.resume()
        self.run_for(1)
        self.assertEqual([body for _, body, _ in self.returned], [OFFER])


class ClockTests(OutgoingCase):
    """Two whose clocks differ by more than a document may be old: both persons read that."""

    def refusal(self, age: float) -> Refusal:
        """Return what Bob is told of an offer of this age."""
        self.receive(self.sign(OFFER, age=age))
        (body,) = self.read()
        assert isinstance(body, Refusal)
        self.assertEqual((body.session, body.reason), (OFFER.session, "clock"))
        return body

    def test_behind(self) -> None:
        """An offer from the past is refused with the reason; the author reads whose clock it is."""
        self.assertIn("yours is 100 seconds behind theirs", self.refusal(100.0).detail)
        (complaint,) = self.complaints
        self.assertIn(f"the offer of {BOB.peer_id} was refused: 100 seconds old", complaint)

    def test_ahead(self) -> None:
        """So is one from the future."""
        self.assertIn("yours is 100 seconds ahead of theirs", self.refusal(-100.0).detail)

    def test_taken(self) -> None:
        """Such a refusal is taken however it is dated: its author's clock is the other one."""
        refusals = [Refusal("session", reason, "by much") for reason in ("clock", "declined")]
        self.receive(*(self.sign(one, age=age) for one in refusals for age in (0, 100, -100)))
        taken = [body for _, body in self.arrived]
        self.assertEqual(taken, [refusals[0]] * 3 + [refusals[1]])

    def test_offers_only(self) -> None:
        """Nothing else is answered, least of all a refusal, lest two programs go on for ever."""
        bodies = (ANSWER, Ringing("session"), Refusal("session", "clock"), Refusal("s", "busy"))
        self.receive(*(self.sign(body, age=100) for body in bodies))
        self.assertEqual(self.read(), [])

    def test_long_ago(self) -> None:
        """An offer of last week is no matter of clocks; the person reads of it all the same."""
        self.receive(self.sign(OFFER, age=7 * 86_400))
        self.assertEqual((self.read(), len(self.complaints)), ([], 1))

    def test_replayed(self) -> None:
        """A registry that brings thousands of old offers makes us say little, to anybody."""
        identities = [identity(number) for number in range(10, 20)]
        for number in range(3600):
            offer = attrs.evolve(OFFER, session=f"s{number}")
            self.channel.receive(self.sign(offer, by=identities[number % 10], age=100 + number))
            self.run_for(0.1)
        allowed = EXPLANATIONS + 360 / EXPLAIN_INTERVAL
        self.assertLessEqual(len(self.complaints), allowed)
        self.assertLessEqual(len(self.returned), allowed)
        self.assertGreater(len(self.complaints), allowed - 2)

    def test_blocked(self) -> None:
        """To one who is blocked nothing is said, nor of them."""
        self.blocked.add(BOB.peer_id)
        self.receive(self.sign(OFFER, age=100), self.sign(newer()), self.sign(OFFER))
        self.assertEqual((self.read(), self.complaints, self.arrived), ([], [], []))


class VersionTests(OutgoingCase):
    """A program that is newer than ours is told so, once, in words that it can read."""

    def test_offer(self) -> None:
        """An offer gets one refusal, and the person a sentence; it doesn't arrive."""
        self.receive(self.sign(newer()))
        (body,) = self.read()
        assert isinstance(body, Refusal)
        self.assertEqual((body.session, body.reason), ("session", "unsupported-version"))
        self.assertIn("version 2", body.detail)
        (complaint,) = self.complaints
        self.assertIn("version 2", complaint)
        self.assertIn(BOB.peer_id, complaint)
        self.assertEqual((self.arrived, self.unsent), ([], []))

    def test_nothing_else(self) -> None:
        """An answer or a refusal gets none, lest two programs go on for ever."""
        answer = NewerAnswer("session", Description("bob", b"\x09" * 32, "ufrag", ()))
        self.receive(self.sign(answer), self.sign(NewerRefusal("session", "declined")))
        self.assertEqual((self.read(), self.complaints, self.arrived), ([], [], []))

    def test_for_somebody_else(self) -> None:
        """Nor does an offer for another peer."""
        self.receive(self.sign(newer(), to=CAROL.peer_id))
        self.assertEqual((self.read(), self.complaints), ([], []))

    def test_replayed_offer(self) -> None:
        """A registry that passes it on again makes us write, and the person read, no more."""
        token = self.sign(newer())
        self.receive(token, token)
        self.run_for(MAX_AGE / 2)
        self.receive(token)
        self.assertEqual((len(self.read()), len(self.complaints)), (1, 1))

    def test_stale_offer(self) -> None:
        """One kept back, or dated ahead, gets none."""
        ages = (MAX_AGE + 2, -MAX_AGE - 2)
        self.receive(*(self.sign(newer(), age=age) for age in ages))
        self.assertEqual((self.read(), len(self.complaints)), ([], 2))

    def test_unreadable_envelope(self) -> None:
        """One that can't be dated gets none."""
        self.receive(self.sign(Undated("session", Description("bob", b"\x09" * 32, "ufrag", ()))))
        self.assertEqual((self.read(), self.complaints), ([], []))

    def test_not_signed(self) -> None:
        """Nor one that nobody signed: nobody is made to write to a stranger."""
        header, payload, _ = self.sign(newer()).split(".")
        signature = self.sign(OFFER).split(".")[2]
        self.receive(f"{header}.{payload}.{signature}")
        self.assertEqual((self.read(), self.complaints), ([], []))

    def test_session(self) -> None:
        """One whose session can't be named in a refusal gets none."""
        self.receive(self.sign(newer("")), self.sign(newer("s" * (MAX_LABEL + 1))))
        self.assertEqual(self.read(), [])
        self.receive(self.sign(newer("s" * MAX_LABEL)))
        self.assertEqual([type(body) for body in self.read()], [Refusal])

    def test_author_is_away(self) -> None:
        """A refusal that can't be delivered is the end of it."""
        self.receive(self.sign(newer(), CAROL))
        self.assertTrue(self.channel.is_idle)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_held(self) -> None:
        """While documents are held the refusal waits with them."""
        self.channel.pause()
        self.receive(self.sign(newer()))
        self.assertEqual(self.read(), [])
        self.channel.resume()
        self.run_for(1)
        self.assertEqual([type(body) for body in self.read()], [Refusal])
