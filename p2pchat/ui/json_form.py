"""
The JSON of programs: requests that they write, events and results that they read.

``docs/json.rst`` describes both for their users.  A request is an object, a JSON string (a text), a
command, or text as a person types it.  Any other JSON value is no request: a program that writes
one means something else than to say it to somebody.  An event is an object; UTF-8, and what a
terminal would not print is escaped, so that a line is a line for every reader.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.strict_json import JsonObject, loads

MAX_ID = 128  # characters of an id; each answer repeats it
MAX_NUMBER = 2**53  # greater numbers come back as others to many programs
NO_JSON = object()

RequestId = str | int | float | None  # None: nothing repeats it


@attrs.frozen
class Request:
    """
    A request of a program.

    :ivar line: a line or command, as a person types it; "" where there is a text.
    :ivar text: what is said as it is.
    :ivar to: to whom; ``None`` for the current conversation.
    """

    id: RequestId = None
    line: str = ""
    text: str = ""
    to: str | None = None


class BadRequest(RemoteProtocolError):
    """
    A line of the input is no request.

    :ivar id: what the program calls it, where that can be read.
    """

    def __init__(self, reason: str, id: RequestId = None) -> None:
        super().__init__(reason)
        self.id = id


def parse(line: str) -> Request:
    """
    Read one line, in time in proportion to it.

    :raises BadRequest: what is wrong.
    """
    stripped = line.strip()
    if stripped.startswith("{"):
        return _from_object(stripped)
    value = _value(stripped)
    if isinstance(value, str):
        return Request(text=_sayable(value, None))
    if value is not NO_JSON:
        raise BadRequest(
            'A JSON value that is neither object nor string asks for nothing; {"text": "..."} says'
            " a text as it stands."
        )
    return Request(line=line)


def _from_object(line: str) -> Request:
    try:
        members = loads(line.encode("utf-8", "replace"))
    except RemoteProtocolError as error:
        raise BadRequest(f"A line that begins with {{ must be a JSON object: {error}.") from None
    name = _id(members)
    command, text, to = (members.get(member) for member in ("command", "text", "to"))
    if isinstance(command, str) and text is None and to is None:
        return Request(name, line=command)
    if isinstance(text, str) and command is None and isinstance(to, str | None):
        return Request(name, text=_sayable(text, name), to=to)
    raise BadRequest(
        'An object has "command", or "text" and perhaps "to", all strings, and perhaps an "id".',
        name,
    )


def _id(members: JsonObject) -> RequestId:
    match members.get("id"):
        case None:
            return None
        case str(name) if len(name) <= MAX_ID:
            return name
        case int(number) | float(number) if type(number) is not bool and abs(number) <= MAX_NUMBER:
            return number
    raise BadRequest(
        f'The "id" of a request is a string of at most {MAX_ID} characters, or a number up to 2^53.'
    )


def _sayable(text: str, name: RequestId) -> str:
    if not text:
        raise BadRequest("A text has at least one character.", name)
    return text


# Only whether it is JSON counts, not how many digits a number has.  NaN and its like are none, but
# many programs write them.
_decoder = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=len)


def _value(line: str) -> Any:
    """Return a JSON value, or ``NO_JSON`` where there is none."""
    try:
        return _decoder.decode(line)
    except RecursionError:
        return ()
    except ValueError:
        return NO_JSON


def encode(name: str, wall_time: float, fields: JsonObject) -> str:
    """Write one event as one line, its newline included; any JSON reader can read it."""
    value = {"event": name, "time": round(wall_time, 6), **fields}
    try:
        text = _encoder.encode(value)
    except ValueError:  # a number that JSON doesn't have, such as what 1e999 is read as
        text = _encoder.encode(_finite(value))
    return _BEYOND_ASCII.sub(_escape_run, text) + "\n"


def fields_of(value: Any) -> JsonObject:
    """Return the fields of an event or result as JSON knows them."""
    fields = attrs.asdict(value, recurse=True, filter=_is_written)
    if "commands" in fields:
        fields["commands"] = [_command(*usage) for usage in fields["commands"]]
    return fields


def _is_written(attribute: attrs.Attribute[Any], value: Any) -> bool:
    return value != attribute.default or "sparse" not in attribute.metadata


def _command(usage: str, meaning: str) -> JsonObject:
    name, _, argument = usage.removeprefix("/").partition(" ")
    return {"command": usage, "name": name, "argument": argument, "meaning": meaning}


_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)

_BEYOND_ASCII = re.compile("[^ -~]+")
# Printable by Unicode's categories, but drawn as nothing: fillers, blanks, variation selectors.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufffc"
    "\U0001d159\U000e0100-\U000e01ef]"
)
_KNOWN_CHARACTERS = 8192  # that are remembered; a Chinese newspaper uses 3,000


def _escape_run(match: re.Match[str]) -> str:
    """Escape what nobody would see: controls, separators, bidirectional signs, tags, unassigned."""
    run = match[0]
    if run.isprintable() and not _INVISIBLE.search(run):
        return run
    return "".join(map(_escape, run))


@lru_cache(_KNOWN_CHARACTERS)
def _escape(character: str) -> str:
    if character.isprintable() and not _INVISIBLE.match(character):
        return character
    if "\ud800" <= character <= "\udfff":
        return "\\ufffd"
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    return [_finite(one) for one in value] if isinstance(value, list | tuple) else value
