"""Stores that keep nothing: what a conversation needs is in its own memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from p2pchat.errors import StorageFailed
from p2pchat.interfaces import IHistory, IMessageStore, ISecretStore
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.peer.storage.profile_rows import IProfileRows, Rows
from p2pchat.session.stored import ConversationState, EntryRange, LogHead, StoredEntry
from p2pchat.wire.entries import Known

NOTHING_KEPT = "nothing of what was said is kept: start with --state DIR for a history"


@implementer(IMessageStore)
class EphemeralStore:
    """The store of a node without a state directory; it confirms at once."""

    is_lasting = False

    def load(self) -> Deferred[Mapping[str, ConversationState]]:
        """Return nothing: every conversation begins anew."""
        return succeed({})

    def append(
        self, peer_id: str, entries: Sequence[StoredEntry]
    ) -> Deferred[Collection[StoredEntry]]:
        """Confirm at once."""
        return succeed(())

    def replace(
        self, peer_id: str, head: LogHead, entries: Sequence[StoredEntry]
    ) -> Deferred[None]:
        """Confirm at once."""
        return succeed(None)

    def confirmed(self, peer_id: str, log: bytes, number: int) -> Deferred[None]:
        """Confirm at once."""
        return succeed(None)

    def mark_read(self, peer_id: str, marks: Sequence[Known]) -> Deferred[None]:
        """Confirm at once."""
        return succeed(None)

    def entries(self, peer_id: str, wanted: EntryRange, most_bytes: int) -> Deferred[list[bytes]]:
        """Return none."""
        return succeed([])

    def close(self) -> Deferred[None]:
        """Close nothing."""
        return succeed(None)


@implementer(IHistory)
class NoHistory:
    """The history of a node without a state directory."""

    def last(self, peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Say that there is none."""
        return _nothing_kept()

    def earlier(self, peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Return none."""
        return succeed([])

    def before(self, id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Say that there is none."""
        return _nothing_kept()

    def line(self, id: str) -> Deferred[HistoryLine | None]:
        """Say that there is none."""
        return _nothing_kept()

    def search(self, words: str) -> Deferred[list[HistoryLine]]:
        """Say that there is nothing to search."""
        return _nothing_kept()

    def waiting(self, peer_id: str) -> Deferred[list[HistoryLine]]:
        """Say that nothing waits longer than a conversation."""
        return _nothing_kept()

    def export(self, peer_ids: Sequence[str], path: str) -> Deferred[int]:
        """Say that there is nothing to export."""
        return _nothing_kept()

    def wipe(self, peer_id: str) -> Deferred[None]:
        """Say that there is nothing to delete."""
        return _nothing_kept()

    def delete_older(self, wall_time: float) -> Deferred[None]:
        """Delete nothing."""
        return succeed(None)

    def size(self) -> int:
        """Return that it is nothing."""
        return 0


@implementer(IProfileRows)
class EphemeralRows:
    """Rows of a node without a state directory: what they say is in memory anyway."""

    def put_contacts(self, rows: Rows) -> Deferred[None]:
        """Confirm at once."""
        return succeed(None)

    def put_settings(self, rows: Rows) -> Deferred[None]:
        """Confirm at once."""
        return succeed(None)

    def put_grants(self, rows: Rows) -> Deferred[None]:
        """Confirm at once."""
        return succeed(None)


@implementer(ISecretStore)
@attrs.define(eq=False)
class EphemeralSecrets:
    """The secrets of a node without a state directory; they end with the program."""

    _kinds: dict[str, dict[str, bytes]] = attrs.field(factory=dict, repr=False)

    def put(self, kind: str, name: str, value: bytes) -> Deferred[None]:
        """Keep a secret in memory."""
        self._kinds.setdefault(kind, {})[name] = value
        return succeed(None)

    def delete(self, kind: str, names: Collection[str]) -> Deferred[None]:
        """Forget secrets."""
        for name in names:
            self._kinds.get(kind, {}).pop(name, None)
        return succeed(None)

    def all(self, kind: str) -> Deferred[Mapping[str, bytes]]:
        """Return those of a kind."""
        return succeed(dict(self._kinds.get(kind, {})))


def _nothing_kept() -> Deferred[Any]:
    return fail(StorageFailed(NOTHING_KEPT))
