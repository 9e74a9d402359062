"""
The services of ``p2ppeer``: a node with a person or program on stdio, and the reading of our NAT.

Own how the program begins and ends: the terminal is put back on every way out, and what failed
exits with 1, although twistd itself exits with 0 whatever happens to its services.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import ILogObserver, Logger
from twisted.python.components import Componentized
from twisted.python.failure import Failure

from p2pchat.errors import ConfigurationError, P2PChatError
from p2pchat.identity.keys import Identity
from p2pchat.interfaces import INode
from p2pchat.peer import events
from p2pchat.peer.behaviour import Behaviour, read_behaviour
from p2pchat.peer.names import Names
from p2pchat.peer.nat_type import NatType, read_nat_type
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.peer.stun_servers import find_stun
from p2pchat.runtime import Runtime
from p2pchat.tap.event_log import EventLog
from p2pchat.tap.long_lived import spare_long_lived
from p2pchat.ui import json_lines, nat_report
from p2pchat.ui.commands import Connect
from p2pchat.ui.console import Stdio
from p2pchat.ui.conversations import Conversations
from p2pchat.ui.terminal import Terminal
from p2pchat.wire.origins import host

STOP_DEADLINE = 5.0  # seconds for goodbyes; the registry may be away
SAY_LEAVING = 0.5  # seconds of goodbyes after which the person is told what is waited for

_log = Logger()


@attrs.frozen
class Process:
    """
    What a service needs of the process that it runs in, the reactor and stdin apart.

    :ivar stdout: not ``sys.stdout``, which twistd turns into log lines.
    :ivar set_exit_status: decides what the process exits with when it ends.
    :ivar program: what its sentences on stderr begin with.
    :ivar started: called when all is there that stays.
    """

    stdout: TextIO
    stderr: TextIO
    set_exit_status: Callable[[int], None]
    program: str
    started: Callable[[], None] = lambda: None


def this_process(program: str) -> Process:
    """Return the process that we are."""
    stdout, stderr = _or_nowhere(sys.__stdout__), _or_nowhere(sys.__stderr__)
    return Process(stdout, stderr, _exit_with, program, spare_long_lived)


def _or_nowhere(stream: TextIO | None) -> TextIO:
    return open(os.devnull, "w", encoding="utf-8") if stream is None else stream


def _exit_with(status: int) -> None:
    # Nothing that twistd calls could tell it with what to exit.
    atexit.register(_exit_now, status)


def _exit_now(status: int) -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            cast(TextIO, stream).flush()
    os._exit(status)


class StdioService(Service):
    """
    A service that owns stdio: its log lines go elsewhere, and its failure ends the program.

    :param observer: where log lines go; ``None``: wherever twistd sends them.
    """

    def __init__(self, reactor: Any, process: Process, observer: ILogObserver | None) -> None:
        self._reactor = reactor
        self._process = process
        self._observer = observer
        self._ending = False

    def setServiceParent(self, parent: Any) -> None:
        """Join an application, which takes its log observer from us before it logs anything."""
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Begin as soon as the reactor runs, so that ending is possible."""
        super().startService()
        self._reactor.callWhenRunning(self.begin)

    def begin(self) -> None:
        """Do what the service is there for."""
        raise NotImplementedError

    def leave(self) -> None:
        """End the program; again is harmless."""
        if not self._ending:
            self._ending = True
            self._reactor.stop()

    def fail(self, sentence: str) -> None:
        """End the program with status 1."""
        self._process.stderr.write(f"{self._process.program}: {sentence}\n")
        self._process.set_exit_status(1)
        self.leave()


