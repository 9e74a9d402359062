"""
The formats of TURN (RFC 8656) beside STUN messages: ChannelData, the framing of streams, URLs.

ChannelData (section 12.4)::

     0                   1                   2                   3
    +---------------+---------------+---------------+---------------+
    |        channel number         |        length of the data     |
    +---------------+---------------+---------------+---------------+
    |     the data; over a stream padded to a multiple of 4 bytes   |

Over TCP and TLS, STUN messages and ChannelData follow each other without any other framing; the
first two bits tell them apart: 00 is STUN, 01 is ChannelData.  :class:`StreamFrames` cuts them.

URLs (RFC 7065): ``turn:host``, ``turn:host:port?transport=tcp``, ``turns:host:port``.  DTLS
(``turns:`` with ``transport=udp``) is refused.  Those of STUN servers (RFC 7064) are read here too.
"""

from __future__ import annotations

import hashlib
import struct
from enum import Enum
from typing import Annotated

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import Address
from p2pchat.wire.demultiplexing import MAGIC_COOKIE, STUN_HEADER
from p2pchat.wire.members import Members, text
from p2pchat.wire.origins import host as url_host

FIRST_CHANNEL, LAST_CHANNEL = 0x4000, 0x4FFF  # RFC 8656 section 12
CHANNEL_HEADER = 4  # bytes
MAX_DATA = 65_507  # bytes; what one UDP datagram over IPv4 carries
MAX_FRAME = 4096  # bytes; a datagram of Ethernet size and its attributes; longer ones are skipped
MAX_CREDENTIAL = 127  # characters; USERNAME has at most 508 bytes (RFC 8489 section 14.3)
MAX_URL = 300  # characters; the longest domain name has 253
STUN_PORT = 3478  # RFC 8489 section 8.1

_CHOICE = 8  # bytes that tell what a STUN frame is: type, length, magic cookie


@attrs.frozen
class Credentials(Members):
    """A long-term credential (RFC 8489 section 9.2), as the registry issues it."""

    username: Annotated[str, text(MAX_CREDENTIAL)]
    password: Annotated[str, text(MAX_CREDENTIAL)] = attrs.field(repr=False)

    def key(self, realm: str) -> bytes:
        """
        Return the key of MESSAGE-INTEGRITY in a realm, RFC 8489 section 9.2.2.

        Username, realm and password are taken as they are: those that registries issue are
        ASCII, on which the OpaqueString profile (RFC 8265) changes nothing.
        """
        text = f"{self.username}:{realm}:{self.password}"
        return hashlib.md5(text.encode(), usedforsecurity=False).digest()


