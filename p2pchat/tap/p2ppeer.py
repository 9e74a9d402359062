"""
``twistd -n p2ppeer``: the peer, with a console or JSON lines on stdio.

Owns the command line, and the choice of where log lines go.  Imports neither a reactor nor the
node before a service is made: ``twistd`` imports this module before the reactor is chosen.

Log lines never mix into the conversation: they go to ``--log FILE``, else to ``p2ppeer.log`` in
the state directory, else to stderr: warnings, and on a terminal only what is critical.  twistd's
own ``--logfile``, ``--logger`` and ``--syslog`` go before all that.
"""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NoReturn, TextIO, TypeVar, cast
from urllib.parse import urlsplit

import attrs
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

from p2pchat import __version__
from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.events import Starting
from p2pchat.identity.keys import peer_id_octets
from p2pchat.peer.key_files import KeyFiles
from p2pchat.peer.profile import Profile, load_profile, recall, remember
from p2pchat.peer.proxy import ProxyChoice, UnusableProxy, choose_proxies
from p2pchat.peer.remembered import Remembered
from p2pchat.peer.settings import DEFAULT_HEARTBEAT, DEFAULT_RETRIES, DEFAULT_SERVER, NodeSettings
from p2pchat.peer.state_directory import IDENTITY_FILE, StateDirectory, check_directory, explained
from p2pchat.peer.storage.database import Synchronous
from p2pchat.peer.word_list import word_list
from p2pchat.runtime import Runtime, real_runtime
from p2pchat.session.approval import AcceptPolicy
from p2pchat.tap.command_line import CommandLine
from p2pchat.tap.passphrases import REMOVE, SET, PassphraseSource, ask_secretly, passphrase_source
from p2pchat.tap.places import expanded, profile_directory
from p2pchat.tap.process import leave_once, leave_threads_behind, share_interpreter, this_process
from p2pchat.ui.notifications import Notify
from p2pchat.wire.addresses import Scope
from p2pchat.wire.documents import MAX_REGISTRIES, MAX_SERVER
from p2pchat.wire.invitations import MAX_PASTED, parse_invitation
from p2pchat.wire.origins import host, origin, registry_url
from p2pchat.wire.usernames import MAX_USERNAME

_Choice = TypeVar("_Choice", bound=Enum)

LOG_FILE = "p2ppeer.log"
LOG_FILE_SIZE = 1_000_000  # bytes
_TWISTD_PIDFILE = "twistd.pid"


