"""
The machines of a transfer on a stream, and their work with files in threads: Twisted's protocols.

::

    transport ─ bytes ─▶ machine ─ events ─▶ in a thread: read, or hash, write, fsync ─▶ machine
        ◀─ bytes, as it takes them ─┘   └─▶ what isn't work: ``happened``

One thing is done at a time.  A receiver takes all that waits for it together: one ``fdatasync`` and
one commit are for all pieces that came while the last ones were written, and the next ones are
written while that is committed.  What was written is recorded even if the stream was lost
meanwhile; only then ``released`` fires, and another stream may go on with these files.

A stream on which nothing moves for IDLE is aborted, but where a person is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.errors import RemoteProtocolError, StorageFailed
from p2pchat.peer.storage.kept_transfers import KeptFile
from p2pchat.peer.transfers.incoming_files import IncomingFiles, Unwritable, Writing, WrittenPieces
from p2pchat.peer.transfers.source_files import SourceChanged, SourceReader
from p2pchat.runtime import cancel
from p2pchat.session.file_receiver import FileReceiver, KeptPieces, ReceiverStage
from p2pchat.session.file_sender import FileSender, SenderStage
from p2pchat.session.pieces import Pieces
from p2pchat.session.transfer_events import (
    BeginPieces,
    CheckFile,
    FinishFile,
    Prepare,
    ReadPiece,
    Skipped,
    StorePiece,
    TransferEvent,
)
from p2pchat.session.transfer_stream import BROKEN, TransferStream
from p2pchat.wire.transfers import FileEntry

IDLE = 300.0  # seconds; so long a slow disk may hash what is there already
FAREWELL = 10.0  # seconds in which the other side takes our last words

InThread = Callable[[Callable[[], Any]], Deferred[Any]]

_log = Logger()


@implementer(IPushProducer)
class FileStream(Protocol):
    """
    One machine on one stream.

    :param happened: takes this and each event that isn't work.
    :ivar released: fires when the stream is lost and nothing of it is being done any more.
    """

    transport: Any

    def __init__(
        self,
        machine: TransferStream,
        in_thread: InThread,
        clock: IReactorTime,
        happened: Callable[[Any, TransferEvent], None],
    ) -> None:
        self.explanation = ""  # of a stop of ours, for our person
        self.released: Deferred[None] = Deferred()
        self.is_lost = False
        self._machine = machine
        self._in_thread = in_thread
        self._clock = clock
        self._happened = happened
        self._is_paused = False
        self._is_working = False
        self._is_stepping = False
        self._idle: IDelayedCall | None = None

    # -- the stream

    def connectionMade(self) -> None:
        """Begin."""
        self.transport.registerProducer(self, True)
        self._note_life()
        self.step()

    def dataReceived(self, data: bytes) -> None:
        """Take what came."""
        self._note_life()
        self._machine.receive(data)
        self.step()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Let go, as soon as nothing is being done."""
        self.is_lost = self._machine.has_ended = True
        cancel(self._idle)
        self._release_if_idle()

    def pauseProducing(self) -> None:
        """Say nothing for now."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Go on."""
        self._is_paused = False
        self.step()

    def stopProducing(self) -> None:
        """Say nothing more."""
        self._is_paused = True

    def step(self) -> None:
        """Do what there is to do, and say what there is to say."""
        if self._is_stepping:
            return
        self._is_stepping = True
        try:
            while self._act() or self._write():
                pass
        finally:
            self._is_stepping = False
        is_open = self.transport is not None and not self.is_lost
        if self._machine.has_ended and is_open and not self._is_paused:
            self._leave()

    def _act(self) -> bool:
        event = self._machine.next_event()
        if event is None:
            return False
        if not self._take(event):
            self._happened(self, event)
        return True

    def _take(self, event: TransferEvent) -> bool:
        """Do an event's work; tells whether it was work."""
        raise NotImplementedError

    def _write(self) -> bool:
        is_closed = self.transport is None or self.is_lost  # or isn't open yet
        data = None if self._is_paused or is_closed else self._machine.next_bytes()
        if data is None:
            return False
        self._note_life()
        self.transport.write(data)
        return True

    def _leave(self) -> None:
        """Close the stream once all is said; a side that doesn't listen is left soon."""
        self._set_idle(FAREWELL)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def stop(self, reason: str, explanation: str = "") -> None:
        """End this stream, so that another one may go on later."""
        self.explanation = explanation
        self._machine.stop(reason)
        self.step()

    def cancel(self, name: bytes) -> None:
        """End the transfer for good."""
        self._machine.cancel(name)
        self.step()

    def abort(self) -> None:
        """End it at once."""
        if self.transport is not None and not self.is_lost:
            self.transport.abortConnection()

    # -- time

    def _note_life(self) -> None:
        self._set_idle(IDLE)

    def _set_idle(self, seconds: float) -> None:
        if self._idle is not None and self._idle.active():
            self._idle.reset(seconds)
        else:
            self._idle = self._clock.callLater(seconds, self._give_up)

    def _give_up(self) -> None:
        if self._machine.has_ended or not self._may_wait():
            self.abort()
        else:
            self._note_life()

    def _may_wait(self) -> bool:
        """Tell whether it is all right that nothing moves."""
        raise NotImplementedError

    # -- work

    def _work(self, work: Callable[[], Any], done: Callable[[Any], object]) -> None:
        """Do something in a thread, and go on with what came of it."""
        self._is_working = True
        done_so = self._in_thread(work).addCallbacks(done, self._failed)
        done_so.addErrback(_log_fault).addBoth(self._worked)

    def _failed(self, failure: Failure) -> None:
        raise NotImplementedError

    def _worked(self, _result: object) -> None:
        self._is_working = False
        self.step()
        self._release_if_idle()

    def _release_if_idle(self) -> None:
        if self.is_lost and not self._is_busy() and not self.released.called:
            self._let_go()
            self.released.callback(None)

    def _is_busy(self) -> bool:
        """Tell whether something is being done."""
        return self._is_working

    def _let_go(self) -> None:
        """Close files."""
        raise NotImplementedError


