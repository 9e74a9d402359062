"""
The console of a person: a terminal with a line to edit, or plain pipes.

Adapters between bytes and :class:`p2pchat.ui.conversations.Conversations`.  What arrives is
printed above the line that is being typed, which stays as it is.  Ctrl-C, Ctrl-D on an empty line
and the end of the input leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.peer import events
from p2pchat.runtime import Runtime
from p2pchat.ui.conversations import Conversations
from p2pchat.ui.line_editor import (
    ERASE_LINE,
    WRAP_OFF,
    WRAP_ON,
    DoesNotFit,
    Entered,
    LineEditor,
    Wish,
)
from p2pchat.ui.pages import Page
from p2pchat.ui.presenter import Presenter
from p2pchat.ui.slices import Slices
from p2pchat.ui.text_lines import TextLines
from p2pchat.ui.troubles import TOO_LONG
from p2pchat.ui.wording import Wording
from p2pchat.wire.messages import MAX_TEXT

FLUSH_DEADLINE = 1.0  # seconds that a stuck reader of our output may hold up the end
MAX_READ = 64 * 1024  # lines, or pieces, in the bytes of one read
INPUT_A_TURN = 24  # lines, or pieces of PIECE bytes: some milliseconds of work
PIECE = 48  # bytes of keys; lines of one character are 24
LONG_LINE = 2048  # characters that cost as much as a line
MAX_UNANSWERED = (
    64 * 1024
)  # bytes of input and answers while nobody reads: to leave, and little more
_CLEAR_SCREEN = "\x1b[H\x1b[2J"
_BELL = "\a"


@implementer(IHalfCloseableProtocol, IPushProducer)
class Stdio(Protocol):
    """
    The ends of our input and output; what both kinds of console, and JSON, have in common.

    While nobody reads our output, the node's events wait; of the input MAX_UNANSWERED is read.

    :ivar conversations: what is typed goes there; set before the connection is made.
    """

    conversations: Conversations

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._closed: Deferred[None] | None = None
        self._lost = False
        self._is_paused = False
        self._is_unread = False  # our output
        self._unanswered = 0  # bytes since then
        # Reading stops while any of it waits, and the bytes of one read are few.
        self._input = Slices(runtime.clock, INPUT_A_TURN, MAX_READ, self._read_on)

    def connectionMade(self) -> None:
        """Produce no more than is read."""
        cast(Any, self.transport).registerProducer(self, True)

    def pauseProducing(self) -> None:
        """Nobody reads our output just now."""
        if not self._is_unread:
            self._is_unread, self._unanswered = True, 0
            self.conversations.source.pauseProducing()

    def resumeProducing(self) -> None:
        """What was written is read."""
        self._is_unread = False
        self.conversations.source.resumeProducing()
        self._read_on()

    def stopProducing(self) -> None:
        """Nothing more is read; the end of the connection says so, too."""

    def announce(self, value: Any) -> None:
        """Show an event or an answer."""
        raise NotImplementedError

    def close(self) -> Deferred[None]:
        """Write what is left and let go; fires when it is done, soon in any case."""
        self._input.stop()
        self._closed = Deferred()
        if self._lost or self.transport is None:
            self._closed.callback(None)
            return self._closed
        cast(Any, self.transport).unregisterProducer()
        self.transport.loseConnection()
        self._closed.addTimeout(
            FLUSH_DEADLINE, self._runtime.clock, onTimeoutCancel=lambda _result, _deadline: None
        )
        return self._closed

    def write(self, text: str) -> None:
        """Write text; what UTF-8 can't carry is replaced."""
        if self.transport is not None and not self._lost:
            data = text.encode("utf-8", "replace")
            self._unanswered += len(data)
            self.transport.write(data)

    def take(self, pieces: Iterable[Callable[[], int]], size: int = 0) -> None:
        """
        Do what pieces of the input ask for, in slices; read no more until all is done.

        :param size: of this input, in bytes.
        """
        self._unanswered += size
        self._input.put(pieces)
        if not self._may_read and not self._is_paused:
            self._is_paused = True
            cast(Any, self.transport).pauseProducing()

    @property
    def _may_read(self) -> bool:
        return not len(self._input) and not (self._is_unread and self._unanswered > MAX_UNANSWERED)

    def _read_on(self) -> None:
        if self._is_paused and self._may_read and self._closed is None and not self._lost:
            self._is_paused = False
            cast(Any, self.transport).resumeProducing()

    def readConnectionLost(self) -> None:
        """The input has ended: leave when all that came is done."""
        self.take([self._leave])

    def _leave(self) -> int:
        self.conversations.leave()
        return 1

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
        lines = self._lines.receive(data)
        self.take([partial(self._take, line) for line in lines], len(data))

    def readConnectionLost(self) -> None:
        """Take the last line, and leave."""
        self.take([partial(self._take, line) for line in self._lines.finish()])
        super().readConnectionLost()

    def _take(self, line: str | None) -> int:
        if line is None:
            self.announce(events.Trouble("That line was too long, and was dropped.", TOO_LONG))
            return 1
        self.lineReceived(line)
        return 1 + len(line) // LONG_LINE

    def lineReceived(self, line: str) -> None:
        """Do what a line says."""
        self.conversations.type(line)


