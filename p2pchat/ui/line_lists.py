"""
Lists of lines: those of the history, of a search, of the outbox; each day of them under its name.

Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from p2pchat.peer.storage.history import HistoryLine
from p2pchat.ui.display_names import YOU
from p2pchat.ui.layout import Colour, Entry, day
from p2pchat.ui.mail_wording import place
from p2pchat.ui.quoting import about_line
from p2pchat.ui.sentences import excerpt


def list_lines(
    lines: Sequence[HistoryLine], own: str, name: Callable[[HistoryLine], str], number: str = ""
) -> Iterator[Entry]:
    """
    Lay lines out.

    :param own: stands before ours; "": to whom they are.
    :param name: returns what the peer is called.
    :param number: how each is numbered, if it is.
    """
    before = ""
    for index, line in enumerate(lines, 1):
        if (today := day(line.sent_at)) != before:
            before = today
            yield Entry((f"— {today}",), Colour.FAINT, stamped=False)
        who = name(line)
        lead = (own or f"{YOU} to {who}") if line.ours else who
        lead = f"{number.format(index)} {lead}" if number else lead
        colour = Colour.FAINT if line.ours else Colour.THEIRS
        rows = ("(deleted)",) if line.deleted else (line.text, *place(line))
        lead = f"{lead}{about_line(line)}: "
        yield Entry(rows, lead=lead, lead_colour=colour, shown_at=line.sent_at)


def read_note(lines: Sequence[HistoryLine], who: str) -> Iterator[Entry]:
    """Say which of our lines they have read."""
    ours = [line for line in lines if line.ours]
    read = [line for line in ours if line.read]
    if read:
        what = "all of yours" if read == ours else f"yours up to: {excerpt(read[-1].text)}"
        yield Entry((f"✓ {who} has read {what}.",), Colour.FAINT)
