"""
Connections to one server over HTTP: where they are made, and which of them are kept.

Each is made by :mod:`p2pchat.peer.connector`, with a look-up of the name of its own.  A kept one
saves a request the round trips of another; it is given up

- after an answer that isn't the registry's, and after a request that got none: it may lead to a
  captive portal, to a proxy, or to a server that was moved;
- when this machine no longer has the address that it was made from;
- when its name no longer leads there, which is looked at every LOOK_AGAIN.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IStreamClientEndpoint
from twisted.protocols.policies import WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from p2pchat.peer.address_turns import AddressTurns
from p2pchat.peer.connector import Connector
from p2pchat.peer.http_meter import HttpMeter
from p2pchat.peer.registry_location import RegistryLocation
from p2pchat.peer.request_times import RequestTimes
from p2pchat.peer.resolver import Resolver
from p2pchat.peer.tls import ServerTls
from p2pchat.runtime import Runtime
from p2pchat.traversal.round_trips import RoundTrips
from p2pchat.wire.addresses import readable_ip

LOOK_AGAIN = 60.0  # seconds; names are moved with a time to live of minutes


@attrs.define(eq=False)
class HttpConnections:
    """
    The connections to one server.

    :ivar location: told of each connection, before anything is sent; may refuse it.
    :ivar times: how long connections may take; told what they did.
    :ivar trust_root: who may have signed its certificate (:class:`p2pchat.peer.tls.ServerTls`).
    :ivar kept: makes requests, over connections that are kept.
    :ivar streams: makes requests whose connections are theirs alone.
    """

    _runtime: Runtime
    location: RegistryLocation
    times: RequestTimes
    trust_root: Any = None
    kept: Agent = attrs.field(init=False)
    streams: Agent = attrs.field(init=False)
    _pool: HTTPConnectionPool = attrs.field(init=False)
    _resolver: Resolver = attrs.field(init=False)
    _turns: AddressTurns = attrs.field(init=False)
    _kept_open: set[HttpMeter] = attrs.Factory(set)
    _streams_open: set[HttpMeter] = attrs.Factory(set)
    _elsewhere: set[HttpMeter] = attrs.Factory(set)  # of those that are kept
    _name: str = ""
    _is_proxied: bool = False  # then the proxy looks the name up
    _looked_at: float = 0.0  # when it was looked up last, beside new connections

    def __attrs_post_init__(self) -> None:
        reactor = self._runtime.reactor
        self._turns = AddressTurns(self._runtime.clock.seconds)
        self._resolver = Resolver(self._runtime, RoundTrips(lambda: self.times.trips.smoothed))
        self._pool = HTTPConnectionPool(reactor, persistent=True)
        unkept = HTTPConnectionPool(reactor, persistent=False)
        kept, streams = _Endpoints(self, self._kept_open), _Endpoints(self, self._streams_open)
        self.kept = Agent.usingEndpointFactory(reactor, kept, self._pool)
        self.streams = Agent.usingEndpointFactory(reactor, streams, unkept)

    def endpoint(self, uri: URI, meters: set[HttpMeter]) -> IStreamClientEndpoint:
        """Return what makes one connection."""
        scheme = uri.scheme.decode("ascii")
        self._name = uri.host.decode("ascii").strip("[]")
        self._is_proxied = self._runtime.proxy_for(scheme, self._name) is not None
        connector = Connector(self._runtime, self.times.connect_limit, self._turns)
        endpoint = connector.endpoint(scheme, self._name, uri.port)
        tls = None
        if uri.scheme == b"https":
            tls = ServerTls(self._name, self._runtime.wall_time, self.trust_root)
        meter = partial(
            HttpMeter,
            self._runtime.clock,
            lambda meter: self._opened(meter, meters),
            lambda meter: self._closed(meter, meters),
        )
        return _MeteredEndpoint(endpoint, meter, tls, self._runtime, self.times)

    def _opened(self, meter: HttpMeter, meters: set[HttpMeter]) -> str:
        meters.add(meter)
        meter.plain_host = self._runtime.nat64.plain(meter.host)
        return self.location.opened(meter.plain_host)

    def _closed(self, meter: HttpMeter, meters: set[HttpMeter]) -> None:
        meters.discard(meter)
        self._elsewhere.discard(meter)
        self.location.closed(meter.plain_host)
        if not meter.has_answered:
            self._turns.failed(meter.host)

    # -- which are given up

    def check(self) -> None:
        """Give up, before a request, what was made from an address that is no longer ours."""
        ours = set(self._runtime.host_addresses())
        for meter in [*self._kept_open, *self._streams_open]:
            if ours and meter.local not in ours and not _is_special(meter.local):
                meter.abortConnection()
        if self._elsewhere & self._kept_open:
            self.close()
        if (
            self._kept_open
            and not self._is_proxied
            and self._runtime.clock.seconds() - self._looked_at >= LOOK_AGAIN
        ):
            self._looked_at = self._runtime.clock.seconds()
            self._resolver.addresses(self._name).addCallback(self._found)

    def _found(self, hosts: list[str]) -> None:
        """Note which connections lead where the name doesn't; one in use has an answer to come."""
        if hosts:
            direct = {one for one in self._kept_open if readable_ip(one.plain_host)}  # by no proxy
            self._elsewhere = {one for one in direct if one.plain_host not in hosts}

    def distrust(self) -> None:
        """Give up what is kept: somebody else answered, or nobody."""
        for meter in self._kept_open:
            self._turns.failed(meter.host)
        self.close()

    def close(self) -> Deferred[None]:
        """Close the connections that are kept open; requests that follow make new ones."""
        done: Deferred[None] = self._pool.closeCachedConnections()
        return done


def _is_special(host: str) -> bool:
    """Tell whether an address of ours isn't among those that an interface shows."""
    return "%" in host or host.startswith(("127.", "fe80:", "::ffff:")) or host == "::1"


@implementer(IAgentEndpointFactory)
@attrs.frozen
class _Endpoints:
    """The endpoints of one agent."""

    _connections: HttpConnections
    _meters: set[HttpMeter]

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """See `IAgentEndpointFactory`."""
        return self._connections.endpoint(uri, self._meters)


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _MeteredEndpoint:
    """An endpoint whose connections have a meter each, above TLS if there is any."""

    _endpoint: IStreamClientEndpoint
    _meter: Any
    _tls: ServerTls | None
    _runtime: Runtime
    _times: RequestTimes

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        metered = WrappingFactory(factory)
        factory.noisy = metered.noisy = False
        metered.protocol = self._meter
        if self._tls is None:
            return self._timed(metered).addCallback(lambda meter: meter.admit())
        wrapped = TLSMemoryBIOFactory(self._tls, True, metered, clock=self._runtime.clock)
        wrapped.noisy = False
        secure = self._timed(wrapped)
        return secure.addCallback(lambda below: below.wrappedProtocol.admit())

    def _timed(self, factory: Any) -> Deferred[Any]:
        """Connect, and note what that took; TLS shakes hands only after it."""
        began = self._times.connecting()

        def connected(protocol: Any) -> Any:
            self._times.connected(began)
            return protocol

        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting.addCallbacks(connected, self._times.not_connected, errbackArgs=(began,))
