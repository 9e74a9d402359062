"""
STUN messages (RFC 8489), and those of its ancestor RFC 3489 for old clients.

Owns the strict reading that the codec underneath (aioice's ``stun`` module, imported only here)
leaves out.  A message is refused when its length field lies, an attribute runs past the end,
a value is too short for its type, or its FINGERPRINT is wrong or not last.  Of an attribute
that comes twice the first counts, and what follows MESSAGE-INTEGRITY, FINGERPRINT apart, is
ignored (RFC 8489 sections 14 and 14.5).

A *classic* message is one without the magic cookie: its transaction id has 16 bytes.
"""

from __future__ import annotations

import hmac
import struct
from enum import Enum
from typing import Any

import attrs
from aioice import stun as codec

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.wire.demultiplexing import MAGIC_COOKIE, STUN_HEADER

BINDING = 0x001  # a method, RFC 8489 section 18.2
MAX_MESSAGE = 1280  # bytes; nothing that fits an unfragmented datagram is longer
COMPREHENSION_OPTIONAL = 0x8000  # types from here on may be ignored, RFC 8489 section 14

CHANGE_IP = 0x04  # flags of CHANGE-REQUEST, RFC 5780 section 7.2
CHANGE_PORT = 0x02

Attributes = dict[str, Any]


class MessageClass(Enum):
    """The class bits of the message type, RFC 8489 section 5."""

    REQUEST = 0x000
    INDICATION = 0x010
    SUCCESS = 0x100
    ERROR = 0x110


@attrs.frozen
class Message:
    """
    One STUN message.

    :ivar transaction_id: 12 bytes, or the 16 bytes of a classic message.
    :ivar attributes: by their RFC names, in their order on the wire.
    :ivar unknown_required: types that must be understood and aren't (420).
    """

    message_class: MessageClass
    transaction_id: bytes
    attributes: Attributes = attrs.Factory(dict)
    method: int = BINDING
    unknown_required: tuple[int, ...] = ()
    integrity_covers: bytes | None = attrs.field(default=None, repr=False, eq=False)

    @property
    def is_classic(self) -> bool:
        """Tell whether this message has no magic cookie."""
        return len(self.transaction_id) == 16

    def integrity_holds(self, key: bytes) -> bool:
        """Check MESSAGE-INTEGRITY against a key; a message without it fails."""
        if self.integrity_covers is None:
            return False
        expected = codec.message_integrity(self.integrity_covers, key)
        return hmac.compare_digest(expected, self.attributes["MESSAGE-INTEGRITY"])


def _pack_types(types: tuple[int, ...]) -> bytes:
    return struct.pack(f"!{len(types)}H", *types)


def _unpack_types(value: bytes) -> tuple[int, ...]:
    return struct.unpack(f"!{len(value) // 2}H", value)


# What the codec doesn't know: RFC 8489 sections 14.9 and 14.15, RFC 5780 sections 7.6 and 7.5.
_ADDED: tuple[codec.AttributeEntry, ...] = (
    (0x000A, "UNKNOWN-ATTRIBUTES", _pack_types, _unpack_types),
    (0x0026, "PADDING", codec.pack_bytes, codec.unpack_bytes),
    (0x0027, "RESPONSE-PORT", codec.pack_unsigned_short, codec.unpack_unsigned_short),
    (0x8023, "ALTERNATE-SERVER", codec.pack_address, codec.unpack_address),
)
_BY_TYPE = {**codec.ATTRIBUTES_BY_TYPE, **{entry[0]: entry for entry in _ADDED}}
_BY_NAME = {entry[1]: entry for entry in _BY_TYPE.values()}
_XOR_NAMES = {"XOR-MAPPED-ADDRESS", "XOR-PEER-ADDRESS", "XOR-RELAYED-ADDRESS"}


def encode(
    message: Message, integrity_key: bytes | None = None, fingerprint: bool = False
) -> bytes:
    """
    Write a message.

    An attribute whose value is a list is written once for each item, as the XOR-PEER-ADDRESS of a
    CreatePermission request (RFC 8656 section 10.1).

    :param integrity_key: adds MESSAGE-INTEGRITY made with this key.
    :param fingerprint: adds FINGERPRINT.
    :raises LocalProtocolError: an attribute without a name or value that the wire knows.
    """
    try:
        body = b"".join(
            _pack(name, item, message.transaction_id)
            for name, value in message.attributes.items()
            for item in (value if isinstance(value, list) else [value])
        )
    except (KeyError, ValueError, TypeError, struct.error) as error:
        raise LocalProtocolError(f"attribute can't be written: {error!r}") from error
    cookie = b"" if message.is_classic else MAGIC_COOKIE
    kind = _type_bits(message.method, message.message_class)
    data = struct.pack("!HH", kind, len(body)) + cookie + message.transaction_id + body
    if integrity_key is not None:
        data = _append(data, "MESSAGE-INTEGRITY", codec.message_integrity(data, integrity_key))
    if fingerprint:
        data = _append(data, "FINGERPRINT", codec.message_fingerprint(data))
    return data


def _append(data: bytes, name: str, value: Any) -> bytes:
    data += _pack(name, value, b"")
    return codec.set_body_length(data, len(data) - STUN_HEADER)


