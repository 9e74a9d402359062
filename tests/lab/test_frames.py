"""Frames: their size, fragments that a host puts together again, and what a sender is told."""

from __future__ import annotations

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from tests.lab.frames import checksum, finish_checksum, fragments, ip_size, too_big

TO, FROM = b"\x02" * 6, b"\x04" * 6
SOURCE, DESTINATION = socket.inet_aton("192.0.2.1"), socket.inet_aton("192.0.2.2")
SOURCE6 = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
DESTINATION6 = socket.inet_pton(socket.AF_INET6, "2001:db8::2")
DONT_FRAGMENT, MORE = 0x4000, 0x2000
UDP = 17


def ipv4_frame(body: bytes, word: int = 0, padding: int = 0) -> bytes:
    """Return a frame with a UDP packet of this body, and this much padding behind it."""
    addresses = SOURCE + DESTINATION
    header = struct.pack("!BBHHHBBH8s", 0x45, 0, 20 + len(body), 7, word, 64, UDP, 0, addresses)
    header = header[:10] + checksum(header).to_bytes(2, "big") + header[12:]
    return TO + FROM + b"\x08\x00" + header + body + bytes(padding)


def ipv6_frame(body: bytes) -> bytes:
    """Return a frame with a UDP packet of this body, over IPv6."""
    header = struct.pack("!IHBB", 0x60000000, len(body), UDP, 64) + SOURCE6 + DESTINATION6
    return TO + FROM + b"\x86\xdd" + header + body


def put_together(pieces: list[bytes]) -> bytes:
    """Return the body of the packet that was cut into these frames."""
    body = b""
    for n, piece in enumerate(pieces):
        word = int.from_bytes(piece[20:22], "big")
        assert checksum(piece[14:34]) == 0, "the header's checksum is wrong"
        assert (word & 0x1FFF) * 8 == len(body), "a piece is missing"
        assert bool(word & MORE) == (n < len(pieces) - 1), "the last one is marked, no other"
        body += piece[34 : 14 + ip_size(piece)]
    return body


class SizeTests(SynchronousTestCase):
    """The size of the IP packet, which the MTU is about."""

    def test_ip(self) -> None:
        """The headers count, padding doesn't."""
        self.assertEqual(ip_size(ipv4_frame(bytes(100), padding=5)), 120)
        self.assertEqual(ip_size(ipv6_frame(bytes(100))), 140)

    def test_others(self) -> None:
        """What isn't IP, as a question for a hardware address, has none; nor has rubbish."""
        self.assertEqual(ip_size(TO + FROM + b"\x08\x06" + bytes(28)), 0)
        self.assertEqual(ip_size(b""), 0)


class ChecksumTests(SynchronousTestCase):
    """Checksums, RFC 1071."""

    def test_example(self) -> None:
        """Its own example; an odd byte counts as if a zero followed."""
        self.assertEqual(checksum(bytes.fromhex("0001f203f4f5f6f7")), 0xFFFF ^ 0xDDF2)
        self.assertEqual(checksum(b"\x01"), 0xFFFF ^ 0x0100)

    def test_finish(self) -> None:
        """What the kernel left undone is filled in: the whole then sums up to nothing."""
        datagram = struct.pack("!HHHH", 1, 2, 13, 0) + b"hello"
        pseudo = SOURCE + DESTINATION + struct.pack("!HH", UDP, len(datagram))
        left = 0xFFFF ^ checksum(pseudo)
        frame = ipv4_frame(datagram[:6] + left.to_bytes(2, "big") + datagram[8:])
        done = finish_checksum(frame, start=34, offset=6)
        self.assertEqual(checksum(pseudo + done[34:]), 0)
        self.assertEqual(done[:40] + done[42:], frame[:40] + frame[42:])


class FragmentTests(SynchronousTestCase):
    """What a router does with a packet that is too large for the next link."""

    body = bytes(range(256)) * 6

    def test_cut(self) -> None:
        """Each piece fits, and together they are the packet."""
        for mtu in (68, 576, 1280, 1500):
            pieces = fragments(ipv4_frame(self.body), mtu)
            self.assertLessEqual(max(ip_size(piece) for piece in pieces), mtu)
            self.assertEqual(put_together(pieces), self.body)

    def test_cut_again(self) -> None:
        """A piece can be cut smaller, and the receiver notices nothing."""
        pieces = fragments(ipv4_frame(self.body), 1000)
        smaller = [one for piece in pieces for one in fragments(piece, 300)]
        self.assertEqual(put_together(smaller), self.body)

    def test_forbidden(self) -> None:
        """A packet that must stay whole isn't cut, IPv6 never is."""
        self.assertEqual(fragments(ipv4_frame(self.body, DONT_FRAGMENT), 1280), [])
        self.assertEqual(fragments(ipv6_frame(self.body), 1280), [])


class TooBigTests(SynchronousTestCase):
    """What the sender of a packet that doesn't fit is told."""

    def test_ipv4(self) -> None:
        """ICMP type 3 code 4, with the size that fits, and the packet's beginning."""
        frame = ipv4_frame(bytes(1400), DONT_FRAGMENT)
        answer = too_big(frame, 1280)
        self.assertEqual(answer[:14], FROM + TO + b"\x08\x00")
        self.assertEqual(checksum(answer[14:34]), 0)
        self.assertEqual((answer[23], answer[26:34]), (1, DESTINATION + SOURCE))
        self.assertEqual(checksum(answer[34:]), 0)
        self.assertEqual(struct.unpack("!BBxxxxH", answer[34:42]), (3, 4, 1280))
        self.assertEqual(answer[42:], frame[14 : 14 + len(answer) - 42])
        self.assertEqual(ip_size(answer), 576)

    def test_ipv6(self) -> None:
        """ICMPv6 type 2, which is no larger than any link of IPv6 carries."""
        frame = ipv6_frame(bytes(1400))
        answer = too_big(frame, 1280)
        self.assertEqual(answer[:14], FROM + TO + b"\x86\xdd")
        self.assertEqual(answer[22:54], DESTINATION6 + SOURCE6)
        pseudo = answer[22:54] + struct.pack("!II", len(answer) - 54, 58)
        self.assertEqual(checksum(pseudo + answer[54:]), 0)
        self.assertEqual(struct.unpack("!BBxxI", answer[54:62]), (2, 0, 1280))
        self.assertEqual(ip_size(answer), 1280)
