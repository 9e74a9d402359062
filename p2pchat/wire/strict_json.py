"""
Strict JSON: one object, in UTF-8, without duplicate keys, lone surrogates, NaN or deep nesting.

:func:`field` and its relatives read single members, with their type checked;
:mod:`p2pchat.wire.members` declares whole objects.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn, TypeVar

from p2pchat.errors import DuplicateKey, NestedTooDeep, NotJson, NotUtf8, RemoteProtocolError

MAX_INTEGER = 2**53  # what every reader of JSON has exactly (RFC 8259 section 6)
MAX_DEPTH = 16  # our documents need 4; json itself recurses once a level

# A string, up to the end of the text where its end is missing: so that no quote is tried twice.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)

_SURROGATE = re.compile("[\ud800-\udfff]")

JsonObject = dict[str, Any]
_T = TypeVar("_T", str, int, list[Any], dict[str, Any], bool)


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise DuplicateKey("a JSON object has the same key twice")
    return result


def _too_deep(text: str) -> bool:
    """Tell whether brackets nest deeper than MAX_DEPTH; a person's brackets in a string don't."""
    depth = deepest = 0
    for character in _STRING.sub("", text):
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest > MAX_DEPTH


# json.loads and json.dumps would make new ones each time.
_decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def loads(data: bytes) -> JsonObject:
    """
    Read one JSON object.

    :raises NotUtf8, NestedTooDeep, DuplicateKey, NotJson: what it is instead.
    """
    try:
        text = data.decode("utf-8")
        if text.count("[") + text.count("{") > MAX_DEPTH and _too_deep(text):
            raise NestedTooDeep(f"JSON nests deeper than {MAX_DEPTH} levels")
        value = _decoder.decode(text)
    except UnicodeDecodeError:
        raise NotUtf8("JSON must be UTF-8") from None
    except (ValueError, RecursionError):
        raise NotJson("not a JSON document") from None
    if not isinstance(value, dict):
        raise NotJson("a JSON object is expected")
    return value


def dumps(value: JsonObject) -> bytes:
    """Write compact UTF-8 JSON; lone surrogates, which UTF-8 can't carry, become U+FFFD."""
    text = _encoder.encode(value)
    if text.isascii():
        return text.encode("ascii")
    # By way of UTF-16 each becomes one character, and the text no longer than it was.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")


def field(source: JsonObject, name: str, kind: type[_T], most: int | None = None) -> _T:
    """
    Read a member that must be there, of exactly this type.

    :param most: greatest length of a string or list, greatest value of an integer.
    :raises RemoteProtocolError: missing, of another type, too long, or negative.
    """
    return checked(source.get(name), name, kind, most)


def checked(value: object, name: str, kind: type[_T], most: int | None = None) -> _T:
    """Return the value of a member if it is as :func:`field` says."""
    if type(value) is not kind:
        raise RemoteProtocolError(f"member {name!r} must be there, as {kind.__name__}")
    # Strings first: most members are, and this is where a registry spends its time.
    if isinstance(value, str):
        if most is not None and len(value) > most:
            raise RemoteProtocolError(f"member {name!r} is longer than {most}")
        # UTF-8 can't carry one, nor can anything that is signed or stored here.
        if not value.isascii() and _SURROGATE.search(value):
            raise RemoteProtocolError(f"member {name!r} has a lone surrogate")
    elif isinstance(value, int):
        if not 0 <= value <= (MAX_INTEGER if most is None else most):
            raise RemoteProtocolError(f"member {name!r} is out of range")
    elif isinstance(value, list) and most is not None and len(value) > most:
        raise RemoteProtocolError(f"member {name!r} is longer than {most}")
    return value


def optional(
    source: JsonObject, name: str, kind: type[_T], default: _T, most: int | None = None
) -> _T:
    """Read a member like :func:`field`, or give the default where it is absent or null."""
    return default if source.get(name) is None else field(source, name, kind, most)


def timestamp(source: JsonObject, name: str) -> float:
    """
    Read seconds since 1970 as a float.

    :raises RemoteProtocolError: missing, not a number, not finite, or absurd.
    """
    return seconds(source.get(name), name)


def seconds(value: object, name: str) -> float:
    """Return the value of a member if it is as :func:`timestamp` says."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RemoteProtocolError(f"member {name!r} must be a number of seconds")
    if not 0 <= value < 1e11 or not math.isfinite(value):
        raise RemoteProtocolError(f"member {name!r} is not a time")
    return float(value)
