"""Mail in words: what waits at a registry, until when, and why something doesn't; pure."""

from __future__ import annotations

import time

from p2pchat import events
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.ui.sentences import sentence
from p2pchat.wire.visible import visible


def mailed(event: events.Mailed, whom: str) -> str:
    """Return that messages wait at a registry."""
    what = "1 message waits" if event.count == 1 else f"{event.count:,} messages wait"
    until = day_and_time(event.until)
    return f"{what} at the registry for {whom}, sealed, until {until}: you needn't stay."


def not_mailed(event: events.NotMailed, whom: str) -> str:
    """Return why messages don't."""
    why = sentence(visible(event.explanation))
    return f"What isn't at a registry waits here until {whom} and you are both there: {why}"


def place(line: HistoryLine) -> tuple[str, ...]:
    """Return where a line of ours waits, if that isn't here."""
    if line.kept_until is None:
        return ()
    return (f"waits at the registry until {day_and_time(line.kept_until)}",)


def day_and_time(when: float) -> str:
    """Return a time within some weeks, as people say it."""
    return time.strftime("%H:%M on %d %B", time.localtime(when))
