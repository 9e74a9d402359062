"""
Bodies of entries by their kind, and what they refer to; big endian.

::

    text    UTF-8
    reply   reference | UTF-8       an answer to a line
    edit    reference | UTF-8       what a line of the author's own says from now on
    delete  reference               a line of the author's own that is to be gone

    reference   author 16 | log 16 | number 8

Refuses what is cut short, or no text.  Whether what is referred to exists is no matter of a reader
of entries; it may come later.
"""

from __future__ import annotations

from struct import Struct
from struct import error as StructError

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.entries import MAX_NUMBER, TEXT, Known, read_text, write_text

REPLY, EDIT, DELETE = "reply", "edit", "delete"
CHANGES = frozenset({EDIT, DELETE})  # only of what the same author wrote
REFERRING = CHANGES | {REPLY}
_REFERENCE = Struct("!16s16sQ")


def read_body(kind: str, body: bytes) -> tuple[str, Known | None]:
    """
    Read the body of an entry: its text, and what it refers to.

    :raises RemoteProtocolError: it isn't what its kind says; of an unknown kind nothing is.
    """
    if kind == TEXT:
        return read_text(body), None
    if kind not in REFERRING:
        return "", None
    try:
        named = Known(*_REFERENCE.unpack_from(body))
    except StructError:
        raise RemoteProtocolError(f"an entry of the kind {kind} that names no other") from None
    if named.number > MAX_NUMBER:
        raise RemoteProtocolError("a reference with a number that nobody reaches")
    return "" if kind == DELETE else read_text(body[_REFERENCE.size :]), named


def write_body(kind: str, text: str, refers: Known | None) -> bytes:
    """Write the body of an entry of a kind that this version knows."""
    named = b"" if refers is None else _REFERENCE.pack(*refers)
    return named + (b"" if kind == DELETE else write_text(text))
