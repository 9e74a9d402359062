"""
Who is meant: a name, the first characters of an id, or a whole id.

A name counts only if exactly one peer has it; names prove nothing, so what a person connects to
is always the id found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import inlineCallbacks

from p2pchat.errors import RemoteProtocolError, WhoError
from p2pchat.identity.keys import check_peer_id
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.wire.strict_json import JsonObject

_LOWEST = "00000000-0000-8000-8000-000000000000"  # of version 8
SHOWN = 5  # ids in a sentence about an ambiguous name
PREFIX_PAGE = "20"  # records that an ambiguous prefix is told apart by


def match(who: str, names: Mapping[str, str]) -> str | None:
    """
    Find the one id meant among known ones.

    :param names: names by id.
    :return: the id, or ``None`` if nobody fits.
    :raises WhoError: more than one fits.
    """
    wanted = who.strip().lower()
    if wanted in names:
        return wanted  # a whole id, whoever calls himself so
    named = [peer_id for peer_id, name in names.items() if wanted and name.lower() == wanted]
    found = named or [peer_id for peer_id in names if wanted and peer_id.startswith(wanted)]
    if len(found) > 1:
        shown = ", ".join(f"{names[one]} {one[:13]}…" for one in sorted(found)[:SHOWN])
        raise WhoError(f"{who!r} may be any of {shown}: give more of the id")
    return found[0] if found else None


def as_peer_id(who: str) -> str | None:
    """Return the id if ``who`` is a whole one."""
    try:
        return check_peer_id(who.strip().lower())
    except RemoteProtocolError:
        return None


@inlineCallbacks
def look_up(who: str, client: RegistryClient, own_id: str) -> Any:
    """
    Ask the registry who is meant; a Deferred of (peer id, name).

    It fails with :class:`WhoError` when nobody or more than one fits, or when it is ourselves,
    and with :class:`RegistryError`.
    """
    records = yield client.peers(username=who.strip())
    found = _names(records)
    if not found and _may_be_prefix(who):
        start = who.strip().lower()
        after = (start + _LOWEST[len(start) :])[: len(_LOWEST)]
        if as_peer_id(after) is None:
            raise WhoError(f"no id begins with {who!r}")
        records = yield client.peers(after=after, limit=PREFIX_PAGE)
        found = {one: name for one, name in _names(records).items() if one.startswith(start)}
    others = {peer_id: name for peer_id, name in found.items() if peer_id != own_id}
    if found and not others:
        raise WhoError(f"{who!r} is you")
    peer_id = match(who, others)
    if peer_id is None:
        raise WhoError(
            f"nobody called {who!r}, and no id that begins so, is online at {client.server}; "
            "/peers lists who is"
        )
    return peer_id, others[peer_id]


def _may_be_prefix(who: str) -> bool:
    return bool(who.strip()) and set(who.strip().lower()) <= set("0123456789abcdef-")


def _names(page: JsonObject) -> dict[str, str]:
    records = page.get("peers")
    if not isinstance(records, list):
        return {}
    return {
        str(one["peer_id"]): str(one.get("username", ""))
        for one in records
        if isinstance(one, dict) and as_peer_id(str(one.get("peer_id"))) is not None
    }
