"""
Access control of every request, whichever way it is read: a token of its address, then its Host.

Owns the address that a request came from, and the origin under which it addresses the registry.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.web.http_headers import Headers

from p2pchat.errors import RemoteProtocolError
from p2pchat.registry.admission.control import AdmissionControl
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.http.client_address import FORWARDED, TrustedProxies
from p2pchat.registry.http.plain_requests import PlainRequest
from p2pchat.registry.refusals import Refused
from p2pchat.wire.origins import MAX_AUTHORITY, origin

MAX_NAMED = 8  # foreign hosts that the log names; strangers choose them

_PATH = frozenset(b"/?#")  # where a host ends in a URL
_log = Logger()


class AddressedRequest(Protocol):
    """
    A request, as far as access control needs it.

    :ivar own: the origins of the local end of its connection.
    :ivar ip: where it came from.
    :ivar origin: under which origin it addresses the registry.
    """

    ip: str
    origin: str

    @property
    def own(self) -> frozenset[str]:
        """The origins of the local end of its connection."""

    @property
    def requestHeaders(self) -> Headers:
        """Its headers."""

    def getHeader(self, key: bytes) -> bytes | None:
        """Return a header."""

    def getClientAddress(self) -> IAddress | None:
        """Return where the connection comes from."""

    def isSecure(self) -> bool:
        """Tell whether the connection is TLS."""


def host_of(address: IAddress | None) -> str:
    """Return an address without its port, an IPv4 one without its IPv6 mapping."""
    ip = str(getattr(address, "host", ""))
    return ip.removeprefix("::ffff:") if "." in ip else ip


def named_origin(request: AddressedRequest) -> str:
    """
    Return the origin that the client dialed, by its ``Host`` header.

    :raises RemoteProtocolError: there is none, or it isn't a host.
    """
    host = request.getHeader(b"host") or b""
    if len(host) > MAX_AUTHORITY:
        raise RemoteProtocolError("Host is too long")
    return _origin(host, request.isSecure())


@lru_cache(maxsize=256)  # most requests name the same few, all of them short
def _origin(host: bytes, secure: bool) -> str:
    if not _PATH.isdisjoint(host):
        raise RemoteProtocolError("Host is a host, and a port, and nothing more")
    scheme = "https" if secure else "http"
    return origin(f"{scheme}://{host.decode('latin-1')}")


class AccessControl:
    """
    The access control of one site.

    :ivar proxies: who is believed about the address of a client.
    """

    def __init__(
        self, control: AdmissionControl, audiences: Audiences, proxies: TrustedProxies
    ) -> None:
        self._control = control
        self._audiences = audiences
        self.proxies = proxies
        self._named: set[str] = set()

    def admit(self, request: AddressedRequest, method: bytes, path: bytes) -> None:
        """
        Count a request of which nothing else is known.

        :raises Refused: its address sends too many.
        """
        request.ip = self._client(request)
        self._control.admit(method, path, request.ip)

    def admit_unread(self, client: IAddress) -> None:
        """
        Count what came on a connection and was no request.

        :raises Refused: its address sends too many; a trusted proxy's never does.
        """
        ip = host_of(client)
        if ip not in self.proxies:
            self._control.admit(b"", b"", ip)

    def check_host(self, request: AddressedRequest) -> None:
        """
        Check that a request is meant for this registry.

        :raises RemoteProtocolError: its ``Host`` makes no sense.
        :raises Refused: it is somebody else's.
        """
        named = named_origin(request)
        proxies = self.proxies
        by_proxy = bool(proxies.networks) and host_of(request.getClientAddress()) in proxies
        try:
            request.origin = self._audiences.addressed(named, request.own, by_proxy)
        except Refused:
            self._warn(named)
            raise

    def _warn(self, named: str) -> None:
        """Warn the operator, who may have forgotten an option; a few times at most."""
        if named not in self._named and len(self._named) < MAX_NAMED:
            self._named.add(named)
            _log.warn(
                "A request to {named} was refused: if that is this registry, give --public-url "
                "{named}",
                named=named,
            )

    def _client(self, request: AddressedRequest) -> str:
        connected = host_of(request.getClientAddress())
        if not self.proxies.networks:
            return connected
        forwarded = request.requestHeaders.getRawHeaders(FORWARDED, [])
        return self.proxies.client(connected, [one.decode("latin-1") for one in forwarded])


class SiteRoutes(Protocol):
    """The routes of a site, as far as it needs to know them."""

    access: AccessControl

    def answer_plain(self, request: PlainRequest) -> Deferred[bytes] | None:
        """Admit and answer a plain request; None: it is left to twisted.web, not admitted."""
