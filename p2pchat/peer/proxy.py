"""
Proxies, through which connections over TCP leave a network: HTTP CONNECT and SOCKS5.

Owns the handshake with a proxy, after which the connection is the other end's; and which proxy a
connection goes through, as the environment or the person says.  The proxy resolves the names::

    we                              HTTP proxy (RFC 9110 section 9.3.6)
    CONNECT name:port          ->
                               <-   status 2xx, fields, an empty line

    we                              SOCKS5 proxy (RFC 1928)
    ways to authenticate       ->
                               <-   one of them
    user name and password     ->   if it wants them (RFC 1929)
                               <-   granted
    CONNECT name, port         ->
                               <-   granted, an address

Refuses a head of more than MAX_HEAD bytes, and proxies that are spoken to over TLS or by SOCKS4.
The messages themselves are python-socks'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from ipaddress import ip_address, ip_network
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

import attrs
from python_socks._protocols import http, socks5
from python_socks._protocols.errors import ReplyError

from p2pchat.errors import ConfigurationError, ProxyError
from p2pchat.peer.failures import one_line
from p2pchat.wire.addresses import Scope, readable_ip, scope

MAX_HEAD = 16 * 1024  # bytes; proxies add a few fields and rarely a cookie
MAX_SECRET = 255  # bytes of a user name or password, RFC 1929 section 2
GO_WITHOUT = "none"  # what --proxy says where no proxy is to be used

_DEFAULT_PORTS = {"http": 80, "socks5": 1080}
_ALIASES = {"socks": "socks5", "socks5h": "socks5"}  # curl's word for names resolved at the proxy
_ADDRESS_LENGTHS = {int(socks5.AddressType.IPV4): 4, int(socks5.AddressType.IPV6): 16}  # bytes
_REPLY_HEAD = 5  # bytes of a SOCKS5 reply that tell how long it is
_HEAD_END = re.compile(rb"\n\r?\n")
_INTERIM = re.compile(rb"HTTP/1\.[01] 1[0-9][0-9]\s")
_GRANTED = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9]\s")  # RFC 9110 section 9.3.6: any of them
_WANTS_CREDENTIALS = {407, 401}  # the second one is no proxy's to say, and some say it
_FORBIDS = 403


class ProxyKind(Enum):
    """The protocol that a proxy speaks."""

    HTTP = "http"
    SOCKS5 = "socks5"


@attrs.frozen
class Proxy:
    """One proxy, and who we are to it."""

    kind: ProxyKind
    host: str
    port: int
    username: str = ""
    password: str = attrs.field(default="", repr=False)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind.value}://{host}:{self.port}"


@attrs.frozen
class UnusableProxy:
    """A proxy that the environment names; ``error`` says why connections through it fail."""

    error: ConfigurationError


def parse_proxy(url: str, source: str) -> Proxy:
    """
    Read the URL of a proxy; without a scheme it is an HTTP proxy.

    :param source: the option or variable that it comes from, for the error.
    :raises ConfigurationError: it is none, or one of a kind that this program can't use.
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        scheme = _ALIASES.get(parts.scheme, parts.scheme)
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS.get(scheme, 0)
    except ValueError:
        raise ConfigurationError(f"{source}: this is no URL of a proxy") from None
    if scheme not in _DEFAULT_PORTS:
        raise ConfigurationError(
            f"{source}: a proxy of {one_line(scheme)}:// can't be used, only http:// and "
            f"socks5://; --proxy {GO_WITHOUT} goes without"
        )
    if not host or not host.isascii() or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(f"{source}: write http://HOST:PORT or socks5://HOST:PORT")
    username, password = unquote(parts.username or ""), unquote(parts.password or "")
    for secret in (username, password):
        if not secret.isascii() or len(secret) > MAX_SECRET or not (secret.isprintable()):
            raise ConfigurationError(
                f"{source}: name and password of a proxy are up to {MAX_SECRET} ASCII characters"
            )
    if ":" in username:
        raise ConfigurationError(f"{source}: the name for a proxy can't have a colon")
    return Proxy(ProxyKind(scheme), host, port, username, password)


