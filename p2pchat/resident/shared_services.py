"""
Services of the node of a state directory, whoever is that node now.

::

    seeking ── attached to it, or we are it ──▶ there ── the node ends ──▶ seeking
                                                  └── offers are made again there

What a program offers is offered again at the next node; what is open ends with the last one.  Who
wants to reach something waits until there is a node.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import cast

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IAgent
from zope.interface import implementer

from p2pchat.attach.messages import SERVICE, STREAM
from p2pchat.errors import P2PChatError
from p2pchat.interfaces.services import IServices
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.peer.service_endpoints import (
    ServiceCall,
    ServiceEndpoints,
    ServicePort,
)
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.peer.web_agent import web_agent
from p2pchat.resident.attached_services import AttachedServices
from p2pchat.resident.node_link import NodeLink
from p2pchat.resident.succession import Succession
from p2pchat.runtime import Runtime

_log = Logger()


@attrs.define
class _Offering:
    """
    A service that a program offers.

    :ivar port: at the node of now, if it is offered there.
    """

    allow: tuple[str, ...]
    factory: IProtocolFactory
    port: IListeningPort | None = None


@implementer(IServices)
@attrs.define(eq=False)
class SharedServices(ServiceEndpoints):
    """
    The services of one directory's node, for one program.

    :ivar become: makes this program the node of a locked directory.
    """

    _runtime: Runtime
    path: str
    environment: Mapping[str, str]
    become: Callable[[StateDirectory], Deferred[IServices]]
    _succession: Succession = attrs.field(init=False)
    _now: IServices | None = None
    _waiting: list[Deferred[IServices]] = attrs.Factory(list)
    _offers: dict[str, _Offering] = attrs.Factory(dict)
    _attached: AttachedServices | None = None
    _is_seeking: bool = False

    def __attrs_post_init__(self) -> None:
        self._succession = Succession(
            runtime=self._runtime,
            path=self.path,
            environment=self.environment,
            wants=(SERVICE, STREAM),
            become=self._become,
            attached=self._attach,
            take=self._take,
            ended=self._node_ended,
            failed=self._failed,
        )

    # -- IServices

    def web_agent(self) -> IAgent:
        """See :class:`p2pchat.interfaces.IServices`."""
        return web_agent(self._runtime.clock, self, lambda name: "." not in name)

    def _connect(self, call: ServiceCall, factory: IProtocolFactory) -> Deferred[IProtocol]:
        def connect(services: IServices) -> Deferred[IProtocol]:
            endpoint = services.connector_for(call.peer, call.service, call.path, call.timeout)
            return endpoint.connect(factory)

        return self.there().addCallback(connect)

    def _offer(
        self, service: str, allow: tuple[str, ...], factory: IProtocolFactory
    ) -> Deferred[IListeningPort]:
        offer = _Offering(allow, factory)

        def listening(port: IListeningPort) -> IListeningPort:
            offer.port = port
            self._offers[service] = offer
            address = cast(PeerAddress, port.getHost())
            return ServicePort(address, factory, partial(self._withdraw, service, offer))

        def listen(services: IServices) -> Deferred[IListeningPort]:
            endpoint = services.listener_for(service, allow)
            return endpoint.listen(factory)

        return self.there().addCallback(listen).addCallback(listening)

    def _withdraw(self, service: str, offer: _Offering) -> None:
        if self._offers.get(service) is offer:
            del self._offers[service]
        if offer.port is not None:
            offer.port.stopListening()

    # -- the node

    def there(self) -> Deferred[IServices]:
        """Return a Deferred that fires with the services of the node, once there is one."""
        if self._now is not None:
            return succeed(self._now)
        waiting: Deferred[IServices] = Deferred()
        self._waiting.append(waiting)
        if not self._is_seeking:
            self._is_seeking = True
            self._succession.seek()
        return waiting

    def stop(self) -> None:
        """Want nothing of a node any more."""
        self._succession.stop()
        if self._attached is not None:
            self._attached.node_ended()

    def _become(self, directory: StateDirectory) -> None:
        _log.info("this program is the node of {path} now", path=self.path)
        became = maybeDeferred(self.become, directory)
        became.addCallbacks(self._is_there, lambda failure: self._failed(failure.value))

    def _attach(self, link: NodeLink) -> None:
        self._attached = AttachedServices(self._runtime, link)
        self._is_there(self._attached)

    def _take(self, line: bytes) -> None:
        if self._attached is not None:
            self._attached.take(line)

    def _is_there(self, services: IServices) -> None:
        self._now, self._is_seeking = services, False
        for service, offer in list(self._offers.items()):
            self._offer_again(services, service, offer)
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(services)

    def _offer_again(self, services: IServices, service: str, offer: _Offering) -> None:
        def listening(port: IListeningPort) -> None:
            offer.port = port
            if self._offers.get(service) is not offer:
                port.stopListening()

        def refused(failure: Failure) -> None:
            _log.failure("{service} is offered no more", failure, service=service)
            self._offers.pop(service, None)

        endpoint = services.listener_for(service, offer.allow)
        endpoint.listen(offer.factory).addCallbacks(listening, refused)

    def _node_ended(self) -> None:
        attached, self._attached, self._now = self._attached, None, None
        for offer in self._offers.values():
            offer.port = None
        if attached is not None:
            attached.node_ended()
        self._is_seeking = True
        self._succession.seek()

    def _failed(self, error: P2PChatError) -> None:
        self._now, self._is_seeking = None, False
        waiting, self._waiting = self._waiting, []
        if not waiting:
            _log.error("{path}: no node any more: {error}", path=self.path, error=error)
        for one in waiting:
            one.errback(error)
