"""Sealed documents of one peer: to which key, and what is opened."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import attrs
from twisted.internet.defer import Deferred

from p2pchat.errors import SealBroken
from p2pchat.identity.sealing import Envelope, SealingKey
from p2pchat.identity.signed_documents import (
    MAX_AGE,
    claimed_author,
    open_document,
    seal_document,
    sign_document,
)
from p2pchat.peer.signaling_channel import (
    STRANGERS,
    SignalingChannel,
)
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import (
    Candidates,
    PeerDocument,
    RecordKey,
    Refusal,
    Ringing,
    Sealed,
)
from p2pchat.wire.strict_json import dumps
from tests.identity.people import ALICE, BOB, CAROL, identity, sealing_key
from tests.peer.channel_case import ANSWER, DELIVERED, OFFER, ChannelCase, OutgoingCase


class KeyTests(OutgoingCase):
    """What goes out is sealed to the key that its reader has."""

    LOST = sealing_key(identity(99)).record_key  # one that Bob has no more

    def deliver(self, *bodies: PeerDocument) -> None:
        """Deliver these to Bob."""
        for body in bodies:
            self.send(BOB.peer_id, body)
            self.run_for(1)

    def test_looked_up_once(self) -> None:
        """Where none is known it is looked up, once."""
        self.deliver(Ringing("s"), OFFER, Candidates("s", ()))
        self.assertEqual((len(self.read()), self.looked_up), (3, [BOB.peer_id]))

    def test_from_an_offer(self) -> None:
        """Whoever is called has it from the offer, and looks nobody up."""
        own = (sealing_key(BOB).record_key,)
        called = attrs.evolve(OFFER, description=attrs.evolve(OFFER.description, keys=own))
        self.receive(self.sign(called))
        self.deliver(Ringing("session"), ANSWER)
        self.assertEqual((self.read(), self.looked_up), ([Ringing("session"), ANSWER], []))

    def test_waits_in_line(self) -> None:
        """What follows waits while it is looked up: nothing is overtaken."""
        waiting: Deferred[tuple[RecordKey, ...]] = Deferred()
        lookups = [waiting]
        self.channel = SignalingChannel(
            self.context, self.client.deliver, lambda _peer_id: lookups.pop(), self.client.now
        )
        for body in DELIVERED:
            self.send(BOB.peer_id, body)
        self.run_for(1)
        self.assertEqual(self.read(), [])
        waiting.callback(self.shown[BOB.peer_id])
        self.run_for(1)
        self.assertEqual(self.read(), list(DELIVERED))

    def test_nobody(self) -> None:
        """Who isn't there is told by the word of the look-up."""
        del self.shown[BOB.peer_id]
        self.deliver(OFFER)
        self.assertEqual([error.reason for *_, error in self.returned], ["unknown-peer"])

    def test_none_that_is_known(self) -> None:
        """A record without a key of a known kind is told in words."""
        unknown: tuple[tuple[RecordKey, ...], ...] = ((), (RecordKey("enc", "HPKE-99", "x"),))
        for keys in unknown:
            self.shown[BOB.peer_id] = keys
            self.deliver(OFFER)
            _, _, error = self.returned.pop()
            self.assertEqual(error.reason, "no-sealing-key")
            self.assertIn("older or newer", str(error))

    def test_another_key(self) -> None:
        """The offer after one that nobody answered looks the key up, and the person reads why."""
        self.keys.shown(BOB.peer_id, (self.LOST,))
        self.deliver(OFFER)
        self.assertRaises(SealBroken, self.read)
        self.events.clear()
        self.assertEqual((self.looked_up, self.complaints), ([], []))
        self.deliver(OFFER, OFFER)
        self.assertEqual(self.read(), [OFFER, OFFER])
        (complaint,) = self.complaints
        self.assertIn(f"the last offer to {BOB.peer_id} was sealed to a key", complaint)

    def test_same_key(self) -> None:
        """Where it shows the same, nothing is said."""
        self.deliver(OFFER, OFFER)
        self.assertEqual((self.read(), self.complaints), ([OFFER, OFFER], []))

    def test_answered(self) -> None:
        """Once something came back, and for what is no offer, nobody is looked up."""
        self.deliver(OFFER)
        self.deliver(Candidates("session", ()), Refusal("session", "cancelled"))
        self.receive(self.sign(Ringing("session")))
        self.deliver(OFFER)
        self.assertEqual((len(self.read()), self.looked_up), (4, [BOB.peer_id]))

    def test_undelivered(self) -> None:
        """An offer that never arrived says nothing of its key."""
        self.keys.shown(CAROL.peer_id, self.shown[CAROL.peer_id])
        for _ in range(2):
            self.send(CAROL.peer_id, OFFER)
            self.run_for(1)
        self.assertEqual((len(self.returned), self.looked_up), (2, []))


