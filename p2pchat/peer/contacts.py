"""
Contacts, and whoever is muted or blocked.

A contact is a key under a name: whoever has the name, here, is the peer with that id, present or
not.  A contact is made of a conversation that our person began or accepted, never of a call, and
never of a peer whose name another contact has; or by an invitation, under a name that no other has.
It ends with ``forget``, or where another, by an invitation for that, takes its place.

Owns the table and its rows, no file.  A row has the peer id and, as JSON::

    {"name": "bob", "contact": true, "muted": false, "blocked": false,
     "reached": memory, "keys": [key], "met": "invitation", "verified": true,
     "registries": [URL], "as_of": seconds since 1970, "before": [peer id], "last_seen": seconds,
     "relay_only": false}

A memory (:mod:`p2pchat.traversal.path_hint`) is a hint, and so is what documents to the contact are
sealed to: one that can't be understood is forgotten, where a name would be a reason to stop.

Files of before had all of them, as {"v": 2, "people": {peer id: row}}.  One without "v" is of the
first version, which kept everybody who was called, as {"peers": {peer id: name}, "reached": {peer
id: memory}}.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any

import attrs

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.identity.keys import check_peer_id
from p2pchat.identity.registry_lists import DatedList
from p2pchat.traversal.path_hint import PathHint
from p2pchat.wire.documents import (
    MAX_KEYS,
    MAX_LABEL,
    MAX_REGISTRIES,
    MAX_SERVER,
    Card,
    RecordKey,
)
from p2pchat.wire.members import SPARSE, As, Codec, Flag, Members, each, nested, text
from p2pchat.wire.strict_json import JsonObject, checked, dumps, field, loads, optional, seconds
from p2pchat.wire.usernames import MAX_USERNAME, check_username, looks
from p2pchat.wire.visible import visible_name

VERSION = 2  # of a file
INVITATION = "invitation"  # how a contact was met
MAX_BEFORE = 8  # contacts whose place one took
MAX_NAMESAKES = 99  # contacts that are told apart by a number
MAX_PEOPLE = 10_000  # a person knows fewer; all of them are in memory, and read at the start


def _hint(codec: Codec[Any], nothing: object) -> Codec[Any]:
    """Whatever can be understood, else nothing."""

    def read(value: object, name: str) -> Any:
        with contextlib.suppress(RemoteProtocolError):
            return codec.read(value, name)
        return nothing

    return Codec(read, codec.write)


_REACHED = _hint(nested(PathHint), None)
_KEYS = _hint(each(nested(RecordKey), MAX_KEYS), ())
_FLAG = Codec(partial(checked, kind=bool))
_REGISTRIES = _hint(each(text(MAX_SERVER), MAX_REGISTRIES), ())
_TIME = Codec(seconds)
_BEFORE = _hint(each(text(MAX_LABEL), MAX_BEFORE), ())


@attrs.frozen
class Person(Members):
    """
    A peer of whom something is kept.

    :ivar name: of a contact, the name that means this key; of others, what they called themselves.
    :ivar is_muted: their calls and messages make no sound.
    :ivar is_blocked: nothing of theirs is taken, and nothing answered.
    :ivar reached: how the contact was reached last.
    :ivar keys: those of a contact that documents to it are sealed to.
    :ivar met: INVITATION, or "" for a conversation.
    :ivar is_verified: words were compared with the contact.
    :ivar registries: URLs where the contact said that it is found, by its card or its last list.
    :ivar as_of: when that list was made, seconds since 1970; 0 for a card.
    :ivar before: ids of the contacts whose place it took, the latest first.
    :ivar is_relayed: it learns no address of ours but those of relays.
    :ivar last_seen: when it was there last, as far as we saw; seconds since 1970, 0: never.
    """

    name: Annotated[str, text(MAX_USERNAME)]
    is_contact: Annotated[Flag, As("contact")] = False
    is_muted: Annotated[Flag, As("muted")] = False
    is_blocked: Annotated[Flag, As("blocked")] = False
    reached: Annotated[PathHint | None, _REACHED, SPARSE] = None
    keys: Annotated[tuple[RecordKey, ...], _KEYS, SPARSE] = ()
    met: Annotated[str, _hint(text(MAX_LABEL), ""), SPARSE] = ""
    is_verified: Annotated[bool, _hint(_FLAG, False), As("verified"), SPARSE] = False
    registries: Annotated[tuple[str, ...], _REGISTRIES, SPARSE] = ()
    before: Annotated[tuple[str, ...], _BEFORE, SPARSE] = ()
    is_relayed: Annotated[bool, _hint(_FLAG, False), As("relay_only"), SPARSE] = False
    last_seen: Annotated[float, _hint(_TIME, 0.0), SPARSE] = 0.0
    as_of: Annotated[float, _hint(_TIME, 0.0), SPARSE] = 0.0

    @property
    def is_known(self) -> bool:
        """Whether there is anything to keep."""
        return self.is_contact or self.is_muted or self.is_blocked

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is disturbed by what they say."""
        return self.is_muted or not self.is_contact


