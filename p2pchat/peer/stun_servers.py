"""
From the registry's STUN and TURN URLs (RFC 7064, RFC 7065) to addresses that can be sent to, in
both address families: which of them this machine can reach is for others to find out.

URLs that can't be read or resolved, and servers that :mod:`p2pchat.traversal.reachability` forbids,
are left out: a peer without STUN still has its host candidates.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import gatherResults, inlineCallbacks
from twisted.logger import Logger

from p2pchat.errors import RegistryError, RemoteProtocolError
from p2pchat.peer.names import Names
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.traversal.reachability import may_serve
from p2pchat.wire.addresses import Address, Family, Scope, family
from p2pchat.wire.origins import host as url_host
from p2pchat.wire.turn import MAX_URL, RelayServer, parse_turn_url

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


@attrs.define(eq=False)
class NamedServers:
    """
    The servers that a registry names, at the addresses that may be sent to.

    Each name is resolved once, and what is returned are addresses that were judged.
    """

    _names: Names

    @inlineCallbacks
    def stun(self, urls: object, registry: Scope) -> Any:
        """Return a Deferred of the addresses of STUN servers, in both families."""
        found: list[tuple[str, int]] = []
        for url in _strings(urls):
            try:
                found.append(parse_stun_url(url))
            except RemoteProtocolError as error:
                _log.warn("{error}", error=error)
        resolved = yield self._resolved([host for host, _ in found])
        return [
            address
            for host, port in found
            for address in _usable(resolved[host], host, port, registry)
        ]

    @inlineCallbacks
    def relays(self, urls: object, registry: Scope) -> Any:
        """Return a Deferred of pairs of relay and address; one relay may have two."""
        found: list[RelayServer] = []
        for url in _strings(urls):
            try:
                found.append(parse_turn_url(url))
            except RemoteProtocolError as error:
                _log.warn("{error}", error=error)
        resolved = yield self._resolved([server.host for server in found])
        return [
            (server, address)
            for server in found
            for address in _usable(resolved[server.host], server.host, server.port, registry)
        ]

    @inlineCallbacks
    def _resolved(self, hosts: list[str]) -> Any:
        wanted = list(dict.fromkeys(hosts))
        found = yield gatherResults([self._names.addresses(host) for host in wanted])
        return dict(zip(wanted, found, strict=True))


@inlineCallbacks
def find_stun(client: RegistryClient, names: Names) -> Any:
    """
    Ask a registry where STUN is, and return a Deferred of the first IPv4 address.

    It fails with :class:`p2pchat.errors.RegistryError` where the registry can't be asked, or names
    no server that can be used.
    """
    status = yield client.status()
    urls = status.get("stun_servers", [f"stun:{url_host(client.server)}"])
    found = yield NamedServers(names).stun(urls, client.scope)
    usable = [address for address in found if family(address[0]) is Family.IPV4]
    if not usable:
        raise RegistryError(
            f"the registry {client.server} names no STUN server with an IPv4 address: --stun-port "
            "says where one is at its host"
        )
    return usable[0]


def _strings(urls: object) -> list[str]:
    wanted = urls[:MAX_URLS] if isinstance(urls, list) else []
    return [url for url in wanted if isinstance(url, str) and len(url) <= MAX_URL]


def _usable(hosts: list[str], name: str, port: int, registry: Scope) -> list[Address]:
    """Return the first address of each family that may be sent to."""
    found: dict[Family, Address] = {}
    for host in hosts:
        if may_serve((host, port), registry):
            found.setdefault(family(host), (host, port))
    if not found:
        _log.warn(
            "server {name}, port {port}, isn't used: it has no address, or none that this "
            "registry may name",
            name=name,
            port=port,
        )
    return list(found.values())
