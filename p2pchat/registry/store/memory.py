"""
A store in the registry's own process: the default, for a registry of one process.

Does all at once, and never waits.  Ends with the process: peers register again by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.defer import Deferred, execute, succeed
from zope.interface import implementer

from p2pchat.identity.nonces import UsedNonces
from p2pchat.identity.signed_documents import expires_at
from p2pchat.interfaces import IRegistryStore
from p2pchat.registry.admission.rates import UNSOLICITED, Rate, TokenBuckets
from p2pchat.registry.admission.solicited import (
    AWAITED,
    KEPT,
    WEIGHT,
    Correspondents,
    Shares,
    solicits,
    span,
)
from p2pchat.registry.event_streams import NAMEPLATE, EventStreams
from p2pchat.registry.store.directory import Delivery, Directory, Page, PublicRecord, Record
from p2pchat.registry.store.nameplate_table import Nameplate, NameplateOutcome, NameplateTable
from p2pchat.runtime import Runtime
from p2pchat.wire.documents import Document

MAX_BUDGETS = 100_000  # recipients, about 250 bytes each; one that is forgotten has its budget anew
MAX_USED = 2_000_000  # nonces, about 120 bytes each: what 6,600 documents a second leave


@implementer(IRegistryStore)
@attrs.define(eq=False)
class MemoryStore:
    """
    Records in a directory, presence by the streams themselves.

    :ivar lease: seconds that a record lives without renewal.
    :ivar unsolicited: bytes to one peer from those that it never wrote to.
    """

    runtime: Runtime
    lease: float
    streams: EventStreams
    unsolicited: Rate = UNSOLICITED
    directory: Directory = attrs.field(init=False)
    used: UsedNonces = attrs.field(init=False, factory=lambda: UsedNonces(MAX_USED))
    correspondents: Correspondents = attrs.field(init=False, factory=Correspondents)
    _budgets: TokenBuckets = attrs.field(init=False)
    shares: Shares = attrs.field(init=False)
    nameplates: NameplateTable = attrs.field(init=False, factory=NameplateTable)

    def __attrs_post_init__(self) -> None:
        self.directory = Directory(self.lease)
        self._budgets = TokenBuckets(self.unsolicited, MAX_BUDGETS)
        self.shares = Shares(span(self.unsolicited))

    def start(self) -> None:
        """Nothing to do: it works from the start."""

    def stop(self) -> Deferred[None]:
        """Nothing to do: it ends with the process."""
        return succeed(None)

    def is_available(self) -> bool:
        """Tell that it is."""
        return True

    def wall_time(self) -> float:
        """Return seconds since 1970 by this machine's clock."""
        return self.runtime.wall_time()

    def sweep(self) -> None:
        """End the leases that are over, and the streams of their peers."""
        self.correspondents.expire(self._now())
        self.shares.expire(self._now())
        self.nameplates.expire(self._now())
        for peer_id in self.directory.expire(self._now()):
            self.streams.end(peer_id, "expired")

    def register(self, record: Record, document: Document) -> Deferred[bool]:
        """Hold a record for one lease."""
        return execute(self._register, record, document)

    def _register(self, record: Record, document: Document) -> bool:
        self.directory.refuse_growth(record)
        self._use(document)
        self.directory.put(record, self._now())
        return record.peer_id in self.streams

    def renew(self, peer_id: str, renewal: str, ip: str) -> Deferred[bool]:
        """Hold a record for one more lease."""
        record = self.directory.lookup(peer_id, self._now())
        found = record is not None and record.is_prolonged_by(renewal, ip)
        if found:
            self.directory.renew(peer_id, self._now())
        return succeed(found)

    def find(self, peer_id: str) -> Deferred[PublicRecord | None]:
        """Find a peer."""
        record = self.directory.lookup(peer_id, self._now())
        is_shown = record is not None and record.visible
        return succeed(self._public(record) if is_shown and record is not None else None)

    def online(self, peer_ids: Sequence[str]) -> Deferred[frozenset[str]]:
        """Tell who of some is online."""
        now, streaming = self._now(), [one for one in peer_ids if one in self.streams]
        found = {one: self.directory.lookup(one, now) for one in streaming}
        return succeed(frozenset(one for one, record in found.items() if record and record.visible))

    def page(self, after: str, limit: int, username: str | None) -> Deferred[Page]:
        """Return some records, in the order of their ids."""
        records, following = self.directory.page(after, limit, username, self._now())
        return succeed(Page([self._public(record) for record in records], following))

    def remove(self, peer_id: str, document: Document) -> Deferred[bool]:
        """End a record, and the peer's stream."""
        return execute(self._remove, peer_id, document)

    def _remove(self, peer_id: str, document: Document) -> bool:
        found = self._holds(peer_id)
        if found:
            self._use(document)
            self.directory.remove(peer_id)
            self.streams.end(peer_id, "removed")
        return found

    def subscribe(
        self, peer_id: str, document: Document, after: int | None = None
    ) -> Deferred[bool]:
        """Let the peer open a stream."""
        return execute(self._subscribe, peer_id, document)

    def _subscribe(self, peer_id: str, document: Document) -> bool:
        found = self._holds(peer_id)
        if found:
            self._use(document)
        return found

    def unsubscribe(self, peer_id: str) -> None:
        """Nothing to do: the streams themselves tell who is online."""

    def deliver(self, peer_id: str, document: Document, token: str) -> Deferred[Delivery]:
        """Put a document on a peer's stream."""
        return execute(self._deliver, peer_id, document, token)

    def _deliver(self, peer_id: str, document: Document, token: str) -> Delivery:
        if not self._holds(document.issuer):
            return Delivery.UNKNOWN_AUTHOR
        now, size = self._now(), len(token)
        record = self.directory.lookup(peer_id, now)
        if record is None or not (record.visible or self._awaits(peer_id, document.issuer)):
            return Delivery.UNKNOWN_PEER
        if peer_id not in self.streams:
            return Delivery.OFFLINE
        solicited = self.correspondents.has_written(peer_id, document.issuer, now)
        if not solicited and not self._has_room(peer_id, document.issuer, now, size):
            return Delivery.UNSOLICITED
        until = self._use(document)
        delivery = self.streams.deliver(peer_id, token)
        if delivery is not Delivery.TAKEN:
            self.used.forget(document.issuer, document.nonce, until)
            return delivery
        if not solicited and self.unsolicited.rate:
            self._budgets.take(peer_id, now, size)
            self.shares.take(document.issuer, peer_id, now, size)
        if solicits(document):
            self.correspondents.wrote(document.issuer, peer_id, now)
        return delivery

    def _awaits(self, peer_id: str, author: str) -> bool:
        """Tell whether a peer that isn't shown called or answered an author a moment ago."""
        moment = self._now() + KEPT - AWAITED
        return self.correspondents.has_written(peer_id, author, moment)

    def _has_room(self, peer_id: str, author: str, now: float, size: int) -> bool:
        """Tell whether a recipient's budget has room for a document of a stranger."""
        weight = WEIGHT * self.shares.had(author, peer_id, now)
        return not self._budgets.wait(peer_id, now, size, weight)

    def claim(
        self, nameplate: Nameplate, lifetime: int, document: Document
    ) -> Deferred[NameplateOutcome]:
        """Give a nameplate to a peer."""
        return execute(self._claim, nameplate, lifetime, document)

    def _claim(self, nameplate: Nameplate, lifetime: int, document: Document) -> NameplateOutcome:
        if not self._holds(nameplate.owner):
            return NameplateOutcome.UNREGISTERED
        return self._by_owner(
            document,
            lambda now: self.nameplates.claim(nameplate, now + lifetime, now),
        )

    def _by_owner(
        self, document: Document, do: Callable[[float], NameplateOutcome]
    ) -> NameplateOutcome:
        """Do what a document asks for; where it wasn't done it may come again."""
        until = self._use(document)
        outcome = do(self._now())
        if outcome is not NameplateOutcome.DONE:
            self.used.forget(document.issuer, document.nonce, until)
        return outcome

    def nameplate(self, name: str) -> Deferred[tuple[Nameplate, float] | None]:
        """Find a nameplate."""
        return succeed(self.nameplates.find(name, self._now()))

    def respond(self, name: str, response: str) -> Deferred[NameplateOutcome]:
        """Write what a joiner leaves."""
        outcome = self.nameplates.respond(name, response, self._now())
        found = self.nameplates.find(name, self._now())
        if outcome is NameplateOutcome.DONE and found is not None:
            self.streams.announce(found[0].owner, NAMEPLATE, name)
        return succeed(outcome)

    def complete(
        self, name: str, completion: str, document: Document
    ) -> Deferred[NameplateOutcome]:
        """Write what an owner answers."""
        owner = document.issuer
        return execute(
            self._by_owner,
            document,
            lambda now: self.nameplates.complete(name, owner, completion, now),
        )

    def release(self, name: str, document: Document) -> Deferred[NameplateOutcome]:
        """Take a nameplate away."""
        owner = document.issuer
        return execute(
            self._by_owner, document, lambda now: self.nameplates.release(name, owner, now)
        )

    def accept(self, document: Document) -> Deferred[bool]:
        """Take a document of a registered author."""
        return execute(self._subscribe, document.issuer, document)

    def count(self) -> Deferred[int | None]:
        """Count the records."""
        return succeed(len(self.directory))

    def share(self) -> float | None:
        """Return the share that is taken of what there may be."""
        return self.directory.share

    def _use(self, document: Document) -> float:
        """Take a nonce; returns until when it is kept, by the clock that isn't set."""
        until = self._now() + expires_at(document) - self.wall_time()
        self.used.use(document.issuer, document.nonce, until, self._now())
        return until

    def _holds(self, peer_id: str) -> bool:
        return self.directory.lookup(peer_id, self._now()) is not None

    def _public(self, record: Record) -> PublicRecord:
        return PublicRecord(record, record.peer_id in self.streams)

    def _now(self) -> float:
        return self.runtime.clock.seconds()
