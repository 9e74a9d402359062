"""
HTTP clients that run on a simulated host.

treq's own body producer for bytes takes its turns from the global reactor, which never runs
here, so a request with a body would never be sent: `http_client` brings one that writes at once.
"""

from __future__ import annotations

from typing import Any

import attrs
from treq.client import HTTPClient
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IConsumer
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from tests.simulation.host import Host

CONNECT_TIMEOUT = 10.0  # seconds


@implementer(IBodyProducer)
@attrs.frozen
class ImmediateBody:
    """The body of a request, written in one piece."""

    body: bytes

    @property
    def length(self) -> int:
        """See `IBodyProducer`."""
        return len(self.body)

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """See `IBodyProducer`."""
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is all written."""

    def resumeProducing(self) -> None:
        """It is all written."""

    def stopProducing(self) -> None:
        """It is all written."""


def http_client(host: Host, persistent: bool = True) -> Any:
    """Return a treq `HTTPClient` whose connections start from this host."""
    pool = HTTPConnectionPool(host.reactor, persistent)
    agent = Agent(host.reactor, connectTimeout=CONNECT_TIMEOUT, pool=pool)
    return HTTPClient(agent, data_to_body_producer=ImmediateBody)
