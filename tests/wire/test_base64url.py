"""base64url, strictly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.base64url import decode_bytes, encode_bytes


class BytesTests(SynchronousTestCase):
    """base64url without padding, in one form only."""

    @given(st.binary(max_size=70))
    def test_round_trip(self, value: bytes) -> None:
        """What is written is read."""
        text = encode_bytes(value)
        self.assertNotIn("=", text)
        self.assertEqual(decode_bytes(text, len(value)), value)

    def test_one_form(self) -> None:
        """Padding, the other alphabet, loose last bits, line breaks: all refused."""
        good = encode_bytes(b"\xff" * 32)
        for text in (
            *(good + "=", good.replace("_", "/"), good[:-1] + "9", good[:-1], good + "AAAA"),
            *(good[:9] + "\n" + good[9:], "é" + good[1:], ""),
        ):
            with self.subTest(text=text):
                self.assertRaises(RemoteProtocolError, decode_bytes, text, 32)

    @given(st.text(max_size=50))
    def test_any_text(self, text: str) -> None:
        """Any text raises only our error."""
        try:
            value = decode_bytes(text, 32)
        except RemoteProtocolError:
            return
        self.assertEqual(encode_bytes(value), text)
