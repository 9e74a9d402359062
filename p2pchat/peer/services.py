"""
Services of a node: what programs offer to peers through it, and reach at peers.

::

    listen ─▶ offered ◀── a peer opens a stream: may it? ─▶ its protocol, or refused
    connect ─▶ who is meant? ─▶ a link (called where there is none) ─▶ a stream ─▶ the protocol

Owns which factory serves what, and that every open stream is told.  Who may is decided in
:mod:`p2pchat.peer.service_access`, how there comes to be a link in
:mod:`p2pchat.peer.service_links`.

A peer asks what it may open by a service of ours, CATALOGUE, which answers with a JSON object and
is open to whoever may open anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.error import CannotListenError, NoProtocol
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.logger import Logger
from twisted.web.iweb import IAgent
from zope.interface import implementer

from p2pchat import events
from p2pchat.errors import NotGranted, P2PChatError, WhoError
from p2pchat.interfaces.services import INodeServices
from p2pchat.interfaces.streams import IPeerStreams, StreamInfo
from p2pchat.peer.catalogue import CATALOGUE, CatalogueReader, catalogue_factory
from p2pchat.peer.grants import ServiceGrant
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.peer.service_access import ServiceAccess
from p2pchat.peer.service_endpoints import (
    ANY,
    DIRECT,
    ServiceCall,
    ServiceEndpoints,
    ServicePort,
    checked_service,
)
from p2pchat.peer.service_infos import GrantInfo, OfferedInfo, OpenStreamInfo
from p2pchat.peer.web_agent import web_agent
from p2pchat.wire.service_names import RESERVED

QUIET = 60.0  # seconds in which a peer's further streams of a service disturb nobody
ASKING = 30.0  # seconds for what a peer offers us
MAX_HEARD = 1024  # peers and services of which it is remembered that a person heard

_log = Logger()


class Links(Protocol):
    """Links to peers, as :mod:`p2pchat.peer.service_links` has them."""

    def bring_up(self, peer_id: str, path: str) -> Deferred[None]:
        """Return a Deferred that fires when a link with such a path is open."""

    def path_of(self, peer_id: str) -> str:
        """Return ``direct`` or ``relay``, or "" where there is no path."""

    def keep_direct(self, peer_id: str, transport: Any) -> None:
        """End what uses a transport where the path moves to a relay."""

    def overdue(self, peer_id: str, path: str, seconds: float) -> P2PChatError:
        """Return why there is no link in time."""

    def hang_up(self, may_call: Callable[[str], bool], used: Collection[str]) -> None:
        """End links that are of no use any more."""

    def takes(self, event: events.SessionEvent) -> bool:
        """Take an event; tells whether nobody is told."""


@implementer(INodeServices)
@attrs.define(eq=False)
class Services(ServiceEndpoints):
    """
    The services of one node.

    :ivar own_id: our peer id.
    :ivar tell: takes each event.
    """

    own_id: str
    access: ServiceAccess
    links: Links
    _streams: IPeerStreams
    _clock: IReactorTime
    tell: Callable[[events.NodeEvent], None]
    _factories: dict[str, IProtocolFactory] = attrs.Factory(dict)
    _allowed: dict[str, tuple[str, ...]] = attrs.Factory(dict)  # by service, as it is shown
    _heard: dict[tuple[str, str], float] = attrs.Factory(dict)  # when, by peer and service

    def __attrs_post_init__(self) -> None:
        self._streams.accept(self._decide)
        self._streams.watch(self._changed)
        self.access.enforce = self._enforce
        self.access.expired = lambda grant: self._tell_grant(grant, "expired")
        catalogue = catalogue_factory(self.access.opened_by)
        self.serve_own(CATALOGUE, catalogue, lambda one: bool(self.access.opened_by(one)))

    # -- programs

    def web_agent(self) -> IAgent:
        """See :class:`p2pchat.interfaces.IServices`."""
        return web_agent(self._clock, self, self.access.is_peer)

    def _offer(
        self, service: str, allow: tuple[str, ...], factory: IProtocolFactory
    ) -> IListeningPort:
        if service in self._factories:
            taken = OSError(f"another program offers something under the name {service}")
            raise CannotListenError("p2p", service, taken)
        self.access.offer(service, self.access.allows(allow))
        self._factories[service], self._allowed[service] = factory, allow
        factory.doStart()
        self.tell(events.ServiceOffered(service, allow))
        return ServicePort(
            PeerAddress(self.own_id, service), factory, lambda: self._withdraw(service)
        )

    def serve_own(
        self, service: str, factory: IProtocolFactory, may: Callable[[str], bool]
    ) -> None:
        """
        Offer one of this program's own services, whose name is RESERVED, for as long as it runs.

        :param may: tells whether a peer that isn't blocked may open it.
        """
        assert service.startswith(RESERVED)
        self.access.offer_own(service, may)
        self._factories[service] = factory

    def open_own(self, peer_id: str, service: str, protocol: IProtocol) -> Deferred[None]:
        """Open a stream for one of those, on a link that there is; as IPeerStreams."""
        return self._streams.open(peer_id, service, protocol)

    def _withdraw(self, service: str) -> None:
        self.access.withdraw(service)
        del self._factories[service], self._allowed[service]

    def _decide(self, peer_id: str, service: str) -> IProtocol | None:
        """Return the protocol for a stream of a peer; None for what isn't there or not for it."""
        factory = self._factories.get(service)
        if not self.access.may_open(peer_id, service) or factory is None:
            return None
        try:
            return factory.buildProtocol(PeerAddress(peer_id, service))
        except Exception:  # a fault of the program's: its service is refused, and the node goes on
            _log.failure("the service {service} can't be opened", service=service)
            return None

    def _connect(self, call: ServiceCall, factory: IProtocolFactory) -> Deferred[IProtocol]:
        peer_id = self.access.find(call.peer)
        if self.access.contacts[peer_id].is_blocked:
            raise WhoError(f"{call.peer} is blocked: /unblock first")
        connected: Deferred[IProtocol] = self._reach(peer_id, call, factory)

        def overdue(_result: object, seconds: float) -> Any:
            raise self.links.overdue(peer_id, call.path, seconds)

        return connected.addTimeout(call.timeout, self._clock, overdue)

    @inlineCallbacks
    def _reach(self, peer_id: str, call: ServiceCall, factory: IProtocolFactory) -> Any:
        yield self.links.bring_up(peer_id, call.path)
        factory.doStart()
        try:
            protocol = factory.buildProtocol(PeerAddress(peer_id, call.service))
            if protocol is None:
                raise NoProtocol
            yield self._streams.open(peer_id, call.service, protocol)
        except NotGranted:
            factory.doStop()
            raise NotGranted(
                f"{call.peer} offers no {call.service} to you: it isn't there, or isn't granted to "
                f"you; they can say /grant {call.service} and your name or id"
            ) from None
        except BaseException:
            factory.doStop()
            raise
        if call.path == DIRECT:
            self.links.keep_direct(peer_id, getattr(protocol, "transport", None))
        return protocol

    # -- the person

    def grant(self, service: str, who: str, lifetime: float | None = None) -> GrantInfo:
        """See :class:`p2pchat.interfaces.INodeServices`."""
        peer_id = self.access.find(who)
        if self.access.contacts[peer_id].is_blocked:
            raise WhoError(f"{who} is blocked: /unblock {who} first, or nothing is open to them")
        grant = self.access.give(checked_service(service), peer_id, lifetime)
        return self._tell_grant(grant, "granted")

    def revoke(self, service: str, who: str) -> GrantInfo:
        """See :class:`p2pchat.interfaces.INodeServices`."""
        peer_id = self.access.find(who)
        if not self.access.revoke(checked_service(service), peer_id):
            raise WhoError(f"{service} isn't granted to {who}: /grants lists what is")
        return self._tell_grant(ServiceGrant(service, peer_id), "revoked")

    def _tell_grant(self, grant: ServiceGrant, change: str) -> GrantInfo:
        info = self._info(grant)
        place = info.peer_id, info.name, info.service
        self.tell(events.GrantChanged(*place, change, info.seconds))
        return info

    def _info(self, grant: ServiceGrant) -> GrantInfo:
        left = None if grant.until is None else max(0.0, grant.until - self.access.now())
        return GrantInfo(grant.service, grant.peer_id, self._name(grant.peer_id), left)

    def _name(self, peer_id: str) -> str:
        person = self.access.contacts[peer_id]
        return person.name if person.is_contact else ""

    def grants(self) -> list[GrantInfo]:
        """See :class:`p2pchat.interfaces.INodeServices`."""
        return [self._info(one) for one in self.access.valid()]

    def offered(self) -> list[OfferedInfo]:
        """See :class:`p2pchat.interfaces.INodeServices`."""
        return [OfferedInfo(one, allow) for one, allow in sorted(self._allowed.items())]

    @inlineCallbacks
    def services_of(self, who: str) -> Any:
        """See :class:`p2pchat.interfaces.INodeServices`."""
        reader = CatalogueReader()
        call = ServiceCall(who, CATALOGUE, ANY, ASKING)
        try:
            yield self._connect(call, reader)
        except NotGranted:
            return []
        names = yield reader.names.addTimeout(ASKING, self._clock)
        return names

    def streams(self) -> list[OpenStreamInfo]:
        """See :class:`p2pchat.interfaces.INodeServices`."""
        now = self._clock.seconds()
        return [
            OpenStreamInfo(
                *(one.peer_id, self._name(one.peer_id), one.service, one.is_ours),
                *(self.links.path_of(one.peer_id), now - one.opened_at, one.received, one.sent),
            )
            for one in self._streams.open_streams()
        ]

    # -- what happens

    def contact_changed(self, event: events.ContactChanged) -> None:
        """A contact isn't one any more, or is blocked: end what it may not use, or we with it."""
        if event.change in {"forgotten", "replaced"}:
            self.access.revoke_all(event.peer_id)
        if event.blocked:
            self._streams.close(event.peer_id)
        self._enforce()

    def _enforce(self) -> None:
        """End the streams of those who may not have them any more."""
        for one in self._streams.open_streams():
            if not one.is_ours and not self.access.may_keep(one.peer_id, one.service):
                self._streams.close(one.peer_id, one.service)
        self.tidy()

    def tidy(self) -> None:
        """End links that are of no use any more; called now and then."""
        used = {one.peer_id for one in self._streams.open_streams()}
        self.links.hang_up(self.access.may_call, used)

    def _changed(self, info: StreamInfo, is_open: bool) -> None:
        if info.service.startswith(RESERVED):
            return
        place = info.peer_id, self._name(info.peer_id), info.service, info.is_ours
        path = self.links.path_of(info.peer_id)
        quiet = self._is_quiet(info, is_open)
        if is_open:
            self.tell(events.ServiceOpened(*place, path, quiet))
        else:
            seconds = round(self._clock.seconds() - info.opened_at, 3)
            ended = info.received, info.sent, seconds
            self.tell(events.ServiceClosed(*place, path, *ended, quiet))

    def _is_quiet(self, info: StreamInfo, is_open: bool) -> bool:
        """Tell whether a stream is one of many, of which a person needn't hear each."""
        now, key = self._clock.seconds(), (info.peer_id, info.service)
        if not is_open:
            return now - info.opened_at < QUIET
        before = self._heard.pop(key, None)
        self._heard[key] = now
        if len(self._heard) > MAX_HEARD:
            del self._heard[next(iter(self._heard))]
        return before is not None and now - before < QUIET
