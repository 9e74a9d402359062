"""
Quotations that say which line is meant, after the name of who says something of it.

Pure.  Of a line that this front end hasn't shown nothing is known but that it is an earlier one.
"""

from __future__ import annotations

from p2pchat.peer.storage.history import HistoryLine
from p2pchat.ui.known_lines import KnownLines
from p2pchat.ui.sentences import excerpt
from p2pchat.wire.references import DELETE, EDIT


def quote(text: str) -> str:
    """Return a quotation of a line, or what stands for one whose text isn't known."""
    return excerpt(text) if text else "an earlier line"


def about(known: KnownLines, answered: str, edited: str = "") -> str:
    """Return what stands after a name where lines, by their ids, are answered or changed."""
    if edited:
        return f", instead of {quote(known.text(edited))}"
    return f", to {quote(known.text(answered))}" if answered else ""


def about_line(line: HistoryLine) -> str:
    """Return what stands after a name at a line of the history."""
    if line.kind == EDIT:
        return f", instead of {quote(line.quote)}"
    if line.kind == DELETE:
        return f", deletes {quote(line.quote)}"
    answered = f", to {quote(line.quote)}" if line.reply_to else ""
    return f"{answered}, edited" if line.edited else answered
