"""Tests of :mod:`p2pchat.ui.line_editor`."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.cells import cell_width
from p2pchat.ui.keys import MAX_PASTE
from p2pchat.ui.line_editor import DoesNotFit, EditorAction, LineEditor, LineEntered
from p2pchat.wire.entries import MAX_TEXT

_PICTURE = re.compile(r"\r\x1b\[K\x1b\[\?7l([^\r\x1b]*)\r([^\r\x1b]*)\x1b\[\?7h")
_CONTROLS = (
    "\x01 \x04 \x05 \x0b \x15 \x17 \x19 \x7f \r \x1b[A \x1b[B \x1b[C \x1b[D \x1b[200~ \x1b[201~"
)
_KEYS = st.sampled_from([*_CONTROLS.split(" "), "a\nb", "é漢👨\u200d👩"]).map(str.encode)


def typed(data: str) -> LineEditor:
    """Return an editor that got this input."""
    editor = LineEditor()
    editor.receive(data.encode())
    return editor


def drawn(editor: LineEditor, prompt: str, width: int) -> tuple[str, str]:
    """Return what a picture shows in all, and up to the cursor."""
    picture = _PICTURE.fullmatch(editor.picture(prompt, width))
    assert picture is not None
    return picture[1], picture[2]


class EditingTests(SynchronousTestCase):
    """The keys of a shell do what they do there."""

    def _check(self, data: str, text: str, cursor: int) -> None:
        editor = typed(data)
        self.assertEqual((editor.text, editor.cursor), (text, cursor))

    def test_insert_and_move(self) -> None:
        """Text goes in at the cursor."""
        self._check("helo\x1b[Dl", "hello", 4)
        self._check("bc\x01a\x05d", "abcd", 4)

    def test_erase(self) -> None:
        """Backspace, delete, word, start and end."""
        self._check("abc\x7f", "ab", 2)
        self._check("abc\x01\x1b[3~\x04", "c", 0)
        self._check("one two \x17", "one ", 4)
        self._check("one two\x1b[D\x15", "o", 0)
        self._check("one two\x01\x1b[C\x0b", "o", 1)
        self._check("\x7f\x17\x15\x0b\x1b[3~", "", 0)

    def test_yank(self) -> None:
        """What was erased by word comes back."""
        self._check("one two\x17\x01\x19", "twoone ", 3)

    def test_clusters(self) -> None:
        """A letter with its mark, and a joined emoji, are one step and one deletion."""
        self._check("ae\u0301\x7f", "a", 1)
        self._check("a👨\u200d👩\x1b[D", "a👨\u200d👩", 1)

    def test_enter(self) -> None:
        """Enter gives the line and begins a new one."""
        self.assertEqual(
            LineEditor().receive("é\rb\n".encode()), [LineEntered("é"), LineEntered("b")]
        )

    def test_history(self) -> None:
        """Up and down go through the lines, without losing the one being typed."""
        editor = typed("one\rtwo\rtwo\r\rnew")
        for key, text in (
            ("A", "two"),
            ("A", "one"),
            ("A", "one"),
            ("B", "two"),
            ("B", "new"),
            ("B", "new"),
        ):
            editor.receive(f"\x1b[{key}".encode())
            self.assertEqual(editor.text, text)

    def test_leave(self) -> None:
        """Ctrl-C leaves; Ctrl-D only from an empty line."""
        self.assertEqual(LineEditor().receive(b"abc\x03"), [EditorAction.LEAVE])
        self.assertEqual(LineEditor().receive(b"\x04"), [EditorAction.LEAVE])
        self.assertEqual(LineEditor().receive(b"abc\x04"), [])

    def test_paste(self) -> None:
        """Pasted lines are one message, sent by Enter and not before."""
        editor = LineEditor()
        self.assertEqual(editor.receive(b"\x1b[200~one\rtwo\r\x1b[201~"), [])
        self.assertEqual(drawn(editor, "> ", 40)[0], "> one⏎two")
        self.assertEqual(editor.receive(b"\r"), [LineEntered("one\ntwo")])

    def test_limit(self) -> None:
        """A line grows up to what a message may have; then the bell rings, once."""
        editor = LineEditor()
        self.assertEqual(editor.receive(b"x" * (MAX_TEXT + 1)), [EditorAction.BELL])
        self.assertEqual(editor.receive(b"yz"), [])
        self.assertEqual(editor.text, "x" * MAX_TEXT)

    def test_incomplete(self) -> None:
        """A line of which a part didn't fit is sent only by a second Enter, or when mended."""
        editor = typed("x" * (MAX_TEXT + 5))
        self.assertEqual(editor.receive(b"\r"), [DoesNotFit(5)])
        self.assertEqual(editor.receive(b"\r"), [LineEntered("x" * MAX_TEXT)])
        editor = typed("x" * (MAX_TEXT + 5) + "\x7f")
        self.assertEqual(editor.receive(b"\r"), [LineEntered("x" * (MAX_TEXT - 1))])

    def test_focus(self) -> None:
        """Who turns away and back has changed nothing, neither a line that is too long."""
        editor = typed("x" * (MAX_TEXT + 5))
        self.assertEqual(editor.receive(b"\x1b[O\x1b[I"), [EditorAction.TURN_AWAY])
        self.assertEqual(editor.receive(b"\r"), [DoesNotFit(5)])

    def test_page_up(self) -> None:
        """PageUp pages back, and leaves the line as it is."""
        editor = typed("half")
        self.assertEqual(editor.receive(b"\x1b[5~"), [EditorAction.PAGE_UP])
        self.assertEqual(editor.text, "half")

    def test_long_paste(self) -> None:
        """A paste that doesn't fit leaves the line as it is, and is told."""
        editor = typed("hi")
        told = editor.receive(b"\x1b[200~" + b"x" * MAX_TEXT + b"\x1b[201~!")
        self.assertEqual((told, editor.text), ([DoesNotFit(2)], "hi!"))
        told = editor.receive(b"\x1b[200~" + b"x" * (MAX_PASTE + 7) + b"\x1b[201~")
        self.assertEqual(told, [DoesNotFit(MAX_PASTE + 7 + 3 - MAX_TEXT)])
        self.assertEqual(editor.text, "hi!")


