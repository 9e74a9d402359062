"""
STUN and TURN servers as a registry names them: by URLs, and with a credential.

::

    stun:host   stun:host:port                                  RFC 7064
    turn:host   turn:host:port?transport=tcp   turns:host:port  RFC 7065

A host is a domain name or an IP literal, IPv6 in brackets.  DTLS (``stuns:``, and ``turns:`` with
``transport=udp``) is refused.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Annotated

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import Address
from p2pchat.wire.members import Members, text
from p2pchat.wire.origins import host as url_host

MAX_CREDENTIAL = 127  # characters; USERNAME has at most 508 bytes (RFC 8489 section 14.3)
MAX_URL = 300  # characters; the longest domain name has 253
STUN_PORT = 3478  # RFC 8489 section 8.1


@attrs.frozen
class LongTermCredential(Members):
    """A username and password for relays (RFC 8489 section 9.2), as a registry issues them."""

    username: Annotated[str, text(MAX_CREDENTIAL)]
    password: Annotated[str, text(MAX_CREDENTIAL)] = attrs.field(repr=False)

    def key(self, realm: str) -> bytes:
        """
        Return the key of MESSAGE-INTEGRITY in a realm, RFC 8489 section 9.2.2.

        Username, realm and password are taken as they are: those that registries issue are
        ASCII, on which the OpaqueString profile (RFC 8265) changes nothing.
        """
        text = f"{self.username}:{realm}:{self.password}"
        return hashlib.md5(text.encode(), usedforsecurity=False).digest()


class Transport(Enum):
    """The transport protocol between us and a relay."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


@attrs.frozen
class RelayServer:
    """
    A relay as its URL names it.

    :ivar host: a domain name or an IP literal, IPv6 without brackets.
    """

    host: str
    port: int
    transport: Transport

    def __str__(self) -> str:
        """Write the URL, its port always there."""
        scheme = "turns" if self.transport is Transport.TLS else "turn"
        host = f"[{self.host}]" if ":" in self.host else self.host
        suffix = "?transport=tcp" if self.transport is Transport.TCP else ""
        return f"{scheme}:{host}:{self.port}{suffix}"


_TRANSPORTS = {  # by scheme and query: the transport, the default port (RFC 8656 section 5)
    ("turn", ""): (Transport.UDP, STUN_PORT),
    ("turn", "transport=udp"): (Transport.UDP, STUN_PORT),
    ("turn", "transport=tcp"): (Transport.TCP, STUN_PORT),
    ("turns", ""): (Transport.TLS, 5349),
    ("turns", "transport=tcp"): (Transport.TLS, 5349),
}


def parse_stun_url(url: str) -> Address:
    """
    Read ``stun:host`` or ``stun:host:port`` (RFC 7064); the host is a name or an IP literal.

    :raises RemoteProtocolError: it is neither.
    """
    shown = repr(url[:80])
    scheme, colon, authority = url.partition(":")
    if len(url) > MAX_URL or not colon or scheme.lower() != "stun":
        raise RemoteProtocolError(f"{shown} is not a STUN URL")
    return _authority(authority, STUN_PORT, shown)


def parse_turn_url(url: str) -> RelayServer:
    """
    Read ``turn:`` and ``turns:`` URLs (RFC 7065).

    :raises RemoteProtocolError: it is neither, or of a transport that we don't speak.
    """
    shown = repr(url[:80])
    scheme, colon, rest = url.partition(":")
    authority, question, query = rest.partition("?")
    if len(url) > MAX_URL or not colon or scheme.lower() not in {"turn", "turns"}:
        raise RemoteProtocolError(f"{shown} is not a TURN URL, such as turn:relay.example:3478")
    known = _TRANSPORTS.get((scheme.lower(), query.lower()))
    if known is None or bool(question) != bool(query):
        raise RemoteProtocolError(f"{shown}: the transport must be UDP, TCP, or TLS over TCP")
    host, port = _authority(authority, known[1], shown)
    return RelayServer(host, port, known[0])


def _authority(text: str, default_port: int, shown: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, port = text, str(default_port)
    if not (port.isascii() and port.isdigit() and len(port) < 6) or not 0 < int(port) < 65536:
        raise RemoteProtocolError(f"{shown}: no port from 1 to 65535")
    if any(character in host for character in "/@#?\\"):
        raise RemoteProtocolError(f"{shown}: a host and a port are all that such a URL names")
    try:
        return url_host(f"http://{host}:1").strip("[]"), int(port)
    except RemoteProtocolError:
        raise RemoteProtocolError(f"{shown} has no domain name or IP address") from None
