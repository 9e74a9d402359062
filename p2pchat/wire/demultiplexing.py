"""
Demultiplexing of the shared UDP socket, by a datagram's first bytes (RFC 7983, RFC 9443)::

    0x00-0x03, and the magic cookie at bytes 4 to 7      STUN (RFC 8489)
    0x40-0x7F  short header, 0xC0-0xFF  long header      QUIC version 1 (RFC 9000)
    anything else                                        not ours

TURN channel data (0x40-0x4F) overlaps QUIC; it is told apart by the TURN server's address,
which this module doesn't know.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

MAGIC_COOKIE = bytes.fromhex("2112a442")  # RFC 8489 section 5
STUN_HEADER = 20  # bytes
QUIC_FIXED_BIT = 0x40  # RFC 9000 section 17.2


class Kind(Enum):
    """Protocols that share the socket."""

    STUN = "stun"
    QUIC = "quic"
    UNKNOWN = "unknown"


def classify(data: bytes) -> Kind:
    """Tell which protocol a datagram belongs to; never raises."""
    if not data:
        return Kind.UNKNOWN
    first = data[0]
    if first < 4:
        is_stun = len(data) >= STUN_HEADER and data[4:8] == MAGIC_COOKIE
        return Kind.STUN if is_stun else Kind.UNKNOWN
    return Kind.QUIC if first & QUIC_FIXED_BIT else Kind.UNKNOWN


def are_quic(datagrams: Iterable[bytes]) -> bool:
    """Tell whether all of these are QUIC: :func:`classify` for many at once."""
    return all(data and data[0] & QUIC_FIXED_BIT for data in datagrams)