@attrs.frozen
class ProxyChoice:
    """
    The proxy of each connection; none where both ends are on this machine.

    :ivar by_scheme: the proxies for ``http`` and ``https``.
    :ivar bypass: hosts that are reached without, as ``NO_PROXY`` lists them.
    """

    by_scheme: Mapping[str, Proxy | UnusableProxy]
    bypass: str = ""

    def __call__(self, scheme: str, host: str) -> Proxy | UnusableProxy | None:
        """Return the proxy for a host; connections to relays are like those of ``https``."""
        literal = readable_ip(host.strip("[]"))
        is_here = host == "localhost" or (literal and scope(literal) is Scope.LOOPBACK)
        if is_here or self._is_bypassed(literal or host):
            return None
        return self.by_scheme.get(scheme)

    def _is_bypassed(self, host: str) -> bool:
        entries = [one.strip().removeprefix("*.").strip("[]") for one in self.bypass.split(",")]
        if any(_is_in(host, entry) for entry in entries):
            return True
        return bool(proxy_bypass_environment(host, {"no": ",".join(filter(None, entries))}))


def _is_in(host: str, network: str) -> bool:
    """Tell whether a host is an IP literal of a network such as 10.0.0.0/8."""
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False


def choose_proxies(environment: Mapping[str, str], option: str | None) -> ProxyChoice:
    """
    Return what the person chose: by ``--proxy``, else by the environment, as curl reads it.

    ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``; in small letters they go first.
    One of these that can't be used matters to connections that would go through it.

    :raises ConfigurationError: the proxy of the option can't be used.
    """
    if option is not None:
        if option == GO_WITHOUT:
            return ProxyChoice({})
        proxy = parse_proxy(option, "--proxy")
        return ProxyChoice(dict.fromkeys(("http", "https"), proxy))
    found: dict[str, Proxy | UnusableProxy] = {}
    for scheme in ("http", "https"):
        names = [f"{one}_proxy" for one in (scheme, "all")]
        spellings = [spelling for name in names for spelling in (name, name.upper())]
        chosen = next((name for name in spellings if environment.get(name, "").strip()), None)
        if chosen is not None:
            found[scheme] = _parse_or_not(environment[chosen].strip(), chosen)
    bypass = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return ProxyChoice(found, bypass)


def _parse_or_not(url: str, source: str) -> Proxy | UnusableProxy:
    try:
        return parse_proxy(url, source)
    except ConfigurationError as error:
        return UnusableProxy(error)


class Handshake(Protocol):
    """
    The handshake with one proxy.

    :ivar rest: what came behind it, from the other end already; ``None`` while it isn't over.
    """

    rest: bytes | None

    def begin(self) -> bytes:
        """Return what to send first."""

    def receive(self, data: bytes) -> bytes:
        """
        Take bytes; return what to send.

        :raises ProxyError: the proxy refuses, or isn't one.
        """


