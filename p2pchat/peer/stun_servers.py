"""
From the registry's STUN and TURN URLs (RFC 7064, RFC 7065) to addresses that can be sent to, in
both address families: which of them this machine can reach is for others to find out.

URLs that can't be read or resolved are left out: a peer without STUN still has its host
candidates.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, succeed
from twisted.logger import Logger

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer.names import resolve
from p2pchat.runtime import Runtime
from p2pchat.wire.addresses import Address, Scope, scope
from p2pchat.wire.origins import host as url_host
from p2pchat.wire.turn import RelayServer, Transport, parse_turn_url

DEFAULT_PORT = 3478  # RFC 8489 section 8.1
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
def stun_addresses(runtime: Runtime, urls: object) -> Any:
    """Return a Deferred of the addresses that these URLs name, in both families."""
    wanted = urls if isinstance(urls, list) else []
    found: list[list[Address]] = yield gatherResults(
        [_resolve(runtime, url) for url in wanted[:MAX_URLS]]
    )
    return [address for addresses in found for address in addresses]


@inlineCallbacks
def relay_servers(runtime: Runtime, urls: object) -> Any:
    """
    Return a Deferred of the relays that these URLs name, as pairs of relay and address.

    A relay over UDP comes once for each address that it has; one over TCP or TLS, whose name
    the connection resolves, comes with ``None``.
    """
    found: list[tuple[RelayServer, Address | None]] = []
    for url in (urls if isinstance(urls, list) else [])[:MAX_URLS]:
        try:
            server = parse_turn_url(url)
        except RemoteProtocolError as error:
            _log.warn("{error}", error=error)
            continue
        if server.transport is Transport.UDP:
            addresses = yield _look_up(runtime, server.host, server.port)
            found += [(server, address) for address in addresses]
        else:
            found.append((server, None))
    return found


def _resolve(runtime: Runtime, url: object) -> Deferred[list[Address]]:
    try:
        host, port = parse_stun_url(url)
    except RemoteProtocolError as error:
        _log.warn("{error}", error=error)
        return succeed([])
    return _look_up(runtime, host, port)


def _look_up(runtime: Runtime, name: str, port: int) -> Deferred[list[Address]]:
    return resolve(runtime, name).addCallback(_usable, name, port)


def _usable(hosts: list[str], name: str, port: int) -> list[Address]:
    found = [(host, port) for host in hosts if scope(host) is not Scope.UNUSABLE]
    if not found:
        _log.warn("server {name} has no address that can be used", name=name)
    return found
