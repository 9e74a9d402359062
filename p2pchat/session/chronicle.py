"""
What is told of a dialogue while it happens: events for the user interface.

Owns the words: names and numbers of :mod:`p2pchat.events`, the seconds since it all
began, and that an end is told only of what was told to have begun.  Decides nothing else.
"""

from __future__ import annotations

from collections import deque

import attrs

from p2pchat import events
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.report import in_ms
from p2pchat.wire import messages
from p2pchat.wire.addresses import format_address


@attrs.define(eq=False)
class Chronicle:
    """
    The chronicle of one dialogue.

    :ivar name: what the peer calls itself, "" while unknown.
    :ivar began: when the call, or the search for a lost path, began.
    :ivar is_open: whether ``Connected`` was told, and no end of it.
    """

    peer_id: str
    name: str
    began: float = 0.0
    is_open: bool = False
    _events: deque[events.DialogueEvent] = attrs.Factory(deque)

    def next_event(self) -> events.DialogueEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None

    def calling(self, attempt: int, attempts: int) -> None:
        """Tell that an offer goes out."""
        self._events.append(events.Calling(self.peer_id, self.name, attempt, attempts))

    def rings(self) -> None:
        """Tell that their person is being asked."""
        self._events.append(events.Rings(self.peer_id, self.name))

    def offered(self, accepted: bool) -> None:
        """Tell of their offer."""
        self._events.append(events.OfferReceived(self.peer_id, self.name, accepted))

    def offer_ended(self, reason: str) -> None:
        """Tell that their offer is gone."""
        self._events.append(events.OfferEnded(self.peer_id, self.name, reason))

    def checking(self, addresses: tuple[str, ...]) -> None:
        """Tell that checks are under way."""
        self._events.append(events.Checking(self.peer_id, self.name, addresses))

    def path_found(self, path: Path, now: float) -> None:
        """Tell which path is in use."""
        self._events.append(
            events.PathFound(
                self.peer_id,
                self.name,
                path.local.value,
                path.remote.value,
                format_address(path.address),
                in_ms(now - self.began),
                in_ms(path.rtt),
            )
        )

    def path_lost(self, reason: str, now: float) -> None:
        """Tell that a new path is looked for."""
        self.began = now
        self._events.append(events.PathLost(self.peer_id, self.name, reason))

    def connected(self, resumed: bool, now: float) -> None:
        """Tell that lines go through."""
        self.is_open = True
        spent = in_ms(now - self.began)
        self._events.append(events.Connected(self.peer_id, self.name, spent, resumed))

    def renamed(self, name: str) -> None:
        """Tell that the peer calls itself otherwise now."""
        before, self.name = self.name, name
        self._events.append(events.Renamed(self.peer_id, name, name, before))

    def disconnected(self, reason: str, undelivered: int, ours: bool) -> None:
        """Tell the end of a conversation that was told to be open."""
        if self.is_open:
            self.is_open = False
            self._events.append(
                events.Disconnected(self.peer_id, self.name, reason, undelivered, ours)
            )

    def failed(
        self, reason: str, explanation: str, undelivered: int, ours: bool, summary: str
    ) -> None:
        """Tell that no conversation came of it."""
        self._events.append(
            events.CallFailed(
                self.peer_id, self.name, reason, explanation, ours, undelivered, summary
            )
        )

    def sent(self, epoch: str, sequence: int, text: str) -> str:
        """Tell of a line of ours, and return its id."""
        name = _message_id(epoch, sequence)
        self._events.append(events.MessageSent(self.peer_id, name, text))
        return name

    def received(self, epoch: str, message: messages.Message) -> None:
        """Tell of a line of theirs."""
        name = _message_id(epoch, message.sequence)
        self._events.append(
            events.MessageReceived(self.peer_id, self.name, name, message.text, message.sent_at)
        )

    def delivered(self, epoch: str, sequence: int, seconds: float) -> None:
        """Tell that a line of ours arrived."""
        name = _message_id(epoch, sequence)
        self._events.append(events.MessageDelivered(self.peer_id, name, in_ms(seconds)))


def describe_path(path: Path) -> str:
    """Say in a few words which path is in use."""
    return (
        f"{path.local.value} to {path.remote.value} {format_address(path.address)}, "
        f"{path.rtt * 1000:.1f} ms"
    )


def line_of(message_id: str) -> tuple[str, int]:
    """Return epoch and number of the line that a message id names."""
    epoch, _, sequence = message_id.rpartition("-")
    return epoch, int(sequence)


def _message_id(epoch: str, sequence: int) -> str:
    return f"{epoch}-{sequence}"
