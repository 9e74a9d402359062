"""
``twistd -n p2ppipe``: forwards between any two endpoints, ``p2p:`` among them.

Owns the command line.  Log lines and sentences go to stderr, so that ``stdio:`` can be an end;
``--json`` puts events on stdout, one object a line.
"""

from __future__ import annotations

import sys
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    textFileLogObserver,
)
from twisted.python import usage

from p2pchat.errors import ConfigurationError
from p2pchat.forwarding.endpoint_strings import client_endpoint, server_endpoint
from p2pchat.runtime import real_runtime
from p2pchat.tap.command_line import CommandLine
from p2pchat.tap.process import leave_once, leave_threads_behind, this_process

STDIO = "stdio:"
MAX_PAIRS = 64  # forwards of one program: each has a port of its own


class Options(CommandLine):
    """The command line of ``p2ppipe``."""

    program = "p2ppipe"
    invocation = "twistd -n p2ppipe"
    usages = ("twistd -n p2ppipe --listen ENDPOINT --connect ENDPOINT ...",)
    longdesc = (
        "Passes on what comes in at one endpoint to another, both ways. "
        "Reach the service web of bob, on loopback: "
        "--listen tcp:8080 --connect p2p:bob:web. "
        "Let bob reach a port of yours: "
        "--listen p2p:web:allow=bob --connect tcp:127.0.0.1:3000. "
        "A tcp: port is open to this machine only, unless interface= says otherwise; to other "
        "users of this machine as well, which unix:PATH:mode=600 is not."
    )
    optFlags = [["json", "j", "Tell on stdout what happens, as JSON, one object a line."]]

    pairs: tuple[tuple[str, str], ...] = ()
    _listen: str | None = None

    def opt_listen(self, endpoint: str) -> None:
        """Endpoint to listen at, such as tcp:8080; may be repeated, each with its --connect."""
        if self._listen is not None:
            raise usage.UsageError(f"--listen {self._listen} needs a --connect after it")
        self._listen = endpoint

    opt_l = opt_listen

    def opt_connect(self, endpoint: str) -> None:
        """Endpoint to connect to for each connection to the --listen before, as p2p:bob:web."""
        if self._listen is None:
            raise usage.UsageError(f"--connect {endpoint} needs a --listen before it")
        self.pairs += ((self._listen, endpoint),)
        self._listen = None

    opt_c = opt_connect

    def postOptions(self) -> None:
        """Check every endpoint."""
        if self._listen is not None:
            raise usage.UsageError(f"--listen {self._listen} needs a --connect after it")
        if not self.pairs:
            raise usage.UsageError("--listen ENDPOINT --connect ENDPOINT say from where to where")
        if len(self.pairs) > MAX_PAIRS:
            raise usage.UsageError(f"{len(self.pairs)} forwards are more than {MAX_PAIRS}")
        for listen, connect in self.pairs:
            try:
                server_endpoint(None, listen)
                client_endpoint(None, connect)
            except ConfigurationError as error:
                raise usage.UsageError(str(error)) from None
        self._check_stdio()
        if self.parent is not None and self.parent.get("pidfile") == "twistd.pid":
            self.parent["pidfile"] = ""  # several may run in one directory

    def _check_stdio(self) -> None:
        ends = [listen for listen, _ in self.pairs].count(STDIO)
        if ends > 1:
            raise usage.UsageError(f"--listen {STDIO} can be given once")
        if ends and self["json"]:
            raise usage.UsageError(f"--json needs stdout, which --listen {STDIO} has")

    @property
    def has_own_logging(self) -> bool:
        """Whether twistd was told where log lines go."""
        names = ("logfile", "logger", "syslog")
        return self.parent is not None and any(self.parent.get(name) for name in names)


def to_stderr(stderr: TextIO) -> ILogObserver:
    """Return what writes warnings to stderr: stdout may be an end of a forward."""
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    observer: Any = FilteringLogObserver(textFileLogObserver(stderr), [predicate])
    return observer  # type: ignore[no-any-return]


def makeService(options: Options) -> Service:
    """Make the service of all forwards, or end the program with a sentence."""
    from twisted.internet import reactor  # noqa: PLC0415 - twistd has chosen one by now

    from p2pchat.tap.p2ppipe_service import PipeService  # noqa: PLC0415

    leave_threads_behind(reactor)
    leave_once(reactor)
    runtime = real_runtime(reactor)
    process = this_process(options.program)
    is_logged = options.has_own_logging or sys.__stderr__ is None
    return PipeService(
        runtime=runtime,
        process=process,
        observer=None if is_logged else to_stderr(process.stderr),
        pairs=options.pairs,
        json=bool(options["json"]),
    )
