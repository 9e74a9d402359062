"""
Records as leases, and pages of those that are listed.

Owns the rule of what strangers may see: the addresses of a peer, the one that the registry saw
included, are shown only where the peer published addresses itself; a peer that wants to be unlisted
is found by its whole id, in no list and by no name; and one that wants to be invisible isn't found
at all, and is sent nothing but by those that it called or answered a moment ago.

Refuses to grow past MAX_RECORDS, and past MAX_KEPT bytes of what was signed.  All leases are
equally long, so that the order of renewal is the order of expiry.
"""

from __future__ import annotations

import hmac
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from enum import Enum
from itertools import takewhile

import attrs

from p2pchat.registry.refusals import Refused, refused
from p2pchat.wire.addresses import Address, format_address
from p2pchat.wire.documents import Registration
from p2pchat.wire.strict_json import JsonObject
from p2pchat.wire.usernames import comparable

MAX_RECORDS = 100_000  # about 1.5 KiB each with what was signed: 150 MiB
MAX_REGISTRATION = 4096  # bytes; ours has 750, a key of ML-KEM-768 adds 2,300
MAX_KEPT = 128 * 1024 * 1024  # bytes of registrations; MAX_RECORDS of ours have 75 MB
MAX_PAGE = 200  # records; such a page has about 50 KiB
MAX_NAMED = 20  # records with what was signed; the longest page has 110 KiB


@attrs.frozen
class Record:
    """
    One peer, as the registry knows it.

    :ivar ip: where its registration came from, as the registry saw it.
    :ivar addresses: what the peer published; empty unless its person asked for that.
    :ivar as_of: when it registered last, seconds since 1970.
    :ivar renewal: what the peer shows to have this very record prolonged; nobody else is told.
    :ivar listed: whether pages show it; else it is found by its whole id only.
    :ivar registration: the document that it was made of, as it came.
    :ivar visible: whether it is shown at all.
    """

    peer_id: str
    username: str
    nat: str
    ip: str
    addresses: tuple[Address, ...]
    as_of: int
    renewal: str = attrs.field(default="", repr=False)
    listed: bool = True
    registration: str = attrs.field(default="", repr=False)
    visible: bool = True

    @classmethod
    def of(
        cls,
        peer_id: str,
        body: Registration,
        ip: str,
        now: float,
        renewal: str = "",
        *,
        registration: str = "",
    ) -> Record:
        """
        Make the record of a registration.

        :param ip: where it came from.
        :param now: seconds since 1970.
        :param renewal: a random name, or empty: the record can't be prolonged.
        :param registration: the document, as it came.
        """
        what = body.username, body.nat, ip, body.addresses
        listed = body.listed and body.visible
        return cls(peer_id, *what, int(now), renewal, listed, registration, body.visible)

    def is_prolonged_by(self, renewal: str, ip: str) -> bool:
        """Tell whether a token that came from this address prolongs this record."""
        genuine = hmac.compare_digest(renewal.encode(), self.renewal.encode())
        return bool(self.renewal) and genuine and ip == self.ip

    @property
    def port(self) -> int | None:
        """The port of the published address, that on the ip that the registry saw first."""
        seen = [port for host, port in self.addresses if host == self.ip]
        return next(iter(seen + [port for _, port in self.addresses]), None)


@attrs.frozen
class PublicRecord:
    """
    A record, and what a store knows beside it.

    :ivar online: whether documents can be delivered to the peer now.
    """

    record: Record
    online: bool

    def to_json(self) -> JsonObject:
        """Return what anybody may see."""
        record = self.record
        published = [format_address(address) for address in record.addresses]
        return {
            "peer_id": record.peer_id,
            "username": record.username,
            "nat": record.nat,
            "online": self.online,
            "as_of": record.as_of,
            "ip": record.ip if published else None,
            "port": record.port,
            "addresses": published or None,
        }

    def to_whole_json(self) -> JsonObject:
        """Return what whoever looks for this peer may see: what it signed, too."""
        return {**self.to_json(), "registration": self.record.registration}


@attrs.frozen
class Page:
    """
    Some records, in the order of their ids.

    :ivar next: the id to go on after; None: there are no more.
    """

    records: list[PublicRecord]
    next: str | None


class Delivery(Enum):
    """Outcomes of delivering a document to a peer."""

    TAKEN = "taken"
    UNKNOWN_AUTHOR = "its author isn't registered"
    UNKNOWN_PEER = "whom it is for isn't registered"
    OFFLINE = "whom it is for has no event stream"
    FULL = "the event stream of whom it is for has no room for it"
    UNSOLICITED = "whom it is for is sent too much by those that it never wrote to"


