"""
A command that stays: a service that runs in Twisted's reactor until Ctrl-C, beside the node.

Questions to the node go over its socket in a thread, also where this program is the node.
"""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.logger import globalLogBeginner
from twisted.python.failure import Failure

from p2pchat.attach.messages import JSON
from p2pchat.attach.node_socket import NodeSocket
from p2pchat.errors import P2PChatError
from p2pchat.interfaces import IServices
from p2pchat.tap.command.attached import state_directory
from p2pchat.tap.command.statuses import DONE, FAILED, status_of
from p2pchat.tap.node_for import node_for
from p2pchat.tap.p2ppipe import to_stderr
from p2pchat.tap.process import leave_once, leave_threads_behind


@attrs.define(eq=False)
class ReactorRun:
    """
    The run of one command.

    :ivar command: its name.
    :ivar options: of its command line.
    :ivar status: the exit status.
    """

    command: str
    options: Namespace
    reactor: Any
    status: int = DONE

    @property
    def directory(self) -> str:
        """The state directory."""
        return state_directory(self.options)

    def services(self) -> Deferred[IServices]:
        """Return a Deferred of the services of the node; this program may become that."""
        return node_for(self.reactor, Path(self.directory))

    def ask(self, line: str) -> Deferred[dict[str, Any]]:
        """Give the node a command, as a person types it; returns a Deferred of its answer."""
        return deferToThread(_ask, self.directory, line)

    def say(self, sentence: str) -> None:
        """Print a line for the person."""
        sys.stdout.write(f"{sentence}\n")
        sys.stdout.flush()

    def note(self, sentence: str) -> None:
        """Print what happens, beside."""
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()

    def fail(self, failure: Failure) -> None:
        """End, and say why."""
        error = failure.value
        if isinstance(error, P2PChatError):
            self.end(str(error), status_of(error))
        else:
            cause = getattr(error, "socketError", None) or error
            self.end(getattr(cause, "strerror", None) or str(cause) or repr(cause), FAILED)

    def end(self, sentence: str, status: int) -> None:
        """End with a status."""
        self.note(f"p2pchat {self.command}: {sentence}.")
        self.status = status
        if self.reactor.running:
            self.reactor.stop()


def _ask(directory: str, line: str) -> dict[str, Any]:
    node = NodeSocket.attach(directory, [JSON])
    try:
        return node.command(line)
    finally:
        node.close()


def run_reactor(
    command: str, options: Namespace, begin: Callable[[ReactorRun], Deferred[Any]]
) -> int:
    """Run a command in the reactor until it has ended; returns the exit status."""
    from twisted.internet import reactor  # noqa: PLC0415 - nothing else chooses one

    globalLogBeginner.beginLoggingTo([to_stderr(sys.stderr)], redirectStandardIO=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the reactor takes it from that only
    leave_threads_behind(reactor)
    leave_once(reactor)
    made = ReactorRun(command, options, reactor)

    def start() -> None:
        begin(made).addErrback(made.fail)

    reactor.callWhenRunning(start)
    reactor.run()
    return made.status
