"""
The address of a service at a peer, as Twisted's transports have addresses.

It has the id that the link has proved, and what reaches it as an endpoint string.  ``host`` and
``port`` are there for programs that expect those of TCP, such as ASGI servers.
"""

from __future__ import annotations

import attrs
from twisted.internet.interfaces import IAddress
from zope.interface import implementer

PREFIX = "p2p"  # of endpoint strings


@implementer(IAddress)
@attrs.frozen
class PeerAddress:
    """
    One end of a stream.

    :ivar peer_id: whose end it is.
    :ivar service: what the stream was opened for.
    :ivar port: none.
    """

    peer_id: str
    service: str
    port: int = 0

    @property
    def host(self) -> str:
        """The peer id, where a name or an IP address is expected."""
        return self.peer_id

    def client_string(self) -> str:
        """Return the endpoint string of a client that reaches this service."""
        return f"{PREFIX}:{self.peer_id}:{self.service}"
