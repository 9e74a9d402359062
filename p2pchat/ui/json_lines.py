r"""
The JSON interface for bots and tests; ``docs/json.rst`` describes it for its users.

One object a line on stdout for every event and answer; on stdin the lines and commands of the
console, or objects: ``{"command": "/connect bob"}``, ``{"text": "two\nlines"}`` to the current
conversation, ``{"text": "hi", "to": "bob"}`` to another.  UTF-8; what a terminal would not print
is escaped, so that a line is a line for every reader.
"""

from __future__ import annotations

import json
import re
from typing import Any

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer import events
from p2pchat.ui import commands
from p2pchat.ui.console import PipedLines
from p2pchat.wire.strict_json import JsonObject, loads


def encode(name: str, wall_time: float, fields: JsonObject) -> str:
    """Write one event as one line, its newline included."""
    value = {"event": name, "time": round(wall_time, 6), **fields}
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    return _UNPRINTABLE.sub(_escape, text) + "\n"


def fields_of(value: Any) -> JsonObject:
    """Return the fields of an event or answer as JSON knows them."""
    fields = attrs.asdict(value, recurse=True)
    if "commands" in fields:
        fields["commands"] = [
            {"command": command, "meaning": meaning} for command, meaning in fields["commands"]
        ]
    return fields


# Controls, C1 too, separators that some readers take for line ends, bidirectional signs,
# surrogates: nothing of it may be there as it is.  JSON text outside of strings has none.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return "\\ufffd" if "\ud800" <= character <= "\udfff" else f"\\u{ord(character):04x}"


class JsonLines(PipedLines):
    """JSON on stdio."""

    def announce(self, value: Any) -> None:
        """Write an event or an answer."""
        self.emit(value.NAME, fields_of(value))

    def emit(self, name: str, fields: JsonObject) -> None:
        """Write one line."""
        self.write(encode(name, self._runtime.wall_time(), fields))

    def lineReceived(self, line: str) -> None:
        """Do what a line or an object says."""
        if not line.lstrip().startswith("{"):
            self.conversations.type(line)
            return
        try:
            self._take_object(loads(line.encode("utf-8", "replace")))
        except RemoteProtocolError as error:
            self.announce(events.Trouble(f"a line that begins with {{ must be JSON: {error}"))

    def _take_object(self, members: JsonObject) -> None:
        command, text, who = (members.get(name) for name in ("command", "text", "to"))
        if isinstance(command, str) and text is None and who is None:
            self.conversations.type(command)
        elif isinstance(text, str) and text and command is None and isinstance(who, str | None):
            self._say(text, who)
        else:
            raise RemoteProtocolError('either "command", or "text" and perhaps "to", all strings')

    def _say(self, text: str, who: str | None) -> None:
        if who is None:
            self.conversations.execute(commands.Say(text))
        else:
            self.conversations.say_to(who, text)
