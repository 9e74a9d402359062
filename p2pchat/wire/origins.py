"""
The origin of a registry: scheme, host and port (RFC 6454), written in one way only.

Documents for a registry name it by its origin, so both sides must write the same characters:
lower case, the port always there, IP literals in their canonical form (RFC 5952), IPv6 in
brackets.  ``HTTP://Example.org/`` and ``http://example.org:80`` are both
``http://example.org:80``.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import parse_ip, readable_ip

DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_URL = 2000  # characters
MAX_AUTHORITY = 260  # characters; the longest domain name (RFC 1035 section 2.3.4) and a port

_LABEL = "[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?"
_AUTHORITY = re.compile(rf"(?:\[([0-9a-f:.]+)\]|({_LABEL}(?:\.{_LABEL})*\.?))(?::([0-9]{{1,5}}))?")
_PRINTABLE = re.compile(r"[!-~]+")  # urlsplit would drop line breaks silently


def origin(url: str) -> str:
    """
    Return the origin of an ``http`` or ``https`` URL, its port always there.

    :raises RemoteProtocolError: another scheme, no host, a user name, or a port out of range.
    """
    scheme, name, port = _split(url)
    return f"{scheme}://{name}:{port}"


def host(url: str) -> str:
    """
    Return the host of such a URL, an IPv6 literal in brackets.

    :raises RemoteProtocolError: as :func:`origin`.
    """
    return _split(url)[1]


def registry_url(text: str) -> str:
    """
    Return the URL of a registry that a person wrote; ``http://`` may lack, and so may the brackets
    of an IPv6 address alone.  A name in other letters becomes what DNS has for it (RFC 5891).

    :raises RemoteProtocolError: as :func:`origin`, or it has more than a scheme, a host and a port.
    """
    text = text.strip()
    literal = readable_ip(text) if ":" in text else ""
    url = text if "://" in text else f"http://[{literal}]" if literal else f"http://{text}"
    url = _with_ascii_name(url)
    if "@" in url:
        raise RemoteProtocolError(
            "a registry asks for no name and no password: leave out what is before the @"
        )
    origin(url)
    parts = urlsplit(url)
    if parts.path.strip("/") or parts.query or parts.fragment or url.endswith(("?", "#")):
        raise RemoteProtocolError(
            f"{text[:80]!r} has more than a scheme, a host and a port, and a registry has no path"
        )
    return url.rstrip("/")


def _with_ascii_name(url: str) -> str:
    """Return a URL with its host as DNS has it; as it is where it can't be had."""
    if url.isascii() or not url.isprintable():
        return url
    try:
        parts = urlsplit(url)
        name, colon, port = parts.netloc.partition(":")
        netloc = name.encode("idna").decode("ascii") + colon + port
    except ValueError:  # UnicodeError among them
        return url
    return parts._replace(netloc=netloc).geturl()


def _split(url: str) -> tuple[str, str, int]:
    shown = url[:80]
    if len(url) > MAX_URL or not _PRINTABLE.fullmatch(url):
        raise RemoteProtocolError(f"{shown!r} is not a URL")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise RemoteProtocolError(f"{shown!r} is not a URL") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise RemoteProtocolError(f"{shown!r} must begin with http:// or https://")
    short = len(parts.netloc) <= MAX_AUTHORITY
    authority = _AUTHORITY.fullmatch(parts.netloc.lower()) if short else None
    if authority is None:
        raise RemoteProtocolError(f"{shown!r} has no domain name or IP address for its host")
    literal, name, digits = authority.groups()
    port = DEFAULT_PORTS[parts.scheme] if digits is None else int(digits)
    if not 0 < port < 65536:
        raise RemoteProtocolError(f"{shown!r}: the port must be from 1 to 65535")
    return parts.scheme, f"[{parse_ip(literal)}]" if literal else name, port
