"""
Events and results as JSON, for whatever front end a program reads; ``docs/json.rst`` describes it.

UTF-8; what a terminal would not print is escaped, so that a line is a line for every reader.
"""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache
from typing import Any

import attrs

from p2pchat.wire.strict_json import JsonObject


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
    fields = attrs.asdict(value, recurse=True)
    if "commands" in fields:
        fields["commands"] = [_command(*usage) for usage in fields["commands"]]
    return fields


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
