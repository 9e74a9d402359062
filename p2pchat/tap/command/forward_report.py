"""
Sentences about connections of a command that stays: who opened what, how much, and why not.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from p2pchat.forwarding.endpoint_strings import shown_address
from p2pchat.forwarding.forward import (
    MAX_CONNECTIONS,
    ForwardClosed,
    ForwardEvent,
    ForwardFailed,
    ForwardOpened,
)
from p2pchat.peer.failures import in_words
from p2pchat.tap.command.reactor_run import ReactorRun
from p2pchat.wire.visible import visible


@attrs.frozen
class ForwardReport:
    """
    Sentences about one forward, for a person.

    :ivar source: what is reached by it.
    :ivar target: what it leads to.
    :ivar names: of contacts, by their ids.
    """

    run: ReactorRun
    source: str
    target: str
    names: Mapping[str, str] = attrs.Factory(dict)

    def __call__(self, event: ForwardEvent) -> None:
        """Take an event."""
        peer_id = getattr(event.source, "peer_id", "")
        who = visible(self.names.get(peer_id) or shown_address(event.source))
        match event:
            case ForwardOpened(number):
                self.run.note(f"{self.source} {number}: opened by {who}")
            case ForwardClosed(number, sent=sent, received=received, reason=reason):
                broken = "" if reason is None else f"; it broke: {in_words(reason, str(reason))}"
                counts = f"{sent:,} bytes from there, {received:,} to it"
                self.run.note(f"{self.source} {number}: ended, {counts}{broken}")
            case ForwardFailed(reason=None):
                self.run.note(f"{self.source}: {MAX_CONNECTIONS} connections are open: end some")
            case ForwardFailed(reason=why):
                words = in_words(why, str(why)) if why is not None else ""
                self.run.note(f"{self.source}: {self.target} can't be reached: {words}")
