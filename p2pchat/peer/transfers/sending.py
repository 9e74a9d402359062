"""
Transfers that we send: offered as soon as there is a link, and again until they are done.

::

    WAITS ── a link ──▶ offered on a stream ── accepted ──▶ ACTIVE ── all is stored ──▶ done
      ▲                       │ refused ──▶ the end            │
      └── stream lost ────────┘                                ▼
    another stream: at once with a new link, else after RETRY, twice as long each time ◀── STOPPED

At most SENDING_AT_ONCE streams are open to one peer; the others wait for their turn.  One that was
cancelled while the other side was away is kept until it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.errors import LinkLost, NotGranted, P2PChatError, StorageFailed
from p2pchat.interfaces import ITransferStore
from p2pchat.peer.storage.kept_transfers import KeptTransfer, TransferMembers
from p2pchat.peer.transfers.file_streams import InThread, SendingStream
from p2pchat.peer.transfers.source_files import Selection, SourceReader
from p2pchat.peer.transfers.transfer_records import WAITS, TransferRecord, TransferRecords
from p2pchat.runtime import cancel
from p2pchat.session.file_sender import FileSender, SenderStage
from p2pchat.session.transfer_events import (
    Completed,
    Progressed,
    Skipped,
    TransferEvent,
    WasCancelled,
    WasRefused,
    WasStopped,
)
from p2pchat.session.transfer_stream import BROKEN
from p2pchat.wire.transfers import MAX_FIRST, NAME, SERVICE, FileEntry, FileOffer

SENDING_AT_ONCE = 8  # streams to one peer, of the 64 that it allows us; offers may wait for hours
MAX_SENDING = 1000  # transfers that wait for anybody
RETRY = 2.0  # seconds after a stream ended while the link is there
LONGEST_RETRY = 120.0  # seconds

_log = Logger()


@attrs.define(eq=False)
class Sending:
    """
    Those that one node sends.

    :ivar open: opens a stream for a service on the link to a peer, as IPeerStreams.
    """

    open: Callable[[str, str, IProtocol], Deferred[None]]
    _records: TransferRecords
    _store: ITransferStore
    _in_thread: InThread
    _clock: IReactorTime
    _random_bytes: Callable[[int], bytes]
    _opening: set[str] = attrs.Factory(set)  # ids

    def _ours(self, peer_id: str = "") -> list[TransferRecord]:
        found = [one for one in self._records if one.kept.is_ours]
        return [one for one in found if peer_id in {"", one.peer_id}]

    def waiting(self) -> list[str]:
        """Return for whom something waits to be offered or gone on with."""
        return list({one.peer_id for one in self._ours() if one.stream is None})

    def offer(self, peer_id: str, selection: Selection) -> Deferred[TransferRecord]:
        """
        Keep a transfer, and offer it; fails with ``StorageFailed``.

        A Deferred fires when it is kept.
        """
        if len(self._ours()) >= MAX_SENDING:
            raise StorageFailed(f"{MAX_SENDING} transfers wait already: /cancel some")
        members = TransferMembers(
            name=self._random_bytes(NAME),
            title=selection.title,
            folder=selection.is_folder,
            count=len(selection.files),
            most=selection.size,
            root=selection.root,
            size=selection.size,
            sources=selection.files,
        )
        kept = KeptTransfer(peer_id, True, members)

        def stored(_result: object) -> TransferRecord:
            record = self.add(kept)
            record.skipped = selection.left_out
            self._records.changed(record, WAITS)
            self.look(peer_id)
            return record

        return self._store.put(kept).addCallback(stored)

    def add(self, kept: KeptTransfer) -> TransferRecord:
        """Take one that is kept."""
        record = self._records.add(kept, WAITS)
        record.path = kept.members.root
        return record

    def linked(self, peer_id: str) -> None:
        """A link to a peer is open: what waits for it goes at once."""
        for one in self._ours(peer_id):
            cancel(one.retry)
            one.retry = None
        self.look(peer_id)

    def look(self, peer_id: str) -> None:
        """Open streams to a peer, as many as may be, for what isn't waiting for its time."""
        ours = self._ours(peer_id)
        is_open = sum(one.stream is not None for one in ours)
        for one in ours:
            is_due = one.stream is None and one.retry is None and one.id not in self._opening
            if is_due and is_open < SENDING_AT_ONCE:
                is_open += 1
                self._open(one)

    def _open(self, record: TransferRecord) -> None:
        members = record.kept.members
        files = [FileEntry(one.path, one.size) for one in members.sources]
        offer = FileOffer(
            *(members.name, members.title, members.folder, members.count, members.most),
            *(tuple(files[:MAX_FIRST]), members.size),
        )
        machine = FileSender(offer, files)
        if record.kept.is_cancelled:
            machine.cancel(members.name)
        reader = SourceReader(members.root, members.sources)

        def happened(_stream: SendingStream, event: TransferEvent) -> None:
            self._happened(record, machine, event)

        stream = SendingStream(machine, reader, self._in_thread, self._clock, happened)
        record.stream = stream
        self._opening.add(record.id)
        stream.released.addCallback(lambda _: self._released(record, machine))
        opened = self.open(record.peer_id, SERVICE, stream)
        opened.addCallbacks(
            lambda _: self._opening.discard(record.id), self._not_opened, errbackArgs=(record,)
        )
        opened.addErrback(lambda failure: _log.failure("no transfer", failure))

    def _not_opened(self, failure: Failure, record: TransferRecord) -> None:
        failure.trap(P2PChatError)
        self._opening.discard(record.id)
        record.stream = None
        if failure.check(LinkLost):
            self._records.stop(record, "link-lost")
            return  # another link tries again
        is_refused = failure.check(NotGranted) is not None
        word, why = ("not-granted", _NOT_TAKEN) if is_refused else ("busy", str(failure.value))
        if record.reason != word and record.state == WAITS:
            record.reason = word
            self._records.changed(record, WAITS, why)
        self._records.stop(record, word, why)
        self._later(record)

    def _later(self, record: TransferRecord) -> None:
        seconds = min(RETRY * 2**record.failures, LONGEST_RETRY)
        record.failures += 1
        record.retry = self._clock.callLater(seconds, self._retry, record)

    def _retry(self, record: TransferRecord) -> None:
        record.retry = None
        self.look(record.peer_id)

    # -- what comes of it

    def _happened(self, record: TransferRecord, machine: FileSender, event: Any) -> None:
        records = self._records
        match event:
            case Progressed():
                if machine.stage is SenderStage.SENDING and not machine.sent:
                    records.begin(record)
                records.progress(record, machine.had, machine.stored)
            case Skipped(file, reason):
                records.skip(record, record.kept.members.sources[file].path, reason)
            case Completed():
                self._end(record, "done")
            case WasRefused(reason):
                record.reason = reason
                self._end(record, "refused")
            case WasCancelled(name) if name == record.kept.members.name:
                self._end(record, "cancelled")
            case WasStopped(reason) if reason.startswith(BROKEN):
                record.again = machine.sent - machine.stored
                record.reason = "protocol"
                records.stop(record, "protocol", reason)
            case WasStopped(reason):
                record.again = machine.sent - machine.stored
                records.stop(record, reason, _EXPLANATIONS.get(reason, ""))

    def _end(self, record: TransferRecord, state: str) -> None:
        self._forget(record)
        if not record.kept.is_cancelled:
            self._records.changed(record, state)

    def _forget(self, record: TransferRecord) -> None:
        cancel(record.retry)
        self._records.drop(record)
        self._store.remove(record.kept).addErrback(_not_stored)

    def _released(self, record: TransferRecord, machine: FileSender) -> None:
        record.stream = None
        self._opening.discard(record.id)
        if self._records.get(record.kept.key) is not record:
            self.look(record.peer_id)  # another one's turn
            return
        if record.kept.is_cancelled:
            self._forget(record)
            return
        record.again = machine.sent - machine.stored
        if not record.reason:
            self._records.stop(record, "link-lost")
        self._later(record)

    def cancel(self, record: TransferRecord) -> None:
        """End one for good; the other side learns it now, or when there is a link."""
        self._records.changed(record, "cancelled")
        if record.stream is not None:
            record.stream.cancel(record.kept.members.name)
            if record.id not in self._opening:
                self._forget(record)
                return
        cancel(record.retry)
        record.retry = None
        record.kept = attrs.evolve(record.kept, is_cancelled=True)
        self._store.put(record.kept).addErrback(_not_stored)
        self.look(record.peer_id)

    def stop(self) -> None:
        """End streams; what isn't done goes on after the next start."""
        for one in self._ours():
            cancel(one.retry)
            if one.stream is not None:
                one.stream.abort()


_NOT_TAKEN = "they take no files from you: you are no contact of theirs, or their program is older"
_EXPLANATIONS = {
    "disk-full": "their disk is full; it goes on when there is room",
    "unwritable": "they can't write it there",
    "busy": "too much comes to them at a time; it has its turn later",
}


def _not_stored(failure: Failure) -> None:
    failure.trap(StorageFailed)
    _log.warn("a change of a transfer isn't stored: {error}", error=failure.value)
