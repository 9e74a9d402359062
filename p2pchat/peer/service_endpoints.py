"""
Endpoints of services, as Twisted has endpoints: nothing begins before ``listen`` or ``connect``.

What they do is decided in :mod:`p2pchat.peer.services`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from p2pchat.errors import ServiceNameRefused
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.wire.service_names import RESERVED, is_service

ANY, DIRECT, RELAY = PATHS = ("any", "direct", "relay")


def checked_service(name: str) -> str:
    """
    Return the name of a service that programs may use.

    :raises ServiceNameRefused: it can't be one, or is this program's own.
    """
    if not is_service(name):
        raise ServiceNameRefused(f"{name!r} can't be a service; {ServiceNameRefused.sentence()}")
    if name.startswith(RESERVED):
        raise ServiceNameRefused(f"names that begin with {RESERVED} are p2pchat's own: {name!r}")
    return name


def checked_path(path: str) -> str:
    """
    Return the word of a path.

    :raises ServiceNameRefused: there is no such path.
    """
    if path not in PATHS:
        raise ServiceNameRefused(f"there is no path {path!r}: it is {', '.join(PATHS)}")
    return path


@attrs.frozen
class ServiceCall:
    """
    One service of a peer, as it is to be reached.

    :ivar peer: a contact's name, or a whole id.
    :ivar path: one of PATHS.
    :ivar timeout: seconds for all of it.
    """

    peer: str
    service: str
    path: str = ANY
    timeout: float = 30.0


@implementer(IStreamClientEndpoint)
@attrs.frozen
class ServiceConnector:
    """The way to one service of a peer."""

    call: ServiceCall
    _connect: Callable[[ServiceCall, IProtocolFactory], Deferred[IProtocol]]

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        connected: Deferred[IProtocol] = maybeDeferred(self._connect, self.call, protocolFactory)
        return connected


@implementer(IStreamServerEndpoint)
@attrs.frozen
class ServiceListener:
    """A service that is offered once ``listen`` is called."""

    service: str
    allow: tuple[str, ...]
    # Returns a port, or a Deferred of one.
    _offer: Callable[[str, tuple[str, ...], IProtocolFactory], Any]

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """See `IStreamServerEndpoint`."""
        port: Deferred[IListeningPort] = maybeDeferred(
            self._offer, self.service, self.allow, protocolFactory
        )
        return port


class ServiceEndpoints:
    """The endpoints of whoever can offer and reach services, by ``_offer`` and ``_connect``."""

    __slots__ = ()

    def listener_for(self, service: str, allow: Collection[str] = ()) -> IStreamServerEndpoint:
        """See :class:`p2pchat.interfaces.IServices`."""
        return ServiceListener(checked_service(service), tuple(allow), self._offer)

    def connector_for(
        self, peer: str, service: str, path: str = ANY, timeout: float = 30.0
    ) -> IStreamClientEndpoint:
        """See :class:`p2pchat.interfaces.IServices`."""
        call = ServiceCall(peer, checked_service(service), checked_path(path), timeout)
        return ServiceConnector(call, self._connect)

    def _offer(self, service: str, allow: tuple[str, ...], factory: IProtocolFactory) -> Any:
        """Offer a service; returns its port, or a Deferred of it."""
        raise NotImplementedError

    def _connect(self, call: ServiceCall, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Reach a service."""
        raise NotImplementedError


@implementer(IListeningPort)
@attrs.define(eq=False)
class ServicePort:
    """A service that is offered, until it is stopped; what is open then goes on."""

    address: PeerAddress
    factory: IProtocolFactory
    _withdraw: Callable[[], None]
    _is_offered: bool = True

    def startListening(self) -> None:
        """See `IListeningPort`; it does already."""

    def stopListening(self) -> Deferred[None]:
        """See `IListeningPort`."""
        if self._is_offered:
            self._is_offered = False
            self._withdraw()
            self.factory.doStop()
        return succeed(None)

    def getHost(self) -> IAddress:
        """Return the address that reaches it."""
        return self.address
