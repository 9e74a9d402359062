"""
The services of ``p2ppeer``: a node with a person or program on stdio, and the reading of our NAT.

Own how the program begins and ends: the terminal is put back on every way out, and what failed
exits with 1, although twistd itself exits with 0 whatever happens to its services.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.errors import ConfigurationError, P2PChatError, RegistryError
from p2pchat.interfaces import INode
from p2pchat.natcheck.classic import NatType, read_nat_type
from p2pchat.natcheck.discovery import Behaviour, first_answering, read_behaviour
from p2pchat.natcheck.report import NatCheck
from p2pchat.peer.registry_signaling import find_stun
from p2pchat.peer.resolver import Resolver
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.resident.server import ResidentServer
from p2pchat.resident.serving import server_of
from p2pchat.resident.unattended import Unattended
from p2pchat.runtime import Runtime, cancel
from p2pchat.tap.event_log import EventLog
from p2pchat.tap.message_command import MessageCommand
from p2pchat.tap.process import STDIN, STDOUT
from p2pchat.tap.stdio_service import StdioService
from p2pchat.ui import json_form
from p2pchat.ui.commands import Command, Verb
from p2pchat.ui.console import PlainConsole, TerminalConsole
from p2pchat.ui.json_lines import JsonLines
from p2pchat.ui.layout import Layout, Style, style_for
from p2pchat.ui.notifications import Notify
from p2pchat.ui.stdio import FrontEnd
from p2pchat.ui.terminal import Terminal, has_unicode, is_terminal
from p2pchat.ui.wording import Wording
from p2pchat.wire.origins import host

STOP_DEADLINE = 5.0  # seconds for goodbyes; the registry may be away
SAY_LEAVING = 0.5  # seconds of goodbyes after which the person is told what is waited for

_log = Logger()


@attrs.define(eq=False, slots=False, kw_only=True)
class PeerService(StdioService):
    """
    A node and its front ends; it ends with the last of them.

    Serves its socket for other programs where there is a state directory.

    :ivar front_ends: on stdio, console or JSON lines; without any it ends by a signal.
    :ivar make_node: makes the node.
    :ivar attach: connects a front end to the descriptors.
    :ivar starting: what is told before the registry has answered.
    :ivar directory: the state directory, locked; ``None``: nothing is kept.
    :ivar terminal: where a line is edited; ``None`` elsewhere.
    :ivar call: whom to call once registered; "" for nobody.
    :ivar join: the invitation to use then, or "".
    :ivar on_message: the command that contacts' messages start, if any.
    """

    front_ends: list[FrontEnd]
    make_node: Callable[[], INode]
    attach: Callable[[FrontEnd], object]
    starting: events.Starting
    directory: StateDirectory | None = None
    terminal: Terminal | None = None
    call: str = ""
    join: str = attrs.field(default="", repr=False)
    on_message: MessageCommand | None = None
    _node: INode | None = attrs.field(default=None, init=False)
    _server: ResidentServer | None = attrs.field(default=None, init=False)
    _is_closed: bool = attrs.field(default=False, init=False)  # the node, and its files
    _note: IDelayedCall | None = attrs.field(default=None, init=False)  # that goodbyes take long

    def begin(self) -> None:
        """Show the console and start the node."""
        node, event_log = self.make_node(), EventLog()
        for one in self.front_ends:
            one.join(node, partial(self._left, node, one))
        if self.on_message is not None:  # after the front ends, which know what is in view
            self.on_message.is_in_view, self.on_message.tell = self._is_in_view, self._show
            node.listen(self.on_message)
        node.listen(event_log)
        node.listen(self._watch)
        try:
            self._prepare_terminal()
            for one in self.front_ends:
                self.attach(one)
        except OSError as error:
            self._fail_to_start(Failure(ConfigurationError(f"stdin or stdout: {error.strerror}")))
            return
        self._node = node
        event_log(self.starting)
        self._show(self.starting)
        if self.directory is not None:
            self._serve(node, str(self.directory.path))
        maybeDeferred(node.start).addErrback(self._fail_to_start)
        self.process.started()

    def _serve(self, node: INode, directory: str) -> None:
        """Let other programs attach; that there is no place for a socket is told."""
        server = self._server = server_of(self.runtime, node, self.starting, node.services)
        if not self.front_ends:
            node.listen(Unattended(node, lambda: server.is_attended))
        try:
            server.start(directory, os.environ)
        except ConfigurationError as error:
            _log.warn("{error}", error=error)
            self._show(events.Trouble(str(error)))

    def _show(self, value: events.NodeEvent) -> None:
        for one in self.front_ends:
            one.show(value)

    def _is_in_view(self, peer_id: str) -> bool:
        return any(one.is_in_view(peer_id) for one in self.front_ends)

    def _left(self, node: INode, front_end: FrontEnd) -> None:
        """Let a front end go; the program ends with the last one."""
        front_end.requests.end()
        if self.front_ends == [front_end]:
            self._end_with(front_end)
        elif front_end in self.front_ends:
            self.front_ends.remove(front_end)
            node.unlisten(front_end.receive)
            front_end.close()

    def _end_with(self, front_end: FrontEnd) -> None:
        """End the program, with status 1 where its output could not be kept."""
        why = self.process.why_unwritable() if front_end.stdio.is_lost else ""
        if why and not self._ending:
            self.fail(f"stdout can't be written to: {why}")
        else:
            self.leave()

    def stopService(self) -> Deferred[None]:
        """Say goodbye, within STOP_DEADLINE; then write what is left, and let stdio go."""
        super().stopService()
        node, self._node = self._node, None
        said: Deferred[Any] = succeed(None) if node is None else self._say_goodbye(node)
        ended = succeed(None) if self.on_message is None else self.on_message.stop()
        stopped: Deferred[Any] = gatherResults([said, ended], consumeErrors=True)
        stopped.addTimeout(STOP_DEADLINE, self.runtime.clock, lambda _result, _deadline: None)
        stopped.addErrback(lambda failure: _log.failure("while leaving", failure))
        stopped.addCallback(lambda _: self._hand_over())
        return stopped.addCallback(lambda _: self._close())

    def _say_goodbye(self, node: INode) -> Deferred[Any]:
        for one in self.front_ends:
            one.requests.end()  # a signal ends us without anybody's leaving
        leaving = events.Leaving(STOP_DEADLINE)
        self._note = self.runtime.clock.callLater(SAY_LEAVING, self._show, leaving)
        return maybeDeferred(node.stop).addCallback(lambda _: self._closed())

    def _closed(self) -> None:
        self._is_closed = True

    def _hand_over(self) -> Any:
        """Let the directory go, then those who are attached: one of them takes over."""
        if self.directory is not None and self._is_closed:
            self.directory.close()
        return None if self._server is None else self._server.stop()

    def _close(self) -> Deferred[Any]:
        cancel(self._note)
        _log.info("p2pchat has left")
        closed = gatherResults([one.close() for one in self.front_ends])
        return closed.addBoth(lambda _: self._restore())

    def _restore(self) -> None:
        if self.terminal is not None:
            self.terminal.restore()

    def _prepare_terminal(self) -> None:
        if self.terminal is None:
            return
        self.terminal.prepare()
        self.runtime.reactor.addSystemEventTrigger("after", "shutdown", self.terminal.restore)
        # A closed window is a way of leaving, too; nohup's choice is respected.
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, lambda *_: self.runtime.reactor.callFromThread(self.leave))
        if signal.getsignal(signal.SIGQUIT) == signal.SIG_DFL:
            signal.signal(signal.SIGQUIT, self._abort)

    def _abort(self, number: int, _frame: object) -> None:
        """End at once, as Ctrl-\\ wants it, but leave the terminal as it was."""
        self._restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _watch(self, event: events.NodeEvent) -> None:
        if not isinstance(event, events.Registered):
            return
        who, line, self.call, self.join = self.call, self.join, "", ""
        if line:
            self.front_ends[0].requests.execute(Command(Verb.JOIN, line))
        if who:
            self.front_ends[0].requests.execute(Command(Verb.CONNECT, who))

    def _fail_to_start(self, failure: Failure) -> None:
        if not self.running:  # it is closed already, in the middle of its start
            return
        error = failure.value
        self._restore()
        if isinstance(error, CannotListenError):
            reason = getattr(error.socketError, "strerror", None) or error.socketError
            self.fail(f"UDP port {error.port} can't be used: {reason}")
        elif isinstance(error, P2PChatError):
            self.fail(str(error))
        else:
            _log.failure("the node can't start", failure)
            self.fail(f"can't start: {error!r}")


def front_end_for(
    runtime: Runtime, username: str, json: bool, notify: Notify
) -> tuple[FrontEnd, Terminal | None]:
    """Return what suits our stdin and stdout, and the terminal whose line it edits, if any."""
    if json:
        return JsonLines(runtime), None
    terminal = Terminal(STDIN, STDOUT)
    if not is_terminal(STDIN, STDOUT, os.environ):
        # Rows are broken for a screen that can't move its cursor, too.
        width = terminal.width if os.isatty(STDOUT) else None
        wording = Wording(username, has_prompt=False)
        return PlainConsole(runtime, wording, Layout(Style(False), width)), None
    layout = Layout(style_for(os.environ), terminal.width)
    takes_unicode = has_unicode(os.environ)
    wording = Wording(username, room=terminal.size if takes_unicode else None)
    if notify is Notify.ALL and not takes_unicode:
        notify = Notify.BELL  # bytes of a name could end the sequence, or begin another
    return TerminalConsole(runtime, wording, layout, terminal.width, notify), terminal


@attrs.define(eq=False, slots=False, kw_only=True)
class NatTypeService(StdioService):
    """
    The reading of our NAT for ``--nat-type``, printed once.

    :ivar server: the registry's URL.
    :ivar stun_port: where STUN is at its host; ``None``: the registry is asked.
    """

    server: str
    stun_port: int | None
    json: bool

    @inlineCallbacks
    def begin(self) -> Any:
        """Ask, and print what was found."""
        try:
            server = yield self._find()
            behaviour = yield read_behaviour(
                self.runtime, server
            )  # first: it shows how far that is
            trip = behaviour.round_trip
            nat_type = yield read_nat_type(self.runtime, server, round_trip=trip)
            found = NatCheck(nat_type, behaviour)
        except Exception as error:
            if not isinstance(error, P2PChatError):
                _log.failure("the NAT can't be read")
            found = NatCheck(NatType(), Behaviour(detail=str(error)))
        self._print(found)

    @inlineCallbacks
    def _find(self) -> Any:
        """Return a Deferred of the IPv4 address of a STUN server."""
        if self.stun_port is None:
            return (yield find_stun(self.server, self.runtime))
        name = host(self.server).strip("[]")
        addresses = yield Resolver(self.runtime).addresses(name)
        if not addresses or ":" in addresses[0]:  # those of IPv4 come first
            raise RegistryError(f"{name} has no IPv4 address")
        found = [(address, self.stun_port) for address in addresses if ":" not in address]
        return (yield first_answering(self.runtime, found))

    def _print(self, found: NatCheck) -> None:
        if self.json:
            text = json_form.encode(found.NAME, self.runtime.wall_time(), found.fields())
        else:
            text = "".join(f"{row}\n" for row in found.rows())
        with contextlib.suppress(OSError):  # nobody reads it any more
            self.process.stdout.write(text)
            self.process.stdout.flush()
        if not found.address:
            self.process.set_exit_status(1)
        self.leave()
