"""
Resolves what a person typed, an id, the beginning of one or a name, to one peer id.

What is an id is only ever an id, and what could be the beginning of one is never a name:

==============================  =================================================================
a whole id                      that peer, whatever anybody calls himself
                                (:mod:`p2pchat.peer.pasted`)
8 characters of an id and more  a contact, or a conversation on the screen
16 and more                     somebody at the registry, too; the person must say the whole id,
                                since keys that begin with a few chosen digits are made in seconds
a name                          a contact of that name, present or not; else a conversation on the
                                screen; else the one peer who is registered under it
==============================  =================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from twisted.internet.defer import inlineCallbacks

from p2pchat.errors import WhoError
from p2pchat.peer.pasted import bare, beginning, cleaned, nearest, objection, whole_id
from p2pchat.peer.settings import in_normal_form
from p2pchat.peer.signaling import PeerRecord, SignalingGroup
from p2pchat.wire.usernames import comparable, looks_like_id

SHORTEST_PREFIX = 8  # characters of an id that mean a contact or a conversation; as many are shown
SHORTEST_ASKED = 16  # characters of an id that a registry is asked for: 14 digits, 56 bits
SHOWN = 5  # ids in a sentence about an ambiguous name

_ID_CHARACTERS = frozenset("0123456789abcdef-")


def is_prefix(who: str) -> bool:
    """Tell whether ``who`` is taken for the beginning of an id."""
    return whole_id(who) is None and looks_like_id(cleaned(who))


@attrs.frozen
class Acquaintances:
    """
    Those who can be found without asking anybody.

    :ivar contacts: their names, by id.
    :ivar present: the names of conversations, calls and waiting offers, by id.
    """

    contacts: Mapping[str, str]
    present: Mapping[str, str]

    def match(self, who: str) -> str | None:
        """
        Return the one id meant, or ``None`` if nobody here fits.

        :raises WhoError: more than one fits, or too little of an id is given.
        """
        whole = whole_id(who)
        if whole is not None:
            return self._checked(whole)
        if is_prefix(who):
            return self._begun(beginning(who))
        named = _named(who, self.contacts)
        return _only(who, named or _named(who, self.present))

    def match_contact(self, who: str) -> str | None:
        """Return the id meant where a program says it: a whole id, or a contact's name."""
        return whole_id(who) or _only(who, _named(who, self.contacts))

    def _checked(self, whole: str) -> str:
        """Refuse an id that is a bad copy of a known one: by chance no two are so near."""
        known = {**self.present, **self.contacts}
        near = None if whole in known else nearest(whole, known)
        if near is not None:
            other, wrong = near
            raise WhoError(
                f"nobody here has the id {whole}; that of {known[other] or 'a caller'}, {other}, "
                f"differs in {wrong} digit{'s' * (wrong > 1)}: copy it again"
            )
        return whole

    def _begun(self, begun: str) -> str | None:
        if len(begun) < SHORTEST_PREFIX:
            raise WhoError(
                f"{begun!r} is too little of an id: give {SHORTEST_PREFIX} characters, or all"
            )
        known = {**self.present, **self.contacts}
        return _only(begun, {one: name for one, name in known.items() if one.startswith(begun)})


def _named(who: str, names: Mapping[str, str]) -> dict[str, str]:
    wanted = {comparable(who), comparable(bare(who))} - {""}
    return {one: name for one, name in names.items() if comparable(name) in wanted}


def _only(who: str, found: Mapping[str, str]) -> str | None:
    if len(found) > 1:
        shown = ", ".join(f"{found[one]} {one}" for one in sorted(found)[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        raise WhoError(f"{who!r} may be any of {shown}{more}: give the id")
    return next(iter(found), None)


@inlineCallbacks
def look_up(
    who: str, signaling: SignalingGroup, own_id: str, waiting: Mapping[str, str] | None = None
) -> Any:
    """
    Ask who is meant where peers are found; a Deferred of (peer id, name).

    It fails with :class:`WhoError` when nobody or more than one fits, or when it is ourselves,
    and with :class:`RegistryError`.

    :param waiting: the names of those whose calls wait, by id; of several of a name, one of them
        isn't the one.
    """
    if is_prefix(who):
        yield _look_up_id(beginning(who), signaling)
    named: dict[str, str] = {}
    for name in dict.fromkeys((in_normal_form(who), bare(who))):
        records = [] if named or not name else (yield signaling.peers(username=name))
        named = named or _named(who, _names(records))
    found = {**named, **_named(who, waiting or {})}
    found.pop(own_id, None)
    if named and not found:
        raise WhoError(f"{who!r} is you")
    peer_id = _only(who, found)
    if peer_id is None:
        hint = hint_about(who)
        if not hint and set(beginning(who)) <= _ID_CHARACTERS:
            hint = f"; of an id give {SHORTEST_PREFIX} characters, or all"
        raise WhoError(
            f"nobody called {who!r} is online at {signaling.name}; /peers lists who is{hint}"
        )
    return peer_id, found[peer_id]


@inlineCallbacks
def _look_up_id(begun: str, signaling: SignalingGroup) -> Any:
    """Fail with the whole id that the person must say, if the registry knows one that fits."""
    if len(begun) < SHORTEST_ASKED:
        raise WhoError(
            f"no contact and no conversation has an id that begins with {begun!r}: give all of "
            f"it, or {SHORTEST_ASKED} characters to look for it at {signaling.name}"
        )
    records = yield signaling.peers(prefix=begun)
    found = _names(one for one in records if one.peer_id.startswith(begun))
    peer_id = _only(begun, found)
    if peer_id is None:
        raise WhoError(
            f"no id that begins with {begun!r} is online at {signaling.name}{hint_about(begun)}"
        )
    raise WhoError(
        f"{begun!r} begins the id of one who calls himself {found[peer_id]}: if that is the "
        f"one, say the whole id: /connect {peer_id}"
    )


def hint_about(who: str) -> str:
    """Return what is wrong with an id that isn't one, to end a sentence with; or ""."""
    why = objection(who)
    return f"; {why}" if why else ""


def _names(records: Iterable[PeerRecord]) -> dict[str, str]:
    return {one.peer_id: one.username for one in records}
