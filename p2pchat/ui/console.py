"""
The console of a person: a terminal with a line to edit, or plain pipes.

What arrives is printed above the line that is being typed, which stays as it is.  Ctrl-C, Ctrl-D
on an empty line and the end of the input leave.

What is to be shown at once is bounded: a long message is folded, and /more shows its next rows;
many events are shown in slices, in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from p2pchat import events
from p2pchat.events import NodeEvent
from p2pchat.runtime import Runtime, cancel
from p2pchat.ui import results
from p2pchat.ui.deliveries import Deliveries
from p2pchat.ui.layout import Entry, Layout, day
from p2pchat.ui.line_editor import (
    ERASE_LINE,
    WRAP_OFF,
    WRAP_ON,
    DoesNotFit,
    EditorAction,
    LineEditor,
    LineEntered,
)
from p2pchat.ui.notifications import BELL, Attention, Notifications, Notify
from p2pchat.ui.slices import Slices
from p2pchat.ui.statuses import Statuses
from p2pchat.ui.stdio import FrontEnd
from p2pchat.ui.wording import Wording
from p2pchat.wire.entries import MAX_TEXT

ROWS_A_TURN = 150  # rows, or pieces of LONG_ROW characters; some milliseconds of work
LONG_ROW = 512  # characters
MAX_WAITING = 1000  # events that wait to be shown
MAX_FOLDED = 8  # messages whose rest /more can show; the oldest is forgotten
PIECE = 48  # bytes of keys; lines of one character are 24
OLDER = "/older"  # what PageUp asks for
_CLEAR_SCREEN = "\x1b[H\x1b[2J"
_NOTHING_FOLDED = Entry(("Nothing more to show: no message is folded.",))


class PlainConsole(FrontEnd):
    """The console where there is no terminal to edit on."""

    def __init__(self, runtime: Runtime, wording: Wording, layout: Layout) -> None:
        super().__init__(runtime)
        self._wording = wording
        self._layout = layout
        self._deliveries = Deliveries()
        self._timer: IDelayedCall | None = None  # of a line that nobody confirms
        self._folded: deque[Entry] = deque(maxlen=MAX_FOLDED)
        self._waiting: Slices[list[Entry]] = Slices(
            runtime.clock, ROWS_A_TURN, MAX_WAITING, self._print
        )
        self._closed = False
        self._day = ""  # of the last row

    def show(self, value: Any) -> None:
        """Show what there is to say about an event or a result."""
        self._deliveries.receive(value, self._runtime.clock.seconds())
        if isinstance(value, events.Starting):
            self._wording.meet(self.requests.contacts())
        if isinstance(value, results.More):
            self._put([self._folded.pop() if self._folded else _NOTHING_FOLDED])
        else:
            self._put(self._wording.say(value))
        self._set_timer()

    def close(self) -> Deferred[None]:
        """Show all that waits, warn no more, and let go."""
        self._closed = True
        self._waiting.finish()
        self._print()
        self._set_timer()
        return super().close()

    def _put(self, entries: list[Entry]) -> None:
        self._waiting.put([entries])
        self._print()

    def _print(self) -> None:
        self._waiting.work(self._print_entries)

    def _print_entries(self, entries: list[Entry]) -> int:
        rows = self._rows(entries, self._runtime.wall_time())
        self._write(rows)
        return len(rows) + sum(map(len, rows)) // LONG_ROW

    def _rows(self, entries: list[Entry], now: float) -> list[str]:
        rows: list[str] = []
        wrong = now - self.now()
        for one in entries:
            # By this machine's clock, as all that is shown; 0 is nobody's time.
            laid = self._layout.lay_out(one.moved(wrong), now)
            rows += laid.rows
            if laid.rest is not None:
                self._folded.append(laid.rest)
        if not rows:
            return rows
        before, self._day = self._day, day(now)
        return rows if before in {"", self._day} else [self._day, *rows]

    def _write(self, rows: list[str]) -> None:
        self.stdio.write("".join(f"{row}\n" for row in rows))

    def _set_timer(self) -> None:
        cancel(self._timer)
        due, clock = self._deliveries.get_timer(), self._runtime.clock
        if due is not None and not self._closed:
            self._timer = clock.callLater(max(due - clock.seconds(), 0), self._warn)

    def _warn(self) -> None:
        for peer_id, texts in self._deliveries.overdue(self._runtime.clock.seconds()):
            self._put(self._wording.undelivered(peer_id, texts))
        self._set_timer()


class TerminalConsole(PlainConsole):
    """
    The console on a terminal.

    No row is broken by the terminal, which may take a sign for wider than we do: what somebody
    wrote would go on where an entry begins.

    :param width: gives the present number of columns.
    :param notify: what is done for who doesn't look.
    """

    def __init__(
        self,
        runtime: Runtime,
        wording: Wording,
        layout: Layout,
        width: Callable[[], int],
        notify: Notify = Notify.ALL,
    ) -> None:
        super().__init__(runtime, wording, layout)
        self._width = width
        self._editor = LineEditor()
        self._attention = Attention()
        self._notifications = Notifications(notify)
        self._statuses = Statuses()
        self._redrawing: IDelayedCall | None = None  # when a status is over

    def connected(self) -> None:
        """Draw the empty line."""
        self._attention.see(self._runtime.clock.seconds())
        self._draw()

    def is_in_view(self, peer_id: str) -> bool:
        """Tell whether the person seems to see what a peer says."""
        is_current = peer_id == self.requests.cursor.current
        return is_current and self._attention.is_here(self._runtime.clock.seconds())

    def receive(self, event: NodeEvent) -> None:
        """Take an event of the node."""
        super().receive(event)
        self._note_view()

    def _note_typing(self) -> None:
        """Let whoever is talked to know that a line is being typed, and nothing of it."""
        if self.requests.cursor.current:
            self.requests.indicate_typing(self.requests.cursor.current)

    def _note_view(self) -> None:
        """Take it that what was shown of the current conversation is read, if somebody looks."""
        current = self.requests.cursor.current
        if current and self.is_in_view(current):
            self.requests.reading.seen(current)

    def show(self, value: Any) -> None:
        """Show an event or a result, and notify of calls, and of messages that aren't in view."""
        match value:
            case events.MessageReceived(peer_id, name, quiet=False) if not self.is_in_view(peer_id):
                now = self._runtime.clock.seconds()
                self.stdio.write(self._notifications.message(peer_id, name, now))
            case events.OfferReceived(name=name, accepted=False, quiet=False):
                self.stdio.write(self._notifications.call(name if value.contact else ""))
        self._statuses.follow(value, self._runtime.clock.seconds())
        super().show(value)
        if isinstance(value, events.MessagesRead | events.PeerTyping):
            self._draw()
        if isinstance(value, results.History):
            self.requests.reading.show(value)
            self._note_view()
        if isinstance(value, results.CurrentConversation) or self._is_about_to_begin(value):
            self.requests.history.open(value.peer_id)

    def _is_about_to_begin(self, value: Any) -> bool:
        """Tell of what is going to be the current conversation: its lines may come before it."""
        is_taken = isinstance(value, events.OfferReceived) and value.accepted and value.contact
        return is_taken and not self.requests.cursor.was_chosen

    def close(self) -> Deferred[None]:
        """Remove the line, write what is left and let go."""
        cancel(self._redrawing)
        self.stdio.write(ERASE_LINE)
        return super().close()

    def read(self, data: bytes) -> list[Any]:
        """Cut the bytes of keys into pieces."""
        return [data[at : at + PIECE] for at in range(0, len(data), PIECE)]

    def take(self, piece: bytes) -> int:
        """Do what keys ask for, and draw the line after the last of them."""
        self._attention.see(self._runtime.clock.seconds())
        before = self._editor.text
        actions = self._editor.receive(piece)
        if self._editor.text not in {"", before} and not self._editor.text.startswith("/"):
            self._note_typing()
        for action in actions:
            self._act(action)
        if not self.stdio.has_input:
            self._note_view()
            self._draw()
        return 1 + len(actions)

    def _act(self, action: LineEntered | DoesNotFit | EditorAction) -> None:
        if isinstance(action, LineEntered):
            self.requests.type(action.text)
        elif isinstance(action, DoesNotFit):
            self.show(events.Trouble(_does_not_fit(action.count), results.TOO_LONG))
        elif action is EditorAction.LEAVE:
            self.requests.leave()
        elif action is EditorAction.CLEAR_SCREEN:
            self.stdio.write(_CLEAR_SCREEN)
        elif action is EditorAction.PAGE_UP:
            self.requests.type(OLDER)
        elif action is EditorAction.TURN_AWAY:
            self._attention.turn_away()
        else:
            self.stdio.write(BELL)

    def _write(self, rows: list[str]) -> None:
        if rows:
            drawn = "".join(f"{ERASE_LINE}{row}\r\n" for row in rows)
            self.stdio.write(f"{WRAP_OFF}{drawn}{WRAP_ON}")
        self._draw()

    def _draw(self) -> None:
        if self._closed:
            return
        current, clock = self.requests.cursor.current, self._runtime.clock
        now = clock.seconds()
        prompt = self._wording.prompt(self._statuses.of(current, now))
        self.stdio.write(self._editor.picture(prompt, self._width()))
        cancel(self._redrawing)
        if (until := self._statuses.until(current, now)) is not None:
            self._redrawing = clock.callLater(until - now, self._draw)


def _does_not_fit(count: int) -> str:
    characters = "1 character" if count == 1 else f"{count:,} characters"
    return f"Too long by {characters}: a message has at most {MAX_TEXT:,}. The line is unchanged."
