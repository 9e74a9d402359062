"""
What a console shows of events and answers: wording, layout, and the lines that nobody confirms.

What is to be shown at once is bounded: a long message is folded, and /more shows its next rows;
many events are shown in slices, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from p2pchat.runtime import Runtime
from p2pchat.ui import answers
from p2pchat.ui.deliveries import Deliveries
from p2pchat.ui.pages import Page, day
from p2pchat.ui.slices import Slices
from p2pchat.ui.wording import Paragraph, Wording

ROWS_A_TURN = 150  # rows, or pieces of LONG_ROW characters; some milliseconds of work
LONG_ROW = 512  # characters
MAX_WAITING = 1000  # events that wait to be shown
MAX_FOLDED = 8  # messages whose rest /more can show; the oldest is forgotten

_NOTHING_FOLDED = Paragraph(("All is shown: no message is folded.",))


class Presenter:
    """
    Shows events and answers.

    :param show: called with rows to print.
    """

    def __init__(
        self, runtime: Runtime, wording: Wording, page: Page, show: Callable[[list[str]], None]
    ) -> None:
        self._runtime = runtime
        self._wording = wording
        self._page = page
        self._show = show
        self._deliveries = Deliveries()
        self._timer: IDelayedCall | None = None
        self._folded: deque[Paragraph] = deque(maxlen=MAX_FOLDED)
        self._slices = Slices(runtime.clock, ROWS_A_TURN, MAX_WAITING)
        self._ended = False
        self._day = ""  # of the last row

    @property
    def prompt(self) -> str:
        """What stands before the line that is being typed."""
        return self._wording.prompt()

    def present(self, value: Any) -> None:
        """Show what there is to say about an event or answer."""
        self._deliveries.receive(value, self._runtime.clock.seconds())
        if isinstance(value, answers.More):
            self._put([self._folded.pop() if self._folded else _NOTHING_FOLDED])
        else:
            self._put(self._wording.say(value))
        self._set_timer()

    def end(self) -> None:
        """Show all that waits, and nothing of its own accord any more."""
        self._ended = True
        self._slices.finish()
        self._stop_timer()

    def _put(self, paragraphs: list[Paragraph]) -> None:
        if self._ended:
            self._print(paragraphs)
        else:
            self._slices.put([partial(self._print, paragraphs)])

    def _print(self, paragraphs: list[Paragraph]) -> int:
        now = self._runtime.wall_time()
        rows: list[str] = []
        for one in paragraphs:
            laid = self._page.lay_out(one, now)
            rows += laid.rows
            if laid.rest is not None:
                self._folded.append(laid.rest)
        if rows:
            rows = [*self._new_day(now), *rows]
        self._show(rows)
        return len(rows) + sum(map(len, rows)) // LONG_ROW

    def _new_day(self, now: float) -> list[str]:
        """Return the date if it isn't that of the row before."""
        before, self._day = self._day, day(now)
        return [] if before in {"", self._day} else [self._day]

    def _set_timer(self) -> None:
        self._stop_timer()
        due = self._deliveries.get_timer()
        if due is not None and not self._ended:
            delay = max(due - self._runtime.clock.seconds(), 0)
            self._timer = self._runtime.clock.callLater(delay, self._look)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _look(self) -> None:
        for peer_id, texts in self._deliveries.overdue(self._runtime.clock.seconds()):
            self._put(self._wording.undelivered(peer_id, texts))
        self._set_timer()