class Options(CommandLine):
    """The command line of ``p2ppeer``."""

    program = "p2ppeer"
    invocation = "twistd p2ppeer"
    longdesc = "Talks to another peer directly, through NATs; type /help when it runs."

    optParameters = [
        ["username", "u", None, "What others see (default: as last time, or your login name)."],
        ["connect", "c", None, "Call this peer, a name or an id, once registered."],
        ["join-file", None, None, "Meet who made the invitation in this file, once registered."],
        ["port", "p", "0", "UDP port; 0: any."],
        ["state", "d", None, "Directory where all is kept: identity, contacts, what was said."],
        ["profile", "P", None, "Keep them in the directory of this name beside the usual one."],
        [
            "accept",
            "a",
            AcceptPolicy.CONTACTS.value,
            "Whose calls are accepted: contacts, all or ask.",
        ],
        ["heartbeat", None, str(DEFAULT_HEARTBEAT), "Seconds between heartbeats."],
        ["retries", None, str(DEFAULT_RETRIES), "How often a call is tried."],
        [
            "proxy",
            None,
            None,
            "Proxy to registry and relays, or none (default: HTTPS_PROXY).",
        ],
        ["notify", None, Notify.ALL.value, "On a terminal: all (bell, OSC 9), bell, or none."],
        [
            "on-message",
            None,
            None,
            "Run this command for what contacts say out of view; the text is on its input.",
        ],
        ["keep", None, None, "Days for which what was said is kept (default: for ever)."],
        ["synchronous", None, "full", "full, or normal: a crash of the machine may cost seconds."],
        ["stun-port", None, None, "STUN port for --nat-type, instead of asking the registry."],
        ["log", "l", None, "Write log lines to this file."],
        ["passphrase-file", None, None, "File with the passphrase of an encrypted identity."],
        ["new-passphrase-file", None, None, "File with the one for --set-passphrase."],
    ]
    optFlags = [
        ["join", None, "Ask for an invitation at the start, and meet who made it."],
        [
            "ephemeral",
            "e",
            "Keep nothing: identity, contacts and what was said end with the program.",
        ],
        ["publish-address", None, "Show our public address to everybody in the registry."],
        ["unlisted", None, "Be found by the whole id only: in no list, and by no name."],
        ["invisible", None, "Be shown to nobody: who isn't called by you can't call you."],
        ["no-typing", None, "Neither tell contacts that you type, nor be told."],
        ["no-receipts", None, "Neither tell contacts what you have read, nor be told."],
        ["relay-only", None, "Never tell or use an address of ours: relays only."],
        ["no-mailbox", None, "Leave nothing at registries for contacts, nor let them for us."],
        ["require-pq", None, "Refuse links without post-quantum key exchange."],
        [SET, None, "Encrypt the identity, or change its passphrase, and end."],
        [REMOVE, None, "Keep the identity in clear again, and end."],
        ["nat-type", None, "Tell what kind of NAT is here, and end."],
        ["json", "j", "Speak JSON on stdin and stdout, one object a line."],
    ]

    default_profile: str | None = None
    settings: NodeSettings
    proxies: ProxyChoice
    passphrases: PassphraseSource
    ask: Callable[[str], str] = staticmethod(ask_secretly)
    invitation: str = ""  # a secret
    further_servers: Sequence[str] = ()
    _invited_to: str = ""  # the registry that it names
    _given: tuple[str, ...] = ()  # to --server

    def opt_server(self, url: str) -> None:
        """URL of a registry; up to 5 times (default: as last time, or http://127.0.0.1:8000)."""
        self._given += (url,)

    opt_s = opt_server

    def postOptions(self) -> None:
        """Check every value."""
        if self["stun-port"] is not None:
            self["stun-port"] = self.number("stun-port", 1, 65534, int)
        if self["connect"] is not None and not self["connect"].strip():
            raise usage.UsageError("--connect needs a value")
        if self["log"] is not None:
            self["log"] = expanded("log", self["log"])
        self["notify"] = self._one_of("notify", Notify)
        self["on-message"] = self._command()
        self["synchronous"] = self._synchronous()
        self["state"] = self._state()
        self.passphrases = passphrase_source(self, self.ask)
        remembered = self._recall()
        self._take_invitation(remembered)
        server, *self.further_servers = self._servers(remembered)
        try:
            self.settings = self._settings(remembered.username, server)
            self.proxies = choose_proxies(os.environ, self["proxy"])
            self._check_way()
        except ConfigurationError as error:
            raise usage.UsageError(str(error)) from None
        self._suit_twistd()

    def _check_way(self) -> None:
        """Refuse a proxy that can't be used, where a registry is reached through it."""
        for server in (self.settings.server, *self.further_servers):
            proxy = self.proxies(urlsplit(server).scheme, host(server).strip("[]"))
            if isinstance(proxy, UnusableProxy):
                raise proxy.error

    def _state(self) -> str | None:
        """Return the state directory, if there is to be one."""
        chosen = [f"--{name}" for name in ("state", "profile", "ephemeral") if self[name]]
        if len(chosen) > 1:
            raise usage.UsageError(f"{' and '.join(chosen)} exclude each other")
        if self["state"] is not None:
            return expanded("state", self["state"])
        name = self["profile"] if self["profile"] is not None else self.default_profile
        return None if self["ephemeral"] or name is None else profile_directory(name)

    def _command(self) -> list[str] | None:
        """Return the words of --on-message, the first of which is a program that is there."""
        if self["on-message"] is None:
            return None
        try:
            words = shlex.split(self["on-message"])
        except ValueError as error:
            raise usage.UsageError(
                f"--on-message: {self['on-message']!r} can't be split into words ({error})"
            ) from None
        program = expanded("on-message", words[0] if words else "")
        if shutil.which(program) is None:
            raise usage.UsageError(
                f"--on-message: no program {program!r} that may be run is there; the first word "
                "is its name or path, and no shell reads the command (sh -c '...' is one)"
            )
        return [program, *words[1:]]

    def _synchronous(self) -> Synchronous:
        choices = {one.value: one for one in (Synchronous.FULL, Synchronous.NORMAL)}
        try:
            return choices[self["synchronous"]]
        except KeyError:
            raise usage.UsageError(
                f"--synchronous: {self['synchronous']!r} is neither full nor normal"
            ) from None

    def _recall(self) -> Remembered:
        if self["state"] is None or not os.path.isdir(self["state"]):
            return Remembered()
        directory = Path(self["state"])
        with explained(directory):
            check_directory(directory)
            return recall(directory)

    def _take_invitation(self, remembered: Remembered) -> None:
        """Read the invitation, if there is one, and the registry that it names."""
        self.invitation = self._invitation()
        if not self.invitation:
            return
        ours = self._servers(remembered)[0]
        try:
            found = parse_invitation(self.invitation, ours, word_list())
        except RemoteProtocolError as error:
            raise usage.UsageError(f"the invitation: {error}") from None
        self._invited_to = found.server

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

    def _settings(self, remembered: str, server: str) -> NodeSettings:
        return NodeSettings(
            username=self._username(remembered),
            server=server,
            port=self.number("port", 0, 65535, int),
            accept=self._one_of("accept", AcceptPolicy),
            heartbeat=self.number("heartbeat", 1, 3600, float),
            retries=self.number("retries", 1, 100, int),
            publish_address=bool(self["publish-address"]),
            listed=not self["unlisted"],
            receipts=not self["no-receipts"],
            typing=not self["no-typing"],
            invisible=bool(self["invisible"]),
            relay_only=bool(self["relay-only"]),
            requires_pq=bool(self["require-pq"]),
            mails=not self["no-mailbox"],
            keep=None if self["keep"] is None else self.number("keep", 1, 36500, float),
        )

    def to_remember(self) -> Remembered:
        """Return what the next start is to know: the name, and the registries if they are new."""
        is_new = bool(self._given) or self.settings.server == self._invited_to
        servers = (self.settings.server, *self.further_servers) if is_new else ("",)
        return Remembered(self.settings.username, servers[0], servers[1:])

    def _username(self, remembered: str) -> str:
        if self["username"] is not None:
            return str(self["username"])
        if remembered:
            return remembered
        try:
            return getpass.getuser()[:MAX_USERNAME]
        except (KeyError, OSError):
            raise usage.UsageError("--username is needed: you have no login name") from None

    def _servers(self, remembered: Remembered) -> list[str]:
        """Return our registries: those that are given, or else those of the last time."""
        if not self._given:
            known = remembered.server or self._invited_to or DEFAULT_SERVER
            return [self._read_url(one) for one in (known, *remembered.servers)]
        if len(self._given) > MAX_REGISTRIES:
            raise usage.UsageError(
                f"--server is given {len(self._given)} times, and a peer may be at "
                f"{MAX_REGISTRIES} registries"
            )
        found = {origin(url): url for url in map(self._read_url, self._given)}
        if len(found) < len(self._given):
            raise usage.UsageError("--server: two of these URLs are the same registry's")
        return list(found.values())

    def _read_url(self, url: str) -> str:
        try:
            found = registry_url(url)
        except RemoteProtocolError as error:
            raise usage.UsageError(f"--server: {error}; try {DEFAULT_SERVER}") from None
        if len(found) > MAX_SERVER:
            raise usage.UsageError(f"--server: a URL of more than {MAX_SERVER} characters")
        return found

    def _one_of(self, name: str, choices: type[_Choice]) -> _Choice:
        """Return the choice that an option names."""
        try:
            return choices(self[name])
        except ValueError:
            known = ", ".join(str(one.value) for one in choices)
            raise usage.UsageError(f"--{name}: {self[name]!r} is none of {known}") from None

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
    path = options["log"]
    if path is None and options["state"] and not options["nat-type"]:
        path = os.path.join(options["state"], LOG_FILE)
    if path:
        return _above(LogLevel.info, _log_file(path))
    if stderr is None:
        return _above(LogLevel.critical, open(os.devnull, "w"))
    return _above(LogLevel.critical if stderr.isatty() else LogLevel.warn, stderr)


