"""
The catalogue: what a peer may open, asked on the link.

A stream of the service CATALOGUE carries one JSON object from whoever is asked, and then ends::

    {"services": ["git", "web"]}

It has what is offered now and granted to the asker, and nothing else.  Who may open nothing is
refused, as for a service that isn't there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.wire.members import Members, each, text
from p2pchat.wire.service_names import MAX_SERVICE, RESERVED, is_service
from p2pchat.wire.strict_json import dumps, loads

CATALOGUE = f"{RESERVED}services"
MAX_NAMES = 1000  # services of one peer
MAX_BODY = 100_000  # bytes; as many names have fewer


@attrs.frozen
class ServiceNames(Members):
    """The names of what may be opened."""

    services: Annotated[tuple[str, ...], each(text(MAX_SERVICE), MAX_NAMES)] = ()


class _Lister(Protocol):
    """The side that is asked."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def connectionMade(self) -> None:
        """Say all of it."""
        assert self.transport is not None
        self.transport.write(dumps(ServiceNames(tuple(self._names[:MAX_NAMES])).to_json()))
        self.transport.loseConnection()


class _Listers(Factory):
    noisy = False

    def __init__(self, names_for: Callable[[str], list[str]]) -> None:
        self._names_for = names_for

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return the answer to one peer."""
        peer_id = addr.peer_id if isinstance(addr, PeerAddress) else ""
        return _Lister(self._names_for(peer_id))


def catalogue_factory(names_for: Callable[[str], list[str]]) -> Factory:
    """Return the factory of answers to peers."""
    return _Listers(names_for)


class _Asker(Protocol):
    """The side that asks."""

    def __init__(self, names: Deferred[list[str]]) -> None:
        self._names, self._body = names, b""

    def dataReceived(self, data: bytes) -> None:
        """Take a part of the answer."""
        self._body += data
        if len(self._body) > MAX_BODY and self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """All is there, or never will be."""
        names, self._names = self._names, Deferred()
        try:
            if len(self._body) > MAX_BODY:
                raise RemoteProtocolError("they offer more than anybody could read")
            found = ServiceNames.from_json(loads(self._body)).services
        except RemoteProtocolError as error:
            names.errback(RemoteProtocolError(f"their list of services makes no sense: {error}"))
        else:
            names.callback([one for one in found if is_service(one)])


class CatalogueReader(ClientFactory):
    """
    One question to one peer.

    :ivar names: a Deferred of what it lets us open.
    """

    noisy = False

    def __init__(self) -> None:
        self.names: Deferred[list[str]] = Deferred()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return the side that asks."""
        return _Asker(self.names)
