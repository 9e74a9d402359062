"""
``twistd -n p2ppeer``: the peer, with a console or JSON lines on stdio.

Owns the command line, and the choice of where log lines go.  Imports neither a reactor nor the
node before a service is made: ``twistd`` imports this module before the reactor is chosen.

Log lines never mix into the conversation: they go to ``--log FILE``, else to ``p2ppeer.log`` in
the state directory, else to stderr, where that is not a terminal; on a terminal only what is
critical is shown.  twistd's own ``--logfile``, ``--logger`` and ``--syslog`` go before all that.
"""

from __future__ import annotations

import getpass
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO, cast

from twisted.application.service import Service
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    textFileLogObserver,
)
from twisted.python import usage
from twisted.python.logfile import LogFile

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.peer.settings import (
    DEFAULT_HEARTBEAT,
    DEFAULT_RETRIES,
    DEFAULT_SERVER,
    AcceptPolicy,
    NodeSettings,
)
from p2pchat.peer.state import load_state
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.tap.command_line import CommandLine
from p2pchat.wire.origins import host, origin
from p2pchat.wire.usernames import MAX_USERNAME

if TYPE_CHECKING:
    from p2pchat.runtime import Runtime

LOG_FILE = "p2ppeer.log"
LOG_FILE_SIZE = 1_000_000  # bytes
_TWISTD_PIDFILE = "twistd.pid"


class Options(CommandLine):
    """The command line of ``p2ppeer``."""

    program = "p2ppeer"
    invocation = "twistd p2ppeer"
    synopsis = "[options]"
    longdesc = "Talks to another peer directly, through NATs; type /help when it runs."

    optParameters = [
        ["username", "u", None, "What others see (default: your login name)."],
        ["server", "s", DEFAULT_SERVER, "URL of the registry."],
        ["connect", "c", None, "Call this peer, a name or an id, once registered."],
        ["port", "p", "0", "UDP port; 0: any."],
        [
            "state",
            "d",
            None,
            "Directory for identity and contacts (default: none is kept).",
        ],
        ["accept", "a", AcceptPolicy.ASK.value, "Whose calls are accepted: ask, all or contacts."],
        ["heartbeat", None, str(DEFAULT_HEARTBEAT), "Seconds between heartbeats."],
        ["retries", None, str(DEFAULT_RETRIES), "How often a call is tried."],
        ["stun-port", None, "3478", "First STUN port of the registry, for --nat-type."],
        ["log", "l", None, "Write log lines to this file."],
    ]
    optFlags = [
        ["publish-address", None, "Show our public address to everybody in the registry."],
        ["relay-only", None, "Never tell or use an address of ours: relays only."],
        ["nat-type", None, "Tell what kind of NAT is here, and end."],
        ["json", "j", "Speak JSON on stdin and stdout, one object a line."],
    ]

    settings: NodeSettings

    def postOptions(self) -> None:
        """Check every value."""
        self["stun-port"] = int(self._number("stun-port", 1, 65534))
        for name in ("connect", "state", "log"):
            if self[name] is not None and not self[name].strip():
                raise usage.UsageError(f"--{name} needs a value")
        try:
            self.settings = self._settings()
        except ConfigurationError as error:
            raise usage.UsageError(str(error)) from None
        self._suit_twistd()

    def _settings(self) -> NodeSettings:
        return NodeSettings(
            username=self._username(),
            server=self._server(),
            port=int(self._number("port", 0, 65535)),
            accept=self._accept(),
            heartbeat=self._number("heartbeat", 1, 3600),
            retries=int(self._number("retries", 1, 100)),
            publish_address=bool(self["publish-address"]),
            relay_only=bool(self["relay-only"]),
        )

    def _username(self) -> str:
        if self["username"] is not None:
            return str(self["username"])
        try:
            return getpass.getuser()[:MAX_USERNAME]
        except (KeyError, OSError):
            raise usage.UsageError("--username is needed: you have no login name") from None

    def _server(self) -> str:
        try:
            origin(self["server"])
        except RemoteProtocolError as error:
            raise usage.UsageError(f"--server: {error}; try {DEFAULT_SERVER}") from None
        return str(self["server"]).rstrip("/")

    def _accept(self) -> AcceptPolicy:
        try:
            return AcceptPolicy(self["accept"])
        except ValueError:
            choices = ", ".join(policy.value for policy in AcceptPolicy)
            raise usage.UsageError(f"--accept: {self['accept']!r} is none of {choices}") from None

    def _number(self, name: str, least: int, most: int) -> float:
        whole = "" if name == "heartbeat" else "whole "
        try:
            value = float(self[name]) if name == "heartbeat" else int(self[name])
        except ValueError:
            raise usage.UsageError(f"--{name}: {self[name]!r} is no {whole}number") from None
        if not least <= value <= most:  # NaN isn't, either
            raise usage.UsageError(f"--{name} must be from {least} to {most}")
        return value

    def _suit_twistd(self) -> None:
        """Stay on the terminal, and let two peers run in one directory."""
        if self.parent is None or "pidfile" not in self.parent:
            return
        self.parent["nodaemon"] = True
        if self.parent["pidfile"] == _TWISTD_PIDFILE:
            self.parent["pidfile"] = ""

    @property
    def has_own_logging(self) -> bool:
        """Whether twistd was told where log lines go."""
        names = ("logfile", "logger", "syslog")
        return self.parent is not None and any(self.parent.get(name) for name in names)


