"""
``twistd -n p2ppeer``: the peer, with a console or JSON lines on stdio.

Owns its command line, beside what all nodes have.  Imports neither a reactor nor the node before a
service is made: ``twistd`` imports this module before the reactor is chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import attrs
from twisted.application.service import Service
from twisted.python import usage

from p2pchat.attach.messages import CONSOLE, JSON
from p2pchat.errors import ConfigurationError, DirectoryInUse, RemoteProtocolError
from p2pchat.peer.key_files import KeyFiles
from p2pchat.peer.remembered import Remembered
from p2pchat.peer.state_directory import StateDirectory, explained
from p2pchat.peer.word_list import word_list
from p2pchat.runtime import Runtime, real_runtime
from p2pchat.tap.node_options import NodeOptions, critical_observer
from p2pchat.tap.opened_peer import observer_for, opened_peer
from p2pchat.tap.passphrases import REMOVE, SET
from p2pchat.tap.places import expanded
from p2pchat.tap.process import leave_once, leave_threads_behind, this_process
from p2pchat.ui.notifications import Notify
from p2pchat.wire.invitations import MAX_PASTED, parse_invitation

if TYPE_CHECKING:
    from p2pchat.tap.p2ppeer_services import PeerService

_Choice = TypeVar("_Choice", bound=Enum)

LOG_FILE = "p2ppeer.log"
LOG_FILE_SIZE = 1_000_000  # bytes
_TWISTD_PIDFILE = "twistd.pid"


class Options(NodeOptions):
    """The command line of ``p2ppeer``."""

    program = "p2ppeer"
    invocation = "twistd p2ppeer"
    longdesc = "Talks to another peer directly, through NATs; type /help when it runs."

    optParameters = [
        ["connect", "c", None, "Call this peer, a name or an id, once registered."],
        ["join-file", None, None, "Meet who made the invitation in this file, once registered."],
        ["notify", None, Notify.ALL.value, "On a terminal: all (bell, OSC 9), bell, or none."],
        ["stun-port", None, None, "STUN port for --nat-type, instead of asking the registry."],
        ["new-passphrase-file", None, None, "File with the one for --set-passphrase."],
    ]
    optFlags = [
        ["join", None, "Ask for an invitation at the start, and meet who made it."],
        [
            "ephemeral",
            "e",
            "Keep nothing: identity, contacts and what was said end with the program.",
        ],
        [SET, None, "Encrypt the identity, or change its passphrase, and end."],
        [REMOVE, None, "Keep the identity in clear again, and end."],
        ["nat-type", None, "Tell what kind of NAT is here, and end."],
        ["json", "j", "Speak JSON on stdin and stdout, one object a line."],
    ]

    invitation: str = ""  # a secret

    def postOptions(self) -> None:
        """Check every value."""
        if self["stun-port"] is not None:
            self["stun-port"] = self.number("stun-port", 1, 65534, int)
        if self["connect"] is not None and not self["connect"].strip():
            raise usage.UsageError("--connect needs a value")
        self["notify"] = self.one_of("notify", Notify)
        super().postOptions()

    def take_remembered(self, remembered: Remembered) -> None:
        """Read the invitation, if there is one, and the registry that it names."""
        self.invitation = self._invitation()
        if not self.invitation:
            return
        ours = self.servers(remembered)[0]
        try:
            found = parse_invitation(self.invitation, ours, word_list())
        except RemoteProtocolError as error:
            raise usage.UsageError(f"the invitation: {error}") from None
        self.invited_to = found.server

    def _invitation(self) -> str:
        """Return what the file has, or what is typed; "" where neither is wanted."""
        if self["join"] and self["join-file"] is not None:
            raise usage.UsageError("--join and --join-file exclude each other")
        if self["join"]:
            if not sys.stdin.isatty():
                raise usage.UsageError("--join asks on a terminal; elsewhere use --join-file")
            return self.ask("Invitation: ")
        if self["join-file"] is None:
            return ""
        path = expanded("join-file", self["join-file"])
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                return file.read(MAX_PASTED)
        except OSError as error:
            raise usage.UsageError(f"--join-file {path}: {error.strerror}") from None


def makeService(options: Options) -> Service:
    """Make the service that the options ask for, or end the program with a sentence."""
    from twisted.internet import reactor  # noqa: PLC0415 - twistd has chosen one by now

    leave_threads_behind(reactor)
    leave_once(reactor)
    runtime = attrs.evolve(real_runtime(reactor), proxy_for=options.proxies)
    try:
        if options[SET] or options[REMOVE]:
            _change_passphrase(options, runtime)
        if options["nat-type"]:
            return _nat_type_service(runtime, options)
        return _peer_service(runtime, options)
    except ConfigurationError as error:
        raise SystemExit(f"{options.program}: {error}") from None


def _nat_type_service(runtime: Runtime, options: Options) -> Service:
    from p2pchat.tap.p2ppeer_services import NatTypeService  # noqa: PLC0415

    return NatTypeService(
        runtime=runtime,
        server=options.settings.server,
        stun_port=options["stun-port"],
        process=this_process(options.program),
        json=bool(options["json"]),
        observer=observer_for(options),
    )


def _peer_service(runtime: Runtime, options: Options) -> Service:
    from twisted.internet.stdio import StandardIO  # noqa: PLC0415

    _check_stdio()
    connect = partial(StandardIO, reactor=runtime.reactor)
    try:
        call, join = options["connect"] or "", options.invitation
        return _node_service(runtime, options, connect, call=call, join=join)
    except DirectoryInUse:
        return _attached_service(runtime, options, connect)


def _node_service(
    runtime: Runtime,
    options: Options,
    connect: Callable[[Any], object],
    *,
    directory: StateDirectory | None = None,
    call: str = "",
    join: str = "",
) -> PeerService:
    """
    Make the service of the node.

    :param connect: connects a protocol to stdio.
    :param directory: the state directory, if it is locked already.
    """
    from p2pchat.tap.p2ppeer_services import front_end_for  # noqa: PLC0415

    name, is_json = options.settings.username, bool(options["json"])
    front_end, terminal = front_end_for(runtime, name, is_json, options["notify"])
    return opened_peer(
        runtime,
        options,
        lambda: [front_end],
        lambda one: connect(one.stdio),
        directory,
        terminal=terminal,
        call=call,
        join=join,
    )


def _attached_service(
    runtime: Runtime, options: Options, connect: Callable[[Any], object]
) -> Service:
    """Make the service of a program whose node is another one, until that ends."""
    from p2pchat.tap.attached_peer import (  # noqa: PLC0415
        AttachedService,
        LaterObserver,
        console_request,
        own_terminal,
    )
    from p2pchat.tap.stdio_relay import StdioRelay  # noqa: PLC0415

    relay, is_json = StdioRelay(), bool(options["json"])
    terminal = None if is_json else own_terminal()
    begin_with = {"connect": options["connect"] or "", "join": options.invitation}
    process = this_process(options.program)
    own_log = options.has_own_logging
    later = None if own_log else LaterObserver(critical_observer(process.stderr))
    return AttachedService(
        runtime=runtime,
        process=process,
        observer=later,
        later=later,
        path=options["state"],
        wants=JSON if is_json else CONSOLE,
        console={**console_request(terminal), "notify": options["notify"].value, **begin_with},
        begin_with=begin_with if any(begin_with.values()) else {},
        terminal=terminal,
        relay=relay,
        connect_stdio=connect,
        become=lambda directory: _node_service(
            runtime, options, relay.hand_over, directory=directory
        ),
    )


def _check_stdio() -> None:
    """Refuse closed descriptors, whose numbers other files may have by now."""
    for name, stream in (("stdin", sys.__stdin__), ("stdout", sys.__stdout__)):
        if stream is None:
            raise ConfigurationError(
                f"{name} is closed: give it a terminal, a pipe or a file; this program ends when "
                "its input does (for one without: tail -f /dev/null | ...)"
            )


def _change_passphrase(options: Options, runtime: Runtime) -> NoReturn:
    """Set or remove the passphrase of the identity, say so, and end the program."""
    source = options.passphrases
    directory = StateDirectory.open(options["state"])
    with explained(directory.path):
        files = KeyFiles(directory.path, runtime.random_bytes, source.passphrases)
        change = source.remove if options[REMOVE] else source.set
        sys.stdout.write(change(files))
    raise SystemExit(0)
