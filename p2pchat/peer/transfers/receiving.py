"""
Transfers that contacts offer us.

::

    offer ─▶ asked: OFFERED ── /accept ──▶ kept, STOPPED ── the sender's stream ──▶ ACTIVE ─▶ done
      │         │  └── /reject ──▶ refused, now or when it is offered again     ◀──┘ lost
      │         └── the stream is lost: it is offered again with the next link
      └── a rule accepts it: as if a person had

What is accepted is kept, and goes on whenever the sender offers it again.  Bounds, for each contact
and for all: offers that wait for a person, and transfers that are written at a time.  An offer
beyond them is stopped as ``busy``: its sender tries again later.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.errors import StorageFailed, TransferRefused
from p2pchat.interfaces import ITransferStore
from p2pchat.peer.settings import FileSettings
from p2pchat.peer.storage.kept_transfers import KeptFile, KeptTransfer, TransferMembers
from p2pchat.peer.transfers.file_streams import InThread, ReceivingStream
from p2pchat.peer.transfers.incoming_files import IncomingFiles, used
from p2pchat.peer.transfers.transfer_records import (
    ACTIVE,
    OFFERED,
    STOPPED,
    TransferRecord,
    TransferRecords,
)
from p2pchat.session.file_receiver import FileReceiver
from p2pchat.session.transfer_events import (
    Completed,
    OfferArrived,
    Progressed,
    Skipped,
    TransferEvent,
    WasCancelled,
    WasStopped,
)
from p2pchat.session.transfer_stream import BROKEN
from p2pchat.wire.file_names import local_name
from p2pchat.wire.transfers import FileEntry, FileOffer

OFFERS_OF_ONE = 16  # of one contact, that wait for a person
MAX_OFFERS = 256  # of all contacts
WRITTEN_OF_ONE = 4  # transfers of one contact that are written at a time; 5 MiB of memory each
MAX_WRITTEN = 16  # of all contacts
MAX_KEPT = 1000  # that were accepted and aren't done
TAG = 8  # digits of the id in names of partial files

_log = Logger()


@attrs.define(eq=False)
class Receiving:
    """
    Those that one node receives.

    :ivar is_quiet: tells whether a contact is muted.
    """

    _settings: FileSettings
    _records: TransferRecords
    _store: ITransferStore
    _in_thread: InThread
    _clock: IReactorTime
    is_quiet: Callable[[str], bool]
    _entries: dict[str, tuple[FileEntry, ...]] = attrs.Factory(dict)

    def _theirs(self, *states: str) -> list[TransferRecord]:
        return [one for one in self._records if not one.kept.is_ours and one.state in states]

    def add(self, kept: KeptTransfer) -> TransferRecord:
        """Take one that was accepted in an earlier run."""
        record = self._records.add(kept, STOPPED)
        record.path, record.is_quiet = _path(kept), True
        return record

    def stream(self, peer_id: str) -> ReceivingStream:
        """Return the protocol of a stream that a contact opens."""
        machine = FileReceiver()
        stream = ReceivingStream(machine, self._in_thread, self._clock, self._happened)
        stream.peer_id = peer_id
        return stream

    def _happened(self, stream: ReceivingStream, event: TransferEvent) -> None:
        if isinstance(event, OfferArrived):
            self._offered(stream, event.offer)
            return
        name = event.name if isinstance(event, WasCancelled) else None
        offer = stream.machine.offer
        key = stream.peer_id, name or (offer.name if offer is not None else b""), False
        record = self._records.get(key)
        if record is not None and (record.stream is stream or name):
            self._happened_to(record, stream, event)

    # -- offers

    def _offered(self, stream: ReceivingStream, offer: FileOffer) -> None:
        record = self._records.get((stream.peer_id, offer.name, False))
        if record is None:
            self._offered_anew(stream, offer)
        elif record.kept.is_cancelled:
            stream.refuse("cancelled")
            self._forget(record)
        elif not _is_same(record.kept, offer):
            stream.stop("protocol: another offer of the same name")
        elif record.stream is not None:  # the former one may not know yet that it is lost
            record.stream.released.addCallback(lambda _: self._take(record, stream))
            record.stream.abort()
        else:
            self._take(record, stream)

    def _take(self, record: TransferRecord, stream: ReceivingStream) -> None:
        """Let a stream be that of a transfer."""
        if stream.is_lost or self._records.get(record.kept.key) is not record:
            stream.stop("busy")
            return
        record.stream = stream
        stream.released.addCallback(lambda _: self._released(record, stream))
        if record.state != OFFERED:
            self._admit()

    def _offered_anew(self, stream: ReceivingStream, offer: FileOffer) -> None:
        offers = self._theirs(OFFERED)
        ours = sum(one.peer_id == stream.peer_id for one in offers)
        if ours >= OFFERS_OF_ONE or len(offers) >= MAX_OFFERS:
            stream.stop("busy")
            return
        settings = self._settings
        members = TransferMembers(
            name=offer.name,
            title=offer.title,
            folder=offer.folder,
            count=offer.count,
            most=offer.most,
            root=settings.downloads,
            size=offer.size,
        )
        record = self._records.add(KeptTransfer(stream.peer_id, False, members), OFFERED)
        self._take(record, stream)
        if not settings.accepted:
            self._ask(record, offer)
            return
        look = partial(used, settings.accepted)
        self._in_thread(look).addBoth(self._decide, record, offer)

    def _decide(self, held: int | Failure, record: TransferRecord, offer: FileOffer) -> None:
        """Accept by the rule, or ask: what is under way counts as if it were there already."""
        settings = self._settings
        coming = [one for one in self._theirs(ACTIVE, STOPPED) if one.path]
        coming = [one for one in coming if one.kept.members.root == settings.accepted]
        rest = sum(max(one.kept.members.most - one.done, 0) for one in coming)
        if isinstance(held, Failure) or held + rest + offer.most > settings.most:
            self._ask(record, offer)
        elif self._records.get(record.kept.key) is record and record.state == OFFERED:
            self._tell_offer(record, offer, accepted=True)
            self._accept(record, settings.accepted)

    def _ask(self, record: TransferRecord, offer: FileOffer) -> None:
        self._tell_offer(record, offer, accepted=False)

    def _tell_offer(self, record: TransferRecord, offer: FileOffer, accepted: bool) -> None:
        first = tuple((one.path, one.size) for one in offer.first)
        self._records.tell(
            events.FilesOffered(
                record.peer_id,
                self._records.name(record.peer_id),
                id=record.id,
                number=record.number,
                title=offer.title,
                folder=offer.folder,
                count=offer.count,
                size=offer.size,
                most=offer.most,
                first=first,
                accepted=accepted,
                quiet=self.is_quiet(record.peer_id),
            )
        )

    def accept(self, record: TransferRecord) -> None:
        """
        Take what is offered, as the person wants it.

        :raises TransferRefused: it can't be taken.
        """
        if record.state != OFFERED:
            raise TransferRefused(f"#{record.number} is accepted already")
        if len(self._theirs(ACTIVE, STOPPED)) >= MAX_KEPT:
            raise TransferRefused(f"{MAX_KEPT} transfers are accepted already: /cancel some")
        self._accept(record, self._settings.downloads)

    def _accept(self, record: TransferRecord, root: str) -> None:
        members = attrs.evolve(record.kept.members, root=root)
        record.kept = attrs.evolve(record.kept, members=members)
        record.state, record.path = STOPPED, _path(record.kept)
        record.is_quiet = True
        stored = self._store.put(record.kept)
        stored.addCallbacks(lambda _: self._admit(), self._not_kept, errbackArgs=(record,))

    def _not_kept(self, failure: Failure, record: TransferRecord) -> None:
        failure.trap(StorageFailed)
        record.state = OFFERED
        self._records.tell(events.Trouble(f"not accepted: {failure.value}", "storage"))

    def refuse(self, record: TransferRecord) -> None:
        """
        Want nothing of what is offered.

        :raises TransferRefused: it is accepted.
        """
        if record.state != OFFERED:
            raise TransferRefused(f"#{record.number} is accepted: /cancel #{record.number} ends it")
        record.reason = "declined"
        self._records.changed(record, "refused")
        self._leave(record)

    def cancel(self, record: TransferRecord) -> None:
        """End one for good, and remove what came of it."""
        self._records.changed(record, "cancelled")
        self._leave(record)

    def _leave(self, record: TransferRecord) -> None:
        """End one by our wish; where the sender isn't there, it learns it when it offers again."""
        stream = record.stream
        if isinstance(stream, ReceivingStream):
            self._forget(record)
            was_asked = record.reason == "declined"
            stream.refuse("declined") if was_asked else stream.cancel(record.kept.members.name)
            stream.released.addCallback(lambda _: self._discard(record, stream.files))
            return
        record.kept = attrs.evolve(record.kept, is_cancelled=True)
        record.state = STOPPED
        self._store.put(record.kept).addErrback(_not_stored)
        self._discard(record, None)

    def _discard(self, record: TransferRecord, files: IncomingFiles | None) -> None:
        """Remove partial files; what has its name stays."""
        known = self._entries.pop(record.id, ())
        files = files or _files_of(record.kept)
        files.entries = files.entries or known
        if files.entries:
            begun = [file for file in record.kept.files if file < len(files.entries)]
            numbers = sorted({*begun, *range(min(len(files.entries), 1))})
            self._in_thread(partial(files.discard, numbers)).addErrback(
                lambda failure: _log.warn("partial files stay: {error}", error=failure.value)
            )

    # -- streams

    def _admit(self) -> None:
        """Let accepted transfers go on, as many as may at a time."""
        for record in self._theirs(STOPPED):
            stream = record.stream
            if not isinstance(stream, ReceivingStream) or stream.files is not None:
                continue
            written = [one for one in self._theirs(STOPPED, ACTIVE) if _is_written(one)]
            of_one = sum(one.peer_id == record.peer_id for one in written)
            if len(written) >= MAX_WRITTEN or of_one >= WRITTEN_OF_ONE:
                continue
            files, kept = _files_of(record.kept), record.kept.files
            self._records.begin(record)
            stream.accept(files, kept, partial(self._stored, record))

    def _stored(
        self, record: TransferRecord, files: IncomingFiles, changed: Mapping[int, KeptFile]
    ) -> Deferred[None]:
        """Write down what is on the disk now."""
        self._entries[record.id] = tuple(files.entries)
        is_placed = files.place == record.kept.members.place
        if changed:
            record.kept = attrs.evolve(record.kept, files={**record.kept.files, **changed})
            return self._store.put_files(record.kept, changed)
        if is_placed:
            return self._store.put_files(record.kept, {})
        members = attrs.evolve(record.kept.members, place=files.place)
        record.kept = attrs.evolve(record.kept, members=members)
        record.path = _path(record.kept)
        return self._store.put(record.kept)

    def _happened_to(
        self, record: TransferRecord, stream: ReceivingStream, event: TransferEvent
    ) -> None:
        records = self._records
        match event:
            case Progressed():
                records.progress(record, stream.machine.had, stream.machine.stored_bytes)
            case Skipped(file, reason):
                entries = self._entries.get(record.id, ())
                records.skip(record, entries[file].path if file < len(entries) else "", reason)
            case Completed():
                if stream.files is not None:
                    self._in_thread(stream.files.tidy)
                self._forget(record)
                self._entries.pop(record.id, None)
                records.changed(record, "done")
            case WasCancelled():
                self._forget(record)
                records.changed(record, "cancelled")
                if record.stream is None:
                    self._discard(record, None)
                else:
                    record.stream.released.addCallback(
                        lambda _: self._discard(record, stream.files)
                    )
            case WasStopped(reason):
                record.again = stream.machine.received - stream.machine.stored_bytes
                is_broken = reason.startswith(BROKEN)
                why = stream.explanation or (reason if is_broken else "")
                records.stop(record, "protocol" if is_broken else reason, why)

    def _forget(self, record: TransferRecord) -> None:
        self._records.drop(record)
        self._store.remove(record.kept).addErrback(_not_stored)

    def _released(self, record: TransferRecord, stream: ReceivingStream) -> None:
        if record.stream is stream:
            record.stream = None
        record.again = stream.machine.received - stream.machine.stored_bytes
        if self._records.get(record.kept.key) is record and record.state == ACTIVE:
            self._records.stop(record, record.reason or "link-lost")
        self._admit()

    def stop(self) -> None:
        """End streams; what was accepted goes on after the next start."""
        for one in self._records:
            if not one.kept.is_ours and one.stream is not None:
                one.stream.abort()


def _is_written(record: TransferRecord) -> bool:
    stream = record.stream
    return isinstance(stream, ReceivingStream) and stream.files is not None


def _is_same(kept: KeptTransfer, offer: FileOffer) -> bool:
    members = kept.members
    return (members.title, members.folder, members.count, members.most, members.size) == (
        *(offer.title, offer.folder, offer.count, offer.most),
        offer.size,
    )


def _files_of(kept: KeptTransfer) -> IncomingFiles:
    members = kept.members
    title = members.title if members.folder else ""
    return IncomingFiles(members.root, members.name.hex()[:TAG], title, members.place)


def _path(kept: KeptTransfer) -> str:
    """Return where a transfer is written, as far as that is known."""
    members = kept.members
    name = members.place or local_name(members.title, is_outermost=True)
    return os.path.join(members.root, name)


def _not_stored(failure: Failure) -> None:
    failure.trap(StorageFailed)
    _log.warn("a change of a transfer isn't stored: {error}", error=failure.value)
