"""The test vectors of pairing in ``docs/protocol.rst`` come out of the code."""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.keys import Identity
from p2pchat.identity.pairing import Inviter, Joiner
from p2pchat.identity.signed_documents import open_document
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import Card
from p2pchat.wire.invitations import parse_invitation
from tests.pages import page, vectors
from tests.wire.word_list import WORDS


class VectorTests(SynchronousTestCase):
    """Whoever writes another implementation can rely on the numbers of the page."""

    def setUp(self) -> None:
        self.given = vectors(page("protocol"))
        self.first = Identity.from_seed(self.bytes("first seed"))
        self.second = Identity.from_seed(self.bytes("second seed"))

    def bytes(self, name: str) -> bytes:
        """Return a value as bytes."""
        return bytes.fromhex(self.given[name])

    def test_pairing(self) -> None:
        """Two who have the invitation pair by these messages, keys, cards and confirmations."""
        line = self.given["invitation"]
        invitation = parse_invitation(line, "", WORDS)
        self.assertEqual(str(invitation), line)
        self.assertEqual(invitation.nameplate, self.given["invitation nameplate"])
        self.assertEqual(invitation.secret, self.given["invitation secret"])
        inviter = Inviter(self.first, invitation, self.bytes("inviter seed"))
        joiner = Joiner(self.second, invitation, self.bytes("joiner seed"))
        self.assertEqual(inviter.message, self.bytes("first message"))
        response = joiner.respond(inviter.message, Card("bob"), 1760000000.0)
        given = [self.bytes(f"joiner {name}") for name in ("confirmation", "card")]
        self.assertEqual([response.confirmation, response.card], given)
        self.assertEqual(response.message, self.bytes("second message"))
        completion, partner = inviter.receive(response, Card("alice"), 1760000000.0)
        given = [self.bytes(f"inviter {name}") for name in ("confirmation", "card")]
        self.assertEqual([completion.confirmation, completion.card], given)
        assert partner is not None
        self.assertEqual(partner.peer_id, self.second.peer_id)
        self.assertEqual(joiner.receive(completion).peer_id, self.first.peer_id)

    def test_pairing_keys(self) -> None:
        """The keys come from the secret of SPAKE2, and open the cards."""
        place = [
            one.encode()
            for one in ("http://registry.example:8000", self.given["invitation nameplate"])
        ]
        messages = self.bytes("first message") + self.bytes("second message")
        info = b"\x00".join((b"p2pchat 1 pairing", *place, messages))
        keys = HKDF(SHA256(), 160, None, info).derive(self.bytes("pairing secret"))
        self.assertEqual(keys, self.bytes("pairing keys"))
        for key, card, author in (
            (keys[96:128], "joiner card", self.second),
            (keys[128:], "inviter card", self.first),
        ):
            padded = AESGCM(key).decrypt(bytes(12), self.bytes(card), None)
            document = open_document(padded.decode().rstrip())
            self.assertEqual(document.issuer, author.peer_id)
            self.assertEqual(document.audience, encode_bytes(keys[:32]))
