"""
Entries of all conversations on their way into the store.

::

    said ─▶ Endpoint.said ─▶ StoreRequest ─▶ append ── committed ─▶ Endpoint.stored ─▶ what came
                                               │                            meanwhile is next
                                               └─ failed: told once, the same again after RETRY

Of one conversation one append of ours, and one of theirs, is under way at a time; what comes
before it is committed is a batch.  Of our lines those that are said SOON after one another wait for
the turn of the reactor to end, or for a signature's worth of them.  So a line that stands alone
waits for nothing, and many cost little each.

Where nothing outlives the program there are no StoreRequests.  Owns the order and the repetition.
What is stored, and what follows from it, is the conversation's matter.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.errors import QuotaReached, StorageFailed
from p2pchat.interfaces import IMessageStore
from p2pchat.peer.driver import Driver
from p2pchat.runtime import cancel
from p2pchat.session.conversation_events import (
    Batch,
    Confirmed,
    EntriesWaiting,
    EntriesWanted,
    MarksRisen,
    StoreEvent,
)
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.passing_on import PORTION
from p2pchat.session.peer_session import PeerSession
from p2pchat.session.stored import EntryRange, StoredEntry

STANDSTILL = "until it works nothing goes out, and what comes is neither shown nor confirmed"
RETRY = 5.0  # seconds; somebody makes room on a disk meanwhile
SOON = 0.0002  # seconds; less than any answer takes, more than the next line of a loop

_log = Logger()

_Writer = tuple[str, bool]  # a peer, and whether it is what we say to it


@attrs.define(eq=False)
class Journal:
    """
    The appends of one node.

    :ivar tell: takes the event that something can't be stored.
    :ivar stored: called when something of theirs is.
    """

    _store: IMessageStore
    _endpoint: Endpoint
    _driver: Driver[Any]
    _clock: IReactorTime
    tell: Callable[[events.NodeEvent], None]
    stored: Callable[[], None] = lambda: None
    _busy: set[_Writer] = attrs.Factory(set)
    _turn: dict[PeerSession, None] = attrs.Factory(dict)  # where we spoke, until it ends
    _said_at: float = -inf  # our last line, to whomever
    _retries: dict[_Writer, IDelayedCall] = attrs.Factory(dict)
    _failing: dict[_Writer, StorageFailed] = attrs.Factory(dict)  # what was told, or is the same

    def said(self, session: PeerSession) -> None:
        """Let be stored what we said to a peer, soon."""
        now = self._clock.seconds()
        is_alone, self._said_at = now - self._said_at > SOON, now
        if (session.peer_id, True) in self._busy:
            return
        if (is_alone and session not in self._turn) or session.conversation.has_signed_batch:
            self._store_said(session)
        else:
            if not self._turn:
                self._clock.callLater(0, self._turn_ends)
            self._turn[session] = None

    def _turn_ends(self) -> None:
        over, self._turn = self._turn, {}
        for session in over:
            self._store_said(session)

    def _store_said(self, session: PeerSession) -> None:
        with self._driver as now:
            self._endpoint.said(session, now)

    def take(self, peer_id: str, event: StoreEvent) -> None:
        """Do what a conversation wants, unless something of the kind is under way for it."""
        match event:
            case EntriesWaiting(are_ours):
                self._next((peer_id, are_ours))
            case EntriesWanted(wanted):
                found = self._store.entries(peer_id, wanted, PORTION)
                found.addErrback(lambda failure: failure.trap(StorageFailed) and None)
                found.addCallback(lambda raws: self._found(peer_id, wanted, raws))
                found.addErrback(lambda failure: _log.failure("what was read is lost", failure))
            case Confirmed(log, number):
                done = self._store.confirmed(peer_id, log, number)
                # The next confirmation says the same, or the first one on the next link.
                done.addErrback(lambda failure: failure.trap(StorageFailed))
            case MarksRisen(marks):
                # A mark that isn't kept rises again with the next one, or on the next link.
                done = self._store.mark_read(peer_id, marks)
                done.addErrback(lambda failure: failure.trap(StorageFailed))

    def stop(self) -> None:
        """Try nothing again; all that is still to be stored goes to the store now, once."""
        for retry in self._retries.values():
            cancel(retry)
        for peer_id, session in self._endpoint.sessions.items():
            for are_ours in (True, False):
                batch = session.conversation.next_unstored(are_ours)
                if batch.entries:
                    self._put(peer_id, batch).addErrback(Failure.trap, StorageFailed)

    def _next(self, writer: _Writer) -> None:
        """Begin to store what is to be stored together, unless something is under way."""
        if writer in self._busy:
            return
        peer_id, are_ours = writer
        session = self._endpoint.sessions.get(peer_id)
        batch = None if session is None else session.conversation.next_unstored(are_ours)
        if batch is not None and (batch.entries or batch.replaces is not None):
            self._busy.add(writer)
            self._append(writer, batch)

    def _put(self, peer_id: str, batch: Batch) -> Deferred[Any]:
        if batch.replaces is None:
            return self._store.append(peer_id, batch.entries)
        return self._store.replace(peer_id, batch.replaces, batch.entries)

    def _append(self, writer: _Writer, batch: Batch) -> None:
        self._retries.pop(writer, None)
        done = self._put(writer[0], batch)
        done.addCallbacks(self._stored, self._failed, (writer, batch), errbackArgs=(writer, batch))
        done.addErrback(lambda failure: _log.failure("what was stored can't go on", failure))

    def _found(self, peer_id: str, wanted: EntryRange, raws: list[bytes] | None) -> None:
        with self._driver as now:
            self._endpoint.found(peer_id, wanted, raws, now)

    def _stored(
        self, repeated: Collection[StoredEntry] | None, writer: _Writer, batch: Batch
    ) -> None:
        failed = self._failing.pop(writer, None)
        is_over = failed is not None and not self._has_failed(failed)
        if is_over and not isinstance(failed, QuotaReached):
            self.tell(events.Trouble("messages are stored again, and go on", "storage"))
        self._busy.discard(writer)
        with self._driver as now:
            self._endpoint.stored(writer[0], batch, now, repeated or ())
            self._next(writer)
        if not writer[1]:
            self.stored()

    def _failed(self, failure: Failure, writer: _Writer, batch: Batch) -> None:
        failure.trap(StorageFailed)
        self._retries[writer] = self._clock.callLater(RETRY, self._append, writer, batch)
        error = failure.value
        assert isinstance(error, StorageFailed)
        is_known = self._has_failed(error)
        self._failing[writer] = error
        if isinstance(error, QuotaReached):
            with self._driver as now:
                self._endpoint.pause(writer[0], error.until, now)
        if not is_known:
            reason = str(error)
            if not isinstance(error, QuotaReached):
                reason += f"; {STANDSTILL}"
            self.tell(events.Trouble(reason, "storage"))

    def _has_failed(self, error: StorageFailed) -> bool:
        """Tell whether something failed for the same reason, and still does."""
        return str(error) in map(str, self._failing.values())