def _log_fault(failure: Failure) -> None:
    _log.failure("a transfer failed", failure)


class SendingStream(FileStream):
    """The sending side."""

    def __init__(
        self,
        machine: FileSender,
        reader: SourceReader,
        in_thread: InThread,
        clock: IReactorTime,
        happened: Callable[[SendingStream, TransferEvent], None],
    ) -> None:
        super().__init__(machine, in_thread, clock, happened)
        self.machine = machine
        self._reader = reader

    def connectionMade(self) -> None:
        """Offer."""
        if not self.machine.has_ended:  # else it only has to be cancelled
            self.machine.start()
        super().connectionMade()

    def _take(self, event: TransferEvent) -> bool:
        reader = self._reader
        match event:
            case CheckFile(file, count):
                self._work(partial(reader.check, file, count), self._checked)
            case ReadPiece(file, piece):
                self._work(partial(reader.read, file, piece), self._have_read)
            case _:
                return False
        return True

    def _checked(self, pieces: Pieces) -> None:
        self.machine.checked(pieces)

    def _have_read(self, found: tuple[bytes, bytes, int | None]) -> None:
        self.machine.piece_read(*found)

    def _failed(self, failure: Failure) -> None:
        failure.trap(OSError, SourceChanged)
        is_changed = isinstance(failure.value, SourceChanged)
        self.machine.failed("changed" if is_changed else "unreadable")

    def _may_wait(self) -> bool:
        return self.machine.stage is SenderStage.OFFERED

    def _let_go(self) -> None:
        self._reader.close()


class ReceivingStream(FileStream):
    """The receiving side."""

    def __init__(
        self,
        machine: FileReceiver,
        in_thread: InThread,
        clock: IReactorTime,
        happened: Callable[[ReceivingStream, TransferEvent], None],
    ) -> None:
        super().__init__(machine, in_thread, clock, happened)
        self.machine = machine
        self.peer_id = ""
        self.files: IncomingFiles | None = None
        self._kept: Mapping[int, KeptFile] = {}
        self._store: Callable[[IncomingFiles, Mapping[int, KeptFile]], Deferred[None]]
        self._works: list[Writing] = []
        self._committing = 0

    def accept(
        self,
        files: IncomingFiles,
        kept: Mapping[int, KeptFile],
        store: Callable[[IncomingFiles, Mapping[int, KeptFile]], Deferred[None]],
    ) -> None:
        """
        Take what is offered.

        :param kept: what is there already, by what was stored.
        :param store: stores what is there now, and the place.
        """
        self.files, self._kept, self._store = files, kept, store
        self.machine.accept()
        self.step()

    def refuse(self, reason: str) -> None:
        """Want nothing of it."""
        self.machine.refuse(reason)
        self.step()

    def _take(self, event: TransferEvent) -> bool:
        match event:
            case Prepare(entries):
                self._prepare(entries)
                return True
            case BeginPieces() | StorePiece() | FinishFile():
                self._works.append(event)
            case Skipped():
                self._works.append(event)
                self._happened(self, event)
            case _:
                return False
        self._write_files()
        return True

    def _prepare(self, entries: tuple[FileEntry, ...]) -> None:
        files = self._accepted()
        self._work(partial(files.prepare, entries, self._kept), self._prepared)

    def _accepted(self) -> IncomingFiles:
        if self.files is None:
            raise RuntimeError("not accepted")
        return self.files

    def _prepared(self, kept: dict[int, KeptPieces]) -> Deferred[None]:
        stored = self._store(self._accepted(), {})
        return stored.addCallbacks(lambda _: self.machine.prepared(kept), self._failed)

    def _write_files(self) -> None:
        if self._works and not self._is_working and not self.is_lost:
            works, self._works = self._works, []
            self._work(partial(self._accepted().write, works), self._written)

    def _written(self, written: WrittenPieces) -> None:
        """Write down what is on the disk, while the next pieces are written."""

        def stored(_result: object) -> None:
            self.machine.stored(written.size, written.ended)

        files = self._accepted()
        self._committing += 1
        done = self._store(files, written.files) if written.files else succeed(None)
        done.addCallbacks(stored, self._failed).addErrback(_log_fault).addBoth(self._committed)

    def _committed(self, _result: object) -> None:
        self._committing -= 1
        self._note_life()
        self.step()
        self._release_if_idle()

    def _worked(self, result: object) -> None:
        super()._worked(result)
        self._write_files()

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        self._works.clear()
        if isinstance(error, Unwritable):
            self.stop(error.word, str(error))
        elif isinstance(error, StorageFailed):
            self.stop("disk-full", str(error))
        elif isinstance(error, RemoteProtocolError):
            self.stop(f"{BROKEN}: {error}", str(error))
        else:
            self.stop("unwritable", "an internal error; the log has it")
            failure.raiseException()

    def _is_busy(self) -> bool:
        return self._is_working or self._committing > 0

    def _may_wait(self) -> bool:
        return self.machine.stage is ReceiverStage.ASKED

    def _let_go(self) -> None:
        if self.files is not None:
            self.files.close()
