"""Transfers of files in words: offers, progress, ends, and the list of ``/files``; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from p2pchat import events
from p2pchat.peer.settings import TransferInfo
from p2pchat.ui import results
from p2pchat.ui.display_names import DisplayNames
from p2pchat.ui.layout import Colour, Entry
from p2pchat.ui.sentences import sentence, table
from p2pchat.wire.visible import visible, visible_name

MAX_TITLE = 60  # characters of a file's name in a sentence
SHOWN_PROGRESS = 25  # per cent between two rows about one transfer
MAX_SHOWN = 1000  # transfers whose rows are remembered

_UNITS = ("bytes", "kB", "MB", "GB", "TB")
_SKIPPED = {"changed": "it changed since it was offered", "unreadable": "it can't be read"}
_STATES = {"offered": "offered to you: /accept {0} or /reject {0}", "waits": "waits for them"}
_STOPS = {
    "link-lost": "the connection was lost; it goes on when there is one",
    "disk-full": "the disk is full; it goes on when there is room",
    "busy": "it has its turn later",
    "unwritable": "it can't be written",
    "leaving": "they have left; it goes on when they are back",
}


def amount(size: float | None) -> str:
    """Return bytes as a person reads them, in powers of a thousand."""
    if size is None:
        return "unknown size"
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    shown = f"{size:,.0f}" if unit == 0 or size >= 99.95 else f"{size:.1f}"
    return "1 byte" if (shown, unit) == ("1", 0) else f"{shown} {_UNITS[unit]}"


def duration(seconds: float) -> str:
    """Return a time as a person reads it: ``0:07``, ``1:02:03``."""
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def title(text: str) -> str:
    """Return the name of a file, safe and short."""
    return visible_name(text, MAX_TITLE)


def offered(event: events.FilesOffered, whom: str) -> Iterator[Entry]:
    """Return what a person decides by."""
    size = amount(event.most) if event.size is None else amount(event.size)
    size = f"at most {size}" if event.size is None else size
    what = title(event.title)
    if event.folder:
        files = "1 file" if event.count == 1 else f"{event.count:,} files"
        what = f"the folder {what} ({files}, {size})"
    else:
        what = f"{what} ({size})"
    if event.accepted:
        yield Entry((f"Receiving {what} from {whom}, #{event.number}.",), Colour.FAINT)
        return
    answers = f"/accept #{event.number} or /reject #{event.number}"
    yield Entry((f"{whom} offers {what}: {answers}.",), Colour.GOOD)
    if event.folder:
        rows = [(title(path), amount(size)) for path, size in event.first]
        for row in table(rows) if rows else []:
            yield Entry((row,), stamped=False)


def changed(event: events.TransferChanged, whom: str) -> Iterator[Entry]:
    """Return what becomes of a transfer."""
    what, to = title(event.title), f"to {whom}" if event.ours else f"from {whom}"
    path, why = visible(event.path), visible(event.explanation) or _STOPS.get(event.reason, "")
    beside = _beside(event.skipped)
    match event.state:
        case "waits" if event.reason:
            text, colour = f"{what} {to} waits: {why or event.reason}", Colour.WARNING
        case "waits":
            text, colour = f"Offering {what} {to}, #{event.number}{beside}", Colour.FAINT
        case "active" if event.ours:
            text, colour = f"Sending {what} {to}, #{event.number}", Colour.FAINT
        case "active":
            text, colour = f"Receiving {what} {to}, #{event.number}, into {path}", Colour.FAINT
        case "stopped":
            text = f"{what} {to} stopped: {why or visible(event.reason)}"
            colour = Colour.WARNING
        case "done" if event.ours:
            text, colour = f"Sent {what} {to}{beside}", Colour.GOOD
        case "done":
            text, colour = f"Received {what} {to}{beside}: it is in {path}", Colour.GOOD
        case "refused" if event.ours:
            text, colour = f"{whom} doesn't want {what}", Colour.WARNING
        case "refused":
            text, colour = f"Declined {what} {to}", Colour.FAINT
        case _:
            text, colour = f"The transfer of {what} {to} was cancelled", Colour.FAINT
    yield Entry((text if text.endswith(".") else f"{text}.",), colour)


def _beside(skipped: int) -> str:
    if not skipped:
        return ""
    return ", without 1 file" if skipped == 1 else f", without {skipped:,} files"


def skipped(event: events.FileSkipped, whom: str) -> Iterator[Entry]:
    """Return that a file isn't sent."""
    way = "isn't sent to" if event.ours else "doesn't come from"
    why = _SKIPPED.get(event.reason, visible(event.reason))
    text = sentence(f"{title(event.file)} {way} {whom}: {why}", is_name=True)
    yield Entry((text,), Colour.WARNING)