def _log_file(path: str) -> Any:
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            return open(path, "a", encoding="utf-8")  # a device or pipe: of the mode that it has
        return LogFile.fromFullPath(
            path, rotateLength=LOG_FILE_SIZE, maxRotatedFiles=3, defaultMode=0o600
        )
    except OSError as error:
        raise ConfigurationError(f"log file {path}: {error.strerror or error}") from error


def _above(level: Any, file: Any) -> ILogObserver:
    """Write our own lines from a level on; of Twisted's, which tell each request, warnings only."""
    least = max(level, LogLevel.warn)
    predicate = LogLevelFilterPredicate(defaultLogLevel=least)
    predicate.setLogLevelForNamespace("p2pchat", level)
    return cast(ILogObserver, FilteringLogObserver(textFileLogObserver(file), [predicate]))


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


def _observer(options: Options) -> ILogObserver | None:
    return None if options.has_own_logging else log_observer(options, sys.stderr)


def _nat_type_service(runtime: Runtime, options: Options) -> Service:
    from p2pchat.tap.p2ppeer_services import NatTypeService  # noqa: PLC0415

    return NatTypeService(
        runtime=runtime,
        server=options.settings.server,
        stun_port=options["stun-port"],
        process=this_process(options.program),
        json=bool(options["json"]),
        observer=_observer(options),
    )


