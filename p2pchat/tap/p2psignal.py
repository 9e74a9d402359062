"""
``twistd -n p2psignal``: the registry and its STUN service, and the relays that it names.

Imports neither Klein nor a reactor: ``twistd`` imports this module before the reactor is chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import attrs
from twisted.application.service import MultiService
from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.registry.admission import rates
from p2pchat.registry.admission.load import STRANGERS
from p2pchat.registry.http.client_address import TrustedProxies
from p2pchat.registry.store.redis_url import RedisUrl, parse_redis_url
from p2pchat.tap.command_line import CommandLine
from p2pchat.tap.process import leave_once, leave_threads_behind
from p2pchat.wire.addresses import parse_ip
from p2pchat.wire.origins import host, origin
from p2pchat.wire.servers import parse_turn_url

T = TypeVar("T")

LEASES = (5, 86_400)  # seconds; shorter would be all renewal, longer would show the dead for a day
TURN_TTLS = (300, 604_800)  # seconds; less would end under a call, more would be hard to revoke
MAX_RELAYS = 8  # what a peer takes from an answer
MAX_SECRET = 1024  # bytes
MAX_STRANGERS = 1_000_000  # a second
MAILBOX_SIZES = {"memory": 64, "file": 1024}  # MiB; of 10,000 mailboxes without mail some 60
MAX_MAILBOX_SIZE = 1024 * 1024  # MiB
MAX_LIMIT = 1_000_000  # connections; more than one process can serve
RATES = (
    *("rate", "key-rate", "read-rate", "stun-rate", "watch-rate", "unsolicited-rate"),
    *("nameplate-rate", "presence-rate", "mailbox-rate", "deposit-rate"),
)
LIMITS = (
    "max-connections",
    "max-connections-per-address",
    "max-streams",
    "max-streams-per-address",
)


class Options(CommandLine):
    """The command line of ``p2psignal``."""

    program = "p2psignal"
    invocation = "twistd p2psignal"
    longdesc = "Introduces p2pchat peers to each other, and tells them their public addresses."

    optParameters = [
        ["listen", "l", "tcp:8000", "Endpoint string of the HTTP port, such as tcp:8000."],
        ["metrics", "m", "", "Endpoint string of a port for Prometheus; default: none of its own."],
        ["stun", "s", "3478", "First of two UDP ports for STUN; 0: no STUN."],
        ["address", "a", "", "IP address for STUN (default: all interfaces, IPv4 and IPv6)."],
        ["second-address", "b", "", "Second IP address for STUN (RFC 5780), beside --address."],
        ["stun-host", None, "", "Where peers reach STUN (default: at the registry's own name)."],
        ["lease", None, "60", "Seconds after which a peer that fell silent is forgotten."],
        ["turn", None, "", "Relays: turn:host:3478,turns:host:5349; needs --turn-secret-file."],
        ["turn-secret-file", None, "", "File with the secret shared with the relays."],
        [
            "store",
            None,
            "",
            "redis://host:port/db, shared by several registries (default: memory).",
        ],
        ["store-password-file", None, "", "File with the password of the store."],
        ["trusted-proxy", None, "", "ADDRESS[/BITS],...: believe X-Forwarded-For from these."],
        ["max-connections", None, "20000", "HTTP connections, event streams included."],
        ["max-connections-per-address", None, "512", "Those from one IPv4 address or IPv6 /64."],
        ["max-streams", None, "15000", "Event streams."],
        ["max-streams-per-address", None, "256", "Those to one IPv4 address or IPv6 /64."],
        ["turn-ttl", None, "86400", "Seconds that credentials for the relays are good for."],
        ["rate", None, str(rates.DOCUMENTS), "Documents that one address may send, RATE/BURST."],
        ["key-rate", None, str(rates.KEYS), "Documents that one key may have taken."],
        ["read-rate", None, str(rates.READS), "Other requests that one address may make."],
        ["watch-rate", None, str(rates.WATCHING), "Those for /healthz and /metrics, likewise."],
        ["stun-rate", None, str(rates.STUN), "STUN requests that one address is answered."],
        [
            *("unsolicited-rate", None, str(rates.UNSOLICITED)),
            "Bytes to one peer from those that it never wrote to.",
        ],
        ["nameplate-rate", None, str(rates.NAMEPLATES), "Invitations that aren't there, likewise."],
        ["presence-rate", None, str(rates.PRESENCE), "Peers whose presence one address may ask."],
        ["mailbox-rate", None, str(rates.MAILBOXES), "Tokens that aren't good, likewise."],
        ["deposit-rate", None, str(rates.DEPOSITS), "Bytes that are left by one token."],
        ["mailbox-file", None, "", "File for --mailbox (default: memory, or the store)."],
        ["mailbox-size", None, "", "MiB of all mail (default: 64; in a file 1024)."],
        ["work-secret-file", None, "", "File with a secret that instances share, for --work-from."],
        ["work-from", None, f"{STRANGERS:g}", "New peers a second who needn't work; 0: any."],
    ]

    optFlags = [
        ["no-list", None, "List nobody: peers are found by their whole ids only."],
        ["mailbox", None, "Keep sealed envelopes for peers that are away."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["public-url"] = ()

    def opt_public_url(self, url: str) -> None:
        """URL that peers dial; needed for a name, or behind a port forward.  May be repeated."""
        self["public-url"] += (url,)

    opt_u = opt_public_url

    def postOptions(self) -> None:
        """Check every value, and put numbers in place of digits."""
        self["stun"] = self.number("stun", 0, 65_534, int)
        self["stun-host"] = self._read("stun-host", _host)
        self["lease"] = self.number("lease", *LEASES, int)
        origins = [self._read("public-url", origin, url) for url in self["public-url"] if url]
        self["public-url"] = tuple(dict.fromkeys(origins))
        self["turn-ttl"] = self.number("turn-ttl", *TURN_TTLS, int)
        self["rates"] = rates.Rates(*(self._read(name, rates.Rate.parse) for name in RATES))
        self["work-from"] = self.number("work-from", 0, MAX_STRANGERS, int)
        for name in LIMITS:
            self[name] = self.number(name, 1, MAX_LIMIT, int)
        self["turn"] = self._relays()
        self["turn-secret"] = self._secret("turn-secret-file")
        self["store"] = self._store()
        self._check_mailbox()
        self["trusted-proxy"] = self._read("trusted-proxy", TrustedProxies.parse)
        self["work-secret"] = self._secret("work-secret-file")
        self._check_endpoint("listen", "tcp:8000")
        if self["metrics"]:
            self._check_endpoint("metrics", "tcp:9100:interface=127.0.0.1")
        self._check_addresses()

    def _read(self, name: str, read: Callable[[str], T], text: str | None = None) -> T:
        """Read the text of an option."""
        try:
            return read(self[name] if text is None else text)
        except (ConfigurationError, RemoteProtocolError) as error:
            raise usage.UsageError(f"--{name}: {error}") from None

    def _relays(self) -> tuple[str, ...]:
        if bool(self["turn"]) != bool(self["turn-secret-file"]):
            raise usage.UsageError("--turn and --turn-secret-file need each other")
        urls = [url.strip() for url in self["turn"].split(",") if self["turn"]]
        if len(urls) > MAX_RELAYS:
            raise usage.UsageError(f"--turn: {len(urls)} URLs, {MAX_RELAYS} at most")
        return tuple(dict.fromkeys(str(self._read("turn", parse_turn_url, url)) for url in urls))

    def _secret(self, name: str) -> bytes:
        """Read a secret, without the line's end; others' configurations have it as a word."""
        path = self[name]
        if not path:
            return b""
        try:
            with Path(path).open("rb") as file:
                secret = file.read(MAX_SECRET + 1).strip()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise usage.UsageError(f"--{name}: {path!r}: {reason}") from None
        if not secret:
            raise usage.UsageError(f"--{name}: {path!r} is empty")
        if len(secret) > MAX_SECRET or len(secret.split()) > 1:
            raise usage.UsageError(f"--{name}: {path!r} must hold one word")
        return secret

    def _store(self) -> RedisUrl | None:
        if not self["store"]:
            if self["store-password-file"]:
                raise usage.UsageError("--store-password-file needs --store")
            return None
        url = self._read("store", parse_redis_url)
        password = self._secret("store-password-file")
        try:
            return attrs.evolve(url, password=password.decode()) if password else url
        except UnicodeDecodeError:
            raise usage.UsageError("--store-password-file must be UTF-8") from None

    def _check_mailbox(self) -> None:
        for name in ("mailbox-file", "mailbox-size"):
            if self[name] and not self["mailbox"]:
                raise usage.UsageError(f"--{name} needs --mailbox")
        if self["mailbox-file"] and self["store"] is not None:
            raise usage.UsageError("--mailbox-file: with --store mail is kept there, not in a file")
        usual = MAILBOX_SIZES["file" if self["mailbox-file"] else "memory"]
        self["mailbox-size"] = self["mailbox-size"] or str(usual)
        self["mailbox-size"] = self.number("mailbox-size", 1, MAX_MAILBOX_SIZE, int)

    def _check_endpoint(self, name: str, example: str) -> None:
        try:
            serverFromString(None, self[name])
        except Exception as error:  # endpoint plugins raise what they like
            raise usage.UsageError(
                f"--{name}: {self[name]!r} is no endpoint ({error}); try {example}"
            ) from None

    def _check_addresses(self) -> None:
        for name in ("address", "second-address"):
            self[name] = self._read(name, _ip)
        first, second = self["address"], self["second-address"]
        if not second:
            return
        if not first or not self["stun"]:
            raise usage.UsageError("--second-address needs --address and --stun")
        if first == second or (":" in first) != (":" in second):
            raise usage.UsageError(
                "--address and --second-address must be two addresses of one family"
            )


def _host(name: str) -> str:
    return host(origin(f"http://{name}")) if name else ""


def _ip(text: str) -> str:
    return str(parse_ip(text)) if text else ""


def makeService(options: Options) -> MultiService:
    """Make the registry and its STUN service from checked options."""
    # Klein installs the reactor, and twistd has chosen one by now.
    from twisted.internet import reactor  # noqa: PLC0415

    from p2pchat.tap.p2psignal_services import registry_services  # noqa: PLC0415

    leave_threads_behind(reactor)
    leave_once(reactor)
    return registry_services(reactor, options)