class PeerService(StdioService):
    """
    A node, and a person or program on stdio.

    :param stdio: console or JSON lines.
    :param make_node: makes the node.
    :param attach: connects those to the descriptors.
    :param starting: what is told before the registry has answered.
    :param terminal: where a line is edited; ``None`` elsewhere.
    :param call: whom to call once registered; "" for nobody.
    """

    def __init__(
        self,
        runtime: Runtime,
        stdio: Stdio,
        *,
        process: Process,
        make_node: Callable[[], INode],
        attach: Callable[[Stdio], object],
        starting: events.Starting,
        observer: ILogObserver | None = None,
        terminal: Terminal | None = None,
        call: str = "",
    ) -> None:
        super().__init__(runtime.reactor, process, observer)
        self._runtime = runtime
        self._make_node = make_node
        self._stdio = stdio
        self._attach = attach
        self._starting = starting
        self._terminal = terminal
        self._call = call
        self._node: INode | None = None
        self._conversations: Conversations | None = None

    def begin(self) -> None:
        """Show the console and start the node."""
        node = self._make_node()
        self._conversations = Conversations(node, self._stdio.announce, self.leave)
        self._stdio.conversations = self._conversations
        event_log = EventLog()
        node.listen(event_log)
        node.listen(self._watch)
        try:
            self._prepare_terminal()
            self._attach(self._stdio)
        except OSError as error:
            self._fail_to_start(Failure(ConfigurationError(f"stdin or stdout: {error.strerror}")))
            return
        self._node = node
        event_log(self._starting)
        self._stdio.announce(self._starting)
        maybeDeferred(node.start).addErrback(self._fail_to_start)
        self._process.started()

    def leave(self) -> None:
        """End the program, and obey no more."""
        if self._conversations is not None:
            self._conversations.end()
        super().leave()

    def stopService(self) -> Deferred[None]:
        """Say goodbye, within STOP_DEADLINE; then write what is left, and let stdio go."""
        super().stopService()
        node, self._node = self._node, None
        stopped: Deferred[Any] = succeed(None) if node is None else self._say_goodbye(node)
        stopped.addTimeout(
            STOP_DEADLINE, self._runtime.clock, onTimeoutCancel=lambda _result, _deadline: None
        )
        stopped.addErrback(lambda failure: _log.failure("while leaving", failure))
        return stopped.addCallback(lambda _: self._close())

    def _say_goodbye(self, node: INode) -> Deferred[Any]:
        if self._conversations is not None:
            self._conversations.end()  # a signal ends us without leave()
        leaving = events.Leaving(STOP_DEADLINE)
        note = self._runtime.clock.callLater(SAY_LEAVING, self._stdio.announce, leaving)
        stopped: Deferred[Any] = maybeDeferred(node.stop)
        return stopped.addBoth(_cancelling(note))

    def _close(self) -> Deferred[None]:
        _log.info("p2pchat has left")
        return self._stdio.close().addBoth(lambda _: self._restore())

    def _restore(self) -> None:
        if self._terminal is not None:
            self._terminal.restore()

    def _prepare_terminal(self) -> None:
        if self._terminal is None:
            return
        self._terminal.prepare()
        self._reactor.addSystemEventTrigger("after", "shutdown", self._terminal.restore)
        # A closed window is a way of leaving, too; nohup's choice is respected.
        if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
            signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.leave))

    def _watch(self, event: Any) -> None:
        if self._call and isinstance(event, events.Registered):
            who, self._call = self._call, ""
            self._stdio.conversations.execute(Connect(who))

    def _fail_to_start(self, failure: Failure) -> None:
        error = failure.value
        self._restore()
        if isinstance(error, CannotListenError):
            self.fail(f"UDP port {error.port} can't be used: {_reason(error)}")
        elif isinstance(error, P2PChatError):
            self.fail(str(error))
        else:
            _log.failure("the node can't start", failure)
            self.fail(f"can't start: {error!r}")


def _cancelling(call: IDelayedCall) -> Callable[[Any], Any]:
    def cancel(result: Any) -> Any:
        if call.active():
            call.cancel()
        return result

    return cancel


def _reason(error: CannotListenError) -> str:
    return getattr(error.socketError, "strerror", None) or str(error.socketError)


class NatTypeService(StdioService):
    """Reads the kind of our NAT twice over, prints it and ends."""

    def __init__(
        self,
        runtime: Runtime,
        server: str,
        *,
        stun_port: int | None,
        process: Process,
        json: bool,
        observer: ILogObserver | None = None,
    ) -> None:
        """
        Make it.

        :param server: the registry's URL.
        :param stun_port: where STUN is at its host; ``None``: the registry is asked.
        """
        super().__init__(runtime.reactor, process, observer)
        self._runtime = runtime
        self._server = server
        self._stun_port = stun_port
        self._json = json

    def begin(self) -> None:
        """Ask."""
        self._find().addCallback(self._read).addErrback(self._unknown).addCallback(
            lambda both: self._print(*both)
        )

    def _find(self) -> Deferred[Any]:
        if self._stun_port is not None:
            return succeed((host(self._server).strip("[]"), self._stun_port))
        nobody = Identity.from_seed(self._runtime.random_bytes(32))
        client = RegistryClient(self._server, nobody, self._runtime)
        found: Deferred[Any] = find_stun(client, Names(self._runtime))
        return found

    def _read(self, server: tuple[str, int]) -> Deferred[Any]:
        return gatherResults(
            [read_nat_type(self._runtime, *server), read_behaviour(self._runtime, *server)]
        )

    def _unknown(self, failure: Failure) -> tuple[NatType, Behaviour]:
        if failure.check(P2PChatError) is None:
            _log.failure("the NAT can't be read", failure)
        return NatType(), Behaviour(detail=str(failure.value))

    def _print(self, nat_type: NatType, behaviour: Behaviour) -> None:
        if self._json:
            fields = nat_report.report(nat_type, behaviour)
            text = json_lines.encode(nat_report.NAME, self._runtime.wall_time(), fields)
        else:
            text = "".join(f"{row}\n" for row in nat_report.rows(nat_type, behaviour))
        with contextlib.suppress(OSError):  # nobody reads it any more
            self._process.stdout.write(text)
            self._process.stdout.flush()
        if not nat_report.answered(nat_type, behaviour):
            self._process.set_exit_status(1)
        self.leave()