def log_observer(options: Options, stderr: TextIO | None) -> ILogObserver:
    """
    Choose where log lines go.

    :raises ConfigurationError: the file can't be written.
    """
    path = options["log"] or (options["state"] and os.path.join(options["state"], LOG_FILE))
    if path:
        return _above(LogLevel.info, _log_file(path))
    if stderr is None:
        return _above(LogLevel.critical, open(os.devnull, "w"))
    return _above(LogLevel.critical if stderr.isatty() else LogLevel.info, stderr)


def _log_file(path: str) -> Any:
    try:
        return LogFile.fromFullPath(
            path, rotateLength=LOG_FILE_SIZE, maxRotatedFiles=3, defaultMode=0o600
        )
    except OSError as error:
        raise ConfigurationError(f"log file {path}: {error.strerror or error}") from error


def _above(level: Any, file: Any) -> ILogObserver:
    predicate = LogLevelFilterPredicate(defaultLogLevel=level)
    return cast(ILogObserver, FilteringLogObserver(textFileLogObserver(file), [predicate]))


def makeService(options: Options) -> Service:
    """Make the service that the options ask for, or end the program with a sentence."""
    from twisted.internet import reactor  # noqa: PLC0415 - twistd has chosen one by now

    from p2pchat.runtime import real_runtime  # noqa: PLC0415

    runtime = real_runtime(reactor)
    try:
        if options["nat-type"]:
            return _nat_type_service(runtime, options)
        return _peer_service(runtime, options)
    except ConfigurationError as error:
        raise SystemExit(f"{options.program}: {error}") from None


def _observer(options: Options) -> ILogObserver | None:
    return None if options.has_own_logging else log_observer(options, sys.stderr)


def _nat_type_service(runtime: Runtime, options: Options) -> Service:
    from p2pchat.tap.peer_services import NatTypeService, this_process  # noqa: PLC0415

    server = (host(options.settings.server).strip("[]"), options["stun-port"])
    return NatTypeService(
        runtime,
        server,
        process=this_process(options.program),
        json=bool(options["json"]),
        observer=_observer(options),
    )


def _peer_service(runtime: Runtime, options: Options) -> Service:
    from twisted.internet.stdio import StandardIO  # noqa: PLC0415

    from p2pchat.peer.node import Node  # noqa: PLC0415
    from p2pchat.tap.peer_services import PeerService, this_process  # noqa: PLC0415
    from p2pchat.ui.stdio import stdio_for  # noqa: PLC0415

    directory = StateDirectory.open(options["state"]) if options["state"] else None
    state = load_state(directory, runtime.random_bytes)
    stdio, terminal = stdio_for(runtime, options.settings.username, bool(options["json"]))
    return PeerService(
        runtime,
        stdio,
        process=this_process(options.program),
        make_node=lambda: Node(runtime, options.settings, state),
        attach=lambda protocol: StandardIO(protocol, reactor=runtime.reactor),
        observer=_observer(options),
        terminal=terminal,
        call=options["connect"] or "",
    )
