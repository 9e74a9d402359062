"""A store of messages that keeps nothing: what a conversation needs is in its own memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from p2pchat.interfaces import IMessageStore
from p2pchat.session.stored import ConversationState, EntryRange, StoredEntry


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
        self, peer_id: str, log: bytes, first: int, entries: Sequence[StoredEntry]
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