STRANGER = Person("")
_OF_CONTACTS = (
    *("reached", "keys", "met", "is_verified", "registries", "before", "last_seen", "as_of"),
    "is_relayed",
)
_NOTHING = {name: getattr(STRANGER, name) for name in _OF_CONTACTS}  # of a contact any more
_PERSON = nested(Person)
UNNAMED = "id "  # and eight characters: the name of a contact that has none of its own


@attrs.define(eq=False)
class Contacts:
    """
    The table of people, by peer id.

    :ivar save: called after each change that is worth keeping, with the rows that differ now;
        ``None`` for one that is gone.
    """

    save: Callable[[Mapping[str, str | None]], object] = lambda _rows: None
    _people: dict[str, Person] = attrs.Factory(dict)
    _lookalikes: dict[str, set[str]] = attrs.Factory(dict)  # contacts, by their looks

    def __getitem__(self, peer_id: str) -> Person:
        """Return what is known of a peer; a stranger for somebody unknown."""
        return self._people.get(peer_id, STRANGER)

    def people(self) -> dict[str, Person]:
        """Return everybody who is known, by peer id."""
        return dict(self._people)

    def names(self) -> dict[str, str]:
        """Return the names of contacts, by peer id."""
        return {one: person.name for one, person in self._people.items() if person.is_contact}

    def mistaken_for(self, peer_id: str, name: str) -> str:
        """Return the id of a contact whom somebody else of this name could be taken for, or ""."""
        if not name or self[peer_id].is_contact:
            return ""
        return min(self._others(peer_id, name), default="")

    def _others(self, peer_id: str, name: str) -> set[str]:
        """Return the ids of the other contacts with such a name."""
        found = {one for look in _looks(name) for one in self._lookalikes.get(look, ())}
        return found - {peer_id}

    def keep(self, peer_id: str, name: str) -> bool:
        """
        Make a contact of a peer; tell whether that is anything new.

        A name that another contact has, or one that looks like it, makes no second contact.
        """
        if self[peer_id].is_contact or self.mistaken_for(peer_id, name):
            return False
        self._change(peer_id, name=name, is_contact=True)
        return True

    def introduce(self, peer_id: str, card: Card, name: str = "", replaces: str = "") -> str:
        """
        Make a contact of somebody met by an invitation; return the name that is kept.

        :param name: what our person calls it; "": as it was called, or calls itself.
        :param replaces: the id of the contact whose place it takes, or "".
        """
        before: tuple[str, ...] = ()
        known = self[peer_id]
        if replaces and replaces != peer_id:
            before = (replaces, *self[replaces].before)[:MAX_BEFORE]
            self._set(replaces, is_contact=False, **_NOTHING)
        wanted = name or (known.name if known.is_contact else card.username)
        self._set(
            peer_id,
            name=self.free_name(peer_id, wanted),
            is_contact=True,
            keys=card.keys or known.keys,
            met=INVITATION,
            registries=card.registries,
            before=before or known.before,
        )
        self._save(*{replaces, peer_id} - {""})
        return self[peer_id].name

    def free_name(self, peer_id: str, wanted: str) -> str:
        """Return a name like the one that is wanted, which means nobody else."""
        for number in range(1, MAX_NAMESAKES + 1):
            name = wanted if number == 1 else f"{wanted} {number}"
            with contextlib.suppress(RemoteProtocolError):
                if not self._others(peer_id, check_username(name)):
                    return name
        return f"{UNNAMED}{peer_id[:8]}"

    def rename(self, peer_id: str, name: str) -> bool:
        """Give a contact another name; tell whether no other has it."""
        is_free = not self._others(peer_id, name)
        if is_free:
            self._change(peer_id, name=name)
        return is_free

    def verify(self, peer_id: str, on: bool) -> None:
        """Remember that words were compared with a contact, or that they differed."""
        self._change(peer_id, is_verified=on)

    def forget(self, peer_id: str) -> None:
        """Let a contact be a stranger again; muted or blocked they stay."""
        self._change(peer_id, is_contact=False, **_NOTHING)

    def relay(self, peer_id: str, on: bool) -> None:
        """Hide our addresses from a contact, or no more."""
        self._change(peer_id, is_relayed=on)

    def mute(self, peer_id: str, name: str, on: bool) -> None:
        """Let calls and messages of a peer make no sound, or one again."""
        self._change(peer_id, name=name, is_muted=on)

    def block(self, peer_id: str, name: str, on: bool) -> None:
        """Take nothing of a peer any more, or again."""
        self._change(peer_id, name=name, is_blocked=on)

    def remember_path(self, peer_id: str, memory: PathHint) -> None:
        """Remember how a contact was reached; of others nothing is kept."""
        if self[peer_id].is_contact and self[peer_id].reached != memory:
            self._change(peer_id, reached=memory)

    def remember_key(self, peer_id: str, key: RecordKey | None) -> None:
        """Remember what documents to a contact are sealed to; of others nothing is kept."""
        keys = () if key is None else (key,)
        if keys and self[peer_id].is_contact and self[peer_id].keys != keys:
            self._change(peer_id, keys=keys)

    def remember_seen(self, times: Mapping[str, float]) -> None:
        """Remember when contacts were there, in seconds since 1970; of others nothing is kept."""
        known = {one: when for one, when in times.items() if self[one].is_contact}
        for peer_id, when in known.items():
            self._put(peer_id, attrs.evolve(self[peer_id], last_seen=when))
        if known:
            self._save(*known)

    def is_news(self, peer_id: str, found: DatedList) -> bool:
        """Tell whether a list is a contact's newest word, and names another place or key."""
        known, body = self[peer_id], found.body
        if not known.is_contact or found.as_of <= known.as_of:
            return False
        return (known.registries, known.keys) != (body.registries, body.keys or known.keys)

    def remember_list(self, peer_id: str, found: DatedList) -> bool:
        """Keep where a contact says that it is found, if that is news; tell whether it is."""
        is_news = self.is_news(peer_id, found)
        if is_news:
            body, keys = found.body, found.body.keys or self[peer_id].keys
            self._change(peer_id, registries=body.registries, keys=keys, as_of=found.as_of)
        return is_news

    def _change(self, peer_id: str, **changes: Any) -> None:
        """
        Keep a person as changed.

        :raises LocalProtocolError: there are too many.
        """
        self._set(peer_id, **changes)
        self._save(peer_id)

    def _set(self, peer_id: str, **changes: Any) -> None:
        person = attrs.evolve(self[peer_id], **changes)
        if person.is_known and peer_id not in self._people and len(self._people) >= MAX_PEOPLE:
            raise LocalProtocolError(
                f"{MAX_PEOPLE} people are kept already; /forget or /unblock some first"
            )
        self._put(peer_id, person)

    def _save(self, *peer_ids: str) -> None:
        """Save people as they are now, in one step."""
        kept = self._people
        self.save({one: _text(kept[one]) if one in kept else None for one in peer_ids})

    def _put(self, peer_id: str, person: Person) -> None:
        before = self._people.pop(peer_id, STRANGER)
        for look in _looks(before.name) if before.is_contact else ():
            self._lookalikes[look].discard(peer_id)
            if not self._lookalikes[look]:
                del self._lookalikes[look]
        if person.is_known:
            self._people[peer_id] = person
        for look in _looks(person.name) if person.is_contact else ():
            self._lookalikes.setdefault(look, set()).add(peer_id)

    def rows(self) -> dict[str, str]:
        """Return all rows."""
        return {peer_id: _text(person) for peer_id, person in self._people.items()}

    @classmethod
    def from_rows(cls, rows: Mapping[str, str]) -> Contacts:
        """
        Read all rows.

        :raises RemoteProtocolError: one can't be understood; says which.
        """
        contacts = cls()
        for peer_id, row in rows.items():
            try:
                contacts._add(peer_id, Person.from_json(loads(row.encode())))
            except RemoteProtocolError as error:
                raise RemoteProtocolError(f"{peer_id}: {error}") from None
        return contacts

    @classmethod
    def from_json(cls, data: bytes) -> Contacts:
        """
        Read a file of before, of either version.

        :raises RemoteProtocolError: it can't be understood.
        """
        members, contacts = loads(data), cls()
        version = optional(members, "v", int, 1)
        if version > VERSION:
            raise RemoteProtocolError(f"version {version}, and this program knows {VERSION}")
        people = _first_version(members) if version == 1 else field(members, "people", dict)
        for peer_id, one in people.items():
            person = one if isinstance(one, Person) else _PERSON.read(one, peer_id)
            contacts._add(peer_id, person)
        return contacts

    def _add(self, peer_id: str, person: Person) -> None:
        self._put(check_peer_id(peer_id), self._with_own_name(peer_id, person))

    def _with_own_name(self, peer_id: str, person: Person) -> Person:
        """
        Give a contact a name that nobody else can be meant by, if what the file has isn't one.

        Files have names that were lawful once, two contacts of one name, and contacts without any.
        """
        if not person.is_contact:
            return person
        with contextlib.suppress(RemoteProtocolError):
            check_username(person.name)
            if not self.mistaken_for(peer_id, person.name):
                return person
        return attrs.evolve(person, name=f"{UNNAMED}{peer_id[:8]}")


def _text(person: Person) -> str:
    return dumps(person.to_json()).decode()


def _looks(name: str) -> frozenset[str]:
    """Return what a name looks like, whole and as much of it as is shown."""
    return looks(name) | looks(visible_name(name))


def _first_version(members: JsonObject) -> JsonObject:
    reached = optional(members, "reached", dict, {})
    return {
        peer_id: Person(
            str(name)[:MAX_USERNAME], True, reached=_REACHED.read(reached.get(peer_id), peer_id)
        )
        for peer_id, name in field(members, "peers", dict).items()
    }
