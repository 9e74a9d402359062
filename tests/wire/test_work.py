"""The work that strangers are asked for."""

from __future__ import annotations

from hashlib import sha256
from uuid import UUID

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.work import ALGORITHM, Challenge, Work, search
from tests.identity.people import ALICE, BOB
from tests.wire.json_values import damaged

CHALLENGE = Challenge(ALGORITHM, bytes(range(16)), 8, 1_800_000_060)
challenges = st.builds(
    Challenge,
    st.just(ALGORITHM),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 256),
    st.integers(0, 2**53),
)
works = st.builds(Work, challenges, st.integers(0, 2**53))


class FormTests(SynchronousTestCase):
    """The JSON of challenge and work."""

    @given(works)
    def test_round_trip(self, work: Work) -> None:
        """What is written is read, by both."""
        self.assertEqual(Work.from_json(work.to_json()), work)
        self.assertEqual(Challenge.from_json(work.to_json()), work.challenge)

    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """Whatever else comes raises our error only."""
        members = data.draw(damaged(works.map(Work.to_json)))
        try:
            Work.from_json(members)
        except RemoteProtocolError:
            return

    def test_other_algorithm(self) -> None:
        """A challenge of another kind can be read, so that it can be told; work can't."""
        other = attrs.evolve(CHALLENGE, algorithm="argon2id")
        self.assertEqual(Challenge.from_json(other.to_json()), other)
        with self.assertRaisesRegex(RemoteProtocolError, ALGORITHM):
            Work.from_json(Work(other, 0).to_json())

    def test_limits(self) -> None:
        """Bits beyond the hash, and seeds of another length, are malformed."""
        for name, value in (("difficulty", 257), ("difficulty", -1), ("seed", "AAAA")):
            bad = {**CHALLENGE.to_json(), name: value}
            self.assertRaises(RemoteProtocolError, Challenge.from_json, bad)


class SearchTests(SynchronousTestCase):
    """Finding a nonce, and seeing that it is one."""

    @settings(max_examples=50)
    @given(st.integers(0, 10))
    def test_found(self, difficulty: int) -> None:
        """The first nonce whose hash begins with so many zero bits is found, and no other."""
        challenge = attrs.evolve(CHALLENGE, difficulty=difficulty)
        work = search(challenge, ALICE.peer_id, 0, 1 << 15)
        assert work is not None
        prefix = challenge.seed + UUID(ALICE.peer_id).bytes
        for nonce in range(work.nonce + 1):
            digest = sha256(prefix + nonce.to_bytes(8, "big")).digest()
            zeros = 256 - int.from_bytes(digest, "big").bit_length()
            self.assertEqual(zeros >= difficulty, nonce == work.nonce)

    def test_slices(self) -> None:
        """Slices one after the other find the same."""
        whole = search(CHALLENGE, ALICE.peer_id, 0, 1 << 15)
        slices = (search(CHALLENGE, ALICE.peer_id, start, 16) for start in range(0, 1 << 15, 16))
        self.assertEqual(next(found for found in slices if found), whole)

    def test_for_one_key(self) -> None:
        """Work holds for the peer that did it, and for that challenge."""
        work = search(CHALLENGE, ALICE.peer_id, 0, 1 << 15)
        assert work is not None
        self.assertTrue(work.is_done(ALICE.peer_id))
        self.assertFalse(work.is_done(BOB.peer_id))
        self.assertFalse(attrs.evolve(work, nonce=work.nonce + 1).is_done(ALICE.peer_id))
        harder = attrs.evolve(CHALLENGE, difficulty=256)
        self.assertFalse(Work(harder, work.nonce).is_done(ALICE.peer_id))
