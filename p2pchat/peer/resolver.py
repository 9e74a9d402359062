"""
Host names to IP addresses in both address families, and the URLs of servers to where they are.

Asks the reactor's name resolver, which ``/etc/hosts`` and search domains belong to.  Failures and
timeouts yield no addresses; how long answers take is measured
(:mod:`p2pchat.traversal.round_trips`).  A resolver that answers late, or never, has no more than
MAX_UNDER_WAY of our questions.

URLs of STUN servers and relays that can't be read or resolved, and servers that
:mod:`p2pchat.traversal.reachability` forbids, are left out: a peer without STUN still has its host
candidates.  Which of the rest this machine can reach is for others to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred, gatherResults, inlineCallbacks, succeed
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.logger import Logger
from zope.interface import implementer

from p2pchat.errors import RemoteProtocolError
from p2pchat.runtime import Runtime
from p2pchat.traversal.reachability import may_be_asked_for, may_serve
from p2pchat.traversal.round_trips import LONGEST, RoundTrips
from p2pchat.wire.addresses import Address, Family, Scope, family, parse_ip
from p2pchat.wire.servers import MAX_URL, RelayServer, Transport, parse_stun_url, parse_turn_url

RESOLVE_TIMEOUT = 3.0  # seconds, where round trips are short
MAX_ADDRESSES = 16  # of one name; whoever has more has them for other reasons
MAX_UNDER_WAY = 8  # names; each may hold a thread for half a minute, and there are ten
MAX_URLS = 8
MAX_PER_FAMILY = 4  # addresses of one server that are asked, one after the other

_Server = TypeVar("_Server")

_log = Logger()


@implementer(IResolutionReceiver)
@attrs.define(eq=False)
class _Receiver:
    """Collects the addresses of one name; ``done`` fires with them."""

    _ended: Callable[[], None]
    done: Deferred[list[str]] = attrs.Factory(Deferred)
    _found: dict[str, None] = attrs.Factory(dict)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Wait."""

    def addressResolved(self, address: IAddress) -> None:
        """Keep an address."""
        host = str(getattr(address, "host", "")).partition("%")[0]
        if len(self._found) < MAX_ADDRESSES:
            self._found[host] = None

    def resolutionComplete(self) -> None:
        """Tell what was found, unless nobody waits any more."""
        self._ended()
        if not self.done.called:
            self.done.callback(sorted(self._found, key=lambda host: ":" in host))


@attrs.define(eq=False)
class Resolver:
    """
    Resolver of names and URLs that somebody else gave us; each name is looked up once.

    :ivar trips: how long answers take.
    """

    _runtime: Runtime
    trips: RoundTrips = attrs.Factory(RoundTrips)
    _under_way: int = 0

    def addresses(self, name: str) -> Deferred[list[str]]:
        """
        Return a Deferred of the addresses that a name has, those of IPv4 first.

        It never fails, and fires in RESOLVE_TIMEOUT or some round trips; an IP literal is its own
        address.
        """
        try:
            return succeed([str(parse_ip(name))])
        except RemoteProtocolError:
            pass
        if self._under_way >= MAX_UNDER_WAY:
            return succeed([])
        self._under_way += 1
        clock = self._runtime.clock
        began, limit = clock.seconds(), self.trips.limit(RESOLVE_TIMEOUT)

        def ended() -> None:
            self._under_way -= 1
            self.trips.measured(min(clock.seconds() - began, LONGEST))

        receiver = _Receiver(ended)
        resolver: Any = self._runtime.reactor.nameResolver
        resolver.resolveHostName(receiver, name)
        timed = receiver.done.addTimeout(limit, clock)
        return timed.addCallbacks(self._plain, lambda _failure: [])

    def _plain(self, hosts: list[str]) -> list[str]:
        """Take what our network's name servers made up for what it is: the same machine twice."""
        return list(dict.fromkeys(map(self._runtime.nat64.plain, hosts)))

    @inlineCallbacks
    def stun_servers(self, urls: object, registry: Scope) -> Any:
        """
        Return a Deferred of the addresses of STUN servers.

        The first ones of all URLs come first, in the order of the URLs; then the second ones, to be
        asked where those are dead; and so on, in each family.

        :param registry: how near the registry is that names them.
        """
        servers = _read(urls, parse_stun_url)
        located = yield self._located(servers, registry)
        halves = ([_of(one, found) for found in located] for one in Family)
        rows = [row for half in halves for row in zip_longest(*half)]
        return [address for row in rows for address in row if address is not None]

    @inlineCallbacks
    def relays(self, urls: object, registry: Scope) -> Any:
        """
        Return a Deferred of pairs of relay and address; one relay may have several.

        A relay over TCP or TLS behind a proxy has the name that the proxy is to resolve.
        """
        relays = _read(urls, parse_turn_url)
        proxied = [one for one in relays if self._is_proxied(one)]
        direct = [one for one in relays if one not in proxied]
        located = yield self._located([(one.host, one.port) for one in direct], registry)
        found = dict(zip(direct, located, strict=True))
        for one in proxied:
            found[one] = [(one.host, one.port)] if may_be_asked_for(one.host, one.port) else []
        return [(one, address) for one in relays for address in found[one]]

    def _is_proxied(self, relay: RelayServer) -> bool:
        is_stream = relay.transport is not Transport.UDP
        return is_stream and self._runtime.proxy_for("https", relay.host) is not None

    @inlineCallbacks
    def _located(self, servers: list[Address], registry: Scope) -> Any:
        """Return a Deferred of the addresses of each server, which is given by name and port."""
        names = list(dict.fromkeys(name for name, _ in servers))
        found = yield gatherResults([self.addresses(name) for name in names])
        hosts = dict(zip(names, found, strict=True))
        return [_usable(hosts[name], name, port, registry) for name, port in servers]


def _read(urls: object, parse: Callable[[str], _Server]) -> list[_Server]:
    servers: list[_Server] = []
    for url in urls[:MAX_URLS] if isinstance(urls, list) else []:
        if isinstance(url, str) and len(url) <= MAX_URL:
            try:
                servers.append(parse(url))
            except RemoteProtocolError as error:
                _log.warn("{error}", error=error)
    return servers


def _usable(hosts: list[str], name: str, port: int, registry: Scope) -> list[Address]:
    """Return the addresses that may be sent to, MAX_PER_FAMILY of each family at most."""
    usable = [(host, port) for host in hosts if may_serve((host, port), registry)]
    found = [address for one in Family for address in _of(one, usable)[:MAX_PER_FAMILY]]
    if not found:
        _log.warn(
            "server {name}, port {port}, isn't used: it has no address, or none that this "
            "registry may name",
            name=name,
            port=port,
        )
    return found


def _of(wanted: Family, addresses: Iterable[Address]) -> list[Address]:
    return [address for address in addresses if family(address[0]) is wanted]
