"""The seams of services: what programs open to peers, and reach at peers, through a node."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.web.iweb import IAgent
from zope.interface import Interface

if TYPE_CHECKING:  # the values that pass a seam belong to the layers on its sides
    from p2pchat.peer.service_infos import GrantInfo, OfferedInfo, OpenStreamInfo


class IServices(Interface):
    """
    Services of one peer, as programs of Twisted use them.

    A node provides it, and so does a program that is attached to one.  Nothing begins before
    ``listen`` or ``connect``.
    """

    def listener_for(service: str, allow: Collection[str] = ()) -> IStreamServerEndpoint:
        """
        Return an endpoint whose ``listen`` offers a service under a name.

        It is open to those who have a grant for it, and to those whom ``allow`` names: contacts'
        names, peer ids, ``contacts`` or ``anyone``.  ``listen`` fails with ``CannotListenError``
        where something else is offered under that name, and with ``NoSuchContact``.

        :raises ServiceNameRefused: that is no name of a service.
        """

    def connector_for(
        peer: str, service: str, path: str = "any", timeout: float = 30.0
    ) -> IStreamClientEndpoint:
        """
        Return an endpoint whose ``connect`` reaches a service of a peer, calling it where needed.

        ``connect`` fails with ``NotGranted``, ``NoSuchContact``, ``PeerOffline``, ``NoPath``,
        ``LinkLost`` or ``TooManyStreams``.

        :param peer: a contact's name, or a whole peer id; nobody is looked up by name.
        :param path: ``any``; ``direct``: no relay's; ``relay``: a relay's alone.
        :param timeout: seconds for all of it.
        :raises ServiceNameRefused: that is no name of a service, or there is no such path.
        """

    def web_agent() -> IAgent:
        """
        Return an agent of HTTP for URLs such as ``p2p://bob/``, the service ``web`` of a peer.

        ``p2p://SERVICE.PEER/`` is another service; ``http://`` means the same.
        """


class INodeServices(IServices):
    """The services of a node, as its person and its other parts see them."""

    def grant(service: str, who: str, lifetime: float | None = None) -> GrantInfo:
        """
        Let a key open a service, from now on.

        :param who: a contact's name, or a whole id.
        :param lifetime: seconds; ``None``: until it is revoked.
        :raises WhoError, ServiceNameRefused: it can't be done.
        """

    def revoke(service: str, who: str) -> GrantInfo:
        """
        Take a grant back, and end what was opened by it.

        :raises WhoError, ServiceNameRefused: there is none.
        """

    def grants() -> list[GrantInfo]:
        """Return the grants that are good, by service."""

    def offered() -> list[OfferedInfo]:
        """Return the services of ours that are offered now, by name."""

    def services_of(who: str) -> Deferred[list[str]]:
        """Return a Deferred of the names of what a peer lets us open; calls it where needed."""

    def streams() -> list[OpenStreamInfo]:
        """Return what is open, both ways."""

    def serve_own(service: str, factory: IProtocolFactory, may: Callable[[str], bool]) -> None:
        """
        Offer one of this program's own services, for as long as it runs.

        :param may: tells of a peer id whether that may open it.
        """
