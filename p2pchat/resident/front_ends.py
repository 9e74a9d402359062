"""
Front ends of attached programs: JSON lines on their connection, and a console on a terminal.

The front end runs in the node, as the one on the node's own terminal does; the program carries
bytes between it and a person or a pipe.  A console's bytes go through a pair of sockets of which
the program gets one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorSocket
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat import events
from p2pchat.interfaces import IAttachedPart, INode
from p2pchat.resident.bounded_output import BoundedOutput, FrontEndTransport, Unpaused
from p2pchat.resident.program import AttachedProgram, number_of, text_of
from p2pchat.runtime import Runtime
from p2pchat.ui.commands import Command, Verb
from p2pchat.ui.console import PlainConsole, TerminalConsole
from p2pchat.ui.json_lines import JsonLines
from p2pchat.ui.layout import Layout, Style
from p2pchat.ui.notifications import Notify
from p2pchat.ui.stdio import FrontEnd
from p2pchat.ui.wording import Wording
from p2pchat.wire.strict_json import JsonObject

MAX_COLUMNS = 10_000.0  # of a terminal; what is wider is no screen
USUAL_SIZE = (80, 24)  # columns and rows, where nothing is said


@attrs.define(eq=False)
class Attaching:
    """
    The node, as front ends of attached programs need it.

    :ivar starting: how it began.
    :ivar registered: the last that it said of its registries, by URL.
    """

    runtime: Runtime
    node: INode
    starting: events.Starting
    registered: dict[str, events.Registered] = attrs.Factory(dict)

    def watch(self) -> None:
        """Follow what front ends that come later are told."""
        self.node.listen(self._follow)

    def _follow(self, event: events.NodeEvent) -> None:
        if isinstance(event, events.Registered):
            self.registered[event.server] = event
        elif isinstance(event, events.RegistryLost):
            self.registered.pop(event.server, None)

    def join(self, front_end: FrontEnd, leave: Callable[[], None]) -> None:
        """Let a front end show the node from now on, once it is connected."""
        front_end.join(self.node, leave)
        front_end.producer = Unpaused()

    def greet(self, front_end: FrontEnd) -> None:
        """Show how things are."""
        front_end.show(attrs.evolve(self.starting, remembered=(), attached_to=os.getpid()))
        for one in self.registered.values():
            front_end.show(one)

    def leave(self, front_end: FrontEnd) -> None:
        """Let a front end show nothing more."""
        front_end.requests.end()
        self.node.unlisten(front_end.receive)


def _begin(front_end: FrontEnd, request: JsonObject) -> None:
    """Do what the command line of the program asked for."""
    invitation, who = text_of(request, "join", ""), text_of(request, "connect", "")
    if invitation:
        front_end.requests.execute(Command(Verb.JOIN, invitation))
    if who:
        front_end.requests.execute(Command(Verb.CONNECT, who))


@implementer(IAttachedPart)
class AttachedJson:
    """The JSON interface of one program."""

    def __init__(self, program: AttachedProgram, attaching: Attaching) -> None:
        self._program, self._attaching = program, attaching
        self._front_end = JsonLines(attaching.runtime)
        self._has_left = False
        attaching.join(self._front_end, self._leave)
        self._front_end.stdio.makeConnection(
            cast(Any, FrontEndTransport(program.output, lambda: None))
        )
        attaching.greet(self._front_end)

    def requests(self) -> dict[str, Callable[[JsonObject], None]]:
        """Return what it is asked for by ``do``."""
        return {"begin": lambda request: _begin(self._front_end, request)}

    def take(self, line: bytes) -> bool:
        """Take a line of the JSON interface."""
        self._front_end.stdio.dataReceived(line + b"\n")
        return True

    def _leave(self) -> None:
        if not self._has_left:
            self._has_left = True
            self._attaching.leave(self._front_end)
            self._program.leave()

    def end(self) -> None:
        """The program has gone."""
        self._has_left = True
        self._attaching.leave(self._front_end)
        self._front_end.stdio.connectionLost()


@implementer(IAttachedPart)
class AttachedConsole:
    """The console of one program."""

    def __init__(self, program: AttachedProgram, attaching: Attaching) -> None:
        self._program, self._attaching = program, attaching
        self._size = USUAL_SIZE
        self._front_end: FrontEnd | None = None
        self._end_of_bytes: ConsoleBytes | None = None

    def requests(self) -> dict[str, Callable[[JsonObject], None]]:
        """Return what it is asked for by ``do``."""
        return {"console": self._open, "resize": self._resize}

    def take(self, line: bytes) -> bool:
        """Take no other lines."""
        return False

    def _resize(self, request: JsonObject) -> None:
        columns, rows = USUAL_SIZE
        self._size = (
            int(number_of(request, "columns", 1, MAX_COLUMNS, columns)),
            int(number_of(request, "rows", 0, MAX_COLUMNS, rows)),
        )

    def _open(self, request: JsonObject) -> None:
        if self._front_end is not None:
            return
        self._resize(request)
        front_end = self._front_end = self._made(request)
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            self._attaching.join(front_end, self._leave)
            end = self._end_of_bytes = ConsoleBytes(front_end, self._overflowed)
            reactor: IReactorSocket = self._attaching.runtime.reactor
            factory: Any = Factory.forProtocol(lambda: end)
            reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        self._program.answer(request, {"event": "console"}, theirs)
        self._attaching.greet(front_end)
        front_end.requests.execute(Command(Verb.ME))
        self._choose_only(front_end)
        _begin(front_end, request)

    def _choose_only(self, front_end: FrontEnd) -> None:
        """Let the conversation be current, where there is one."""
        open_ones = [one for one in self._attaching.node.conversations() if one.state == "open"]
        if len(open_ones) == 1:
            front_end.requests.execute(Command(Verb.TO, open_ones[0].peer_id))

    def _made(self, request: JsonObject) -> FrontEnd:
        runtime, name = self._attaching.runtime, self._attaching.node.username
        notify = Notify(text_of(request, "notify", Notify.ALL.value, [one.value for one in Notify]))
        has_colours, has_unicode = bool(request.get("colours")), bool(request.get("unicode"))
        if not request.get("terminal"):
            layout = Layout(Style(False), self._width if request.get("columns") else None)
            return PlainConsole(runtime, Wording(name, has_prompt=False), layout)
        layout = Layout(Style(has_colours), self._width)
        wording = Wording(name, room=self._room if has_unicode else None)
        if notify is Notify.ALL and not has_unicode:
            notify = Notify.BELL
        return TerminalConsole(runtime, wording, layout, self._width, notify)

    def _width(self) -> int:
        return self._size[0]

    def _room(self) -> tuple[int, int]:
        return self._size

    def _overflowed(self) -> None:
        self._program.drop("slow", "its terminal doesn't show what it is sent")

    def _leave(self) -> None:
        front_end, self._front_end = self._front_end, None
        if front_end is not None:
            self._attaching.leave(front_end)
            front_end.close().addCallback(lambda _: self._program.leave())

    def end(self) -> None:
        """The program has gone."""
        front_end, self._front_end = self._front_end, None
        if front_end is not None:
            self._attaching.leave(front_end)
        if self._end_of_bytes is not None:
            self._end_of_bytes.abort()


@implementer(IHalfCloseableProtocol)
class ConsoleBytes(Protocol):
    """Our end of the pair of sockets that carries a console's bytes."""

    def __init__(self, front_end: FrontEnd, overflow: Callable[[], None]) -> None:
        self._front_end, self._overflow = front_end, overflow

    def connectionMade(self) -> None:
        """Let the front end show."""
        output = BoundedOutput(self.transport, self._overflow)
        output.begin()
        transport = FrontEndTransport(output, lambda: self._let_go(output))
        self._front_end.stdio.makeConnection(cast(Any, transport))

    def _let_go(self, output: BoundedOutput) -> None:
        output.end()
        cast(Any, self.transport).loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Take keys."""
        self._front_end.stdio.dataReceived(data)

    def readConnectionLost(self) -> None:
        """The input of the program has ended."""
        self._front_end.stdio.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Nobody shows what we write."""
        self._front_end.stdio.writeConnectionLost()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The program has gone, or we have let go."""
        self._front_end.stdio.connectionLost(reason)

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            cast(Any, self.transport).abortConnection()