class OpeningTests(ChannelCase):
    """What can't be opened changes nothing, and what costs little is judged before."""

    def setUp(self) -> None:
        super().setUp()
        self.opened = 0
        own = sealing_key(ALICE)

        def opening(sealed: Sealed, envelope: Envelope) -> PeerDocument:
            self.opened += 1
            return own.open(sealed, envelope)

        self.keys.own = cast(SealingKey, SimpleNamespace(open=opening))

    def test_wrong_key(self) -> None:
        """What is sealed to another key, or isn't sealed at all."""
        key, now = sealing_key(CAROL).record_key, self.client.now()
        other = seal_document(BOB, ALICE.peer_id, OFFER, key, now=now, nonce="other")
        self.refused_all(other, self.sign(Sealed(b"")), self.sign(Sealed(bytes(6000))))
        self.assertEqual((self.opened, self.complaints), (3, []))

    def test_plain(self) -> None:
        """An offer that isn't sealed is none."""
        self.refused_all(sign_document(BOB, ALICE.peer_id, OFFER, self.client.now(), "plain"))

    def test_signed_copy(self) -> None:
        """Carol's copy of what Bob sealed is nobody's offer, not even where she takes his jti."""
        document, now = open_document(self.sign(OFFER)), self.client.now()
        for nonce in (document.nonce, "another"):
            self.refused_all(sign_document(CAROL, ALICE.peer_id, document.body, now, nonce))
        self.assertEqual((self.opened, self.complaints), (2, []))

    def test_stale_copy(self) -> None:
        """Nor does a copy of an old one make anybody write or read anything."""
        document, old = open_document(self.sign(OFFER)), self.client.now() - 2 * MAX_AGE
        self.refused_all(sign_document(CAROL, ALICE.peer_id, document.body, old, "n"))
        self.assertEqual(self.complaints, [])

    def test_never_opened(self) -> None:
        """Whose author is blocked, who isn't its author, what came before, what is another's."""
        self.blocked.add(CAROL.peer_id)
        good = self.sign(OFFER)
        self.receive(good)
        header, payload, _ = self.sign(ANSWER).split(".")
        unsigned = f"{header}.{payload}.{good.split('.')[2]}"
        self.receive(good, unsigned, self.sign(OFFER, CAROL), self.sign(OFFER, to=CAROL.peer_id))
        self.assertEqual(self.opened, 1)

    def test_budget(self) -> None:
        """Of a flood of strangers no more are opened than the budget lets through."""
        for number in range(int(STRANGERS) + 20):
            self.channel.receive(self.sign(Ringing("knock"), by=identity(1000 + number)))
        self.assertEqual(self.opened, STRANGERS)

    def test_long_header(self) -> None:
        """One whose header doesn't tell at a glance whose it is doesn't get round a block."""
        self.blocked.add(BOB.peer_id)
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode_bytes(BOB.public_key)}
        fields = {"alg": "EdDSA", "typ": "p2pchat+jws", "jwk": jwk, "more": "x" * 200}
        signed = f"{encode_bytes(dumps(fields))}.{self.sign(OFFER).split('.')[1]}"
        token = f"{signed}.{encode_bytes(BOB.sign(signed.encode()))}"
        self.assertEqual(claimed_author(token), "")
        self.refused_all(token)
        self.assertEqual(self.opened, 0)
