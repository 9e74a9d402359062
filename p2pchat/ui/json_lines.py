r"""
JSON lines on stdio, for bots and tests; ``docs/json.rst`` describes them for their users.

One object a line on stdout for every event and result; on stdin objects:
``{"command": "/connect bob"}``, ``{"text": "two\nlines"}`` to the current conversation,
``{"text": "hi", "to": "bob"}`` to another, each with an ``id`` that what comes of it repeats as
``request``; or JSON strings, or the lines and commands of the console.
"""

from __future__ import annotations

from typing import Any

from p2pchat import events
from p2pchat.ui import results
from p2pchat.ui.commands import Say
from p2pchat.ui.json_form import BadRequest, encode, fields_of, parse
from p2pchat.ui.stdio import FrontEnd

# What a request can bring about, and so repeats its id.
_ANSWERING = (
    results.Result,
    events.MessageSent,
    events.Trouble,
    events.Disconnected,
    events.CallFailed,
    events.ContactChanged,
    events.GrantChanged,
    events.TransferChanged,
)


class JsonLines(FrontEnd):
    """JSON on stdio."""

    def show(self, value: Any) -> None:
        """Write an event or a result as one line."""
        if isinstance(value, results.More):
            value = events.Trouble("Nothing is folded here: every text is whole.", results.INPUT)
        fields, request = fields_of(value), self.requests.request_of(value)
        if request is not None and isinstance(value, _ANSWERING):
            fields["request"] = request
        self.stdio.write(encode(value.NAME, self._runtime.wall_time(), fields))

    def obey(self, line: str) -> None:
        """Do what a line asks for."""
        try:
            asked = parse(line)
        except BadRequest as error:
            self.requests.refuse(events.Trouble(str(error), results.INPUT), error.id)
            return
        if asked.text and asked.to is not None:
            self.requests.say_to(asked.to, asked.text, asked.id)
        elif asked.text:
            self.requests.execute(Say(asked.text), asked.id)
        else:
            self.requests.type(asked.line, asked.id)