class PlainConsole(PipedLines):
    """The console where there is no terminal to edit on."""

    def __init__(self, runtime: Runtime, wording: Wording, page: Page) -> None:
        super().__init__(runtime)
        self._presenter = Presenter(runtime, wording, page, self._show)

    def announce(self, value: Any) -> None:
        """Show an event or an answer."""
        self._presenter.present(value)

    def close(self) -> Deferred[None]:
        """Write what is left and let go."""
        self._presenter.end()
        return super().close()

    def _show(self, rows: list[str]) -> None:
        self.write("".join(f"{row}\n" for row in rows))


class TerminalConsole(Stdio):
    """
    The console on a terminal.

    No row is broken by the terminal, which may take a sign for wider than we do: what somebody
    wrote would go on where an entry begins.

    :param width: gives the present number of columns.
    """

    def __init__(
        self, runtime: Runtime, wording: Wording, page: Page, width: Callable[[], int]
    ) -> None:
        super().__init__(runtime)
        self._presenter = Presenter(runtime, wording, page, self._show)
        self._width = width
        self._editor = LineEditor()
        self._leaving = False

    def connectionMade(self) -> None:
        """Draw the empty line."""
        super().connectionMade()
        self._draw()

    def announce(self, value: Any) -> None:
        """Show an event or an answer."""
        if isinstance(value, events.OfferReceived) and not (value.accepted or value.quiet):
            self.write(_BELL)
        self._presenter.present(value)

    def close(self) -> Deferred[None]:
        """Remove the line, write what is left and let go."""
        self._presenter.end()
        self._leaving = True
        self.write(ERASE_LINE)
        return super().close()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the keyboard."""
        pieces = (data[at : at + PIECE] for at in range(0, len(data), PIECE))
        self.take([partial(self._press, piece) for piece in pieces], len(data))

    def _press(self, data: bytes) -> int:
        wishes = self._editor.receive(data)
        for wish in wishes:
            self._grant(wish)
        if not len(self._input):
            self._draw()
        return 1 + len(wishes)

    def _grant(self, wish: Entered | DoesNotFit | Wish) -> None:
        if isinstance(wish, Entered):
            self.conversations.type(wish.text)
        elif isinstance(wish, DoesNotFit):
            self.announce(events.Trouble(_does_not_fit(wish.count), TOO_LONG))
        elif wish is Wish.LEAVE:
            self.conversations.leave()
        elif wish is Wish.CLEAR_SCREEN:
            self.write(_CLEAR_SCREEN)
        else:
            self.write(_BELL)

    def _show(self, rows: list[str]) -> None:
        if rows:
            drawn = "".join(f"{ERASE_LINE}{row}\r\n" for row in rows)
            self.write(f"{WRAP_OFF}{drawn}{WRAP_ON}")
        self._draw()

    def _draw(self) -> None:
        if not self._leaving:
            self.write(self._editor.picture(self._presenter.prompt, self._width()))


def _does_not_fit(count: int) -> str:
    characters = "1 character doesn't" if count == 1 else f"{count:,} characters don't"
    return f"{characters} fit: a message has at most {MAX_TEXT:,}. The line stays as it was."