class Transport(Enum):
    """What carries the messages to the relay."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@attrs.frozen
class RelayServer:
    """
    A relay as its URL names it.

    :ivar host: a domain name or an IP literal, IPv6 without brackets.
    """

    host: str
    port: int
    transport: Transport

    def __str__(self) -> str:
        """Write the URL, its port always there."""
        scheme = "turns" if self.transport is Transport.TLS else "turn"
        host = f"[{self.host}]" if ":" in self.host else self.host
        suffix = "?transport=tcp" if self.transport is Transport.TCP else ""
        return f"{scheme}:{host}:{self.port}{suffix}"


_TRANSPORTS = {  # by scheme and query: the transport, the default port (RFC 8656 section 5)
    ("turn", ""): (Transport.UDP, STUN_PORT),
    ("turn", "transport=udp"): (Transport.UDP, STUN_PORT),
    ("turn", "transport=tcp"): (Transport.TCP, STUN_PORT),
    ("turns", ""): (Transport.TLS, 5349),
    ("turns", "transport=tcp"): (Transport.TLS, 5349),
}


def parse_stun_url(url: str) -> Address:
    """
    Read ``stun:host`` or ``stun:host:port`` (RFC 7064); the host is a name or an IP literal.

    :raises RemoteProtocolError: it is neither.
    """
    shown = repr(url[:80])
    scheme, colon, authority = url.partition(":")
    if len(url) > MAX_URL or not colon or scheme.lower() != "stun":
        raise RemoteProtocolError(f"{shown} is not a STUN URL")
    return _authority(authority, STUN_PORT, shown)


def parse_turn_url(url: str) -> RelayServer:
    """
    Read ``turn:`` and ``turns:`` URLs (RFC 7065).

    :raises RemoteProtocolError: it is neither, or of a transport that we don't speak.
    """
    shown = repr(url[:80])
    scheme, colon, rest = url.partition(":")
    authority, question, query = rest.partition("?")
    if len(url) > MAX_URL or not colon or scheme.lower() not in {"turn", "turns"}:
        raise RemoteProtocolError(f"{shown} is not a TURN URL, such as turn:relay.example:3478")
    known = _TRANSPORTS.get((scheme.lower(), query.lower()))
    if known is None or bool(question) != bool(query):
        raise RemoteProtocolError(f"{shown}: the transport must be UDP, TCP, or TLS over TCP")
    host, port = _authority(authority, known[1], shown)
    return RelayServer(host, port, known[0])


def _authority(text: str, default_port: int, shown: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, port = text, str(default_port)
    if not (port.isascii() and port.isdigit() and len(port) < 6) or not 0 < int(port) < 65536:
        raise RemoteProtocolError(f"{shown}: no port from 1 to 65535")
    if any(character in host for character in "/@#?\\"):
        raise RemoteProtocolError(f"{shown}: a host and a port are all that such a URL names")
    try:
        return url_host(f"http://{host}:1").strip("[]"), int(port)
    except RemoteProtocolError:
        raise RemoteProtocolError(f"{shown} has no domain name or IP address") from None


def is_channel_data(frame: bytes) -> bool:
    """Tell ChannelData from STUN by the first two bits (RFC 8656 section 12)."""
    return len(frame) >= CHANNEL_HEADER and frame[0] >> 6 == 1


def encode_channel_data(number: int, data: bytes, padded: bool) -> bytes:
    """
    Write ChannelData.

    :param padded: to a multiple of four bytes, as streams need it.
    """
    padding = bytes(-len(data) % 4) if padded else b""
    return struct.pack("!HH", number, len(data)) + data + padding


def decode_channel_data(frame: bytes) -> tuple[int, bytes]:
    """
    Read ChannelData: its channel number, and the data without padding.

    :raises RemoteProtocolError: it is none, or its length lies.
    """
    if not is_channel_data(frame):
        raise RemoteProtocolError("no ChannelData")
    number, length = struct.unpack_from("!HH", frame)
    if number > LAST_CHANNEL or length > len(frame) - CHANNEL_HEADER:
        raise RemoteProtocolError("the ChannelData header lies about its channel or length")
    return number, frame[CHANNEL_HEADER : CHANNEL_HEADER + length]


@attrs.define
class StreamFrames:
    """
    Cuts the byte stream from a relay into frames; holds no more than MAX_FRAME bytes and one read.

    A frame that is too long for us is passed over, because whoever has a permission at the relay
    could send one; bytes that are no frame at all end the stream, since nothing after them can
    be told apart.

    :ivar broken: why the stream can't be read any more, to go on after the relay's name; empty
        while it can.
    """

    broken: str = ""
    _buffer: bytearray = attrs.Factory(bytearray)
    _passing: int = 0  # bytes of a frame that is passed over

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes as they came; return the frames that they complete.  Never raises."""
        if self.broken:
            return []
        self._buffer += data
        frames: list[bytes] = []
        while not self.broken and (length := self._next_length()):
            if length > MAX_FRAME:
                self._passing = length
            elif len(self._buffer) < length:
                break
            else:
                frames.append(bytes(self._buffer[:length]))
                del self._buffer[:length]
        return frames

    def _next_length(self) -> int:
        """Return the whole length of the next frame, or 0 while it can't be known."""
        passed = min(self._passing, len(self._buffer))
        del self._buffer[:passed]
        self._passing -= passed
        if self._passing or len(self._buffer) < CHANNEL_HEADER:
            return 0
        header: tuple[int, int] = struct.unpack_from("!HH", self._buffer)
        kind, length = header
        if FIRST_CHANNEL <= kind <= LAST_CHANNEL:
            return CHANNEL_HEADER + length + -length % 4
        return self._stun_length(kind, length)

    def _stun_length(self, kind: int, length: int) -> int:
        if kind & 0xC000 or length % 4:
            self.broken = "sends what is neither STUN nor ChannelData"
        elif len(self._buffer) >= _CHOICE:
            if self._buffer[4:8] == MAGIC_COOKIE:
                return STUN_HEADER + length
            self.broken = "sends messages without the magic cookie"
        return 0
