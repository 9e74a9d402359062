"""
Command line of a node, and the choice of where its log lines go, for ``p2ppeer`` and ``p2pnode``.

Log lines never mix into a conversation: they go to ``--log FILE``, else to ``p2ppeer.log`` in
the state directory, else to stderr: warnings, and on a terminal only what is critical.  twistd's
own ``--logfile``, ``--logger`` and ``--syslog`` go before all that.
"""

from __future__ import annotations

import getpass
import os
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast
from urllib.parse import urlsplit

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
from p2pchat.peer.profile import recall
from p2pchat.peer.proxy import ProxyChoice, UnusableProxy, choose_proxies
from p2pchat.peer.remembered import Remembered
from p2pchat.peer.settings import (
    DEFAULT_HEARTBEAT,
    DEFAULT_RETRIES,
    DEFAULT_SERVER,
    FileSettings,
    NodeSettings,
)
from p2pchat.peer.state_directory import check_directory, explained
from p2pchat.peer.storage.database import Synchronous
from p2pchat.session.approval import AcceptPolicy
from p2pchat.tap.command_line import CommandLine
from p2pchat.tap.passphrases import PassphraseSource, ask_secretly, passphrase_source
from p2pchat.tap.places import expanded, profile_directory
from p2pchat.wire.documents import MAX_REGISTRIES, MAX_SERVER
from p2pchat.wire.origins import host, origin, registry_url
from p2pchat.wire.usernames import MAX_USERNAME

_Choice = TypeVar("_Choice", bound=Enum)

LOG_FILE = "p2ppeer.log"
LOG_FILE_SIZE = 1_000_000  # bytes
_SIZES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}  # bytes
_TWISTD_PIDFILE = "twistd.pid"


