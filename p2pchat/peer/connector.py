"""
TCP connections that this program makes to registries and relays: how a machine is reached.

Names are resolved by the system, and their addresses tried as RFC 8305 says, in the order of
:mod:`p2pchat.peer.address_turns`; an IPv4 address is reached through the network's NAT64 where
there is one (:mod:`p2pchat.peer.nat64`), which is waited for where it isn't known yet.  Where a
proxy was chosen (:mod:`p2pchat.peer.proxy`) it is the one that we connect to, and resolves the
name.

Either side's TCP segments are small: some paths let large packets vanish and tell nobody, and most
systems then send the same segment for ever (RFC 2923 section 2.1).
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.abstract import isIPAddress
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import (
    IDelayedCall,
    IHostnameResolver,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IReactorSocket,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from p2pchat.errors import ConfigurationError
from p2pchat.peer.address_turns import AddressTurns, ResolverInTurn
from p2pchat.peer.proxy import UnusableProxy
from p2pchat.peer.proxy_endpoint import ProxyEndpoint
from p2pchat.runtime import Runtime, ask_after_silence, limit_segments
from p2pchat.wire.addresses import readable_ip

ATTEMPT_DELAY = 0.25  # seconds until the next address is tried, too (RFC 8305 section 5)
SOUGHT = 1.0  # seconds that a NAT64 is waited for; name servers that are slower are rare


@attrs.frozen
class Connector:
    """
    Makes endpoints of Twisted.

    :ivar timeout: seconds that a connection may take to be made.
    :ivar turns: which addresses of a name come first; to be given where it outlives the connector.
    """

    runtime: Runtime
    timeout: float
    turns: AddressTurns = attrs.field()

    @turns.default
    def _no_memory(self) -> AddressTurns:
        return AddressTurns(self.runtime.clock.seconds)

    def endpoint(self, scheme: str, host: str, port: int) -> IStreamClientEndpoint:
        """
        Return the endpoint of a name or IP literal; here, and nowhere else, they are made.

        :param scheme: ``http`` or ``https``, after which the proxy is chosen; TLS is added above.
        """
        proxy = self.runtime.proxy_for(scheme, host)
        if proxy is None:
            return self._direct(host, port)
        if isinstance(proxy, UnusableProxy):
            return _Unusable(proxy.error)
        below, clock = self._direct(proxy.host, proxy.port), self.runtime.clock
        return ProxyEndpoint(below, proxy, host, port, clock, self.timeout)

    def _direct(self, host: str, port: int) -> IStreamClientEndpoint:
        if self.runtime.nat64.is_sought and isIPAddress(host):
            return _OnceKnown(self, host, port)
        return self.known(host, port)

    def known(self, host: str, port: int) -> IStreamClientEndpoint:
        """Return the endpoint that it is by what is known of the network now."""
        address, _ = self.runtime.nat64.outward((host, port))
        reactor = _ReactorInTurn(self.runtime, self.turns)
        if readable_ip(address):  # which the system's resolver would look at, in a thread
            kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
            return kind(reactor, address, port, timeout=self.timeout)
        return HostnameEndpoint(
            reactor, address, port, timeout=self.timeout, attemptDelay=ATTEMPT_DELAY
        )


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _Unusable:
    """An endpoint that leads nowhere, and says why."""

    _error: ConfigurationError

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        return fail(self._error)


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _OnceKnown:
    """An endpoint of an IPv4 literal, while it isn't known how this network leads there."""

    _connector: Connector
    _host: str
    _port: int

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        runtime = self._connector.runtime
        known = runtime.nat64.known().addTimeout(SOUGHT, runtime.clock, lambda *_: None)
        connected: Deferred[IProtocol] = known.addCallback(
            lambda _: self._connector.known(self._host, self._port).connect(factory)
        )
        return connected


@implementer(IReactorPluggableNameResolver)
@attrs.frozen
class _ReactorInTurn:
    """The runtime's reactor, as far as `HostnameEndpoint` needs one; it resolves in turn."""

    _runtime: Runtime
    _turns: AddressTurns

    @property
    def nameResolver(self) -> IHostnameResolver:
        """See `IReactorPluggableNameResolver`."""
        return ResolverInTurn(self._turns, self._runtime.reactor.nameResolver)

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """See `IReactorPluggableNameResolver`; it is the reactor's own that is installed."""
        installed: IHostnameResolver = self._runtime.reactor.installNameResolver(resolver)
        return installed

    def connectTCP(self, *args: Any, **options: Any) -> Any:
        """See `IReactorTCP`."""
        connecting = self._runtime.reactor.connectTCP(*args, **options)
        if IReactorSocket.providedBy(self._runtime.reactor):
            opened = getattr(connecting.transport, "socket", None)
            limit_segments(opened)
            ask_after_silence(opened)
        return connecting

    def seconds(self) -> float:
        """See `IReactorTime`."""
        return self._runtime.clock.seconds()

    def callLater(self, delay: float, call: Any, *args: Any, **options: Any) -> IDelayedCall:
        """See `IReactorTime`."""
        return self._runtime.clock.callLater(delay, call, *args, **options)
