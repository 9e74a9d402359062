"""A store of messages that keeps nothing: what a conversation needs is in its own memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from p2pchat.errors import StorageFailed
from p2pchat.interfaces import IHistory, IMessageStore
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.session.stored import ConversationState, EntryRange, LogHead, StoredEntry

NOTHING_KEPT = "nothing of what was said is kept: start with --state DIR for a history"


@implementer(IMessageStore)
class EphemeralStore:
    """The store of a node without a state directory; it confirms at once."""

    is_lasting = False

    def load(self) -> Deferred[Mapping[str, ConversationState]]:
        """Return nothing: every conversation begins anew."""
        return succeed({})

    def append(self, peer_id: str, entries: Sequence[StoredEntry]) -> Deferred[None]:
        """Confirm at once."""
        return succeed(None)

    def replace(
        self, peer_id: str, head: LogHead, entries: Sequence[StoredEntry]
    ) -> Deferred[None]:
        """Confirm at once."""
        return succeed(None)

    def confirmed(self, peer_id: str, log: bytes, number: int) -> Deferred[None]:
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


def _nothing_kept() -> Deferred[Any]:
    return fail(StorageFailed(NOTHING_KEPT))