@attrs.define
class Directory:
    """
    All records, by id and by name.

    ``now`` is in seconds on any clock that isn't set back.

    :ivar lease: seconds that a record lives without renewal.
    """

    lease: float
    capacity: int = MAX_RECORDS
    room: int = MAX_KEPT  # bytes
    _kept: int = attrs.field(init=False, default=0)  # bytes
    _records: dict[str, tuple[Record, float]] = attrs.field(  # with their ends, soonest first
        init=False, factory=dict
    )
    _ids: list[str] = attrs.field(init=False, factory=list)  # sorted, of those that are listed
    _ids_by_name: dict[str, list[str]] = attrs.field(  # of the same; sorted, never empty
        init=False, factory=lambda: defaultdict(list)
    )

    def __len__(self) -> int:
        return len(self._records)

    def put(self, record: Record, now: float) -> None:
        """
        Hold a record for one lease, in place of the peer's former one.

        :raises Refused: the directory is full.
        """
        self.refuse_growth(record)
        former, _ = self._records.pop(record.peer_id, (None, 0.0))
        self._kept += len(record.registration) - _length(former)
        self._records[record.peer_id] = record, now + self.lease
        if _listed_name(former) != _listed_name(record):
            self._unlist(former)
            self._list(record)

    def renew(self, peer_id: str, now: float) -> None:
        """Hold a record that there is for one more lease."""
        record, _ = self._records.pop(peer_id)
        self._records[peer_id] = record, now + self.lease

    def refuse_growth(self, record: Record) -> None:
        """
        Check that there is room for a record.

        :raises Refused: the directory is full.
        """
        former, _ = self._records.get(record.peer_id, (None, 0.0))
        grown = len(record.registration) - _length(former)
        is_one_more = former is None and len(self._records) >= self.capacity
        if is_one_more or (grown > 0 and self._kept + grown > self.room):
            raise full(self.capacity, self.lease)

    @property
    def share(self) -> float:
        """The share that is taken of the places, or of the room where that is more."""
        return max(len(self._records) / max(1, self.capacity), self._kept / self.room)

    def lookup(self, peer_id: str, now: float) -> Record | None:
        """Return a peer's record while its lease runs."""
        record, expires = self._records.get(peer_id, (None, now))
        return record if now < expires else None

    def page(
        self, after: str, limit: int, username: str | None, now: float
    ) -> tuple[list[Record], str | None]:
        """
        Return records in the order of their ids, and the id to go on after, if there are more.

        :param after: the id that the former page gave, or an empty string.
        :param username: only peers of this name, as names are compared.
        """
        ids = self._ids if username is None else self._ids_by_name.get(comparable(username), [])
        start = bisect_right(ids, after)
        chosen = ids[start : start + limit]
        held = [self._records[peer_id] for peer_id in chosen]
        following = chosen[-1] if chosen and start + limit < len(ids) else None
        return [record for record, expires in held if now < expires], following

    def remove(self, peer_id: str) -> bool:
        """End a record; tell whether there was one."""
        record, _ = self._records.pop(peer_id, (None, 0.0))
        self._kept -= _length(record)
        self._unlist(record)
        return record is not None

    def _list(self, record: Record) -> None:
        if record.listed:
            insort(self._ids, record.peer_id)
            insort(self._ids_by_name[comparable(record.username)], record.peer_id)

    def _unlist(self, record: Record | None) -> None:
        if record is None or not record.listed:
            return
        name = comparable(record.username)
        namesakes = self._ids_by_name[name]
        for ids in (self._ids, namesakes):
            del ids[bisect_left(ids, record.peer_id)]
        if not namesakes:
            del self._ids_by_name[name]

    def expire(self, now: float) -> list[str]:
        """End the records whose leases are over, and return their ids."""
        ended = list(takewhile(lambda peer_id: self._records[peer_id][1] <= now, self._records))
        for peer_id in ended:
            self.remove(peer_id)
        return ended


def _length(record: Record | None) -> int:
    return 0 if record is None else len(record.registration)


def _listed_name(record: Record | None) -> str | None:
    """Return the name under which a record is listed; None: it isn't."""
    return record.username if record is not None and record.listed else None


def full(capacity: int, lease: float) -> Refused:
    """Return the refusal of a record for which there is no room."""
    detail = f"this registry is full, with at most {capacity} peers: try again later"
    return refused(503, "registry-full", detail, retry_after=int(lease))
