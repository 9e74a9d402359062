"""
TCP connections that this program makes, to registries and relays: how another machine is reached.

Names are resolved by the system, and their addresses tried as RFC 8305 says; an IPv4 address is
reached through the network's NAT64 where there is one (:mod:`p2pchat.peer.nat64`).
"""

from __future__ import annotations

import attrs
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from p2pchat.runtime import Runtime


@implementer(IAgentEndpointFactory)
@attrs.frozen
class Connector:
    """
    Makes endpoints of Twisted.

    :ivar timeout: seconds that a connection may take to be made.
    """

    _runtime: Runtime
    timeout: float

    def endpoint(self, host: str, port: int) -> IStreamClientEndpoint:
        """Return the endpoint of a name or IP literal."""
        address, _ = self._runtime.nat64.outward((host, port))
        return HostnameEndpoint(self._runtime.reactor, address, port, timeout=self.timeout)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """See `IAgentEndpointFactory`."""
        endpoint = self.endpoint(uri.host.decode("ascii"), uri.port)
        if uri.scheme == b"https":
            policy = BrowserLikePolicyForHTTPS()
            return wrapClientTLS(policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return endpoint