def _pack(name: str, value: Any, transaction_id: bytes) -> bytes:
    kind, _, pack, _ = _BY_NAME[name]
    packed = pack(value, transaction_id) if name in _XOR_NAMES else pack(value)
    return struct.pack("!HH", kind, len(packed)) + packed + bytes(-len(packed) % 4)


def _type_bits(method: int, message_class: MessageClass) -> int:
    return (method & 0x0F80) << 2 | (method & 0x0070) << 1 | (method & 0x000F) | message_class.value


def decode(data: bytes, allow_classic: bool = False, most: int = MAX_MESSAGE) -> Message:
    """
    Read a message.

    :param allow_classic: accept one without the magic cookie (RFC 3489).
    :param most: bytes that it may have.
    :raises RemoteProtocolError: the bytes aren't a well-formed STUN message.
    """
    if not STUN_HEADER <= len(data) <= most:
        raise RemoteProtocolError(f"{len(data)} bytes are no STUN message")
    kind, length = struct.unpack_from("!HH", data)
    if kind & 0xC000 or length % 4 or length != len(data) - STUN_HEADER:
        raise RemoteProtocolError("the STUN header lies about its type or length")
    classic = data[4:8] != MAGIC_COOKIE
    if classic and not allow_classic:
        raise RemoteProtocolError("no STUN magic cookie")
    attributes, unknown, covered = _read_attributes(data)
    return Message(
        message_class=MessageClass(kind & 0x0110),
        transaction_id=data[4:20] if classic else data[8:20],
        attributes=attributes,
        method=(kind & 0x000F) | (kind & 0x00E0) >> 1 | (kind & 0x3E00) >> 2,
        unknown_required=unknown,
        integrity_covers=covered,
    )


def _read_attributes(data: bytes) -> tuple[Attributes, tuple[int, ...], bytes | None]:
    attributes: Attributes = {}
    unknown: list[int] = []
    covered: bytes | None = None
    position = STUN_HEADER
    while position < len(data):
        kind, value, following = _next_attribute(data, position)
        entry = _BY_TYPE.get(kind)
        if entry is None:
            if kind < COMPREHENSION_OPTIONAL and covered is None:
                unknown.append(kind)
        elif entry[1] == "FINGERPRINT":
            _check_fingerprint(data, position, value)
            attributes["FINGERPRINT"] = _unpack(entry, value, data)
        elif covered is None and entry[1] not in attributes:
            attributes[entry[1]] = _unpack(entry, value, data)
            if entry[1] == "MESSAGE-INTEGRITY":
                covered = data[:position]
        position = following
    return attributes, tuple(unknown), covered


def _next_attribute(data: bytes, position: int) -> tuple[int, bytes, int]:
    # Positions are multiples of four and so is the length: the four bytes are there.
    kind, length = struct.unpack_from("!HH", data, position)
    start = position + 4
    following = start + length + (-length % 4)
    if following > len(data):
        raise RemoteProtocolError("a STUN attribute runs past the end")
    return kind, data[start : start + length], following


def _check_fingerprint(data: bytes, position: int, value: bytes) -> None:
    if position + 8 != len(data) or len(value) != 4:
        raise RemoteProtocolError("FINGERPRINT must come last")
    if codec.message_fingerprint(data[:position]) != int.from_bytes(value, "big"):
        raise RemoteProtocolError("FINGERPRINT doesn't match")


def _unpack(entry: codec.AttributeEntry, value: bytes, data: bytes) -> Any:
    _, name, _, unpack = entry
    if name == "MESSAGE-INTEGRITY" and len(value) != 20:
        raise RemoteProtocolError("MESSAGE-INTEGRITY must have 20 bytes")
    try:
        return unpack(value, data[8:20]) if name in _XOR_NAMES else unpack(value)
    except (ValueError, IndexError, struct.error) as error:
        raise RemoteProtocolError(f"STUN attribute {name}: {error}") from error


def request(transaction_id: bytes, **attributes: Any) -> Message:
    """Make a Binding request; ``USE_CANDIDATE=None`` stands for the attribute USE-CANDIDATE."""
    return Message(MessageClass.REQUEST, transaction_id, _named(attributes))


def success(answered: Message, **attributes: Any) -> Message:
    """Make the success response to a request."""
    named = _named(attributes)
    return Message(MessageClass.SUCCESS, answered.transaction_id, named, answered.method)


def failure(answered: Message, code: int, phrase: str, **attributes: Any) -> Message:
    """Make the error response to a request."""
    named = {"ERROR-CODE": (code, phrase), **_named(attributes)}
    return Message(MessageClass.ERROR, answered.transaction_id, named, answered.method)


def _named(attributes: Attributes) -> Attributes:
    return {name.replace("_", "-"): value for name, value in attributes.items()}


def mapped_address(response: Message) -> tuple[str, int] | None:
    """Return the reflexive address of a Binding response, XOR-MAPPED-ADDRESS first."""
    found = response.attributes.get("XOR-MAPPED-ADDRESS", response.attributes.get("MAPPED-ADDRESS"))
    return None if found is None else (found[0], found[1])
