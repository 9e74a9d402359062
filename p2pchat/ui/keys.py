"""
Keys, read from the bytes of a terminal.

Owns UTF-8 that arrives in pieces, the escape sequences of arrow and editing keys (ECMA-48 CSI, and
SS3 of terminals in application mode), reports of the focus and bracketed paste.  A sequence that
isn't known is swallowed whole; bytes that aren't UTF-8 become U+FFFD.
"""

from __future__ import annotations

import codecs
import re
from enum import Enum

import attrs

MAX_SEQUENCE = 32  # characters of an escape sequence; the longest in use have a dozen
MAX_PASTE = 1024 * 1024  # characters of one paste; one that is longer is not kept
_PASTE_END = "\x1b[201~"
_PLAIN = re.compile("[^\x00-\x1f\x7f]+")
_BEGUN = rf"\x1b[\[O][^\x00-\x1f@-~]{{0,{MAX_SEQUENCE}}}"
_COMPLETE = re.compile(rf"{_BEGUN}[@-~]")
_UNFINISHED = re.compile(rf"(?:\x1b|{_BEGUN})\Z")
_BROKEN = re.compile(_BEGUN)  # by a control character, or too long


class Key(Enum):
    """
    Keys, by what they do to a line, each with what terminals send for it.

    What begins with ``[`` is the end of an escape sequence, whose beginning differs by the mode of
    the terminal; what begins with ``\\x1b`` is another key with Alt.
    """

    ENTER = ("\r", "\n")
    LEFT = ("\x02", "[D")
    RIGHT = ("\x06", "[C")
    WORD_LEFT = ("\x1bb", "[1;5D", "[1;3D")
    WORD_RIGHT = ("\x1bf", "[1;5C", "[1;3C")
    HOME = ("\x01", "[H", "[1~", "[7~")
    END = ("\x05", "[F", "[4~", "[8~")
    UP = ("\x10", "[A")
    DOWN = ("\x0e", "[B")
    BACKSPACE = ("\x7f", "\x08")
    DELETE = ("[3~",)
    END_OF_FILE = ("\x04",)  # Ctrl-D: deletes, or leaves where the line is empty
    INTERRUPT = ("\x03",)  # Ctrl-C
    ERASE_WORD = ("\x17", "\x1b\x7f", "\x1b\x08")
    ERASE_TO_START = ("\x15",)
    ERASE_TO_END = ("\x0b",)
    YANK = ("\x19",)
    CLEAR_SCREEN = ("\x0c",)
    PAGE_UP = ("[5~",)


class Focus(Enum):
    """Changes of the focus, which a terminal reports like keys where it was asked to (xterm)."""

    IN = "[I"
    OUT = "[O"


_KEYS: dict[str, Key | Focus] = {spelling: key for key in Key for spelling in key.value}
_KEYS |= {change.value: change for change in Focus}


@attrs.frozen
class Typed:
    """Text that was typed or pasted; only a paste has newlines."""

    text: str
    is_pasted: bool = False


@attrs.frozen
class Overlong:
    """A paste that was too long to be kept; ``length`` in characters."""

    length: int


Press = Key | Typed | Overlong | Focus


@attrs.define
class KeyReader:
    """The reader of one terminal's keys."""

    _decoder: codecs.IncrementalDecoder = attrs.field(
        factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _paste: list[str] | None = None  # pieces of what is being pasted
    _pasted: int = 0  # characters of it
    _held: str = ""  # what may be the beginning of a sequence, or of the paste's end mark
    _read: list[Press] = attrs.Factory(list)

    def receive(self, data: bytes) -> list[Press]:
        """Take bytes; return what was typed, in order, in time in proportion to them."""
        text, self._held = self._held + self._decoder.decode(data), ""
        position = 0
        while position < len(text):
            take = self._take if self._paste is None else self._take_paste
            position = take(text, position)
        read, self._read = self._read, []
        return read

    def _take(self, text: str, position: int) -> int:
        """Take what begins at a position; return where it ends."""
        if plain := _PLAIN.match(text, position):
            self._read.append(Typed(plain[0]))
            return plain.end()
        if text[position] != "\x1b":
            self._press(_KEYS.get(text[position]))
            return position + 1
        if sequence := _COMPLETE.match(text, position):
            self._take_sequence(sequence[0][2:])
            return sequence.end()
        if _UNFINISHED.match(text, position):
            self._held = text[position:]
            return len(text)
        if broken := _BROKEN.match(text, position):
            return broken.end()
        key = _KEYS.get(text[position : position + 2])
        self._press(key)
        return position + (2 if key else 1)  # any other key is as without Alt

    def _press(self, key: Key | Focus | None) -> None:
        self._read += [key] if key else []

    def _take_sequence(self, name: str) -> None:
        if name == "200~":
            self._paste, self._pasted = [], 0
        else:
            self._press(_KEYS.get(f"[{name}"))

    def _take_paste(self, text: str, position: int) -> int:
        end = text.find(_PASTE_END, position)
        if end < 0:  # the end mark may have been cut in two
            kept = max(position, len(text) - len(_PASTE_END) + 1)
            self._held = text[kept:]
            self._keep(text[position:kept])
            return len(text)
        self._keep(text[position:end])
        self._end_paste()
        return end + len(_PASTE_END)

    def _keep(self, piece: str) -> None:
        assert self._paste is not None
        self._pasted += len(piece)
        if self._pasted > MAX_PASTE:
            self._paste.clear()
        else:
            self._paste.append(piece)

    def _end_paste(self) -> None:
        pasted, self._paste = "".join(self._paste or ()), None
        pasted = pasted.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        if self._pasted > MAX_PASTE:
            self._read.append(Overlong(self._pasted))
        elif pasted:
            self._read.append(Typed(pasted, True))
