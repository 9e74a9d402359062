"""
Answers that aren't a p2pchat registry's, in words for people.

Who else answers: a network that wants a log-in first (captive portal), a proxy or a filter on the
way, the server in front of a registry that is away, a registry that was moved, another server.  The
status, the type and the beginning of the answer tell them apart as far as anything does.  Whatever
is shown of them is a number, or the host of a redirect.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import urlsplit

from twisted.web.http_headers import Headers

from p2pchat.errors import RegistryError, RemoteProtocolError
from p2pchat.wire.origins import origin
from p2pchat.wire.strict_json import loads
from p2pchat.wire.visible import visible_name

MAX_HOST = 80  # characters of a redirect's host that are shown
MAX_LOOKED_AT = 4096  # bytes of a page that are searched

PORTAL = "perhaps this network wants you to log in first (captive portal): open a web page"
_AWAY = "can't be asked: the server in front of the registry says that it is away ({})"
_FILTER = (
    "was answered with a refusal that isn't a p2pchat registry's ({}): perhaps a filter or a "
    "firewall on the way forbids it"
)
_BUSY = "was answered by a server in front of the registry, which takes no more for now ({})"
_SAID_BY = {  # what a status says without a page
    401: (
        "wants a user name and a password ({}), which this program has none of: it is no p2pchat "
        "registry, or somebody put a log-in before one"
    ),
    403: _FILTER,
    407: "was answered by a proxy on the way, which wants a password ({})",
    429: _BUSY,
    451: _FILTER,
    502: _AWAY,
    503: _AWAY,
    504: _AWAY,
    511: "was answered by this network, which wants you to log in first ({}): open a web page",
    **dict.fromkeys(range(520, 528), _AWAY),  # Cloudflare's, for a server behind it
}
_PLAIN_TO_TLS = re.compile(rb"plain http|http request (was sent )?to an? https|ssl-enabled", re.I)


class ForeignAnswer(RegistryError):
    """Somebody else than the registry answered."""

    @property
    def may_pass(self) -> bool:
        """Whether somebody near us answered, as a portal does, and may let us through soon."""
        return _SAID_BY.get(self.status) not in {_AWAY, _BUSY}


def foreign_answer(server: str, status: int, headers: Headers, body: bytes) -> ForeignAnswer:
    """
    Return who seems to have answered, as an error.

    :param server: the URL that was asked.
    """
    refused = 0 if 200 <= status < 300 else status
    return ForeignAnswer(f"{server} {_who(server, status, headers, body)}", refused)


def _who(server: str, status: int, headers: Headers, body: bytes) -> str:
    named = _named(status)
    if 300 <= status < 400:
        return _redirect(server, status, headers)
    if not 200 <= status < 600:
        return "answers with an HTTP status that there isn't: it seems to be no p2pchat registry"
    if _PLAIN_TO_TLS.search(body[:MAX_LOOKED_AT]):
        return "speaks TLS there: its address begins with https://"
    if status in _SAID_BY:
        return _SAID_BY[status].format(named)
    answered = "" if 200 <= status < 300 else f" ({named})"
    return f"answered{answered} with {_what(headers, body)}"


def is_page(headers: Headers) -> bool:
    """Tell whether an answer is a web page, which no registry has."""
    types = headers.getRawHeaders(b"Content-Type", [b""])
    return b"html" in types[0].lower()


def _what(headers: Headers, body: bytes) -> str:
    """Return what an answer is, and what that may mean."""
    if not body.strip():
        return f"nothing, as no p2pchat registry does: {PORTAL}"
    try:
        loads(body)
    except RemoteProtocolError:
        pass
    else:
        return f"JSON that isn't a p2pchat registry's: another server is there, or {PORTAL}"
    if is_page(headers) or body.lstrip()[:1] == b"<":
        return f"a page of its own and is no p2pchat registry: {PORTAL}, or another server is there"
    return f"something else than a p2pchat registry does: another server is there, or {PORTAL}"


def _redirect(server: str, status: int, headers: Headers) -> str:
    """Return where a redirect leads, and what that may mean."""
    place = (headers.getRawHeaders(b"Location") or [b""])[0].decode("latin-1")
    follows = "where this program doesn't follow"
    try:
        host = urlsplit(place).hostname or ""
    except ValueError:
        host = ""
    shown = visible_name(host, MAX_HOST) if host else "another page of its own"
    if host == urlsplit(server).hostname and place.lower().startswith("https:"):
        there = _origin(place)
        if there and there != origin(server):
            return f"sends us to {there} (HTTP status {status}), {follows}: give that address"
    return f"sends us to {shown} (HTTP status {status}), {follows}: {PORTAL}, or it was moved"


def _origin(url: str) -> str:
    try:
        return visible_name(origin(url), MAX_HOST)
    except RemoteProtocolError:
        return ""


def _named(status: int) -> str:
    """Return a status with the name that RFC 9110 gives it."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP status {status}"
