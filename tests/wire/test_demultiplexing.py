"""What a datagram on the shared socket is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire import stun
from p2pchat.wire.demultiplexing import MAGIC_COOKIE, Kind, are_quic, classify


class ClassifyTests(SynchronousTestCase):
    """STUN by its cookie, QUIC by its fixed bit."""

    def test_stun(self) -> None:
        """STUN messages are STUN; without the cookie, or cut short, they are nobody's."""
        data = stun.encode(stun.request(bytes(12)))
        self.assertIs(classify(data), Kind.STUN)
        self.assertIs(classify(data[:19]), Kind.UNKNOWN)
        self.assertIs(classify(data[:4] + bytes(4) + data[8:]), Kind.UNKNOWN)

    def test_first_byte(self) -> None:
        """RFC 9443: each first byte belongs to one protocol, whatever follows it."""
        for first in range(256):
            kind = classify(bytes([first]) + bytes(3) + MAGIC_COOKIE + bytes(20))
            if first < 4:
                self.assertIs(kind, Kind.STUN)
            else:
                self.assertIs(kind, Kind.QUIC if first & 0x40 else Kind.UNKNOWN)

    @given(st.lists(st.binary(max_size=3), max_size=4))
    def test_many(self, datagrams: list[bytes]) -> None:
        """Of many it is told at once whether each is QUIC."""
        each = [classify(data) is Kind.QUIC for data in datagrams]
        self.assertEqual(are_quic(datagrams), all(each))

    @given(st.binary(max_size=40))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are classified, and what STUN's codec reads is always STUN."""
        kind = classify(data)
        try:
            stun.decode(data)
        except RemoteProtocolError:
            return
        self.assertIs(kind, Kind.STUN)
