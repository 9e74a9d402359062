"""
From the registry's STUN and TURN URLs (RFC 7064, RFC 7065) to addresses that can be sent to.

URLs that can't be read or resolved are left out: a peer without STUN still has its host
candidates.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import isIPAddress
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import Address, Scope, scope
from p2pchat.wire.origins import host as url_host
from p2pchat.wire.turn import RelayServer, Transport, parse_turn_url

DEFAULT_PORT = 3478  # RFC 8489 section 8.1
RESOLVE_TIMEOUT = (1, 2)  # seconds, for each try
MAX_URLS = 8

_log = Logger()


def parse_stun_url(url: object) -> Address:
    """
    Read ``stun:host`` or ``stun:host:port``.

    :raises RemoteProtocolError: it is neither.
    """
    text = url if isinstance(url, str) else ""
    scheme, _, rest = text.partition(":")
    if scheme != "stun" or set(rest) & set("/?#"):
        raise RemoteProtocolError(f"{text[:80]!r} is not a STUN URL")
    host, colon, port = rest.rpartition(":")
    if not colon or "]" in port:
        host, port = rest, str(DEFAULT_PORT)
    digits = port.isascii() and port.isdigit() and len(port) < 6
    if not digits or not 0 < int(port) < 65536:
        raise RemoteProtocolError(f"{text[:80]!r}: no port from 1 to 65535")
    return url_host(f"http://{host}:1").strip("[]"), int(port)


@inlineCallbacks
def stun_addresses(reactor: Any, urls: object) -> Any:
    """Return a Deferred of the IPv4 addresses that these URLs name."""
    wanted = urls if isinstance(urls, list) else []
    found: list[Address | None] = yield gatherResults(
        [_resolve(reactor, url) for url in wanted[:MAX_URLS]]
    )
    return [address for address in found if address is not None]


@inlineCallbacks
def relay_servers(reactor: Any, urls: object) -> Any:
    """Return a Deferred of the relays that these URLs name, each with its address or ``None``."""
    found: list[tuple[RelayServer, Address | None]] = []
    for url in (urls if isinstance(urls, list) else [])[:MAX_URLS]:
        try:
            server = parse_turn_url(url)
        except RemoteProtocolError as error:
            _log.warn("{error}", error=error)
            continue
        address = None
        if server.transport is Transport.UDP:
            address = yield _look_up(reactor, server.host, server.port)
        found.append((server, address))
    return found


def _resolve(reactor: Any, url: object) -> Deferred[Address | None]:
    try:
        host, port = parse_stun_url(url)
    except RemoteProtocolError as error:
        _log.warn("{error}", error=error)
        return succeed(None)
    return _look_up(reactor, host, port)


def _look_up(reactor: Any, host: str, port: int) -> Deferred[Address | None]:
    if isIPAddress(host):
        return succeed(_usable(host, port))
    resolved: Deferred[Any] = reactor.resolve(host, RESOLVE_TIMEOUT)
    return resolved.addCallbacks(lambda ip: _usable(ip, port), _unresolved, errbackArgs=(host,))


def _usable(host: str, port: int) -> Address | None:
    return None if ":" in host or scope(host) is Scope.UNUSABLE else (host, port)


def _unresolved(failure: Failure, host: str) -> None:
    _log.warn("server {host} has no address: {error}", host=host, error=failure.value)
