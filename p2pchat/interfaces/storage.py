"""The seams of what a node keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:  # the values that pass a seam belong to the layers on its sides
    from p2pchat.peer.storage.history import HistoryLine
    from p2pchat.session.stored import ConversationState, EntryRange, LogHead, StoredEntry
    from p2pchat.wire.entries import Known


class IMessageStore(Interface):
    """
    Memory of one node's conversations.

    Every Deferred fails with :class:`p2pchat.errors.StorageFailed` where the store can't do it now.
    Nothing of a call that failed is kept, and the same may be asked again.  Calls about one peer
    take effect in the order in which they are made.
    """

    is_lasting: bool = Attribute(
        "Whether what is stored outlives the program: then it is confirmed when it is stored, else "
        "when somebody has read it."
    )

    def load() -> Deferred[Mapping[str, ConversationState]]:
        """Return a Deferred of what every conversation goes on from, by peer id; called once."""

    def append(peer_id: str, entries: Sequence[StoredEntry]) -> Deferred[Collection[StoredEntry]]:
        """
        Store entries of one conversation, ours and theirs, in order; all of them or none.

        A Deferred fires when they are committed; only then ours go out, and theirs are shown and
        confirmed.  One that is here already (author, log, number) stays as it is.  It fires with
        those that say again what is here in another place: nobody is shown them as new.
        """

    def replace(peer_id: str, head: LogHead, entries: Sequence[StoredEntry]) -> Deferred[None]:
        """
        Store entries of ours in the place of those of a log of ours, in one step.

        Those of the log of ``head`` that come after it are forgotten: the other side has others
        with these numbers, because ours was put back to where it had been, or they are taken back.
        ``entries`` say again what is still to be said, in the same log or another one; or are none.
        """

    def confirmed(peer_id: str, log: bytes, number: int) -> Deferred[None]:
        """Note that the other side has our entries of ``log`` up to ``number``."""

    def mark_read(peer_id: str, marks: Sequence[Known]) -> Deferred[None]:
        """Note how far logs were read, ours by the other side and theirs by us; it only rises."""

    def entries(peer_id: str, wanted: EntryRange, most_bytes: int) -> Deferred[list[bytes]]:
        """
        Return a Deferred of entries as they came, for a side that lacks them.

        They are those from the first one wanted on, without a gap: as many as have at most
        ``most_bytes``, but one where it is longer; none where the first isn't here any more.
        """

    def close() -> Deferred[None]:
        """Finish what was asked; a Deferred fires when all is written and closed."""


class IHistory(Interface):
    """History of a node's conversations; each Deferred may fail with ``StorageFailed``."""

    def last(peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Return a Deferred of the last lines of a conversation, in order; a bounded part."""

    def earlier(peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Return a Deferred of those of them that were stored before this program began."""

    def before(id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Return a Deferred of the last lines before that of an id, in its conversation."""

    def line(id: str) -> Deferred[HistoryLine | None]:
        """Return a Deferred of the line of an id, if it is here."""

    def search(words: str) -> Deferred[list[HistoryLine]]:
        """
        Return a Deferred of the newest lines of all conversations that have all of these words.

        A word that ends with ``*`` stands for all that begin so.
        """

    def waiting(peer_id: str) -> Deferred[list[HistoryLine]]:
        """Return a Deferred of lines of ours that a peer doesn't have; of everybody for ""."""

    def export(peer_ids: Sequence[str], path: str) -> Deferred[int]:
        """
        Write all that was said with some peers into a new file, a JSON object a line.

        A Deferred fires with how many lines there are.
        """

    def wipe(peer_id: str) -> Deferred[None]:
        """
        Delete for good what was said with a peer, but lines of ours that it doesn't have yet.

        A Deferred fires when it is gone from the disk; it is shown no more before.
        """

    def delete_older(wall_time: float) -> Deferred[None]:
        """Delete for good what was stored before a time, in seconds since 1970, likewise."""

    def size() -> int:
        """Return how many bytes the disk has of all that."""


class ISecretStore(Interface):
    """
    Small secrets of a node, such as private prekeys and tokens: each has a name among its kind.

    Every Deferred fails with :class:`p2pchat.errors.StorageFailed` where the store can't do it now.
    Changes take effect in the order in which they are made, once the node's store has loaded.
    """

    def put(kind: str, name: str, value: bytes) -> Deferred[None]:
        """Keep a secret, instead of what had its name; a Deferred fires when it is committed."""

    def delete(kind: str, names: Collection[str]) -> Deferred[None]:
        """
        Forget secrets; names that aren't there are nothing to forget.

        A Deferred fires when that is committed.  Within a minute nothing of them is on the disk.
        """

    def all(kind: str) -> Deferred[Mapping[str, bytes]]:
        """Return a Deferred of the secrets of a kind that are committed, by name."""