def progress(event: events.TransferProgress, whom: str) -> Iterator[Entry]:
    """Return how far a transfer is."""
    to = f"to {whom}" if event.ours else f"from {whom}"
    text = f"{title(event.title)} {to}: {_facts(event.done, event.size, event.rate, event.left)}."
    yield Entry((text,), Colour.FAINT)


def _facts(done: int, size: int | None, rate: float, left: float | None) -> str:
    facts = [amount(done)] if size is None else [f"{per_cent(done, size)} % of {amount(size)}"]
    facts += [f"{amount(rate)}/s"] if rate else []
    facts += [f"{duration(left)} left"] if left is not None and left < 360_000 else []
    return ", ".join(facts)


def per_cent(done: int, size: int) -> int:
    """Return how much of it is done; 100 only for all."""
    return done * 100 // size if size else 100


def listing(result: results.TransferList) -> Iterator[Entry]:
    """Return the list of ``/files``."""
    if not result.transfers:
        yield Entry(("No files are on their way; /send PATH sends some.",), Colour.FAINT)
        return
    for row in table([_row(one) for one in result.transfers]):
        yield Entry((row,), stamped=False)


def _row(info: TransferInfo) -> tuple[str, ...]:
    number, way = f"#{info.number}", "to" if info.ours else "from"
    state = _STATES.get(info.state, "").format(number)
    if info.state == "active":
        state = _facts(info.done, info.size, info.rate, info.left)
    elif info.state == "stopped":
        why = _STOPS.get(info.reason, visible(info.reason)) or "they aren't connected"
        state = f"stopped at {amount(info.done)}: {why}" if info.done else f"stopped: {why}"
    return number, title(info.title), amount(info.size), f"{way} {visible_name(info.name)}", state


class TransferSayings:
    """The sentences of one console about transfers; of progress each quarter is one."""

    def __init__(self) -> None:
        self._quarters: dict[int, int] = {}  # that were shown last, by number

    def say(self, value: Any, names: DisplayNames) -> list[Entry] | None:
        """Return what a person is told, ``None`` where it isn't about transfers."""
        match value:
            case results.TransferList():
                return list(listing(value))
            case results.FilesSent():
                return []  # the event says it
            case _ if type(value) not in _WORDINGS:
                return None
        names.learn(value)
        if isinstance(value, events.TransferProgress) and not self._is_due(value):
            return []
        return list(_WORDINGS[type(value)](value, names.label(value.peer_id)))

    def _is_due(self, event: events.TransferProgress) -> bool:
        """Tell whether a person is to read of it."""
        if not event.size:
            return False
        quarter = per_cent(event.done, event.size) // SHOWN_PROGRESS
        before = self._quarters.pop(event.number, 0)
        if len(self._quarters) >= MAX_SHOWN:
            del self._quarters[next(iter(self._quarters))]
        self._quarters[event.number] = quarter
        return before < quarter < 100 // SHOWN_PROGRESS


_WORDINGS: dict[type, Callable[[Any, str], Iterator[Entry]]] = {
    events.FilesOffered: offered,
    events.TransferChanged: changed,
    events.FileSkipped: skipped,
    events.TransferProgress: progress,
}
