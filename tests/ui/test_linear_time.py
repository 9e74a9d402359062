"""What is shown, read and typed costs time in proportion to its length, whatever it is made of."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.columns import columns, cut, wrap
from p2pchat.wire.visible import visible, visible_lines

LENGTH = 16_384  # characters, of which four times as many may cost no more than MOST times as much
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


def seconds(work: Callable[[], object]) -> float:
    """Return what work costs, at least LEAST_SECONDS."""
    times = []
    for _ in range(3):
        began = process_time()
        work()
        times.append(process_time() - began)
    return max(min(times), LEAST_SECONDS)


class LinearTimeTests(SynchronousTestCase):
    """Nothing that somebody sends or pastes costs more than its length."""

    def assert_linear(self, work: Callable[[str], object]) -> None:
        """Fail where four times the text costs far more than four times the time."""
        for unit in UNITS:
            short, long = (unit * (length // len(unit)) for length in (LENGTH, 4 * LENGTH))
            ratio = seconds(lambda long=long: work(long)) / seconds(  # type: ignore[misc]
                lambda short=short: work(short)  # type: ignore[misc]
            )
            self.assertLess(ratio, MOST, f"made of {unit!r}")

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
        self.assert_linear(columns)
        self.assert_linear(lambda text: cut(text, 12))
