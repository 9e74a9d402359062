"""Tests of :mod:`p2pchat.traversal.checks`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.checks import MAX_NOMINATION, MAX_PADDED, Check, CheckCredentials
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import CandidateType

KEY = b"k" * 32
OURS, THEIRS = CheckCredentials("ours", "theirs", KEY), CheckCredentials("theirs", "ours", KEY)
SOURCE: Address = ("198.51.100.2", 2001)


class RequestTests(SynchronousTestCase):
    """What one side writes, the other reads."""

    @given(st.booleans(), st.integers(0, MAX_NOMINATION), st.booleans())
    def test_read(self, relayed: bool, number: int, nominates: bool) -> None:
        """Whether a relay carries it, and which nomination it is, if it nominates."""
        data = OURS.request(bytes(12), relayed, number, nominates)
        kind = CandidateType.RELAYED if relayed else CandidateType.PEER_REFLEXIVE
        expected = Check(kind, number if nominates else None)
        self.assertEqual(THEIRS.read(stun.decode(data)), expected)
        self.assertLessEqual(len(data), OURS.max_request())

    @given(st.integers(0, MAX_PADDED // 4 + 10))
    def test_padded(self, quads: int) -> None:
        """A padded check has the size that was asked for, or what it needs; MAX_PADDED at most."""
        data = OURS.request(bytes(12), padded=4 * quads)
        least = len(OURS.request(bytes(12)))
        self.assertIn(len(data), {least, min(4 * quads, MAX_PADDED)})
        read = THEIRS.read(stun.decode(data, most=MAX_PADDED))
        assert read is not None
        self.assertEqual(read.padded, len(data) if len(data) > least else 0)

    def test_bare(self) -> None:
        """A check without PRIORITY comes straight from its sender."""
        request = stun.request(bytes(12), USERNAME="theirs:ours")
        read = THEIRS.read(stun.decode(stun.encode(request, KEY)))
        self.assertEqual(read, Check(CandidateType.PEER_REFLEXIVE, None))

    def test_forged(self) -> None:
        """Another key, other fragments, or none: it says nothing."""
        other = b"x" * 32
        for credentials in (
            *(CheckCredentials("ours", "theirs", other), CheckCredentials("ours", "their", KEY)),
            *(CheckCredentials("our", "theirs", KEY), THEIRS),
        ):
            self.assertIsNone(THEIRS.read(stun.decode(credentials.request(bytes(12)))))
        for request in (stun.request(bytes(12)), stun.request(bytes(12), USERNAME="theirs:ours")):
            self.assertIsNone(THEIRS.read(stun.decode(stun.encode(request))))


class ResponseTests(SynchronousTestCase):
    """The answer to a check."""

    def test_accepted(self) -> None:
        """It says where the check came from, and is authentic to who sent it."""
        request = stun.decode(OURS.request(b"t" * 12))
        response = stun.decode(THEIRS.response(request, SOURCE))
        self.assertTrue(OURS.accepts(response))
        self.assertEqual(response.transaction_id, b"t" * 12)
        self.assertEqual(stun.mapped_address(response), SOURCE)

    @given(st.integers(0, 400), st.integers(0, 16_390))
    def test_padded(self, asked: int, given: int) -> None:
        """The answer to a padded check is as long, if it is to be; MAX_PADDED at most."""
        request = stun.request(bytes(12), USERNAME="theirs:ours", PADDING=bytes(4 * asked))
        data = stun.encode(request, KEY, fingerprint=True)
        if len(data) > stun.MAX_MESSAGE:
            return
        check = THEIRS.read(stun.decode(data))
        assert check is not None
        self.assertEqual(check.padded, len(data))
        least = len(THEIRS.response(stun.decode(data), SOURCE))
        answer = THEIRS.response(stun.decode(data), SOURCE, 4 * given)
        self.assertEqual(len(answer), max(least, min(4 * given, MAX_PADDED)))
        self.assertTrue(OURS.accepts(stun.decode(answer, most=MAX_PADDED)))

    def test_forged(self) -> None:
        """Neither an answer with another key nor an error is accepted."""
        request = stun.decode(OURS.request(b"t" * 12))
        forged = CheckCredentials("theirs", "ours", b"x" * 32).response(request, SOURCE)
        error = stun.encode(stun.failure(request, 400, "Bad Request"), KEY)
        for data in (forged, error):
            self.assertFalse(OURS.accepts(stun.decode(data)))
