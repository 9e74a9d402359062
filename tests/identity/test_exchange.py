"""The secret of one attempt."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.exchange import KEY_LENGTH, Exchange

seeds = st.binary(min_size=32, max_size=32)

LOW_ORDER = (
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
)


class ExchangeTests(SynchronousTestCase):
    """Both sides derive the same key, and nobody else does."""

    def setUp(self) -> None:
        self.alice, self.bob, self.carol = (Exchange.from_seed(bytes([n] * 32)) for n in (1, 2, 3))
        self.key = self.alice.integrity_key(self.bob.public_key, "session", True)

    @settings(max_examples=30)
    @given(seeds, seeds, st.text(st.characters(codec="utf-8"), max_size=64))
    def test_agreement(self, left: bytes, right: bytes, session: str) -> None:
        """The offering and the answering side come to one key of 32 bytes."""
        alice, bob = Exchange.from_seed(left), Exchange.from_seed(right)
        ours = alice.integrity_key(bob.public_key, session, True)
        self.assertEqual(ours, bob.integrity_key(alice.public_key, session, False))
        self.assertEqual(len(ours), KEY_LENGTH)

    def test_role(self) -> None:
        """Two sides that both take themselves for the offering one don't agree."""
        self.assertNotEqual(
            self.bob.integrity_key(self.alice.public_key, "session", True), self.key
        )

    def test_session(self) -> None:
        """Another session has another key."""
        other = self.alice.integrity_key(self.bob.public_key, "session2", True)
        self.assertNotEqual(other, self.key)

    def test_third_party(self) -> None:
        """Who has both public keys, but neither private one, doesn't get the key."""
        for remote in (self.alice.public_key, self.bob.public_key):
            for offering in (True, False):
                stolen = self.carol.integrity_key(remote, "session", offering)
                self.assertNotEqual(stolen, self.key)

    def test_low_order(self) -> None:
        """A key whose secret everybody knows is refused, and so is one of another length."""
        for remote in (*LOW_ORDER, b"", bytes(31)):
            with self.subTest(remote=remote.hex()):
                self.assertRaises(
                    RemoteProtocolError, self.alice.integrity_key, remote, "session", True
                )

    def test_private(self) -> None:
        """The private key isn't in what gets printed by accident."""
        self.assertNotIn("private", repr(self.alice))
