"""What is shown, read and typed costs time in proportion to its length, whatever it is made of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from math import inf
from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.events import Connected, MessageReceived, MessageSent
from p2pchat.ui import commands
from p2pchat.ui.cells import cell_width, cut
from p2pchat.ui.deliveries import Deliveries
from p2pchat.ui.json_form import BadRequest, encode, parse
from p2pchat.ui.keys import KeyReader
from p2pchat.ui.layout import Layout, Style
from p2pchat.ui.line_editor import LineEditor
from p2pchat.ui.stdio import LineReader
from p2pchat.ui.wording import Wording
from p2pchat.wire.visible import visible, visible_lines
from tests.ui.fake_node import BOB
from tests.ui.rows import wrap

LENGTH = 8192  # characters, of which four times as many may cost no more than MOST times as much
MOST = 9.0  # four were linear, 16 quadratic; the rest is what a busy machine adds
LEAST_SECONDS = 0.002  # a shorter time says more about the machine than about us

UNITS = (
    "x",
    "word ",
    "漢",
    "漢 ",
    "\U000e0001",
    "e\u0301",
    "\u0301",
    "👨\u200d👩",
    "\x1b",
    "\u2630",
    "\n",
    "\ufe0f",
)


def seconds(work: Callable[[str], object], text: str, enough: float = 0.0) -> float:
    """Return what work on a text costs; it has three chances to cost no more than is enough."""
    least = inf
    for _ in range(3):
        began = process_time()
        work(text)
        least = min(least, process_time() - began)
        if least <= enough:
            break
    return least


class LinearTimeTests(SynchronousTestCase):
    """Nothing that somebody sends or pastes costs more than its length."""

    def assert_linear(self, work: Callable[[str], object]) -> None:
        """Fail where four times the text costs far more than four times the time."""
        for unit in UNITS:
            short, long = (unit * (length // len(unit)) for length in (LENGTH, 4 * LENGTH))
            most = MOST * max(LEAST_SECONDS, seconds(work, short))
            self.assertLessEqual(seconds(work, long, enough=most), most, f"made of {unit!r}")

    def test_visible(self) -> None:
        """Text is made visible in linear time."""
        self.assert_linear(visible)
        self.assert_linear(visible_lines)

    def test_wrap(self) -> None:
        """Rows are broken in linear time, however wide or narrow what they are made of."""
        self.assert_linear(lambda text: wrap(visible(text), 10, 18))
        self.assert_linear(lambda text: wrap(text, 60, 74))

    def test_columns(self) -> None:
        """Text is measured and cut in linear time."""
        self.assert_linear(cell_width)
        self.assert_linear(lambda text: cut(text, 12))

    def test_page(self) -> None:
        """A message is laid out in linear time, and so is what /more shows of it."""
        layout = Layout(Style(True), lambda: 24)

        def show(text: str) -> None:
            message = MessageReceived(BOB, "bob", "m1", text, 0.0)
            for entry in Wording("alice").say(message):
                rest = layout.lay_out(entry, 0.0).rest
                if rest is not None:
                    layout.lay_out(rest, 0.0)

        self.assert_linear(show)

    def test_editor(self) -> None:
        """A long line is pasted, moved in and drawn in linear time."""
        keys = b"\x1b[D\x01\x1b[C\x1b[1;5C\x05\x1b[1;5D\x17x\x7f\x19" * 5

        def edit(text: str) -> None:
            editor = LineEditor()
            editor.receive(f"\x1b[200~{text}\x1b[201~".encode("utf-8", "replace"))
            for position in range(0, len(keys), 5):
                editor.receive(keys[position : position + 5])
                editor.picture("bob> ", 40)

        self.assert_linear(edit)

    def test_keys(self) -> None:
        """Keys are read in linear time, at once or byte by byte, pasted or not."""

        def read(text: str) -> None:
            keys = text.encode("utf-8", "replace")
            for data in (keys, b"\x1b[200~" + keys + b"\x1b[201~"):
                KeyReader().receive(data)
                reader = KeyReader()
                for position in range(0, len(data), 7):
                    reader.receive(data[position : position + 7])

        self.assert_linear(read)

    def test_text_lines(self) -> None:
        """A pipe is read in linear time, with and without line ends, in small pieces too."""

        def read(text: str) -> None:
            data, lines = text.encode("utf-8", "replace"), LineReader()
            for position in range(0, len(data), 7):
                lines.receive(data[position : position + 7])
            lines.finish()

        self.assert_linear(read)

    def test_json(self) -> None:
        """JSON is written and read in linear time, what isn't quite JSON too."""
        self.assert_linear(lambda text: encode("message", 0.0, {"text": text}))
        for frame in ('{"text": "%s", "id": 1}', '"%s"', '["%s"', "%s"):

            def read(text: str, frame: str = frame) -> None:
                with contextlib.suppress(BadRequest):
                    parse(frame % text)

            self.assert_linear(read)

        def nest(text: str) -> None:
            with contextlib.suppress(BadRequest):
                parse("[" * len(text))

        self.assert_linear(nest)

    def test_commands(self) -> None:
        """A line means something, or nothing, in linear time."""
        for begin in ("", "/", "/connect "):
            self.assert_linear(lambda text, begin=begin: commands.parse(begin + text))  # type: ignore[misc]

    def test_deliveries(self) -> None:
        """A line costs the same, however many others wait for their confirmation."""

        def wait(text: str) -> None:
            deliveries = Deliveries()
            deliveries.receive(Connected(BOB, "bob", 1.0, False), 0.0)
            for number in range(len(text) // 4):
                deliveries.receive(MessageSent(BOB, str(number), "hi"), 0.0)
                deliveries.get_timer()
            deliveries.overdue(99.0)

        self.assert_linear(wait)
