"""
Access control of every request, whichever way it is read: a token of its address, then its Host.

Owns the address that a request came from, and the origin under which it addresses the registry.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from p2pchat.errors import RemoteProtocolError
from p2pchat.registry.admission.control import AdmissionControl
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.http.client_address import TrustedProxies
from p2pchat.registry.http.plain_requests import PlainRequest
from p2pchat.registry.refusals import Refused
from p2pchat.wire.origins import MAX_AUTHORITY, origin

MAX_NAMED = 8  # foreign hosts that the log names; strangers choose them

_PATH = frozenset(b"/?#")  # where a host ends in a URL
_log = Logger()


@attrs.frozen
class ConnectionInfo:
    """
    Properties of a connection that hold for all its requests.

    :ivar client: where it comes from.
    :ivar secure: whether it is TLS.
    :ivar own: the origins of its local end.
    """

    client: IAddress
    secure: bool
    own: frozenset[str]


def host_of(address: IAddress | None) -> str:
    """Return an address without its port, an IPv4 one without its IPv6 mapping."""
    ip = str(getattr(address, "host", ""))
    return ip.removeprefix("::ffff:") if "." in ip else ip


@lru_cache(maxsize=256)  # most requests name the same few, all of them short
def _origin(host: bytes, secure: bool) -> str:
    if not _PATH.isdisjoint(host):
        raise RemoteProtocolError("Host is a host, and a port, and nothing more")
    scheme = "https" if secure else "http"
    return origin(f"{scheme}://{host.decode('latin-1')}")


@attrs.define(eq=False)
class AccessControl:
    """
    The access control of one site.

    :ivar proxies: who is believed about the address of a client.
    """

    _control: AdmissionControl
    _audiences: Audiences
    proxies: TrustedProxies
    _named: set[str] = attrs.Factory(set)

    def admit(
        self, connection: ConnectionInfo, forwarded: Sequence[bytes], method: bytes, path: bytes
    ) -> str:
        """
        Count a request of which nothing else is known; return the address that it came from.

        :param forwarded: its headers FORWARDED.
        :raises Refused: its address sends too many.
        """
        said = [one.decode("latin-1") for one in forwarded]
        ip = self.proxies.client(host_of(connection.client), said)
        self._control.admit(method, path, ip)
        return ip

    def admit_unread(self, client: IAddress) -> None:
        """
        Count what came on a connection and was no request.

        :raises Refused: its address sends too many; a trusted proxy's never does.
        """
        ip = host_of(client)
        if ip not in self.proxies:
            self._control.admit(b"", b"", ip)

    def addressed(self, connection: ConnectionInfo, host: bytes | None) -> str:
        """
        Return the origin under which a request addresses this registry, by its ``Host``.

        :raises RemoteProtocolError: that makes no sense.
        :raises Refused: it is somebody else's.
        """
        if host is None or len(host) > MAX_AUTHORITY:
            raise RemoteProtocolError("Host is missing, or too long")
        named = _origin(host, connection.secure)
        by_proxy = bool(self.proxies.networks) and host_of(connection.client) in self.proxies
        try:
            return self._audiences.addressed(named, connection.own, by_proxy)
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


class SiteRoutes(Protocol):
    """The routes of a site, as far as it needs to know them."""

    access: AccessControl

    def answer_plain(
        self, request: PlainRequest, connection: ConnectionInfo
    ) -> Deferred[bytes] | None:
        """Admit and answer a plain request; None: it is left to twisted.web, not admitted."""
