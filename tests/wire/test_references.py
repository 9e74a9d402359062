"""Bodies of entries: what they say, and of which other one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.entries import MAX_NUMBER, MAX_TEXT, TEXT, Known
from p2pchat.wire.references import DELETE, EDIT, REFERRING, REPLY, read_body, write_body
from tests.cases import each

LINE = Known(b"a" * 16, b"l" * 16, 7)
BODY = b"a" * 16 + b"l" * 16 + (7).to_bytes(8, "big")


class BodyTests(SynchronousTestCase):
    """What is written is read again; what isn't what its kind says is refused."""

    @each((TEXT, None), (REPLY, LINE), (EDIT, LINE))
    def test_text(self, kind: str, refers: Known | None) -> None:
        """A text, an answer and an edit have a text, the last two what they refer to."""
        body = write_body(kind, "hé", refers)
        self.assertEqual(read_body(kind, body), ("hé", refers))
        self.assertEqual(body, (BODY if refers else b"") + "hé".encode())

    def test_deletion(self) -> None:
        """A deletion has no text, and what a newer program puts there is nothing to us."""
        self.assertEqual(write_body(DELETE, "", LINE), BODY)
        self.assertEqual(read_body(DELETE, BODY + b"why"), ("", LINE))

    def test_unknown(self) -> None:
        """Of a kind that isn't known nothing is read."""
        self.assertEqual(read_body("poll", b"\xff"), ("", None))

    @each(*[(kind, body) for kind in sorted(REFERRING) for body in (b"", BODY[:-1])])
    def test_cut_short(self, kind: str, body: bytes) -> None:
        """A reference that is cut short is refused."""
        self.assertRaises(RemoteProtocolError, read_body, kind, body)

    def test_refused(self) -> None:
        """So are a text that is none, or too long, and a number that nobody reaches."""
        far = Known(LINE.author, LINE.log, MAX_NUMBER + 1)
        for body in (BODY + b"\xff", write_body(EDIT, "x" * (MAX_TEXT + 1), LINE)):
            self.assertRaises(RemoteProtocolError, read_body, EDIT, body)
        self.assertRaises(RemoteProtocolError, read_body, DELETE, write_body(DELETE, "", far))

    @given(st.sampled_from(sorted(REFERRING)), st.binary(max_size=100))
    def test_any(self, kind: str, body: bytes) -> None:
        """Whatever comes is read or refused."""
        try:
            text, refers = read_body(kind, body)
        except RemoteProtocolError:
            return
        self.assertTrue(body.startswith(write_body(kind, text, refers)))
