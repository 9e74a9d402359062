"""The secret of one attempt."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.exchange import KEY_LENGTH, AttemptSecrets, Exchange, PeerIds
from tests.identity.people import ALICE, BOB, CAROL

FORTH = PeerIds(ALICE.peer_id, BOB.peer_id)
BACK = PeerIds(BOB.peer_id, ALICE.peer_id)
seeds = st.binary(min_size=32, max_size=32)

LOW_ORDER = (
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
)


class ExchangeTests(SynchronousTestCase):
    """Both sides derive the same secrets, and nobody else does."""

    def setUp(self) -> None:
        self.alice, self.bob, self.carol = (Exchange.from_seed(bytes([n] * 32)) for n in (1, 2, 3))
        self.secrets = self.alice.secrets(self.bob.public_key, "session", FORTH, True)

    def assert_apart(self, other: AttemptSecrets) -> None:
        """Neither secret of another attempt is one of ours."""
        ours = {self.secrets.checks, self.secrets.handshake}
        self.assertTrue(ours.isdisjoint({other.checks, other.handshake}))

    @settings(max_examples=30)
    @given(seeds, seeds, st.text(st.characters(codec="utf-8"), max_size=64))
    def test_agreement(self, left: bytes, right: bytes, session: str) -> None:
        """The offering and the answering side come to the same two secrets of 32 bytes."""
        alice, bob = Exchange.from_seed(left), Exchange.from_seed(right)
        ours = alice.secrets(bob.public_key, session, FORTH, True)
        self.assertEqual(ours, bob.secrets(alice.public_key, session, BACK, False))
        self.assertEqual([len(ours.checks), len(ours.handshake)], [KEY_LENGTH, KEY_LENGTH])
        self.assertNotEqual(ours.checks, ours.handshake)

    def test_role(self) -> None:
        """Two sides that both take themselves for the offering one don't agree."""
        self.assert_apart(self.bob.secrets(self.alice.public_key, "session", BACK, True))

    def test_session(self) -> None:
        """Another session has other secrets."""
        self.assert_apart(self.alice.secrets(self.bob.public_key, "session2", FORTH, True))

    def test_peers(self) -> None:
        """With the same keys, another peer on either side makes other secrets."""
        remote, carol = self.bob.public_key, CAROL.peer_id
        for ids in (BACK, PeerIds(carol, BOB.peer_id), PeerIds(ALICE.peer_id, carol)):
            self.assert_apart(self.alice.secrets(remote, "session", ids, True))

    def test_third_party(self) -> None:
        """Who has both public keys, but neither private one, doesn't get the secrets."""
        for remote in (self.alice.public_key, self.bob.public_key):
            for offering in (True, False):
                self.assert_apart(self.carol.secrets(remote, "session", FORTH, offering))

    def test_low_order(self) -> None:
        """A key whose secret everybody knows is refused, and so is one of another length."""
        for remote in (*LOW_ORDER, b"", bytes(31)):
            with self.subTest(remote=remote.hex()), self.assertRaises(RemoteProtocolError):
                self.alice.secrets(remote, "session", FORTH, True)

    def test_private(self) -> None:
        """Neither private key nor secrets are in what gets printed by accident."""
        self.assertNotIn("private", repr(self.alice))
        self.assertEqual(repr(self.secrets), "AttemptSecrets()")
