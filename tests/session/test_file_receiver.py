"""Tests of the receiving side of a transfer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.file_receiver import FileReceiver, KeptPieces
from p2pchat.session.pieces import Pieces, piece_hash
from p2pchat.session.transfer_events import (
    OfferArrived,
    Prepare,
    StorePiece,
    WasCancelled,
    WasStopped,
)
from p2pchat.session.transfer_stream import BROKEN
from p2pchat.wire.framing import encode_frame
from p2pchat.wire.transfers import (
    MAX_UNSTORED,
    PIECE_SIZE,
    WINDOW,
    BeginFile,
    Cancelled,
    Done,
    End,
    EndFile,
    FileEntry,
    FileList,
    FileOffer,
    OfferAccepted,
    Piece,
    Ready,
    Skip,
    TransferMessage,
)
from tests.cases import each
from tests.session.transferring import NAME, encoded, first_pieces

FULL = Piece(piece_hash(bytes(PIECE_SIZE)), (bytes(PIECE_SIZE),))
ONE = Piece(piece_hash(b"x"), (b"x",))
ROOT_OF_ONE = first_pieces(b"x", 1).root()
EMPTY = EndFile(0, Pieces().root())


def offer(count: int = 1, most: int = 1, title: str = "a", is_folder: bool = False) -> FileOffer:
    """Return an offer."""
    return FileOffer(NAME, title, is_folder, count, most)


def listed(*files: tuple[str, int | None]) -> FileList:
    """Return a list of files."""
    return FileList(tuple(FileEntry(*one) for one in files))


SAYINGS: tuple[TransferMessage | Piece, ...] = (
    *(offer(), listed(("a", 1)), BeginFile(0), ONE, FULL, EMPTY, End(), Done()),
    *(EndFile(1, ROOT_OF_ONE), Skip(0, "changed"), Cancelled(NAME)),
)


class ReceiverTests(SynchronousTestCase):
    """A receiver whose sender says what a test wants."""

    def setUp(self) -> None:
        self.receiver = FileReceiver()

    def hear(self, *messages: TransferMessage | Piece) -> list[object]:
        """Let the sender say something; returns the events."""
        for one in messages:
            self.receiver.receive(encoded(one))
        return list(iter(self.receiver.next_event, None))

    def begin(self, *files: tuple[str, int | None], most: int = 1) -> None:
        """Let files be offered, accepted and listed."""
        self.hear(offer(len(files), most, "f", True))
        self.receiver.accept()
        self.hear(listed(*files))
        self.receiver.prepared({})
        self.said()

    def said(self) -> bytes:
        """Return what the receiver said."""
        return b"".join(iter(self.receiver.next_bytes, None))

    def assert_broken(self, events: list[object]) -> None:
        """The stream ended, as the other side broke the rules."""
        found = events[-1]
        assert isinstance(found, WasStopped), events
        self.assertTrue(found.reason.startswith(BROKEN), found)
        self.assertTrue(self.receiver.has_ended)

    def test_asked(self) -> None:
        """An offer waits for a yes."""
        wanted = offer()
        self.assertEqual(self.hear(wanted), [OfferArrived(wanted)])
        self.assertEqual(self.said(), b"")
        self.receiver.accept()
        self.assertEqual(self.said(), encoded(OfferAccepted()))
        self.assertEqual(self.hear(listed(("a", 1))), [Prepare((FileEntry("a", 1),))])

    def test_cancelled(self) -> None:
        """The sender may take it back at any time, or say so first thing."""
        self.assertEqual(self.hear(Cancelled(NAME)), [WasCancelled(NAME)])

    def test_done(self) -> None:
        """The end waits for the disk."""
        self.begin(("a", 1))
        self.hear(BeginFile(0), ONE, EndFile(1, ROOT_OF_ONE), End())
        self.receiver.stored(1, 0)
        self.assertNotIn(encoded(Done()), self.said())
        self.receiver.stored(0, 1)
        self.assertIn(encoded(Done()), self.said())
        self.assertTrue(self.receiver.has_ended)

    def test_unknown_size(self) -> None:
        """Where a size isn't known, the end says it, within what was announced."""
        self.begin(("a", None), most=PIECE_SIZE + 1)
        root = Pieces()
        root.add(FULL.hash)
        root.add(ONE.hash)
        found = self.hear(BeginFile(0), FULL, ONE, EndFile(PIECE_SIZE + 1, root.root()))
        self.assertEqual(len(found), 4)

    @each(
        *((listed(("a", 2)),), (listed(("a", 1), ("b", 0)),), (listed(("b", 1)),)),
        *((FileList(()),), (Ready(),), (BeginFile(0),)),
    )
    def test_other_list(self, *messages: TransferMessage) -> None:
        """A list is what was announced: so many files, so many bytes, of that name."""
        self.hear(offer())
        self.receiver.accept()
        self.assert_broken(self.hear(*messages))

    @each(
        *((("a", 0), ("a", 0)), (("a", 0), ("a/b", 0)), (("a/b/c", 0), ("a/b", 0))),
    )
    def test_names_twice(self, *files: tuple[str, int]) -> None:
        """No two files have one place."""
        self.hear(offer(2, 5, "f", True))
        self.receiver.accept()
        self.assert_broken(self.hear(listed(*files)))

    @each(
        *((("a", 1), (ONE,)), (("a", 1), (EMPTY,)), (("a", 1), (BeginFile(0), BeginFile(0)))),
        *((("a", 1), (BeginFile(1),)), (("a", 1), (BeginFile(0, 1),)), (("a", 1), (End(),))),
        *((("a", 1), (BeginFile(0), FULL)), (("a", 1), (BeginFile(0), ONE, ONE))),
        *((("a", 1), (BeginFile(0), EMPTY)), (("a", 1), (BeginFile(0), ONE, EMPTY))),
        *((("a", 1), (BeginFile(0), ONE, EndFile(1, bytes(32)))), (("a", 1), (Skip(1, "x"),))),
        *((("a", 5), (BeginFile(0), ONE)), (("a", 0), (BeginFile(0), EMPTY, BeginFile(0)))),
        *((("a", None), (BeginFile(0), ONE, ONE)), (("a", None), (BeginFile(0), FULL))),
        *((("a", 1), (offer(),)), (("a", 1), (listed(("b", 0)),)), (("a", 1), (Done(),))),
    )
    def test_broken(
        self, file: tuple[str, int | None], messages: tuple[TransferMessage | Piece, ...]
    ) -> None:
        """What wasn't announced, or comes out of turn, ends the stream."""
        self.begin(file, most=5)
        self.assert_broken(self.hear(*messages))

    def test_window(self) -> None:
        """A sender that doesn't wait for the disk fills no memory."""
        pieces = WINDOW // PIECE_SIZE
        self.begin(("a", 9 * PIECE_SIZE), most=9 * PIECE_SIZE)
        found = self.hear(BeginFile(0), *(FULL,) * pieces)
        self.assertEqual(sum(isinstance(one, StorePiece) for one in found), pieces)
        self.receiver.stored(PIECE_SIZE, 0)
        self.assertEqual(len(self.hear(FULL)), 2)  # Progressed, too
        self.assert_broken(self.hear(FULL))

    def test_many_empty_files(self) -> None:
        """Nor does one that sends nothing but files without bytes."""
        files = tuple((f"{n}", 0) for n in range(MAX_UNSTORED + 1))
        self.begin(*files)
        for number in range(MAX_UNSTORED):
            self.assertEqual(len(self.hear(BeginFile(number), EMPTY)), 2)
        self.assert_broken(self.hear(BeginFile(MAX_UNSTORED), EMPTY))

    def test_never_ends(self) -> None:
        """A sender that never ends a file stops at what was announced."""
        self.begin(("a", None), most=3 * PIECE_SIZE)
        self.hear(BeginFile(0))
        for _ in range(3):
            self.hear(FULL)
            self.receiver.stored(PIECE_SIZE, 0)
        self.assert_broken(self.hear(ONE))

    def test_kept(self) -> None:
        """What is there is said, and what is whole isn't taken again."""
        self.hear(offer(2, 3 * PIECE_SIZE, "f", True))
        self.receiver.accept()
        self.hear(listed(("a", 2 * PIECE_SIZE), ("b", PIECE_SIZE)))
        self.receiver.prepared(
            {0: KeptPieces(first_pieces(bytes(PIECE_SIZE), 1)), 1: KeptPieces(is_done=True)}
        )
        self.assertEqual(self.receiver.had, 2 * PIECE_SIZE)
        self.assertEqual(len(self.hear(BeginFile(0, 1), FULL)), 2)
        self.assert_broken(self.hear(BeginFile(1)))

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.sampled_from([encoded(one) for one in SAYINGS]),
                st.binary(max_size=40).map(encode_frame),
                st.binary(max_size=40),
            ),
            max_size=12,
        )
    )
    def test_any(self, parts: list[bytes]) -> None:
        """Whatever comes, what is asked to be written is no more than was announced."""
        receiver, written = FileReceiver(), 0
        for part in parts:
            receiver.receive(part)
            while (event := receiver.next_event()) is not None:
                if isinstance(event, OfferArrived):
                    receiver.accept()
                elif isinstance(event, Prepare):
                    receiver.prepared({})
                elif isinstance(event, StorePiece):
                    written += sum(map(len, event.parts))
                    receiver.stored(sum(map(len, event.parts)), 0)
        most = receiver.offer.most if receiver.offer is not None else 0
        self.assertLessEqual(written, most)
