"""The seams of services: what programs open to peers, and reach at peers, through a node."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.web.iweb import IAgent
from zope.interface import Interface


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
