"""Services on streams in memory: whoever is linked is let in."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.web.iweb import IAgent
from zope.interface import implementer

from p2pchat.errors import ServiceNameRefused
from p2pchat.interfaces import IServices
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.wire.service_names import is_service
from tests.peer.fake_streams import FakeStreams


@implementer(IServices)
@attrs.define(eq=False)
class FakeServices:
    """
    The services of one node.

    :ivar offered: what is listened at, by service.
    :ivar allowed: whom the last one let in.
    :ivar asked: path and timeout of each that was connected to.
    """

    streams: FakeStreams
    offered: dict[str, IProtocolFactory] = attrs.Factory(dict)
    allowed: Collection[str] = ()
    asked: list[tuple[str, float]] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        self.streams.accept(self._decide)

    def _decide(self, peer_id: str, service: str) -> IProtocol | None:
        factory = self.offered.get(service)
        return None if factory is None else factory.buildProtocol(PeerAddress(peer_id, service))

    def listener_for(self, service: str, allow: Collection[str] = ()) -> IStreamServerEndpoint:
        if not is_service(service):
            raise ServiceNameRefused
        self.allowed = allow
        return _Listener(self, service)

    def connector_for(
        self, peer: str, service: str, path: str = "any", timeout: float = 30.0
    ) -> IStreamClientEndpoint:
        if not is_service(service):
            raise ServiceNameRefused
        self.asked.append((path, timeout))
        return _Connector(self.streams, peer, service)

    def web_agent(self) -> IAgent:
        raise NotImplementedError


@implementer(IStreamClientEndpoint)
@attrs.frozen
class _Connector:
    _streams: FakeStreams
    _peer: str
    _service: str

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        protocol = factory.buildProtocol(PeerAddress(self._peer, self._service))
        assert protocol is not None
        opened: Deferred[Any] = self._streams.open(self._peer, self._service, protocol)
        return opened.addCallback(lambda _: protocol)


@implementer(IStreamServerEndpoint)
@attrs.frozen
class _Listener:
    _services: FakeServices
    _service: str

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        if self._service in self._services.offered:
            return fail(CannotListenError("", self._service, OSError("it is offered already")))
        self._services.offered[self._service] = factory
        return succeed(_Port(self._services, self._service))


@implementer(IListeningPort)
@attrs.frozen
class _Port:
    _services: FakeServices
    _service: str

    def startListening(self) -> None:
        raise NotImplementedError

    def stopListening(self) -> None:
        self._services.offered.pop(self._service, None)

    def getHost(self) -> PeerAddress:
        return PeerAddress(self._services.streams.peer_id, self._service)
