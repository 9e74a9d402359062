"""
The service of a program whose state directory is in use: it attaches to the node that has it.

::

    seeking ──▶ attached ── left, dropped ──▶ the program ends
       ▲           │ the node ends
       └───────────┘
       └── the lock is free ──▶ we are the node, on the same stdio

What the node shows on a console of ours, and what it is asked there, is its own affair; here bytes
are carried.  A node that doesn't answer Ctrl-C is left all the same.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.attach.messages import CONSOLE, JSON
from p2pchat.errors import NodeRefused, P2PChatError, RemoteProtocolError
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.resident.node_link import NodeLink
from p2pchat.resident.succession import Succession
from p2pchat.runtime import cancel
from p2pchat.tap.process import STDIN, STDOUT
from p2pchat.tap.stdio_relay import StdioRelay
from p2pchat.tap.stdio_service import StdioService
from p2pchat.ui.layout import style_for
from p2pchat.ui.terminal import Terminal, has_unicode, is_terminal
from p2pchat.wire.strict_json import JsonObject, loads

ANSWER = 2.0  # seconds that a node has to let go of a console on which Ctrl-C was pressed
_CTRL_C = b"\x03"
_LEFT, _DROPPED = b'{"event":"left"', b'{"event":"dropped"'

_log = Logger()


@implementer(ILogObserver)
@attrs.define(eq=False)
class LaterObserver:
    """
    Log lines of a program that may be the node later, and has a log file of its own then.

    :ivar observer: where they go now.
    """

    observer: ILogObserver

    def __call__(self, event: LogEvent) -> None:
        """Take a log line."""
        self.observer(event)


@attrs.define(eq=False, slots=False, kw_only=True)
class AttachedService(StdioService):
    """
    A program that is attached to a node, and becomes the node when that ends.

    :ivar path: the state directory.
    :ivar wants: ``console`` or ``json``.
    :ivar console: the request for a console, but for the size.
    :ivar begin_with: what the JSON interface is asked at first, if anything.
    :ivar terminal: where a line is edited; ``None`` elsewhere.
    :ivar relay: of stdio.
    :ivar connect_stdio: connects it.
    :ivar become: makes the service of the node that we are to be.
    :ivar later: our log, which is the node's from then on; ``None``: twistd has it.
    """

    path: str
    wants: str
    console: JsonObject
    begin_with: JsonObject
    terminal: Terminal | None
    relay: StdioRelay
    connect_stdio: Callable[[StdioRelay], object]
    become: Callable[[StateDirectory], StdioService]
    later: LaterObserver | None
    _succession: Succession = attrs.field(init=False)
    _link: NodeLink | None = attrs.field(default=None, init=False)
    _bytes: ConsoleRelay | None = attrs.field(default=None, init=False)
    _patience: IDelayedCall | None = attrs.field(default=None, init=False)
    _has_left: bool = attrs.field(default=False, init=False)
    _has_become: bool = attrs.field(default=False, init=False)

    def begin(self) -> None:
        """Attach."""
        self._succession = Succession(
            runtime=self.runtime,
            path=self.path,
            environment=os.environ,
            wants=(self.wants,),
            become=self._become,
            attached=self._attached,
            take=self._take,
            ended=self._node_ended,
            failed=self._failed,
        )
        try:
            if self.terminal is not None:
                self.runtime.reactor.addSystemEventTrigger(
                    "after", "shutdown", self.terminal.restore
                )
                signal.signal(signal.SIGWINCH, self._resized)
            self.relay.typed, self.relay.gone = self._typed, self.leave
            self.connect_stdio(self.relay)
        except OSError as error:
            self.fail(f"stdin or stdout: {error.strerror}")
            return
        self._succession.seek()
        self.process.started()

    def stopService(self) -> Any:
        """Let the node go, and stdio."""
        cancel(self._patience)
        if not self._has_become:
            self._succession.stop()
            if self._bytes is not None:
                self._bytes.close()
            self.relay.close()
        return super().stopService()

    # -- at a node

    def _attached(self, link: NodeLink) -> None:
        self._link = link
        if self.terminal is not None:
            self.terminal.prepare()
        if self.wants == CONSOLE:
            link.send({"do": "console", "id": 1, **self._size(), **self.console})
            self.console = {**self.console, "connect": "", "join": ""}  # that once
        elif self.wants == JSON:
            if self.begin_with:
                link.send({"do": "begin", **self.begin_with})
                self.begin_with = {}
            self.relay.join(link.transport, lambda: link.send({"command": "/quit"}))

    def _take(self, line: bytes) -> None:
        if line.startswith(_LEFT):
            self._left()
        elif line.startswith(_DROPPED):
            self._failed(_why(line))
        elif self.wants == JSON:
            self.relay.write(line + b"\n")
        elif line.startswith(b'{"event":"console"'):
            self._open_console()
        elif line.startswith(b'{"event":"error"') and self._bytes is None:
            self._failed(_why(line))

    def _open_console(self) -> None:
        assert self._link is not None
        try:
            connection = self._link.take_socket()
        except RemoteProtocolError as error:
            self._failed(error)
            return
        self._bytes = ConsoleRelay(self.relay, self._console_closed)
        factory: Any = Factory.forProtocol(lambda: self._bytes)
        with connection:
            connection.setblocking(False)
            self.runtime.reactor.adoptStreamConnection(connection.fileno(), socket.AF_UNIX, factory)

    def _console_closed(self) -> None:
        self._bytes = None
        if self._has_left:
            self.leave()

    def _left(self) -> None:
        """Leave, once all is shown."""
        self._has_left = True
        if self._bytes is None:
            self.leave()

    def _typed(self, data: bytes) -> None:
        if self.wants == CONSOLE and _CTRL_C in data and self._patience is None:
            self._patience = self.runtime.clock.callLater(ANSWER, self._give_up)

    def _give_up(self) -> None:
        self.fail("the node doesn't answer; left without it")

    def _size(self) -> JsonObject:
        if self.terminal is None:
            return {}
        return {"columns": self.terminal.width(), "rows": self.terminal.size()[1]}

    def _resized(self, _number: int, _frame: object) -> None:
        self.runtime.reactor.callFromThread(self._tell_size)

    def _tell_size(self) -> None:
        if self._link is not None:
            self._link.send({"do": "resize", **self._size()})

    # -- without one

    def _node_ended(self) -> None:
        self._link = None
        if self._has_left:
            self.leave()
            return
        if self._bytes is not None:
            self._bytes.close()
            self._bytes = None
        self.relay.part()
        if self.terminal is not None:
            self.terminal.restore()
        self._note("Your node has ended.")
        self._succession.seek()

    def _note(self, sentence: str) -> None:
        if self.wants == CONSOLE:
            self.process.stderr.write(f"{self.process.program}: {sentence}\n")
            self.process.stderr.flush()

    def _become(self, directory: StateDirectory) -> None:
        """Be the node from now on."""
        _log.info("this program is the node now")
        self._note("This program is the node now.")
        if self.terminal is not None:
            self.terminal.restore()
        try:
            service = self.become(directory)
        except P2PChatError as error:
            self._failed(error)
            return
        self._has_become = True
        if self.later is not None and service.observer is not None:
            self.later.observer = service.observer
        service.setServiceParent(cast(Any, self.parent))

    def _failed(self, error: P2PChatError) -> None:
        if self.terminal is not None:
            self.terminal.restore()
        self.fail(str(error))


def own_terminal() -> Terminal | None:
    """Return the terminal that we are on, if a line can be edited there."""
    return Terminal(STDIN, STDOUT) if is_terminal(STDIN, STDOUT, os.environ) else None


def console_request(terminal: Terminal | None) -> JsonObject:
    """Return what a node must know of a console's screen, beside its size."""
    if terminal is None:
        return {"terminal": False}
    colours, takes_unicode = style_for(os.environ).coloured, has_unicode(os.environ)
    return {"terminal": True, "colours": colours, "unicode": takes_unicode}


class ConsoleRelay(Protocol):
    """The socket of a console's bytes, on their way to stdout."""

    def __init__(self, relay: StdioRelay, closed: Callable[[], None]) -> None:
        self._relay, self._closed = relay, closed

    def connectionMade(self) -> None:
        """Join stdio."""
        transport = cast(Any, self.transport)
        self._relay.join(transport, transport.loseWriteConnection)

    def dataReceived(self, data: bytes) -> None:
        """Show it."""
        self._relay.write(data)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """All is shown."""
        self._relay.part()
        self._closed()

    def close(self) -> None:
        """Let go."""
        if self.transport is not None:
            cast(Any, self.transport).abortConnection()


def _why(line: bytes) -> P2PChatError:
    try:
        members = loads(line)
    except RemoteProtocolError as error:
        return error
    return NodeRefused(f"the node let this program go: {members.get('reason', '')}", "dropped")
