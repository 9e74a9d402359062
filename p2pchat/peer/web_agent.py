"""
An agent of HTTP for services of peers, as treq and twisted.web have agents.

::

    p2p://bob/page            the service ``web`` of the contact bob
    p2p://git.bob/            another service
    p2p://0b0b.../            a whole id

``http://`` means the same.  Names are those of contacts or whole ids; no name server and no
registry is asked.  A contact's name that is no name of a host is written as its id.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from p2pchat.interfaces.services import IServices

WEB = "web"  # the service of a URL that names none
IDLE = 60  # seconds that a connection is kept for the next request


@implementer(IAgentEndpointFactory)
@attrs.frozen
class PeerEndpoints:
    """
    The endpoints of URLs.

    :ivar is_peer: tells whether somebody is known by a name, or it is a whole id.
    """

    _services: IServices
    is_peer: Callable[[str], bool]

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """See `IAgentEndpointFactory`."""
        host = uri.host.decode("ascii", "replace")
        if not self.is_peer(host):
            service, dot, peer = host.partition(".")
            if dot and self.is_peer(peer):
                return self._services.connector_for(peer, service)
        return self._services.connector_for(host, WEB)


def web_agent(clock: IReactorTime, services: IServices, is_peer: Callable[[str], bool]) -> IAgent:
    """Return an agent that reaches peers; connections are kept for a while."""
    pool = HTTPConnectionPool(clock)
    pool.cachedConnectionTimeout = IDLE
    agent: IAgent = Agent.usingEndpointFactory(clock, PeerEndpoints(services, is_peer), pool)
    return agent
