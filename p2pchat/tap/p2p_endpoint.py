"""
Endpoint strings for people: ``p2p:`` reaches a service of somebody, or offers one.

::

    p2p:PEER:SERVICE[:profile=NAME][:path=any|direct|relay][:timeout=SECONDS]     a client's
    p2p:SERVICE[:allow=WHO[,WHO...]][:profile=NAME]                               a server's

    PEER     a contact's name in the profile, or a whole peer id; nobody is looked up by name
    SERVICE  small letters, figures, hyphens, dots, underscores
    WHO      a contact, a peer id, ``contacts`` or ``anyone``; without it only who has a grant

Each part may be given by its name, too: ``peer=``, ``service=``.  Nothing begins before ``listen``
or ``connect``: then the profile's node is found, or this program becomes it while it lives.

Imports no reactor and no node: ``twistd`` imports this module with the plugin file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import (
    IStreamClientEndpoint,
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import IPlugin
from zope.interface import implementer

from p2pchat.tap.profiles import DEFAULT_PROFILE, directory_of
from p2pchat.wire.service_names import RESERVED, is_service

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort, IProtocol, IProtocolFactory

    from p2pchat.interfaces import IServices

CLIENT = "p2p:bob:web, or p2p:bob:web:path=direct:timeout=20"  # examples
SERVER = "p2p:web, or p2p:web:allow=bob,carol"
PATHS = ("any", "direct", "relay")
TIMEOUT = 30.0  # seconds
LONGEST = 86_400.0  # seconds; who waits longer waits for somebody to come home

NodeFor = Callable[[Any, Path], "Deferred[IServices]"]


def node_for(reactor: Any, directory: Path) -> Deferred[IServices]:
    """Return a Deferred of the services of a directory's node; this program may become that."""
    from p2pchat.tap import node_for as finding  # noqa: PLC0415 - of a chosen reactor

    return finding.node_for(reactor, directory)


@attrs.frozen
class Parts:
    """
    The parts of one endpoint string.

    :ivar example: a string that is right.
    """

    example: str
    names: tuple[str, ...]
    options: tuple[str, ...]

    def read(self, given: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
        """
        Return them by name.

        :raises ValueError: a sentence with an example.
        """
        if len(given) > len(self.names):
            extra = ":".join(given[len(self.names) :])
            self.refuse(f"{extra!r} stands behind the last part; there are no ports and no hosts")
        found = dict(zip(self.names, given, strict=False))
        for name, value in named.items():
            if name not in (*self.names, *self.options):
                self.refuse(f"there is no {name}=; there are {', '.join(self.options)}")
            if name in found:
                self.refuse(f"{name} is given twice")
            found[name] = value
        for name in self.names:
            if not found.get(name, "").strip():
                self.refuse(f"the {name} is missing")
        self._check_service(found["service"])
        return found

    def _check_service(self, service: str) -> None:
        if not is_service(service) or service.startswith(RESERVED):
            self.refuse(
                f"{service!r} can't be a service: small letters, figures, hyphens, dots and "
                f"underscores, and no {RESERVED} in front"
            )

    def refuse(self, why: str) -> None:
        """
        Say what is wrong.

        :raises ValueError: always.
        """
        raise ValueError(f"p2p: endpoint: {why}; for example {self.example}")


CLIENT_PARTS = Parts(CLIENT, ("peer", "service"), ("profile", "path", "timeout"))
SERVER_PARTS = Parts(SERVER, ("service",), ("allow", "profile"))


@implementer(IStreamClientEndpoint)
@attrs.frozen
class PeerClientEndpoint:
    """A service of somebody, reached by the node of a profile."""

    reactor: Any
    profile: str
    peer: str
    service: str
    path: str
    timeout: float
    _find: NodeFor = node_for

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        found = maybeDeferred(_node, self._find, self.reactor, self.profile)
        connected: Deferred[IProtocol] = found.addCallback(
            lambda services: services.connector_for(
                self.peer, self.service, self.path, self.timeout
            ).connect(protocolFactory)
        )
        return connected


@implementer(IStreamServerEndpoint)
@attrs.frozen
class PeerServerEndpoint:
    """A service, offered by the node of a profile."""

    reactor: Any
    profile: str
    service: str
    allow: tuple[str, ...]
    _find: NodeFor = node_for

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """See `IStreamServerEndpoint`."""
        found = maybeDeferred(_node, self._find, self.reactor, self.profile)
        port: Deferred[IListeningPort] = found.addCallback(
            lambda services: services.listener_for(self.service, self.allow).listen(protocolFactory)
        )
        return port


def _node(find: NodeFor, reactor: Any, profile: str) -> Deferred[IServices]:
    return find(reactor, Path(directory_of(profile)))


@implementer(IPlugin, IStreamClientEndpointStringParserWithReactor)
@attrs.frozen
class PeerClientParser:
    """Parser of clients' strings."""

    _find: NodeFor = node_for
    prefix = "p2p"

    def parseStreamClient(self, reactor: Any, *args: Any, **kwargs: Any) -> PeerClientEndpoint:
        """
        Return the endpoint of a string.

        :raises ValueError: it is wrong; a sentence with an example.
        """
        found = CLIENT_PARTS.read(args, kwargs)
        path = found.get("path", "any")
        if path not in PATHS:
            CLIENT_PARTS.refuse(f"path={path!r} is none of {', '.join(PATHS)}")
        return PeerClientEndpoint(
            *(reactor, found.get("profile", DEFAULT_PROFILE), found["peer"], found["service"]),
            *(path, _seconds(found.get("timeout", "")), self._find),
        )


def _seconds(text: str) -> float:
    try:
        seconds = float(text) if text else TIMEOUT
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= LONGEST:
        CLIENT_PARTS.refuse(f"timeout={text!r} is no number of seconds")
    return seconds


@implementer(IPlugin, IStreamServerEndpointStringParser)
@attrs.frozen
class PeerServerParser:
    """Parser of servers' strings."""

    _find: NodeFor = node_for
    prefix = "p2p"

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> PeerServerEndpoint:
        """
        Return the endpoint of a string.

        :raises ValueError: it is wrong; a sentence with an example.
        """
        found = SERVER_PARTS.read(args, kwargs)
        allow = tuple(one.strip() for one in found.get("allow", "").split(",") if one.strip())
        if "allow" in found and not allow:
            SERVER_PARTS.refuse("allow= names nobody: leave it out, and /grant lets somebody in")
        profile = found.get("profile", DEFAULT_PROFILE)
        return PeerServerEndpoint(reactor, profile, found["service"], allow, self._find)