def _peer_service(runtime: Runtime, options: Options) -> Service:
    from twisted.internet.stdio import StandardIO  # noqa: PLC0415

    from p2pchat.peer.node import Node  # noqa: PLC0415
    from p2pchat.peer.registry_signaling import RegistrySignaling  # noqa: PLC0415
    from p2pchat.peer.storage.message_store import SqliteStore  # noqa: PLC0415
    from p2pchat.peer.storage.open_database import OpenDatabase  # noqa: PLC0415
    from p2pchat.tap.child_process import ProcessStarter  # noqa: PLC0415
    from p2pchat.tap.message_command import MessageCommand  # noqa: PLC0415
    from p2pchat.tap.p2ppeer_services import PeerService, front_end_for  # noqa: PLC0415

    _check_stdio()
    profile, starting = _load(options, runtime)
    store = None
    if profile.file is not None:
        database = OpenDatabase.in_threads(profile.file, runtime.reactor)
        store = SqliteStore(database, peer_id_octets(starting.peer_id))
        profile.keep_in(database, runtime.random_bytes)
        share_interpreter()
    settings = options.settings
    front_end, terminal = front_end_for(
        runtime, settings.username, bool(options["json"]), options["notify"]
    )

    command = None
    if options["on-message"] is not None:
        starter = ProcessStarter(runtime.reactor)
        command = MessageCommand(options["on-message"], starter, runtime.clock)

    def make_node() -> Node:
        def registry(url: str, nearest: Scope = Scope.LOOPBACK) -> RegistrySignaling:
            return RegistrySignaling(url, profile.identity, runtime, nearest)

        ways = [registry(url) for url in (settings.server, *options.further_servers)]
        return Node(runtime, settings, profile, ways, store, another=registry)

    return PeerService(
        runtime=runtime,
        front_ends=[front_end],
        process=this_process(options.program),
        make_node=make_node,
        attach=lambda one: StandardIO(one.stdio, reactor=runtime.reactor),
        starting=starting,
        observer=_observer(options),
        terminal=terminal,
        call=options["connect"] or "",
        join=options.invitation,
        on_message=command,
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


def _load(options: Options, runtime: Runtime) -> tuple[Profile, Starting]:
    """Lock and read the state directory, and write what is new there."""
    settings, path = options.settings, options["state"]
    new: tuple[str, ...] = ()
    directory = None if path is None else StateDirectory.open(path)
    if directory is not None and not (directory.path / IDENTITY_FILE).exists():
        new = ("identity",)
    passphrases, synchronous = options.passphrases.passphrases, options["synchronous"]
    profile = load_profile(directory, runtime.random_bytes, passphrases, synchronous)
    if directory is not None:
        new += remember(profile, options.to_remember())
    who = profile.identity.peer_id, settings.username, settings.server
    state = "" if directory is None else str(directory.path)
    return profile, Starting(*who, __version__, state, new, tuple(options.further_servers))
