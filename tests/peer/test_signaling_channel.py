"""The documents of one peer: what is let in, what goes out, and what comes back."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, fail

from p2pchat.errors import RegistryError, RegistryUnreachable
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import (
    MAX_AGE,
)
from p2pchat.peer.request_times import REQUEST_TIMEOUT
from p2pchat.peer.signaling_channel import (
    EXPLAIN_INTERVAL,
    EXPLANATIONS,
    STRANGER_INTERVAL,
    STRANGERS,
    SignalingChannel,
)
from p2pchat.wire.documents import (
    Body,
    Candidates,
    Offer,
    Refusal,
    Registration,
    Removal,
    Ringing,
    Sealed,
    Subscription,
)
from p2pchat.wire.strict_json import JsonObject
from tests.identity.people import ALICE, BOB, CAROL, identity, sealing_key
from tests.peer.channel_case import ANSWER, DELIVERED, OFFER, ChannelCase, OutgoingCase
from tests.simulation.link import Link


class Newer(Sealed):
    """A document of a program that comes after ours."""

    def to_json(self) -> JsonObject:
        """Return the members, the version among them."""
        return {**super().to_json(), "v": 3}


class Undated(Newer):
    """A document of such a program that keeps its date elsewhere."""

    def to_json(self) -> JsonObject:
        """Return the members, without a date."""
        return {**super().to_json(), "iat": None}


NEWER = Newer(b"whatever a newer program has there")


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
        self.assertIn(f"the answer of {BOB.peer_id} was refused: 302 seconds old", old)
        self.assertIn("ahead", ahead)

    def test_nearly_stale(self) -> None:
        """Clocks may be wrong by a little less than MAX_AGE."""
        self.receive(self.sign(OFFER, age=MAX_AGE - 2), self.sign(ANSWER, age=2 - MAX_AGE))
        self.assertEqual([body for _, body in self.arrived], [OFFER, ANSWER])


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
        self.result(self.client.subscribe(lambda _event: None, lambda _reason: None))
        key = sealing_key(ALICE).record_key
        self.result(self.bob.deliver(ALICE.peer_id, OFFER, key))  # so that Alice is no stranger
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
        for _ in range(12):
            self.run_for(MAX_AGE / 8)
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
        self.assertIn("yours is 400 seconds behind theirs", self.refusal(400.0).detail)
        (complaint,) = self.complaints
        self.assertIn(f"the offer of {BOB.peer_id} was refused: 400 seconds old", complaint)

    def test_ahead(self) -> None:
        """So is one from the future."""
        self.assertIn("yours is 400 seconds ahead of theirs", self.refusal(-400.0).detail)

    def test_taken(self) -> None:
        """Such a refusal is taken however it is dated: its author's clock is the other one."""
        refusals = [Refusal("session", reason, "by much") for reason in ("clock", "declined")]
        self.receive(*(self.sign(one, age=age) for one in refusals for age in (0, 400, -400)))
        taken = [body for _, body in self.arrived]
        self.assertEqual(taken, [refusals[0]] * 3 + [refusals[1]])

    def test_offers_only(self) -> None:
        """Nothing else is answered, least of all a refusal, lest two programs go on for ever."""
        bodies = (ANSWER, Ringing("session"), Refusal("session", "clock"), Refusal("s", "busy"))
        self.receive(*(self.sign(body, age=400) for body in bodies))
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
            self.channel.receive(self.sign(offer, by=identities[number % 10], age=400 + number))
            self.run_for(0.1)
        allowed = EXPLANATIONS + 360 / EXPLAIN_INTERVAL
        self.assertLessEqual(len(self.complaints), allowed)
        self.assertLessEqual(len(self.returned), allowed)
        self.assertGreater(len(self.complaints), allowed - 2)

    def test_registry_set(self) -> None:
        """What seems stale is judged by the time that the registry says, and in its order."""
        late, asked = [-4000.0], Deferred[None]()
        channel = SignalingChannel(
            self.context,
            self.client.deliver,
            self.look_up,
            lambda: self.client.now() + late[0],
            lambda: asked,
        )
        for body in (OFFER, Candidates("session", (), True)):
            channel.receive(self.sign(body))
        self.assertEqual(self.arrived, [])
        late[0] = 0.0
        asked.callback(None)
        channel.receive(self.sign(Refusal("session", "cancelled")))
        kinds = [type(body) for _, body in self.arrived]
        self.assertEqual((kinds, self.complaints), ([Offer, Candidates, Refusal], []))

    def test_registry_away(self) -> None:
        """Where it can't be asked, what seems stale is."""
        now, away = self.client.now() - 4000.0, RegistryError("away")
        channel = SignalingChannel(
            self.context, self.client.deliver, self.look_up, lambda: now, lambda: fail(away)
        )
        channel.receive(self.sign(OFFER))
        self.assertEqual((self.arrived, len(self.complaints)), ([], 1))

    def test_blocked(self) -> None:
        """To one who is blocked nothing is said, nor of them."""
        self.blocked.add(BOB.peer_id)
        self.receive(self.sign(OFFER, age=400), self.sign(NEWER), self.sign(OFFER))
        self.assertEqual((self.read(), self.complaints, self.arrived), ([], [], []))


class VersionTests(ChannelCase):
    """Our person reads that somebody's program is newer; its author isn't answered."""

    def test_told(self) -> None:
        """Whose it is, and both versions."""
        self.receive(self.sign(NEWER))
        (complaint,) = self.complaints
        for word in (BOB.peer_id, "version 3", "version 2"):
            self.assertIn(word, complaint)
        self.refused_all()

    def test_budget(self) -> None:
        """However many come, little is said."""
        self.receive(*(self.sign(NEWER) for _ in range(50)))
        self.assertEqual(len(self.complaints), EXPLANATIONS)

    def test_for_somebody_else(self) -> None:
        """Nothing is said of a document for another peer."""
        self.refused_all(self.sign(NEWER, to=CAROL.peer_id))
        self.assertEqual(self.complaints, [])

    def test_replayed(self) -> None:
        """A registry that passes it on again makes the person read no more."""
        token = self.sign(NEWER)
        self.receive(token, token)
        self.run_for(MAX_AGE / 2)
        self.receive(token)
        self.assertEqual(len(self.complaints), 1)

    def test_stale(self) -> None:
        """One kept back, or dated ahead, is told as that."""
        ages = (MAX_AGE + 2, -MAX_AGE - 2)
        self.receive(*(self.sign(NEWER, age=age) for age in ages))
        self.assertEqual(["version" in one for one in self.complaints], [False, False])

    def test_unreadable_envelope(self) -> None:
        """Nothing is said of one that can't be dated."""
        self.refused_all(self.sign(Undated(b"x")))
        self.assertEqual(self.complaints, [])

    def test_not_signed(self) -> None:
        """Nor of one that nobody signed."""
        header, payload, _ = self.sign(NEWER).split(".")
        self.refused_all(f"{header}.{payload}.{self.sign(OFFER).split('.')[2]}")
        self.assertEqual(self.complaints, [])
