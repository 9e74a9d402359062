"""Tests of streams of files whose other end is slow, silent, or breaks the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import StringTransport
from zope.interface import implementer
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import StorageFailed
from p2pchat.interfaces import ITransferStore
from p2pchat.peer.storage.kept_transfers import KeptFile, KeptTransfer
from p2pchat.peer.storage.transfer_table import EphemeralTransfers
from p2pchat.peer.transfers.file_streams import FAREWELL, IDLE, SendingStream
from p2pchat.peer.transfers.source_files import SourceReader, select
from p2pchat.session.file_sender import FileSender
from p2pchat.session.pieces import piece_hash
from p2pchat.wire.transfers import (
    PIECE_SIZE,
    SERVICE,
    BeginFile,
    FileEntry,
    FileList,
    FileOffer,
    OfferAccepted,
    Piece,
    Ready,
    Stored,
    TransferMessage,
)
from tests.cases import each
from tests.peer.transfers.transferring_nodes import BOB, DISK, TransferCase
from tests.session.transferring import encoded

ENTRY = FileEntry("a", 3 * PIECE_SIZE)
ZEROS = bytes(PIECE_SIZE)


class Mallory(Protocol):
    """The other end of a stream that bob has, as a test wants it."""

    transport: Any

    def __init__(self) -> None:
        self.heard = b""
        self.is_lost = False

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, _reason: object = None) -> None:
        self.is_lost = True

    def say(self, *messages: TransferMessage | Piece) -> None:
        for one in messages:
            self.transport.write(encoded(one))


@implementer(ITransferStore)
@attrs.define(eq=False)
class FullStore(EphemeralTransfers):
    """
    A store whose disk may be full.

    :ivar may_write: a write waits for this.
    """

    is_full: bool = False
    may_write: Deferred[None] = attrs.Factory(lambda: succeed(None))

    def put_files(self, kept: KeptTransfer, files: Mapping[int, KeptFile]) -> Deferred[None]:
        if self.is_full:
            return fail(StorageFailed("the disk is full"))
        done: Deferred[None] = Deferred()
        self.may_write.addCallback(
            lambda _: EphemeralTransfers.put_files(self, kept, files).chainDeferred(done)
        )
        return done


class HostileCase(TransferCase):
    """Alice is a contact of bob's, and her program is mallory's."""

    def setUp(self) -> None:
        super().setUp()
        self.store = FullStore()
        self.bob.store = self.store
        self.bob.start()
        self.link()

    def mallory(self) -> Mallory:
        """Open a stream to bob."""
        made = Mallory()
        self.alice.streams.open(BOB, SERVICE, made)
        return made

    def offer(self, number: int = 0, most: int = 3 * PIECE_SIZE) -> FileOffer:
        """Return an offer of one file."""
        name = number.to_bytes(16)
        return FileOffer(name, "a", False, 1, most, (FileEntry("a", most),), most)

    def begun(self) -> Mallory:
        """Let a transfer be accepted, and its file be begun."""
        mallory = self.mallory()
        mallory.say(self.offer())
        self.run_on(0.1)
        self.accept(0.1)
        mallory.say(FileList((ENTRY,)))
        self.run_on(0.1)
        mallory.say(BeginFile(0))
        return mallory


class HostileTests(HostileCase):
    """A contact whose program is somebody's own."""

    def test_many_offers(self) -> None:
        """Offers by the hundred cost a bounded number of questions, and nothing else."""
        for number in range(300):
            self.mallory().say(self.offer(number))
        self.run_on(20.0)
        self.assertEqual(len(self.bob.said(events.FilesOffered)), 16)
        self.assertEqual(len(self.bob.transfers.all()), 16)
        self.assertEqual(len(self.bob.streams.open_streams()), 16)
        self.assertEqual(self.bob.there(), {})

    def test_silent(self) -> None:
        """A stream on which nothing is said ends."""
        mallory = self.mallory()
        self.clock.advance(IDLE)
        self.clock.advance(IDLE)
        self.assertTrue(mallory.is_lost)

    def test_unfinished(self) -> None:
        """So does one whose file comes no further, and its place is free."""
        mallory = self.begun()
        mallory.say(Piece(piece_hash(ZEROS), (ZEROS,)))
        self.run_on(0.1)
        self.clock.advance(IDLE + 1)
        self.run_on(0.1)
        self.assertTrue(mallory.is_lost)
        self.assertEqual(self.bob.transfers.all()[0].state, "stopped")

    def test_patient(self) -> None:
        """A person may take any time for the answer."""
        mallory = self.mallory()
        mallory.say(self.offer())
        self.run_on(0.1)
        for _ in range(20):
            self.clock.advance(IDLE)
        self.assertFalse(mallory.is_lost)
        self.accept()
        self.assertIn(encoded(OfferAccepted()), mallory.heard)

    def test_never_listens(self) -> None:
        """One that hears nothing of the end is left soon."""
        mallory = self.begun()
        mallory.transport.pauseProducing()
        mallory.say(BeginFile(5))
        self.run_on(0.1)
        self.clock.advance(FAREWELL + 1)
        self.assertEqual(self.bob.streams.open_streams(), [])

    @each("hash", "more", "junk")
    def test_broken(self, how: str) -> None:
        """What breaks the rules ends the stream, is said once, and leaves no file."""
        mallory = self.begun()
        if how == "hash":
            mallory.say(Piece(bytes(32), (ZEROS,)))
        elif how == "more":
            mallory.say(*(Piece(piece_hash(ZEROS), (ZEROS,)),) * 4)
        else:
            mallory.transport.write(b"\xff" * 100)
        self.run_on(0.5)
        self.assertTrue(mallory.is_lost)
        last = self.bob.said(events.TransferChanged)[-1]
        self.assertEqual((last.state, last.reason), ("stopped", "protocol"))
        self.assertEqual([name for name in self.bob.there() if not name.endswith(".part")], [])
        self.assertLessEqual(sum(self.bob.there().values()), 3 * PIECE_SIZE)

    def test_at_once(self) -> None:
        """So many transfers of one contact are written at a time; others wait for their turn."""
        streams = [self.mallory() for _ in range(8)]
        for number, one in enumerate(streams):
            one.say(self.offer(number))
            self.run_on(0.05)
        for info in self.bob.transfers.all():
            self.bob.transfers.accept(info.number)
        self.run_on(0.1)
        taken = [one for one in streams if encoded(OfferAccepted()) in one.heard]
        self.assertEqual(len(taken), 4)
        taken[0].transport.abortConnection()
        self.run_on(0.1)
        self.assertEqual(sum(encoded(OfferAccepted()) in one.heard for one in streams), 5)

    def test_another_offer_of_the_name(self) -> None:
        """Nobody gets more taken by the name of what was accepted."""
        self.begun().transport.abortConnection()
        self.run_on(0.1)
        mallory = self.mallory()
        mallory.say(self.offer(most=2**53))
        self.run_on(0.5)
        self.assertTrue(mallory.is_lost)
        self.assertNotIn(encoded(OfferAccepted()), mallory.heard)

    def test_second_stream(self) -> None:
        """A stream takes the place of one that may be dead, when nothing of that is written."""
        first = self.begun()
        first.say(Piece(piece_hash(ZEROS), (ZEROS,)))
        self.run_on(0.1)
        second = self.mallory()
        second.say(self.offer())
        self.run_on(0.5)
        self.assertTrue(first.is_lost)
        self.assertIn(encoded(OfferAccepted()), second.heard)

    def test_database_full(self) -> None:
        """What the database can't keep isn't confirmed."""
        verifyObject(ITransferStore, self.store)
        mallory = self.begun()

        self.store.is_full = True
        mallory.say(Piece(piece_hash(ZEROS), (ZEROS,)))
        self.run_on(0.5)
        last = self.bob.said(events.TransferChanged)[-1]
        self.assertEqual((last.state, last.reason), ("stopped", "disk-full"))

    def test_database_slow(self) -> None:
        """Pieces are written while the database is, and confirmed when it is done."""
        mallory = self.begun()
        self.store.may_write = Deferred()
        for _ in range(2):
            mallory.say(Piece(piece_hash(ZEROS), (ZEROS,)))
            self.run_on(0.1)
        self.assertEqual(sum(self.bob.there().values()), 2 * PIECE_SIZE)
        self.assertNotIn(encoded(Stored(PIECE_SIZE, 0)), mallory.heard)
        mallory.transport.abortConnection()
        self.run_on(0.1)
        self.assertEqual(self.bob.transfers.all()[0].state, "active")
        self.store.may_write.callback(None)
        self.run_on(0.1)
        info = self.bob.transfers.all()[0]
        self.assertEqual((info.state, info.done), ("stopped", 2 * PIECE_SIZE))


class SendingStreamTests(TransferCase):
    """A sender whose stream takes nothing."""

    def test_paused(self) -> None:
        """It reads no further than a little ahead, and goes on when the stream does."""
        path = self.alice.file("a", 9 * PIECE_SIZE)
        found = select(str(path))
        files = [FileEntry("a", found.size)]
        machine = FileSender(FileOffer(bytes(16), "a", False, 1, found.size), files)
        reader = SourceReader(found.root, found.files)

        def in_thread(work: Callable[[], Any]) -> Deferred[Any]:
            return deferLater(self.clock, DISK, work)

        stream = SendingStream(machine, reader, in_thread, self.clock, lambda *_: None)
        self.assertTrue(verifyObject(IPushProducer, stream))
        transport = StringTransport()
        stream.makeConnection(transport)
        stream.pauseProducing()
        stream.dataReceived(encoded(OfferAccepted()))
        stream.dataReceived(encoded(Ready()))
        self.run_on(0.1)
        before = len(transport.value())
        self.assertLess(before, 1000)
        stream.resumeProducing()
        self.run_on(0.1)
        self.assertGreater(len(transport.value()), PIECE_SIZE)
        self.assertLess(len(transport.value()), 5 * PIECE_SIZE)
