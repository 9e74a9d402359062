"""Envelopes: who wrote them, and for whom."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import BadSignature, RemoteProtocolError
from p2pchat.identity.envelopes import (
    OpenedEnvelope,
    deposit_token,
    open_envelope,
    seal_envelope,
)
from p2pchat.identity.keys import Identity
from p2pchat.identity.prekeys import Prekey, key_id, public_one_time, seal, unseal
from tests.identity.people import ALICE, BOB

BOBS = Prekey(bytes(96))
ONE_TIME = bytes(range(32))
PUBLIC = public_one_time(ONE_TIME)
KEYS = ({BOBS.id: BOBS}.get, {key_id(PUBLIC): ONE_TIME}.get)
CAROL = Identity.from_seed(b"c" * 32)


class EnvelopeTests(SynchronousTestCase):
    """From Alice to Bob."""

    def test_opened(self) -> None:
        """Bob learns who wrote it, and what."""
        envelope = seal_envelope(ALICE, BOB.peer_id, b"frames", BOBS.public, PUBLIC)
        self.assertEqual(
            open_envelope(envelope, BOB.peer_id, *KEYS),
            OpenedEnvelope(ALICE.peer_id, ALICE.public_key, b"frames", key_id(PUBLIC)),
        )

    def test_another_reader(self) -> None:
        """What Alice wrote to Carol, and Carol passes on to Bob, isn't Alice's word to Bob."""
        carols = Prekey(bytes(95) + b"c")
        to_carol = seal_envelope(ALICE, CAROL.peer_id, b"frames", carols.public)
        contents = unseal(to_carol, {carols.id: carols}.get, KEYS[1]).contents
        with self.assertRaises(BadSignature):
            open_envelope(seal(contents, BOBS.public), BOB.peer_id, *KEYS)

    def test_forged(self) -> None:
        """Nobody writes in Alice's name, nor changes what she wrote; nor is too little enough."""
        signed = unseal(seal_envelope(ALICE, BOB.peer_id, b"frames", BOBS.public), *KEYS).contents
        for contents in (signed + b"!", CAROL.public_key + signed[32:], signed[:95], b""):
            with self.assertRaises(RemoteProtocolError):
                open_envelope(seal(contents, BOBS.public), BOB.peer_id, *KEYS)


class TokenTests(SynchronousTestCase):
    """What registries are shown."""

    def test_derived(self) -> None:
        """Each registry is shown another one, always the same, and none is the token."""
        token = bytes(32)
        shown = [deposit_token(token, one) for one in ("https://a.example", "https://b.example")]
        self.assertEqual(len({*shown, token}), 3)
        self.assertEqual(shown[0], deposit_token(token, "https://a.example"))
        self.assertEqual(len(shown[0]), 32)