@attrs.define
class HttpHandshake:
    """The handshake with an HTTP proxy."""

    _proxy: Proxy
    _host: str
    _port: int
    rest: bytes | None = None
    _head: bytes = b""
    _interim: int = 0  # bytes of the interim answers before it

    def begin(self) -> bytes:
        """Return the request."""
        username, password = self._proxy.username or None, self._proxy.password
        return http.ConnectRequest(self._host, self._port, username, password).dumps()

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the answer."""
        self._head += data
        while (end := _HEAD_END.search(self._head)) and _INTERIM.match(self._head):
            self._interim += end.end()
            self._head = self._head[end.end() :]
        is_long = self._interim + (end.end() if end else len(self._head)) > MAX_HEAD
        if is_long or not b"HTTP/".startswith(self._head[:5]):
            raise ProxyError(f"the proxy {self._proxy} is no HTTP proxy")
        if end is None:
            return b""
        head, rest = self._head[: end.start()], self._head[end.end() :]
        if not _GRANTED.match(head):
            self._refuse(b"\r\n".join(head.splitlines()))
        self.rest = rest
        return b""

    def _refuse(self, head: bytes) -> None:
        try:
            http.Connection().receive(head)
        except ReplyError as error:
            raise ProxyError(self._refusal(error)) from None

    def _refusal(self, error: ReplyError) -> str:
        if error.error_code in _WANTS_CREDENTIALS:
            return _stranger_in_words(self._proxy)
        answer = f"the proxy {self._proxy} answers {one_line(str(error))}"
        if error.error_code == _FORBIDS:
            return f"{answer}: it lets nobody through to {self._host}, port {self._port}"
        return f"{answer} to a connection to {self._host}, port {self._port}"


@attrs.define
class SocksHandshake:
    """The handshake with a SOCKS5 proxy."""

    _proxy: Proxy
    _host: str
    _port: int
    rest: bytes | None = None
    _connection: socks5.Connection = attrs.Factory(socks5.Connection)
    _data: bytes = b""

    def begin(self) -> bytes:
        """Return the ways to authenticate."""
        proxy = self._proxy
        return self._send(socks5.AuthMethodsRequest(proxy.username or None, proxy.password or None))

    def receive(self, data: bytes) -> bytes:
        """Take bytes of its replies."""
        self._data += data
        answer = b""
        try:
            while self.rest is None and len(self._data) >= (size := self._awaited()):
                reply, self._data = self._data[:size], self._data[size:]
                answer += self._answer(self._connection.receive(reply))
        except ReplyError as error:
            raise ProxyError(self._refusal(reply[0], error)) from None
        except (OSError, ValueError, IndexError):
            raise ProxyError(f"the proxy {self._proxy} is no SOCKS5 proxy") from None
        return answer

    def _refusal(self, version: int, error: ReplyError) -> str:
        match self._connection.state, version:
            case (socks5.StateClientSentAuthMethods(), socks5.SOCKS_VER) | (
                socks5.StateClientSentAuthRequest(),
                socks5.AuthRequest.VER,
            ):
                return _stranger_in_words(self._proxy)
            case socks5.StateClientSentConnectRequest(), _:
                there = f"{self._host}, port {self._port}"
                refusal = f"the proxy {self._proxy} refuses a connection to {there}"
                return f"{refusal}: {one_line(str(error))}"
        return f"the proxy {self._proxy} is no SOCKS5 proxy"

    def _send(self, request: Any) -> bytes:
        try:
            return bytes(self._connection.send(request))
        except ValueError:  # UnicodeError among them
            raise ProxyError(f"{self._host} can't be told to a SOCKS5 proxy") from None

    def _awaited(self) -> int:
        """Return how many bytes the next reply has, or how many tell that."""
        if not isinstance(self._connection.state, socks5.StateClientSentConnectRequest):
            return socks5.AuthReply.SIZE
        head = self._data[:_REPLY_HEAD]
        if len(head) > 1 and head[1] != socks5.ReplyCode.SUCCEEDED:
            return 2  # nothing behind it is of use
        if len(head) < _REPLY_HEAD:
            return _REPLY_HEAD
        return 4 + _ADDRESS_LENGTHS.get(head[3], 1 + head[4]) + 2

    def _answer(self, reply: object) -> bytes:
        if isinstance(reply, socks5.ConnectReply):
            self.rest = self._data
            return b""
        if isinstance(self._connection.state, socks5.StateServerWaitingForAuth):
            return self._send(socks5.AuthRequest(self._proxy.username, self._proxy.password))
        return self._send(socks5.ConnectRequest(self._host, self._port))


def _stranger_in_words(proxy: Proxy) -> str:
    """Return that a proxy doesn't know who we are, and what to do."""
    if proxy.username:
        return (
            f"the proxy {proxy} doesn't take this user name and password: write others before its "
            "host"
        )
    return f"the proxy {proxy} wants a user name and password: write NAME:PASSWORD@ before its host"


def handshake(proxy: Proxy, host: str, port: int) -> Handshake:
    """Return the handshake for a connection to a name or IP literal, without brackets."""
    kind = HttpHandshake if proxy.kind is ProxyKind.HTTP else SocksHandshake
    return kind(proxy, host, port)