class NodeOptions(CommandLine):
    """
    The options of a node.

    :cvar default_profile: the profile that is used where no directory is named.
    :ivar invited_to: the registry that an invitation names, or "".
    :ivar given: what was given to ``--server``.
    """

    optParameters = [
        ["username", "u", None, "What others see (default: as last time, or your login name)."],
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
        [
            "on-message",
            None,
            None,
            "Run this command for what contacts say out of view; the text is on its input.",
        ],
        ["downloads", None, None, "Folder for files of contacts (default: your downloads)."],
        ["accept-files", None, None, "Take contacts' files unasked, into this folder."],
        ["accept-most", None, "10G", "Bytes that it may hold by that: 500M, 20G, 1T."],
        ["keep", None, None, "Days for which what was said is kept (default: for ever)."],
        ["synchronous", None, "full", "full, or normal: a crash of the machine may cost seconds."],
        ["log", "l", None, "Write log lines to this file."],
        ["passphrase-file", None, None, "File with the passphrase of an encrypted identity."],
    ]
    optFlags = [
        ["publish-address", None, "Show our public address to everybody in the registry."],
        ["unlisted", None, "Be found by the whole id only: in no list, and by no name."],
        ["invisible", None, "Be shown to nobody: who isn't called by you can't call you."],
        ["no-typing", None, "Neither tell contacts that you type, nor be told."],
        ["no-receipts", None, "Neither tell contacts what you have read, nor be told."],
        ["relay-only", None, "Never tell or use an address of ours: relays only."],
        ["no-mailbox", None, "Leave nothing at registries for contacts, nor let them for us."],
        ["require-pq", None, "Refuse links without post-quantum key exchange."],
    ]

    default_profile: str | None = None
    settings: NodeSettings
    proxies: ProxyChoice
    passphrases: PassphraseSource
    ask: Callable[[str], str] = staticmethod(ask_secretly)
    further_servers: Sequence[str] = ()
    invited_to: str = ""
    given: tuple[str, ...] = ()

    def postOptions(self) -> None:
        """Check every value."""
        if self["log"] is not None:
            self["log"] = expanded("log", self["log"])
        self["on-message"] = self._command()
        self["synchronous"] = self._synchronous()
        self["state"] = self._state()
        self.passphrases = passphrase_source(self, self.ask)
        remembered = self._recall()
        self.take_remembered(remembered)
        server, *self.further_servers = self.servers(remembered)
        try:
            self.settings = self._settings(remembered.username, server)
            self.proxies = choose_proxies(os.environ, self["proxy"])
            self._check_way()
        except ConfigurationError as error:
            raise usage.UsageError(str(error)) from None
        self._suit_twistd()

    def take_remembered(self, remembered: Remembered) -> None:
        """Take what is kept of the last start, before registries are chosen."""

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

    def opt_server(self, url: str) -> None:
        """URL of a registry; up to 5 times (default: as last time, or http://127.0.0.1:8000)."""
        self.given += (url,)

    opt_s = opt_server

    def _check_way(self) -> None:
        """Refuse a proxy that can't be used, where a registry is reached through it."""
        for server in (self.settings.server, *self.further_servers):
            proxy = self.proxies(urlsplit(server).scheme, host(server).strip("[]"))
            if isinstance(proxy, UnusableProxy):
                raise proxy.error

    def _state(self) -> str | None:
        """Return the state directory, if there is to be one."""
        chosen = [f"--{name}" for name in ("state", "profile", "ephemeral") if self.get(name)]
        if len(chosen) > 1:
            raise usage.UsageError(f"{' and '.join(chosen)} exclude each other")
        if self["state"] is not None:
            return expanded("state", self["state"])
        name = self["profile"] if self["profile"] is not None else self.default_profile
        return None if self.get("ephemeral") or name is None else profile_directory(name)

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

    def _settings(self, remembered: str, server: str) -> NodeSettings:
        return NodeSettings(
            username=self._username(remembered),
            server=server,
            port=self.number("port", 0, 65535, int),
            accept=self.one_of("accept", AcceptPolicy),
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
            files=self._files(),
            keep=None if self["keep"] is None else self.number("keep", 1, 36500, float),
        )

    def _files(self) -> FileSettings:
        """Return where files come into; nothing is made before any comes."""
        downloads, accepted = self._folder("downloads"), self._folder("accept-files")
        found = re.fullmatch(r"([0-9]{1,9})([kMGT]?)", self["accept-most"])
        if found is None:
            most = self["accept-most"]
            raise usage.UsageError(f"--accept-most: {most!r} is no size such as 500M, 20G or 1T")
        most = int(found[1]) * _SIZES[found[2]]
        return FileSettings(downloads, accepted, most)

    def _folder(self, name: str) -> str:
        """Return the folder that an option names, or ""."""
        if self[name] is None:
            return ""
        path = os.path.abspath(expanded(name, self[name]))
        if os.path.lexists(path) and not os.path.isdir(path):
            raise usage.UsageError(f"--{name}: {path} is no folder")
        return path

    def to_remember(self) -> Remembered:
        """Return what the next start is to know: the name, and the registries if they are new."""
        is_new = bool(self.given) or self.settings.server == self.invited_to
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

    def servers(self, remembered: Remembered) -> list[str]:
        """Return our registries: those that are given, or else those of the last time."""
        if not self.given:
            known = remembered.server or self.invited_to or DEFAULT_SERVER
            return [self._read_url(one) for one in (known, *remembered.servers)]
        if len(self.given) > MAX_REGISTRIES:
            raise usage.UsageError(
                f"--server is given {len(self.given)} times, and a peer may be at "
                f"{MAX_REGISTRIES} registries"
            )
        found = {origin(url): url for url in map(self._read_url, self.given)}
        if len(found) < len(self.given):
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

    def one_of(self, name: str, choices: type[_Choice]) -> _Choice:
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


def log_observer(options: NodeOptions, stderr: TextIO | None) -> ILogObserver:
    """
    Choose where log lines go.

    :raises ConfigurationError: the file can't be written.
    """
    path = options["log"]
    if path is None and options["state"] and not options.get("nat-type"):
        path = os.path.join(options["state"], LOG_FILE)
    if path:
        return _above(LogLevel.info, _log_file(path))
    if stderr is None:
        return _above(LogLevel.critical, open(os.devnull, "w"))
    return _above(LogLevel.critical if stderr.isatty() else LogLevel.warn, stderr)


def critical_observer(stderr: TextIO) -> ILogObserver:
    """Return the log of a program whose node is another: what is critical, on stderr."""
    return _above(LogLevel.critical, stderr)


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
