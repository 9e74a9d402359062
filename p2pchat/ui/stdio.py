"""
Standard input and output, and the front ends on them.

::

    node ── events ──▶ FrontEnd.receive ─▶ show ─▶ Stdio.write ──▶ stdout
    stdin ──▶ Stdio.dataReceived ─▶ FrontEnd.read ─ pieces ─▶ take ─▶ Requests ──▶ node

While nobody reads our output, the node's events wait; of the input MAX_UNANSWERED bytes are read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.events import NodeEvent, Trouble
from p2pchat.interfaces import INode
from p2pchat.runtime import Runtime
from p2pchat.ui.requests import Requests
from p2pchat.ui.results import TOO_LONG
from p2pchat.ui.slices import Slices

FLUSH_DEADLINE = 1.0  # seconds that a stuck reader of our output may hold up the end
MAX_LINE = 1024 * 1024  # bytes; the longest message, every character escaped, is a fifth of it
MAX_READ = 64 * 1024  # lines, or pieces of keys, in the bytes of one read
INPUT_A_TURN = 24  # lines, or pieces of keys: some milliseconds of work
LONG_LINE = 2048  # characters that cost as much as a line
MAX_UNANSWERED = 64 * 1024  # bytes of input and answers while nobody reads: enough to leave


@attrs.define
class LineReader:
    """
    The reader of lines from the bytes of a pipe.

    Lines end with LF or CR LF; what isn't UTF-8 is replaced by U+FFFD.  A line longer than
    MAX_LINE is given up: its bytes are dropped up to the next LF, and ``None`` stands in its
    place.  However the bytes are cut, they cost time in proportion to their number.
    """

    _pieces: list[bytes] = attrs.Factory(list)  # of the line that isn't complete
    _length: int = 0

    def receive(self, data: bytes) -> list[str | None]:
        """Take bytes; return the lines that they complete."""
        *endings, rest = data.split(b"\n")
        lines = []
        for ending in endings:
            self._keep(ending)
            lines.append(self._line())
        self._keep(rest)
        return lines

    def finish(self) -> list[str | None]:
        """Return the line that the end of the stream cut short, if there is one."""
        return [self._line()] if self._length else []

    def _keep(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > MAX_LINE:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _line(self) -> str | None:
        is_overlong, line = self._length > MAX_LINE, b"".join(self._pieces)
        self._pieces, self._length = [], 0
        return None if is_overlong else line.removesuffix(b"\r").decode("utf-8", "replace")


class FrontEnd:
    """
    A user interface on stdio; its input is lines, unless it overrides :meth:`read`.

    :ivar requests: what is asked of the node.
    :ivar stdio: the protocol to be connected to stdin and stdout.
    :ivar now: returns seconds since 1970 by the clock that conversations go by.
    """

    requests: Requests
    producer: IPushProducer

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.now = runtime.wall_time
        self._lines = LineReader()
        self.stdio = Stdio(runtime, self)

    def join(self, node: INode, leave: Callable[[], None]) -> None:
        """
        Show the events of a node from now on, and do on it what is asked for.

        :param leave: called when this front end is to end.
        """
        self.requests, self.now = Requests(node, self.show, leave), node.now
        self.producer = node.listen(self.receive)

    def receive(self, event: NodeEvent) -> None:
        """Take an event of the node."""
        self.show(event)
        self.requests.reading.show(event)
        self.requests.follow(event)

    def show(self, value: Any) -> None:
        """Show an event or a result."""
        raise NotImplementedError

    def read(self, data: bytes) -> list[Any]:
        """Cut bytes of the input into pieces for :meth:`take`; each may wait for its turn."""
        return self._lines.receive(data)

    def take(self, piece: Any) -> int:
        """Do what a piece of the input asks for; return what it has cost, 1 for a short line."""
        if piece is None:
            self.show(Trouble("That line was too long and was dropped.", TOO_LONG))
            return 1
        self.obey(piece)
        return 1 + len(piece) // LONG_LINE

    def obey(self, line: str) -> None:
        """Do what a line asks for."""
        self.requests.type(line)

    def finish(self) -> list[Any]:
        """Return the pieces that the end of the input leaves."""
        return self._lines.finish()

    def connected(self) -> None:
        """Begin to show."""

    def is_in_view(self, peer_id: str) -> bool:
        """Tell whether a person sees what a peer says; who can't know says no."""
        return False

    def close(self) -> Deferred[None]:
        """Write what is left and let go; fires when it is done, soon in any case."""
        return self.stdio.close()


