"""
One line that a person types, edited as in a shell, and its picture.

Pure: takes the bytes of the keys, gives back what the person wants (a line, to leave, a clear
screen) and, on request, the text that draws prompt, line and cursor on the terminal's present
row, at a cost that doesn't grow with the line.  A line wider than the terminal scrolls sideways.
A pasted text of several lines stays one line of the editor, its newlines shown as a sign, and
becomes one message; one that doesn't fit is refused whole.  A line with an invitation isn't among
those that come back.

The picture is drawn twice up to the cursor: so the cursor stands where the terminal itself ends
that text, whatever it thinks of the width of an emoji.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

import attrs

from p2pchat.ui.cells import cell_width, character_width, cut, joins_previous
from p2pchat.ui.commands import is_secret
from p2pchat.ui.keys import Focus, Key, KeyReader, Overlong, Typed
from p2pchat.wire.entries import MAX_TEXT

MAX_HISTORY = 200  # lines
MAX_CLUSTER = 64  # characters that a cursor steps over at once; Unicode's longest have 32
MAX_DRAWN = 8  # characters drawn for each column; more are marks upon marks
_KNOWN_SIGNS = 8192  # characters that are remembered; a Chinese newspaper uses 3,000
PROMPT_END = "> "  # stays, however long the name before it
NEWLINE_SIGN = "⏎"
ERASE_LINE = "\r\x1b[K"
WRAP_OFF, WRAP_ON = "\x1b[?7l", "\x1b[?7h"


@attrs.frozen
class LineEntered:
    """A complete line."""

    text: str


@attrs.frozen
class DoesNotFit:
    """Too much text, by so many characters; of a paste nothing was kept."""

    count: int


class EditorAction(Enum):
    """Actions that keys ask for, beside a line."""

    LEAVE = "leave"
    CLEAR_SCREEN = "clear screen"
    PAGE_UP = "page up"
    BELL = "bell"  # there is no room for more text
    TURN_AWAY = "turn away"  # the terminal has lost the focus


@attrs.define
class LineEditor:
    """
    The line, its cursor and the lines before it.

    :ivar text: what stands in the line.
    :ivar cursor: the character that the cursor stands on, 0 to ``len(text)``.
    """

    text: str = ""
    cursor: int = 0
    _keys: KeyReader = attrs.Factory(KeyReader)
    _history: list[str] = attrs.Factory(list)
    _browsed: int = 0  # how many lines back the person looks
    _draft: str = ""  # the new line, while the person looks back
    _killed: str = ""
    _left_edge: int = 0  # first character that the picture shows
    _refused: int = 0  # characters typed since there was no room
    _actions: list[LineEntered | DoesNotFit | EditorAction] = attrs.Factory(list)

    def receive(self, data: bytes) -> list[LineEntered | DoesNotFit | EditorAction]:
        """Take bytes from the terminal; return what the person wants, in order."""
        for key in self._keys.receive(data):
            if isinstance(key, Overlong):
                self._actions.append(DoesNotFit(key.length + len(self.text) - MAX_TEXT))
            elif isinstance(key, Focus):
                self._actions += [EditorAction.TURN_AWAY] if key is Focus.OUT else []
            elif not isinstance(key, Typed):
                _EFFECTS[key](self)
                self._refused = 0
            elif key.is_pasted:
                self._paste(key.text)
            else:
                self._type(key.text)
        actions, self._actions = self._actions, []
        return actions

    def picture(self, prompt: str, width: int) -> str:
        """Return the text that draws the line on the present row of ``width`` columns."""
        name = prompt.removesuffix(PROMPT_END)
        prompt = cut(name, max(width // 2 - len(PROMPT_END), 1)) + prompt[len(name) :]
        room = max(width - cell_width(prompt) - 1, 1)  # the last column is the cursor's
        self._scroll(room)
        before = _drawn(self.text[self._left_edge : self.cursor])
        after = self._fitting(room - cell_width(before))
        return f"{ERASE_LINE}{WRAP_OFF}{prompt}{before}{after}\r{prompt}{before}{WRAP_ON}"

    def _scroll(self, room: int) -> None:
        edge = min(self._left_edge, self.cursor)
        if edge and edge > self._edge_for(room // 4):  # show what stands before, too
            edge = self._edge_for(room // 2)
        if edge < self._edge_for(room):
            edge = self._edge_for(room - room // 4)
        self._left_edge = edge

    def _edge_for(self, room: int) -> int:
        """Return the edge from which the text up to the cursor takes at most ``room``."""
        edge, least = self.cursor, max(self.cursor - MAX_DRAWN * room, 0)
        while edge > least and (width := _width(self.text[edge - 1])) <= room:
            edge -= 1
            room -= width
        return edge

    def _fitting(self, room: int) -> str:
        end, most = self.cursor, min(self.cursor + MAX_DRAWN * room, len(self.text))
        while end < most and (width := _width(self.text[end])) <= room:
            end += 1
            room -= width
        return _drawn(self.text[self.cursor : end])

    # Keys.

    def _paste(self, text: str) -> None:
        excess = len(self.text) + len(text) - MAX_TEXT
        if excess > 0:
            self._actions.append(DoesNotFit(excess))
        else:
            self._insert(text)

    def _type(self, text: str) -> None:
        room = 0 if self._refused else MAX_TEXT - len(self.text)
        self._insert(text[:room])
        if len(text) > room:
            if not self._refused:
                self._actions.append(EditorAction.BELL)
            self._refused += len(text) - room

    def _insert(self, text: str) -> None:
        self.text = self.text[: self.cursor] + text + self.text[self.cursor :]
        self.cursor += len(text)

    def _replace(self, text: str) -> None:
        self.text, self.cursor, self._left_edge = text, len(text), 0

    def _erase(self, start: int, end: int) -> None:
        self.text = self.text[:start] + self.text[end:]
        self.cursor = start

    def _kill(self, start: int, end: int) -> None:
        self._killed = self.text[start:end] or self._killed
        self._erase(start, end)

    def _before(self) -> int:
        position = max(self.cursor - 1, 0)
        least = position - MAX_CLUSTER
        while position > least and joins_previous(self.text, position):
            position -= 1
        return position

    def _after(self) -> int:
        position = min(self.cursor + 1, len(self.text))
        most = position + MAX_CLUSTER
        while position < most and joins_previous(self.text, position):
            position += 1
        return position

    def _word_start(self) -> int:
        kept = self.text[: self.cursor].rstrip()
        return len(kept) - len(kept.rsplit(maxsplit=1)[-1]) if kept else 0

    def _word_end(self) -> int:
        rest = self.text[self.cursor :]
        words = rest.split(maxsplit=1)
        return self.cursor + rest.index(words[0]) + len(words[0]) if words else len(self.text)

    def _move(self, position: int) -> None:
        self.cursor = position

    def _enter(self) -> None:
        if self._refused:  # a part of what was typed is missing: it isn't what was meant
            self._actions.append(DoesNotFit(self._refused))
            return
        line = self.text
        if line.strip() and self._history[-1:] != [line] and not is_secret(line):
            self._history = [*self._history, line][-MAX_HISTORY:]
        self._browsed, self._draft = 0, ""
        self._replace("")
        self._actions.append(LineEntered(line))

    def _browse(self, step: int) -> None:
        position = min(max(self._browsed + step, 0), len(self._history))
        if position == self._browsed:
            return
        if self._browsed == 0:
            self._draft = self.text
        self._browsed = position
        self._replace(self._history[-position] if position else self._draft)

    def _end_of_file(self) -> None:
        if self.text:
            self._erase(self.cursor, self._after())
        else:
            self._actions.append(EditorAction.LEAVE)


_EFFECTS = {
    Key.ENTER: lambda editor: editor._enter(),
    Key.LEFT: lambda editor: editor._move(editor._before()),
    Key.RIGHT: lambda editor: editor._move(editor._after()),
    Key.WORD_LEFT: lambda editor: editor._move(editor._word_start()),
    Key.WORD_RIGHT: lambda editor: editor._move(editor._word_end()),
    Key.HOME: lambda editor: editor._move(0),
    Key.END: lambda editor: editor._move(len(editor.text)),
    Key.UP: lambda editor: editor._browse(1),
    Key.DOWN: lambda editor: editor._browse(-1),
    Key.BACKSPACE: lambda editor: editor._erase(editor._before(), editor.cursor),
    Key.DELETE: lambda editor: editor._erase(editor.cursor, editor._after()),
    Key.END_OF_FILE: lambda editor: editor._end_of_file(),
    Key.INTERRUPT: lambda editor: editor._actions.append(EditorAction.LEAVE),
    Key.ERASE_WORD: lambda editor: editor._kill(editor._word_start(), editor.cursor),
    Key.ERASE_TO_START: lambda editor: editor._kill(0, editor.cursor),
    Key.ERASE_TO_END: lambda editor: editor._kill(editor.cursor, len(editor.text)),
    Key.YANK: lambda editor: editor._paste(editor._killed),
    Key.CLEAR_SCREEN: lambda editor: editor._actions.append(EditorAction.CLEAR_SCREEN),
    Key.PAGE_UP: lambda editor: editor._actions.append(EditorAction.PAGE_UP),
}


def _drawn(text: str) -> str:
    return "".join(map(_sign, text))


@lru_cache(_KNOWN_SIGNS)
def _sign(character: str) -> str:
    """Return what the editor shows for a character; marks and joiners are the person's own."""
    if character == "\n":
        return NEWLINE_SIGN
    if character.isprintable() or character == "\u200d":
        return character
    return character.encode("unicode_escape").decode("ascii")


@lru_cache(_KNOWN_SIGNS)
def _width(character: str) -> int:
    return character_width(character) if character.isprintable() else cell_width(_sign(character))
