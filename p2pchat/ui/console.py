"""
The console of a person: a terminal with a line to edit, or plain pipes.

Adapters between bytes and :class:`p2pchat.ui.conversations.Conversations`.  What arrives is
printed above the line that is being typed, which stays as it is.  Ctrl-C, Ctrl-D on an empty line
and the end of the input leave.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.peer import events
from p2pchat.runtime import Runtime
from p2pchat.ui.conversations import Conversations
from p2pchat.ui.deliveries import Deliveries
from p2pchat.ui.line_editor import ERASE_LINE, Entered, LineEditor, Wish
from p2pchat.ui.pages import Page
from p2pchat.ui.text_lines import TextLines
from p2pchat.ui.wording import Paragraph, Wording

FLUSH_DEADLINE = 1.0  # seconds that a stuck reader of our output may hold up the end
_CLEAR_SCREEN = "\x1b[H\x1b[2J"
_BELL = "\a"


@implementer(IHalfCloseableProtocol)
class Stdio(Protocol):
    """
    The ends of our input and output; what both kinds of console, and JSON, have in common.

    :ivar conversations: what is typed goes there; set before the connection is made.
    """

    conversations: Conversations

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._closed: Deferred[None] | None = None
        self._lost = False

    def announce(self, value: Any) -> None:
        """Show an event or an answer."""
        raise NotImplementedError

    def close(self) -> Deferred[None]:
        """Write what is left and let go; fires when it is done, soon in any case."""
        self._closed = Deferred()
        if self._lost or self.transport is None:
            self._closed.callback(None)
            return self._closed
        self.transport.loseConnection()
        self._closed.addTimeout(
            FLUSH_DEADLINE, self._runtime.clock, onTimeoutCancel=lambda _result, _deadline: None
        )
        return self._closed

    def write(self, text: str) -> None:
        """Write text; what UTF-8 can't carry is replaced."""
        if self.transport is not None and not self._lost:
            self.transport.write(text.encode("utf-8", "replace"))

    def readConnectionLost(self) -> None:
        """The input has ended."""
        self.conversations.leave()

    def writeConnectionLost(self) -> None:
        """Nobody reads our output."""
        self._lost = True
        self.conversations.leave()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Both are gone."""
        self._lost = True
        closed, self._closed = self._closed, None
        if closed is None:
            self.conversations.leave()
        elif not closed.called:
            closed.callback(None)


class PipedLines(Stdio):
    """Lines of text on stdin that are not edited here."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime)
        self._lines = TextLines()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the input."""
        for line in self._lines.receive(data):
            self._take(line)

    def readConnectionLost(self) -> None:
        """Take the last line, and leave."""
        for line in self._lines.finish():
            self._take(line)
        super().readConnectionLost()

    def _take(self, line: str | None) -> None:
        if line is None:
            self.announce(events.Trouble("That line was too long, and was dropped."))
        else:
            self.lineReceived(line)

    def lineReceived(self, line: str) -> None:
        """Do what a line says."""
        self.conversations.type(line)


@attrs.define
class Telling:
    """
    What a console says of events: wording, layout, and the lines that nobody confirms.

    :ivar show: called with rows to print.
    """

    _runtime: Runtime
    _wording: Wording
    _page: Page
    _show: Callable[[list[str]], None]
    _deliveries: Deliveries = attrs.Factory(Deliveries)
    _timer: IDelayedCall | None = None

    @property
    def prompt(self) -> str:
        """What stands before the line that is being typed."""
        return self._wording.prompt()

    def tell(self, value: Any) -> None:
        """Say what there is to say about an event or answer."""
        self._deliveries.receive(value, self._runtime.clock.seconds())
        self._print(self._wording.say(value))
        self._set_timer()

    def end(self) -> None:
        """Say nothing of its own accord any more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _print(self, paragraphs: list[Paragraph]) -> None:
        now = self._runtime.wall_time()
        self._show([row for one in paragraphs for row in self._page.rows(one, now)])

    def _set_timer(self) -> None:
        self.end()
        due = self._deliveries.get_timer()
        if due is not None:
            delay = max(due - self._runtime.clock.seconds(), 0)
            self._timer = self._runtime.clock.callLater(delay, self._look)

    def _look(self) -> None:
        for peer_id, text in self._deliveries.overdue(self._runtime.clock.seconds()):
            self._print(self._wording.undelivered(peer_id, text))
        self._set_timer()


class PlainConsole(PipedLines):
    """The console where there is no terminal to edit on."""

    def __init__(self, runtime: Runtime, wording: Wording, page: Page) -> None:
        super().__init__(runtime)
        self._telling = Telling(runtime, wording, page, self._show)

    def announce(self, value: Any) -> None:
        """Show an event or an answer."""
        self._telling.tell(value)

    def close(self) -> Deferred[None]:
        """Write what is left and let go."""
        self._telling.end()
        return super().close()

    def _show(self, rows: list[str]) -> None:
        self.write("".join(f"{row}\n" for row in rows))


class TerminalConsole(Stdio):
    """
    The console on a terminal.

    :param width: gives the present number of columns.
    """

    def __init__(
        self, runtime: Runtime, wording: Wording, page: Page, width: Callable[[], int]
    ) -> None:
        super().__init__(runtime)
        self._telling = Telling(runtime, wording, page, self._show)
        self._width = width
        self._editor = LineEditor()
        self._leaving = False

    def connectionMade(self) -> None:
        """Draw the empty line."""
        self._draw()

    def announce(self, value: Any) -> None:
        """Show an event or an answer."""
        if isinstance(value, events.OfferReceived) and not value.accepted:
            self.write(_BELL)
        self._telling.tell(value)

    def close(self) -> Deferred[None]:
        """Remove the line, write what is left and let go."""
        self._telling.end()
        self._leaving = True
        self.write(ERASE_LINE)
        return super().close()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the keyboard."""
        for wish in self._editor.receive(data):
            self._grant(wish)
        self._draw()

    def _grant(self, wish: Entered | Wish) -> None:
        if isinstance(wish, Entered):
            self.conversations.type(wish.text)
        elif wish is Wish.LEAVE:
            self.conversations.leave()
        elif wish is Wish.CLEAR_SCREEN:
            self.write(_CLEAR_SCREEN)
        else:
            self.write(_BELL)

    def _show(self, rows: list[str]) -> None:
        self.write("".join(f"{ERASE_LINE}{row}\r\n" for row in rows))
        self._draw()

    def _draw(self) -> None:
        if not self._leaving:
            self.write(self._editor.picture(self._telling.prompt, self._width()))
