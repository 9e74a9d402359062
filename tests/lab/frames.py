"""
Ethernet frames with IP in them, as far as a cable must understand them; pure functions on bytes.

Owns what a router does with a packet that is too large for its next link: an IPv4 packet that may
be fragmented is (RFC 791), for any other there may be an answer that tells the size that fits: ICMP
"fragmentation needed" (RFC 1191) or ICMPv6 "packet too big" (RFC 8201). An answer comes from the
address that the packet was for, since a cable has none. Frames that carry no IP have no size.
"""

from __future__ import annotations

import struct

ETHERNET = 14  # bytes of header: to whom, from whom, what is inside
IPV4, IPV6 = b"\x08\x00", b"\x86\xdd"  # what is inside
IPV6_HEADER = 40  # bytes
DONT_FRAGMENT, MORE_FRAGMENTS, OFFSET = 0x4000, 0x2000, 0x1FFF  # bits of an IPv4 header's word
ICMP, ICMPV6 = 1, 58  # protocol numbers
UNREACHABLE, FRAGMENTATION_NEEDED, PACKET_TOO_BIG = 3, 4, 2  # ICMP type and code, ICMPv6 type
TTL = 64  # hops
QUOTED = 548  # bytes of a packet in an ICMP answer, which is 576 at most (RFC 1812 4.3.2.3)
QUOTED_IPV6 = 1232  # bytes; the answer is 1,280 at most (RFC 4443 section 3.2)


def ip_size(frame: bytes) -> int:
    """Return how many bytes the IP packet in a frame has; 0 where there is none."""
    kind = frame[12:14]
    if kind == IPV4:
        return int.from_bytes(frame[16:18], "big")
    if kind == IPV6:
        return IPV6_HEADER + int.from_bytes(frame[18:20], "big")
    return 0


def is_fragment(frame: bytes) -> bool:
    """Tell whether a frame has a piece of an IPv4 packet, not a whole one."""
    word = int.from_bytes(frame[20:22], "big")
    return frame[12:14] == IPV4 and word & (MORE_FRAGMENTS | OFFSET) != 0


def checksum(data: bytes) -> int:
    """Return the internet checksum of some bytes (RFC 1071)."""
    # The sum of 16-bit words with carries added back is the remainder of the whole as one number;
    # only nothing but zeros sums up to zero.
    number = int.from_bytes(data + b"\0" * (len(data) % 2), "big")
    return 0xFFFF - (number % 0xFFFF or 0xFFFF) if number else 0xFFFF


def finish_checksum(frame: bytes, start: int, offset: int) -> bytes:
    """
    Compute the checksum that the kernel left to the network card.

    It covers the frame from `start` on, and stands `offset` bytes later; the kernel has put there
    the sum of what the packet's own header contributes.
    """
    found = checksum(frame[start:]) or 0xFFFF  # 0 would mean "none" in UDP
    at = start + offset
    return frame[:at] + found.to_bytes(2, "big") + frame[at + 2 :]


def fragments(frame: bytes, mtu: int) -> list[bytes]:
    """Cut a frame into fragments of this many bytes of IP; none where that isn't allowed."""
    packet = frame[ETHERNET : ETHERNET + ip_size(frame)]
    word = int.from_bytes(packet[6:8], "big")
    if frame[12:14] != IPV4 or word & DONT_FRAGMENT:
        return []
    length = (packet[0] & 0x0F) * 4
    header, body, last = packet[:length], packet[length:], word & MORE_FRAGMENTS
    step, first = (mtu - length) // 8 * 8, word & OFFSET
    cut = []
    for at in range(0, len(body), step):
        more = last if at + step >= len(body) else MORE_FRAGMENTS
        piece = _ipv4(header, body[at : at + step], more | first + at // 8)
        cut.append(frame[:ETHERNET] + piece)
    return cut


def too_big(frame: bytes, mtu: int) -> bytes:
    """Return the frame that tells the sender of another one which size fits."""
    back = frame[6:12] + frame[:6] + frame[12:14]
    packet = frame[ETHERNET : ETHERNET + ip_size(frame)]
    if frame[12:14] == IPV4:
        quoted = packet[:QUOTED]
        icmp = struct.pack("!BBHHH", UNREACHABLE, FRAGMENTATION_NEEDED, 0, 0, mtu) + quoted
        header = struct.pack(
            "!BxHHHBBH4s4s", 0x45, 0, 0, 0, TTL, ICMP, 0, packet[16:20], packet[12:16]
        )
        return back + _ipv4(header, _summed(icmp, b""), 0)
    source, destination = packet[24:40], packet[8:24]
    icmp = struct.pack("!BBHI", PACKET_TOO_BIG, 0, 0, mtu) + packet[:QUOTED_IPV6]
    pseudo = source + destination + struct.pack("!IxxxB", len(icmp), ICMPV6)
    header = struct.pack("!IHBB", 0x60000000, len(icmp), ICMPV6, TTL)
    return back + header + source + destination + _summed(icmp, pseudo)


def _ipv4(header: bytes, body: bytes, word: int) -> bytes:
    """Return a packet with this body: length, flags and offset, and checksum are put in."""
    size = (len(header) + len(body)).to_bytes(2, "big")
    start = header[:2] + size + header[4:6] + word.to_bytes(2, "big") + header[8:10]
    found = checksum(start + b"\0\0" + header[12:])
    return start + found.to_bytes(2, "big") + header[12:] + body


def _summed(icmp: bytes, pseudo: bytes) -> bytes:
    """Put the checksum in an ICMP message."""
    return icmp[:2] + checksum(pseudo + icmp).to_bytes(2, "big") + icmp[4:]
