"""
Bytes from a terminal to keys.

Owns UTF-8 that arrives in pieces, the escape sequences of arrow and editing keys (ECMA-48 CSI, and
SS3 of terminals in application mode) and bracketed paste.  A sequence that isn't known is
swallowed whole; bytes that aren't UTF-8 become U+FFFD.
"""

from __future__ import annotations

import codecs
from enum import Enum

import attrs

MAX_SEQUENCE = 32  # characters of an escape sequence; the longest in use have a dozen
MAX_PASTE = 1024 * 1024  # characters kept of one paste
_PASTE_END = "\x1b[201~"


class Key(Enum):
    """What a key does to a line."""

    ENTER = "enter"
    LEFT = "left"
    RIGHT = "right"
    WORD_LEFT = "word left"
    WORD_RIGHT = "word right"
    HOME = "home"
    END = "end"
    UP = "up"
    DOWN = "down"
    BACKSPACE = "backspace"
    DELETE = "delete"
    END_OF_FILE = "end of file"  # Ctrl-D: deletes, or leaves where the line is empty
    INTERRUPT = "interrupt"  # Ctrl-C
    ERASE_WORD = "erase word"
    ERASE_TO_START = "erase to start"
    ERASE_TO_END = "erase to end"
    YANK = "yank"
    CLEAR_SCREEN = "clear screen"


@attrs.frozen
class Typed:
    """Text that was typed or pasted; only a paste has newlines."""

    text: str


_CONTROLS = {
    "\x01": Key.HOME,
    "\x02": Key.LEFT,
    "\x03": Key.INTERRUPT,
    "\x04": Key.END_OF_FILE,
    "\x05": Key.END,
    "\x06": Key.RIGHT,
    "\x08": Key.BACKSPACE,
    "\n": Key.ENTER,
    "\x0b": Key.ERASE_TO_END,
    "\x0c": Key.CLEAR_SCREEN,
    "\r": Key.ENTER,
    "\x0e": Key.DOWN,
    "\x10": Key.UP,
    "\x15": Key.ERASE_TO_START,
    "\x17": Key.ERASE_WORD,
    "\x19": Key.YANK,
    "\x7f": Key.BACKSPACE,
}
_SEQUENCES = {
    "A": Key.UP,
    "B": Key.DOWN,
    "C": Key.RIGHT,
    "D": Key.LEFT,
    "F": Key.END,
    "H": Key.HOME,
    "1~": Key.HOME,
    "3~": Key.DELETE,
    "4~": Key.END,
    "7~": Key.HOME,
    "8~": Key.END,
    "1;5C": Key.WORD_RIGHT,
    "1;5D": Key.WORD_LEFT,
    "1;3C": Key.WORD_RIGHT,
    "1;3D": Key.WORD_LEFT,
}
_WITH_ALT = {
    "b": Key.WORD_LEFT,
    "f": Key.WORD_RIGHT,
    "\x7f": Key.ERASE_WORD,
    "\x08": Key.ERASE_WORD,
}


@attrs.define
class KeyReader:
    """Reads the keys of one terminal."""

    _decoder: codecs.IncrementalDecoder = attrs.field(
        factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )
    _sequence: str = ""  # from ESC on, while it isn't complete
    _paste: str | None = None
    _read: list[Key | Typed] = attrs.Factory(list)

    def receive(self, data: bytes) -> list[Key | Typed]:
        """Take bytes; return what was typed, in order."""
        text = self._decoder.decode(data)
        while text:
            text = self._take_paste(text) if self._paste is not None else self._take(text)
        read, self._read = self._read, []
        return read

    def _take(self, text: str) -> str:
        if self._sequence:
            self._continue_sequence(text[0])
            return text[1:]
        plain = self._plain_length(text)
        if plain:
            self._read.append(Typed(text[:plain]))
            return text[plain:]
        self._take_control(text[0])
        return text[1:]

    def _plain_length(self, text: str) -> int:
        return next((at for at, one in enumerate(text) if one < " " or one == "\x7f"), len(text))

    def _take_control(self, character: str) -> None:
        if character == "\x1b":
            self._sequence = character
        elif character in _CONTROLS:
            self._read.append(_CONTROLS[character])

    def _continue_sequence(self, character: str) -> None:
        introduced = len(self._sequence) > 1
        if character == "\x1b":
            self._sequence = character
        elif not introduced and character not in "[O":
            self._end_alt(character)
        elif len(self._sequence) >= MAX_SEQUENCE or character < " ":
            self._sequence = ""
            self._take_control(character)
        else:
            self._sequence += character
            if introduced and "@" <= character <= "~":
                self._end_sequence()

    def _end_alt(self, character: str) -> None:
        self._sequence = ""
        if character in _WITH_ALT:
            self._read.append(_WITH_ALT[character])
        else:
            self._take(character)

    def _end_sequence(self) -> None:
        name, self._sequence = self._sequence[2:], ""
        if name == "200~":
            self._paste = ""
        elif name in _SEQUENCES:
            self._read.append(_SEQUENCES[name])

    def _take_paste(self, text: str) -> str:
        # What was kept is searched again, since the end mark may have been cut in two.
        pasted, end, rest = (str(self._paste) + text).partition(_PASTE_END)
        if not end:
            self._paste = pasted if len(pasted) <= MAX_PASTE else pasted[-len(_PASTE_END) :]
            return ""
        self._paste = None
        pasted = pasted[:MAX_PASTE].replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
        if pasted:
            self._read.append(Typed(pasted))
        return rest
