"""
A JSON object in few bytes: CBOR (RFC 8949), of which this much is written and read.

::

    negative integer        -1 - N: the text WORDS[N]
    byte string             the text that is its base64url (RFC 8949 section 6.1)
    byte string, tag 23     the text that is its base16, in small letters
    text string             any other text
    unsigned integer, array, map, false, true, null, float      as in JSON

So what is read is what :func:`p2pchat.wire.strict_json.loads` could have read, and its rules hold:
one object, no key twice, MAX_DEPTH levels at most, no NaN.  A text may be written in any of its
forms.  Refused: indefinite lengths, other tags, other words, and what is longer than its data.
Zero bytes may follow.

How long it is depends on lengths, and on which members there are, but not on whether two values
are alike, as with compression (RFC 8725 section 3.6).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from io import BytesIO
from typing import Any

import cbor2

from p2pchat.errors import NotJson, RemoteProtocolError
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

_NUMBERS = {word: -1 - number for number, word in enumerate(WORDS)}


class _Tags(dict[int, Callable[[Any, bool], cbor2.CBORTag]]):
    """Readers of all tags: the library would make dates, patterns and circles of some."""

    def __missing__(self, tag: int) -> Callable[[Any, bool], cbor2.CBORTag]:
        return lambda value, _immutable: cbor2.CBORTag(tag, value)


_TAGS = _Tags()


def dumps(value: JsonObject) -> bytes:
    """Write an object of the kind that :mod:`p2pchat.wire.strict_json` reads."""
    return cbor2.dumps(_shortened(value))


def loads(data: bytes) -> JsonObject:
    """
    Read an object that zero bytes may follow.

    :raises NotJson: what it is instead.
    """
    stream = BytesIO(data)
    try:
        value = cbor2.CBORDecoder(
            stream,
            semantic_decoders=_TAGS,
            max_depth=MAX_DEPTH - 1,  # below the outermost
            allow_indefinite=False,
            allow_duplicate_keys=False,
        ).decode()
    except (cbor2.CBORDecodeError, OverflowError, TypeError) as error:
        raise NotJson(f"no CBOR of a JSON object: {error}") from None
    read = _lengthened(value)
    if not isinstance(read, dict) or stream.read().strip(b"\x00"):
        raise NotJson("one CBOR map is expected")
    return read


def _shortened(value: Any) -> Any:
    """Return what is written for a value."""
    match value:
        case str():
            return _shortened_text(value)
        case list():
            return [_shortened(one) for one in value]
        case dict():
            return {_shortened_text(key): _shortened(one) for key, one in value.items()}
    return value


def _shortened_text(text: str) -> int | bytes | str | cbor2.CBORTag:
    if text in _NUMBERS:
        return _NUMBERS[text]
    if (octets := _octets(bytes.fromhex, bytes.hex, text)) is not None:
        return cbor2.CBORTag(BASE16, octets)
    if (octets := _octets(decode_bytes, encode_bytes, text)) is not None:
        return octets
    # Lone surrogates, which UTF-8 can't carry, become U+FFFD, as in JSON.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _octets(read: Callable[[str], bytes], write: Callable[[bytes], str], text: str) -> bytes | None:
    """Return the bytes that a text stands for, where they are enough and give it again."""
    try:
        octets = read(text)
    except (ValueError, RemoteProtocolError):
        return None
    return octets if len(octets) >= SHORTEST and write(octets) == text else None


def _lengthened(value: Any) -> Any:
    """
    Return what was read for a value.

    :raises NotJson: it isn't one that JSON has.
    """
    match value:
        case bytes():
            return encode_bytes(value)
        case cbor2.CBORTag(tag=tag, value=bytes(octets)) if tag == BASE16:
            return octets.hex()
        case list():
            return [_lengthened(one) for one in value]
        case dict():
            return _object(value)
        case int() if value < 0:
            return _word(-1 - value)
    if isinstance(value, str | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise NotJson("CBOR of what JSON hasn't")


def _object(members: dict[Any, Any]) -> JsonObject:
    read = {_lengthened(key): _lengthened(one) for key, one in members.items()}
    if not all(isinstance(key, str) for key in read):
        raise NotJson("a key that isn't text")
    if len(read) < len(members):
        raise NotJson("a CBOR map has the same key twice")
    return read


def _word(number: int) -> str:
    if number >= len(WORDS):
        raise NotJson("a word that this version of the protocol hasn't")
    return WORDS[number]
