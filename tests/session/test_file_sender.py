"""Tests of the sending side of a transfer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.file_receiver import FileReceiver
from p2pchat.session.file_sender import READ_AHEAD, FileSender, SenderStage
from p2pchat.session.transfer_events import (
    CheckFile,
    Completed,
    Progressed,
    ReadPiece,
    Skipped,
    WasAccepted,
    WasRefused,
    WasStopped,
)
from p2pchat.session.transfer_stream import BROKEN
from p2pchat.wire.transfers import (
    PIECE_SIZE,
    WINDOW,
    Done,
    FileEntry,
    Have,
    OfferAccepted,
    OfferRefused,
    Ready,
    Stopped,
    Stored,
    TransferMessage,
)
from tests.cases import each
from tests.session.transferring import Disk, Transfer, encoded, offer_of

YES = OfferAccepted()
LONG = bytes(range(256)) * (PIECE_SIZE // 256) * 6 + b"end"


class SendingTests(SynchronousTestCase):
    """A sender and an honest receiver."""

    def check(self, transfer: Transfer) -> None:
        """Run it; all files are there."""
        transfer.run()
        self.assertEqual(transfer.disk.whole, dict(enumerate(transfer.files.values())))
        self.assertEqual(transfer.seen[-2:], [Completed(), Completed()])
        self.assertTrue(transfer.sender.has_ended and transfer.receiver.has_ended)

    @each(0, 1, PIECE_SIZE - 1, PIECE_SIZE, PIECE_SIZE + 1, 7 * PIECE_SIZE)
    def test_one(self, size: int) -> None:
        """A file of any size arrives."""
        self.check(Transfer({"a": LONG[:size] if size < len(LONG) else bytes(size)}))

    def test_folder(self) -> None:
        """Many files arrive, more than may be under way at a time."""
        self.check(Transfer({f"d/{n}": b"x" * n for n in range(300)}, title="d"))

    def test_resumed(self) -> None:
        """After a cut only the rest is sent, and no more than the window again."""
        disk, sent = Disk(), 0
        for limit in (0, 1, 3, None):
            transfer = Transfer({"a": LONG, "b": b"b"}, disk, "f", limit=limit)
            transfer.run()
            sent += transfer.sender.sent
        self.assertEqual(disk.whole, {0: LONG, 1: b"b"})
        self.assertLessEqual(sent, len(LONG) + 1 + 3 * WINDOW)
        self.assertEqual(transfer.sender.had, 4 * PIECE_SIZE)
        self.assertEqual(transfer.receiver.had, 4 * PIECE_SIZE)
        self.assertIn(CheckFile(0, 4), transfer.seen)

    def test_other_file(self) -> None:
        """Where the receiver has the beginning of another one, it begins anew."""
        disk = Disk({0: bytearray(b"?" * 2 * PIECE_SIZE)})
        transfer = Transfer({"a": LONG}, disk)
        self.check(transfer)
        self.assertEqual((transfer.sender.sent, transfer.sender.had), (len(LONG), 0))

    def test_done(self) -> None:
        """What is whole over there isn't sent again."""
        transfer = Transfer({"a": LONG, "b": b"b"}, Disk(whole={0: LONG}), "f")
        self.check(transfer)
        self.assertEqual((transfer.sender.sent, transfer.sender.had), (1, len(LONG)))

    def test_unreadable(self) -> None:
        """A file that can't be read is left out, and the others are sent."""
        transfer = Transfer({"a": b"a", "b": b"b", "c": b"c"}, title="f", unreadable={1})
        transfer.run()
        self.assertEqual(transfer.disk.whole, {0: b"a", 2: b"c"})
        self.assertEqual(transfer.seen.count(Skipped(1, "unreadable")), 2)
        self.assertTrue(transfer.sender.has_ended)

    def test_refused(self) -> None:
        """A refusal is an event, and the end."""
        transfer = Transfer({"a": b"a"}, answer=lambda one: FileReceiver.refuse(one, "declined"))
        transfer.run()
        self.assertEqual(transfer.seen[-1:], [WasRefused("declined")])
        self.assertTrue(transfer.sender.has_ended)


class WindowTests(SynchronousTestCase):
    """A sender whose receiver says what a test wants."""

    def setUp(self) -> None:
        self.sender = FileSender(offer_of({"a": LONG}), [FileEntry("a", len(LONG))])
        self.sender.start()

    def hear(self, *messages: TransferMessage) -> list[object]:
        """Let the receiver say something; returns the events."""
        for one in messages:
            self.sender.receive(encoded(one))
        return self.events()

    def events(self) -> list[object]:
        """Return what the sender says by now."""
        return list(iter(self.sender.next_event, None))

    def drain(self) -> None:
        """Let the stream take what waits."""
        while self.sender.next_bytes() is not None:
            pass

    def read_all(self) -> None:
        """Read whatever is wanted, and take it."""
        self.drain()
        while (event := self.sender.next_event()) is not None:
            if isinstance(event, ReadPiece):
                self.sender.piece_read(bytes(32), bytes(PIECE_SIZE), None)
            self.drain()

    def test_accepted(self) -> None:
        """Nothing is read before the receiver is ready."""
        self.drain()
        self.assertEqual(self.events(), [])
        self.assertEqual(self.hear(YES), [WasAccepted()])
        self.assertEqual(self.hear(Ready())[:1], [Progressed()])

    def test_window(self) -> None:
        """So many bytes are under way; more go when some are stored."""
        self.hear(YES)
        self.sender.receive(encoded(Ready()))
        self.read_all()
        self.assertEqual(self.sender.sent, WINDOW)
        self.sender.receive(encoded(Stored(2 * PIECE_SIZE, 0)))
        self.read_all()
        self.assertEqual(self.sender.sent, WINDOW + 2 * PIECE_SIZE)

    def test_read_ahead(self) -> None:
        """A stream that takes nothing has some pieces waiting, and no more."""
        self.hear(YES)
        self.drain()
        self.sender.receive(encoded(Ready()))
        count = 0
        while (event := self.sender.next_event()) is not None:
            if isinstance(event, ReadPiece):
                count += 1
                self.sender.piece_read(bytes(32), bytes(PIECE_SIZE), None)
        self.assertEqual(count, READ_AHEAD // PIECE_SIZE)

    def test_stopped(self) -> None:
        """A receiver that stops may be tried again."""
        self.hear(YES)
        self.assertEqual(self.hear(Stopped("disk-full")), [WasStopped("disk-full", False)])
        self.assertTrue(self.sender.has_ended)
        self.sender.failed("changed")
        self.sender.piece_read(b"", b"", 0)
        self.assertEqual(self.events(), [])

    @each(
        *((Ready(),), (Done(),), (Stored(0, 0),), (Have(0),), (YES, YES)),
        *(
            (YES, OfferRefused("x")),
            (YES, Have(1)),
            (YES, Have(0, 8)),
        ),
        *((YES, Have(0), Have(0)), (YES, Ready(), Stored(1, 0))),
        *((YES, Ready(), Stored(0, 1)), (YES, Ready(), Done())),
    )
    def test_broken(self, *messages: TransferMessage) -> None:
        """What isn't said now, or isn't true, ends the stream, and is said to break the rules."""
        found = self.hear(*messages)[-1]
        assert isinstance(found, WasStopped)
        self.assertTrue(found.is_ours and found.reason.startswith(BROKEN))
        self.assertNotEqual(self.sender.stage, SenderStage.SENT)
