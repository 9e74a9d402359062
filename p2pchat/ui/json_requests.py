"""
Requests of programs, read from lines of JSON; ``docs/json.rst`` describes them for their users.

An object, a JSON string (a text), a command, or text as a person types it.  Any other JSON value
is no request: a program that writes one means something else than to say it to somebody.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.strict_json import JsonObject, loads

MAX_ID = 128  # characters of an id; each answer repeats it
MAX_NUMBER = 2**53  # greater numbers come back as others to many programs

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
    text = _string(stripped) if stripped.startswith('"') else None
    if text is not None:
        return Request(text=_sayable(text, None))
    if _is_other_json(stripped):
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
        case int(number) | float(number) if type(number) is not bool and _is_small(number):
            return number
    raise BadRequest(
        f'The "id" of a request is a string of at most {MAX_ID} characters, or a number up to 2^53.'
    )


def _is_small(number: float) -> bool:
    return math.isfinite(number) and abs(number) <= MAX_NUMBER


def _sayable(text: str, name: RequestId) -> str:
    if not text:
        raise BadRequest("A text has at least one character.", name)
    return text


_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")


# NaN and its like are no JSON, but many programs write them.
_CONSTANTS = frozenset({"true", "false", "null", "NaN", "Infinity", "-Infinity"})

# Only whether it is JSON counts, not how many digits a number has.
_decoder = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=len)


def _string(line: str) -> str | None:
    value = _value(line)
    return value if isinstance(value, str) else None


def _is_other_json(line: str) -> bool:
    if line.startswith("["):
        return _value(line) is not None
    return line in _CONSTANTS or _NUMBER.fullmatch(line) is not None


def _value(line: str) -> Any:
    """Return a JSON value that isn't null, or ``None`` where there is none."""
    try:
        return _decoder.decode(line)
    except RecursionError:
        return ()
    except ValueError:
        return None