class PictureTests(SynchronousTestCase):
    """A picture shows the cursor's surroundings on one row."""

    def test_short(self) -> None:
        """A line that fits is shown whole, the cursor after what stands before it."""
        self.assertEqual(drawn(typed("abc\x1b[D"), "bob> ", 40), ("bob> abc", "bob> ab"))

    def test_long(self) -> None:
        """A line that doesn't fit shows its end, and its start again after Home."""
        editor = typed("".join(map(chr, range(33, 127))))
        self.assertTrue(drawn(editor, "> ", 20)[0].endswith("~"))
        editor.receive(b"\x01")
        self.assertTrue(drawn(editor, "> ", 20)[0].startswith('> !"#'))

    def test_long_prompt(self) -> None:
        """A long name leaves room for the line, and what parts the two."""
        row, _ = drawn(typed("hello"), "n" * 30 + "> ", 40)
        self.assertEqual(row, "n" * 17 + "…> hello")

    def test_escape_in_paste(self) -> None:
        """Controls in a paste are shown and not obeyed."""
        self.assertEqual(drawn(typed("\x1b[200~\x1b[2J\x1b[201~"), "> ", 40)[0], r"> \x1b[2J")

    @given(st.lists(st.one_of(st.binary(max_size=8), _KEYS)), st.integers(1, 60))
    def test_any_input(self, pieces: list[bytes], width: int) -> None:
        """Whatever is typed, nothing raises, the cursor is in the line and the row is not left."""
        editor = LineEditor()
        for piece in pieces:
            editor.receive(piece)
            self.assertTrue(0 <= editor.cursor <= len(editor.text))
            row, before = drawn(editor, "bob> ", width)
            self.assertTrue(row.startswith(before))
            if width > 12:
                self.assertLess(cell_width(row), width)
