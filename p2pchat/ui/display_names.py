"""
Display names: what peers are called on a screen, so that one label means one peer.

A contact is called by the name that it has here, and nothing else is: whoever has such a name, or
one that looks like it, without being that contact is called so.  Where two strangers have the same
name, or one has ours, the beginning of the id, which is proved, stands beside it.
"""

from __future__ import annotations

from typing import Any

import attrs

from p2pchat.wire.usernames import looks
from p2pchat.wire.visible import visible, visible_name

SHORT_ID = 8  # characters of an id that people are shown
MAX_NAMES = 1000  # names kept to tell same names apart; the oldest is forgotten
YOU = "you"
UNKNOWN = "?"


@attrs.define
class DisplayNames:
    """
    The display names of all who were met.

    :ivar username: what we call ourselves.
    """

    username: str
    _names: dict[str, str] = attrs.Factory(dict)
    _alike: dict[str, set[str]] = attrs.Factory(dict)  # ids, by looks and beginnings
    _contacts: set[str] = attrs.Factory(set)
    _mistaken_for: dict[str, str] = attrs.Factory(dict)  # the contact, by the id of somebody else

    def learn(self, value: Any) -> None:
        """Take what an event, or a row of a list, says of a peer."""
        peer_id, contact = value.peer_id, getattr(value, "contact", None)
        self._remember(peer_id, value.name)
        if contact is not None:
            (self._contacts.add if contact else self._contacts.discard)(peer_id)
        other = getattr(value, "mistaken_for", None)
        if other is not None:
            self._mistaken_for[peer_id] = other
        if other:
            self._contacts.add(other)

    def _remember(self, peer_id: str, name: str) -> None:
        self._drop(peer_id)
        if len(self._names) >= MAX_NAMES:
            oldest = next(iter(self._names))
            self._drop(oldest)
            self._mistaken_for.pop(oldest, None)
        self._names[peer_id] = visible_name(name)
        for group in self._groups(peer_id):
            self._alike.setdefault(group, set()).add(peer_id)

    def _drop(self, peer_id: str) -> None:
        if peer_id not in self._names:
            return
        for group in self._groups(peer_id):
            self._alike[group].discard(peer_id)
            if not self._alike[group]:
                del self._alike[group]
        del self._names[peer_id]

    def _groups(self, peer_id: str) -> set[str]:
        """Return what this peer shares with those that it must be told from."""
        return {*looks(self._names[peer_id]), peer_id[:SHORT_ID]}  # somebody may be called so

    def name(self, peer_id: str) -> str:
        """Return a name by itself, which may mean anybody."""
        return self._names.get(peer_id, UNKNOWN)

    def begins(self, text: str) -> bool:
        """Tell whether a text begins with the name of somebody."""
        return any(text.startswith(name) for name in self._names.values())

    def label(self, peer_id: str) -> str:
        """Return a name that means one peer only."""
        return self.full(peer_id) if self._is_doubtful(peer_id) else self.name(peer_id)

    def full(self, peer_id: str) -> str:
        """Return name and beginning of the id, for first encounters."""
        warning = ", not your contact" if self.is_mistaken(peer_id) else ""
        return f"{self.name(peer_id)} ({self.short(peer_id)}{warning})"

    def short(self, peer_id: str) -> str:
        """Return as much of an id as tells it from all that were met: keys can be made to fit."""
        others = self._alike.get(peer_id[:SHORT_ID], set()) | {self._mistaken_for.get(peer_id, "")}
        length = SHORT_ID
        while any(one[:length] == peer_id[:length] for one in others - {peer_id}):
            length += 1
        return visible(peer_id[:length])

    def address(self, peer_id: str) -> str:
        """Return a word by which a person can mean this peer in a command."""
        name = self.name(peer_id)
        is_meant = self.is_contact(peer_id) and not self._is_doubtful(peer_id)
        return name if is_meant and len(name.split()) == 1 else self.short(peer_id)

    def is_contact(self, peer_id: str) -> bool:
        """Tell whether a peer is known to be a contact."""
        return peer_id in self._contacts

    def is_mistaken(self, peer_id: str) -> bool:
        """Tell whether a peer has the name of a contact that it isn't."""
        return (
            not self.is_contact(peer_id) and self._mistaken_for.get(peer_id, "") in self._contacts
        )

    def contact_meant(self, peer_id: str) -> str:
        """Return the beginning of the id of the contact for whom a peer could be taken."""
        known = self._mistaken_for.get(peer_id, "")
        return visible(known[: len(self.short(peer_id))])

    def _is_doubtful(self, peer_id: str) -> bool:
        name = self.name(peer_id)
        mine = looks(name)
        # A name with a bracket could pretend to have such an id.
        if name == UNKNOWN or "(" in name or not mine.isdisjoint(looks(self.username) | {YOU}):
            return True
        alike = {one for look in mine for one in self._alike.get(look, ())} - {peer_id}
        return bool(alike & self._contacts if peer_id in self._contacts else alike) or (
            self.is_mistaken(peer_id)
        )
