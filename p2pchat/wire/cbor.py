"""
A JSON object in few bytes: CBOR (RFC 8949), of which this much is written and read.

::

    negative integer        -1 - N: the text WORDS[N]
    byte string             the text that is its base64url (RFC 8949 section 6.1)
    byte string, tag 23     the text that is its base16, in small letters
    text string             any other text
    unsigned integer, array, map, false, true, null, float of 8 bytes      as in JSON

So what is read is what :func:`p2pchat.wire.strict_json.loads` could have read, and its rules hold:
one object, no key twice, MAX_DEPTH levels at most, no NaN.  A text may be written in any of its
forms.  Refused: indefinite lengths, other tags, other words, and what is longer than its data.
Zero bytes may follow.

How long it is depends on lengths, and on which members there are, but not on whether two values
are alike, as with compression (RFC 8725 section 3.6).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import attrs

from p2pchat.errors import DuplicateKey, NestedTooDeep, NotJson, NotUtf8, RemoteProtocolError
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.strict_json import MAX_DEPTH, JsonObject

# What offers have most comes first: the head of a number below 24 has no second byte.
_WORDS = """
    type session username exchange ufrag candidates mapping allocation filtering keys use alg key
    enc HPKE-3 rtt offer answer link pause endpoint-independent
    endpoint-independent-or-address-dependent address-or-port-dependent address-and-port-dependent
    address-dependent none unknown step flight began ringing refusal reason detail declined
    cancelled no-answer busy clock no-handshake
"""
WORDS = tuple(_WORDS.split())
BASE16 = 23  # tag, RFC 8949 section 3.4.5.2
SHORTEST = 8  # bytes of a byte string that is written; a shorter text may well be somebody's name

_NUMBERS = {word: number for number, word in enumerate(WORDS)}
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)  # major types
_SIMPLE_VALUES = {20: False, 21: True, 22: None}
_FLOAT = 27  # of 8 bytes


def dumps(value: JsonObject) -> bytes:
    """Write an object of the kind that :mod:`p2pchat.wire.strict_json` reads."""
    return _written(value)


def loads(data: bytes) -> JsonObject:
    """
    Read an object that zero bytes may follow.

    :raises NotUtf8, NestedTooDeep, DuplicateKey, NotJson: what it is instead.
    """
    reader = _CborReader(data)
    value = reader.value()
    if not isinstance(value, dict) or data[reader.at :].strip(b"\x00"):
        raise NotJson("one CBOR map is expected")
    return value


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    size = next(size for size in range(4) if number < 1 << (8 << size))
    return bytes([major << 5 | 24 + size]) + number.to_bytes(1 << size, "big")


def _written(value: Any) -> bytes:
    match value:
        case bool() | None:
            return _head(_SIMPLE, 22 if value is None else 20 + value)
        case str():
            return _written_text(value)
        case int():
            return _head(_UNSIGNED, value)
        case float():
            return bytes([_SIMPLE << 5 | _FLOAT]) + struct.pack("!d", value)
        case list():
            return _head(_ARRAY, len(value)) + b"".join(map(_written, value))
    items = (_written_text(key) + _written(one) for key, one in value.items())
    return _head(_MAP, len(value)) + b"".join(items)


def _written_text(text: str) -> bytes:
    if text in _NUMBERS:
        return _head(_NEGATIVE, _NUMBERS[text])
    octets = _octets(bytes.fromhex, bytes.hex, text)
    if octets is not None:
        return _head(_TAG, BASE16) + _head(_BYTES, len(octets)) + octets
    octets = _octets(decode_bytes, encode_bytes, text)
    if octets is not None:
        return _head(_BYTES, len(octets)) + octets
    # Lone surrogates, which UTF-8 can't carry, become U+FFFD, as in JSON.
    data = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")
    return _head(_TEXT, len(data)) + data


def _octets(read: Callable[[str], bytes], write: Callable[[bytes], str], text: str) -> bytes | None:
    """Return the bytes that a text stands for, where they are enough and give it again."""
    try:
        octets = read(text)
    except (ValueError, RemoteProtocolError):
        return None
    return octets if len(octets) >= SHORTEST and write(octets) == text else None


@attrs.define
class _CborReader:
    """A place in data."""

    data: bytes
    at: int = 0

    def value(self, depth: int = 0) -> Any:
        """Read a value that stands in so many arrays and maps."""
        major, number = self._head()
        if major == _UNSIGNED:
            return number
        if major in (_ARRAY, _MAP):
            if depth >= MAX_DEPTH:
                raise NestedTooDeep(f"CBOR nests deeper than {MAX_DEPTH} levels")
            return (self._array if major == _ARRAY else self._map)(number, depth + 1)
        return self._simple(number) if major == _SIMPLE else self._text(major, number)

    def _array(self, length: int, depth: int) -> list[Any]:
        # Each item has a byte at least, so that the data end it however many are announced.
        items: list[Any] = []
        while len(items) < length:
            items.append(self.value(depth))
        return items

    def _map(self, length: int, depth: int) -> JsonObject:
        members: JsonObject = {}
        while len(members) < length:
            key = self.value(depth)
            if not isinstance(key, str):
                raise NotJson("a key that isn't text")
            if key in members:
                raise DuplicateKey("a CBOR map has the same key twice")
            members[key] = self.value(depth)
        return members

    def _head(self) -> tuple[int, int]:
        """Read a major type and its number."""
        [first] = self._take(1)
        major, number = first >> 5, first & 0x1F
        if number < 24 or major == _SIMPLE:  # what follows a simple value's head is no number
            return major, number
        if number > 27:
            raise NotJson("CBOR of an indefinite or a reserved length")
        return major, int.from_bytes(self._take(1 << number - 24), "big")

    def _take(self, length: int) -> bytes:
        taken = self.data[self.at : self.at + length]
        if len(taken) < length:
            raise NotJson("CBOR that isn't whole")
        self.at += length
        return taken

    def _text(self, major: int, number: int) -> str:
        if major == _NEGATIVE:
            return _word(number)
        if major == _BYTES:
            return encode_bytes(self._take(number))
        if major == _TEXT:
            return _utf8(self._take(number))
        inner, length = self._head()
        if number != BASE16 or inner != _BYTES:
            raise NotJson("CBOR with a tag that has no place here")
        return self._take(length).hex()

    def _simple(self, number: int) -> float | bool | None:
        if number == _FLOAT:
            [value] = struct.unpack("!d", self._take(8))
            if math.isfinite(value):
                return float(value)
        elif number in _SIMPLE_VALUES:
            return _SIMPLE_VALUES[number]
        raise NotJson("a simple value that JSON hasn't")


def _word(number: int) -> str:
    if number >= len(WORDS):
        raise NotJson("a word that this version of the protocol hasn't")
    return WORDS[number]


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise NotUtf8("text must be UTF-8") from None
