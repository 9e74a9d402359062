"""Lease: what a registry answers to a registration."""

from __future__ import annotations

import re
from contextlib import suppress

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import readable_ip
from p2pchat.wire.documents import MAX_LABEL
from p2pchat.wire.servers import LongTermCredential
from p2pchat.wire.strict_json import JsonObject, timestamp

REGISTER_AGAIN = 600.0  # seconds; or half the time that relay credentials are good for
MAX_TOKEN = 1024  # characters; ours has 43
MAX_FEATURES = 64  # words that are kept
_TOKEN = re.compile(r"[!-~]+")  # what may stand in a header


@attrs.frozen
class Lease:
    """
    The record that a registry holds for us, and what it offers beside.

    :ivar seconds: for which it is held.
    :ivar address: our IP address as the registry saw it, or "".
    :ivar token: what prolongs it, or "".
    :ivar good_for: seconds after which to register again, for new credentials at least.
    :ivar features: words for what it offers beside what all registries do.
    :ivar has_stream: whether it has an event stream of ours; None where it doesn't say.
    :ivar stun: its STUN URLs, not read yet, as are those of its relays.
    """

    seconds: float
    address: str = ""
    token: str = ""
    good_for: float = REGISTER_AGAIN
    stun: object = None
    relays: object = None
    credentials: LongTermCredential | None = None
    features: frozenset[str] = frozenset()
    has_stream: bool | None = None

    @classmethod
    def from_json(cls, members: JsonObject) -> Lease:
        """Read an answer; what can't be used beside the lease itself is left out."""
        offered = members.get("turn")
        turn = offered if isinstance(offered, dict) else {}
        token, ttl = members.get("renewal"), turn.get("ttl")
        is_token = isinstance(token, str) and len(token) <= MAX_TOKEN and _TOKEN.fullmatch(token)
        return cls(
            timestamp(members, "lease"),
            readable_ip(members.get("ip")) or readable_ip(members.get("your_ip")),
            str(token) if is_token else "",
            ttl / 2 if type(ttl) is int and 0 <= ttl < 2 * REGISTER_AGAIN else REGISTER_AGAIN,
            members.get("stun"),
            turn.get("urls"),
            _credentials(turn),
            _features(members.get("features")),
            online if isinstance(online := members.get("online"), bool) else None,
        )


def _features(offered: object) -> frozenset[str]:
    """Return the words of a list; what is no word, or too much, is left out."""
    words = offered[:MAX_FEATURES] if isinstance(offered, list) else []
    return frozenset(one for one in words if isinstance(one, str) and len(one) <= MAX_LABEL)


def _credentials(turn: JsonObject) -> LongTermCredential | None:
    with suppress(RemoteProtocolError):
        return LongTermCredential.from_json(turn)
    return None