@implementer(IHalfCloseableProtocol, IPushProducer)
class Stdio(Protocol):
    """
    Standard input and output of one front end.

    :ivar is_lost: whether nothing can be written any more.
    """

    def __init__(self, runtime: Runtime, front_end: FrontEnd) -> None:
        self._clock = runtime.clock
        self._front_end = front_end
        self._closed: Deferred[None] | None = None
        self.is_lost = False
        self._is_paused = False
        self._is_unread = False  # our output
        self._unanswered = 0  # bytes since then
        self._has_ended = False  # the input
        # Reading stops while any of it waits, and the bytes of one read are few.
        self._input: Slices[Any] = Slices(runtime.clock, INPUT_A_TURN, MAX_READ, self._work)

    def connectionMade(self) -> None:
        """Produce no more than is read."""
        cast(Any, self.transport).registerProducer(self, True)
        self._front_end.connected()

    def pauseProducing(self) -> None:
        """Nobody reads our output just now."""
        if not self._is_unread:
            self._is_unread, self._unanswered = True, 0
            self._front_end.producer.pauseProducing()

    def resumeProducing(self) -> None:
        """What was written is read."""
        self._is_unread = False
        self._front_end.producer.resumeProducing()
        self._adjust()

    def stopProducing(self) -> None:
        """Nothing more is read; the end of the connection says so, too."""

    def write(self, text: str) -> None:
        """Write text; what UTF-8 can't carry is replaced."""
        if self.transport is not None and not self.is_lost:
            data = text.encode("utf-8", "replace")
            self._unanswered += len(data)
            self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of the input; read no more until all is done that they ask for."""
        self._unanswered += len(data)
        self._input.put(self._front_end.read(data))
        self._work()

    def readConnectionLost(self) -> None:
        """The input has ended: leave when all that came is done."""
        self._input.put(self._front_end.finish())
        self._has_ended = True
        self._work()

    @property
    def has_input(self) -> bool:
        """Whether pieces of the input wait."""
        return bool(self._input)

    def _work(self) -> None:
        self._input.work(self._front_end.take)
        if self._has_ended and not self._input:
            self._leave()
        self._adjust()

    def _adjust(self) -> None:
        """Read on, or read no more for now."""
        is_stuck = self._is_unread and self._unanswered > MAX_UNANSWERED
        is_over = self.is_lost or self._closed is not None
        if not self._is_paused and (self._input or is_stuck):
            self._is_paused = True
            cast(Any, self.transport).pauseProducing()
        elif self._is_paused and not (self._input or is_stuck or is_over):
            self._is_paused = False
            cast(Any, self.transport).resumeProducing()

    def _leave(self) -> None:
        self._front_end.requests.leave()

    def writeConnectionLost(self) -> None:
        """Nobody reads our output."""
        self.is_lost = True
        self._leave()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Both are gone."""
        self.is_lost = True
        closed, self._closed = self._closed, None
        if closed is None:
            self._leave()
        elif not closed.called:
            closed.callback(None)

    def close(self) -> Deferred[None]:
        """Write what is left and let go; fires when it is done, soon in any case."""
        self._input.stop()
        self._closed = Deferred()
        if self.is_lost or self.transport is None:
            self._closed.callback(None)
            return self._closed
        cast(Any, self.transport).unregisterProducer()
        self.transport.loseConnection()
        self._closed.addTimeout(FLUSH_DEADLINE, self._clock, lambda _result, _deadline: None)
        return self._closed
