"""The store of messages over the database, as a node uses it."""

from __future__ import annotations

import os
import sqlite3
from hashlib import sha256
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from zope.interface.verify import verifyObject

from p2pchat.errors import StorageFailed
from p2pchat.interfaces import IHistory, IMessageStore
from p2pchat.peer.storage.message_store import SqliteStore
from p2pchat.peer.storage.open_database import MAX_READS
from p2pchat.session.stored import ConversationState, EntryRange, LogHead, StoredEntry
from p2pchat.wire.entries import Known
from tests.peer.storage.cases import (
    OUR_LOG,
    OURS,
    PEER,
    THEIR_LOG,
    THEIRS,
    DatabaseCase,
    entry,
    theirs,
)

OTHER_LOG = b"3" * 16


def head(last: StoredEntry, oldest: int = 1) -> LogHead:
    """Return the head of a log that ends with this entry."""
    return LogHead(last.author, last.log, oldest, last.number, sha256(last.raw).digest())


class StoreTests(DatabaseCase):
    """What was stored is what the next run of the program goes on from."""

    def loaded(self) -> dict[str, ConversationState]:
        """Return what a new run of the program finds after a ``kill -9``."""
        self.kill()
        return self.load(self.open_store())

    def test_interface(self) -> None:
        """It is a store, and one that outlives the program."""
        store = self.open_store()
        verifyObject(IMessageStore, store)
        self.assertTrue(store.is_lasting)

    def test_nothing(self) -> None:
        """A new database knows nobody."""
        self.open_store()
        self.assertEqual(self.loaded(), {})

    def test_heads(self) -> None:
        """Each log goes on after its last entry, and Lamport times after the greatest."""
        store = self.open_store()
        ours, answer = [entry("a", 1), entry("b", 2)], theirs("c", 1, lamport=3)
        self.append(store, *ours)
        self.append(store, answer)
        state = self.loaded()[PEER]
        self.assertEqual(state.log, OUR_LOG)
        self.assertEqual(state.lamport, 3)
        self.assertEqual(state.heads, (head(ours[1]), head(answer)))

    def test_outbox(self) -> None:
        """Entries of ours that weren't confirmed come back whole, and in order."""
        store = self.open_store()
        ours = [entry(f"line {number}", number) for number in range(1, 200)]
        self.append(store, *ours)
        self.successResultOf(store.confirmed(PEER, OUR_LOG, 3))
        self.successResultOf(store.confirmed(PEER, OUR_LOG, 2))  # an old receipt takes nothing back
        self.assertEqual(list(self.loaded()[PEER].undelivered), ours[3:])

    def test_marks(self) -> None:
        """How far each log was read is kept, and only rises; a log that isn't here has no mark."""
        store = self.open_store()
        self.append(store, *[entry(f"line {number}", number) for number in range(1, 4)])
        self.append(store, theirs("c", 1, lamport=4))
        ours, other = Known(OURS, OUR_LOG, 2), Known(THEIRS, THEIR_LOG, 1)
        for marks in ([ours, other], [Known(OURS, OUR_LOG, 1)], [Known(THEIRS, bytes(16), 5)]):
            self.successResultOf(store.mark_read(PEER, marks))
        lines = self.successResultOf(store.last(PEER, 9))
        self.assertEqual([one.read for one in lines], [True, True, False, False])
        self.assertEqual(set(self.loaded()[PEER].marks), {ours, other})

    def test_only_theirs(self) -> None:
        """Where we never said anything there is no log of ours."""
        self.append(self.open_store(), theirs("hello", 1))
        state = self.loaded()[PEER]
        self.assertEqual((state.log, state.undelivered), (b"", ()))

    def test_twice(self) -> None:
        """An entry that is there already stays as it is."""
        store = self.open_store()
        self.append(store, theirs("as it came", 1), theirs("second", 2))
        self.append(store, theirs("another", 1))
        found = store.entries(PEER, EntryRange(THEIRS, THEIR_LOG, 1, 2), 10_000)
        self.assertEqual(self.successResultOf(found), [b"raw as it came", b"raw second"])
        self.assertEqual(self.loaded()[PEER].heads, (head(theirs("second", 2)),))

    def test_given_back(self) -> None:
        """An entry of ours that was given back is delivered, and begins no log of ours."""
        store = self.open_store()
        self.append(store, entry("here", 1))
        lost = entry("lost", 1, log=OTHER_LOG, is_delivered=True)
        self.append(store, lost)
        state = self.loaded()[PEER]
        self.assertEqual(state.log, OUR_LOG)
        self.assertEqual(self.texts(state.undelivered), ["here"])
        self.assertEqual(state.heads[1], head(lost))

    def test_replace(self) -> None:
        """What was written with numbers that others have already is said again in a new log."""
        store = self.open_store()
        kept = entry("kept", 1)
        self.append(store, kept, entry("again", 2), entry("and again", 3))
        self.successResultOf(store.confirmed(PEER, OUR_LOG, 1))
        again = [entry("again", 1, log=OTHER_LOG), entry("and again", 2, log=OTHER_LOG)]
        self.successResultOf(store.replace(PEER, head(kept), again))
        state = self.loaded()[PEER]
        self.assertEqual(state.log, OTHER_LOG)
        self.assertEqual(list(state.undelivered), again)
        self.assertEqual(state.heads, (head(kept), head(again[1])))

    def test_replace_with_nothing(self) -> None:
        """The end of a log may be forgotten, too, or a log that never was."""
        store = self.open_store()
        self.append(store, entry("a", 1), entry("b", 2))
        self.successResultOf(store.replace(PEER, LogHead(OURS, OUR_LOG), []))
        self.successResultOf(store.replace(PEER, LogHead(OURS, OTHER_LOG), []))
        self.assertEqual(self.loaded()[PEER].heads[0].number, 0)

    def test_entries(self) -> None:
        """Entries are passed on as they came, as many as fit, but never none, and without a gap."""
        store = self.open_store()
        self.append(store, *[theirs("x" * 96, number) for number in (1, 2, 3, 5)])
        for first, last, most, count in (
            (1, 9, 10_000, 3),
            (1, 2, 10_000, 2),
            (1, 9, 200, 2),
            (2, 9, 1, 1),
            (4, 9, 10_000, 0),
            (5, 9, 10_000, 1),
            (6, 9, 10_000, 0),
        ):
            found = self.successResultOf(
                store.entries(PEER, EntryRange(THEIRS, THEIR_LOG, first, last), most)
            )
            self.assertEqual(len(found), count, (first, last, most))
        nobody = store.entries("carol", EntryRange(THEIRS, THEIR_LOG, 1, 9), 10_000)
        self.assertEqual(self.successResultOf(nobody), [])

    def test_peers_apart(self) -> None:
        """Each conversation has what is said in it."""
        store = self.open_store()
        self.append(store, entry("to bob", 1))
        self.successResultOf(store.append("carol", [entry("to carol", 1, log=OTHER_LOG)]))
        self.assertEqual(self.texts(self.loaded()["carol"].undelivered), ["to carol"])

    def test_group(self) -> None:
        """What comes while the disk is busy is stored together, whatever it is."""
        store = self.open_store()
        self.writing.is_held = True
        waiting: list[Deferred[Any]] = [
            store.append(PEER, [entry(f"{number}", number)]) for number in range(1, 50)
        ]
        waiting.append(store.confirmed(PEER, OUR_LOG, 48))
        waiting.append(store.append("carol", [theirs("hi", 1)]))
        self.writing.do_one()
        self.writing.do_one()
        for one in waiting:
            self.successResultOf(one)
        self.assertEqual(self.texts(self.loaded()[PEER].undelivered), ["49"])

    def test_history(self) -> None:
        """A history shows what is stored; "earlier" is before this start of the program."""
        self.append(self.open_store(), theirs("one", 1))
        self.kill()
        store = self.open_store()
        verifyObject(IHistory, store)
        self.load(store)
        self.append(store, theirs("two", 2))
        for asked, expected in (
            (store.last(PEER, 9), ["one", "two"]),
            (store.earlier(PEER, 9), ["one"]),
            (store.search("two"), ["two"]),
        ):
            found = self.successResultOf(asked)
            self.assertEqual([line.text for line in found], expected)

    def test_waiting(self) -> None:
        """Lines that the other side doesn't have can be read, of one peer or all, and the size."""
        store = self.open_store()
        self.append(store, entry("one", 1), entry("two", 2), theirs("three", 1))
        self.successResultOf(store.append("carol", [entry("four", 1, log=OTHER_LOG)]))
        self.successResultOf(store.confirmed(PEER, OUR_LOG, 1))
        for peer_id, expected in ((PEER, ["two"]), ("carol", ["four"]), ("", ["two", "four"])):
            found = self.successResultOf(store.waiting(peer_id))
            self.assertEqual([line.text for line in found], expected)
        self.assertGreater(store.size(), 10_000)

    def test_deletion_goes_on(self) -> None:
        """What was being deleted when a program was killed is gone when the next one runs."""
        store = self.open_store()
        self.append(store, theirs("gone", 1))
        self.writing.is_held = True
        store.wipe(PEER)
        self.writing.do_one()
        self.loaded()
        (count,) = self.writing.connection.execute("SELECT count(*) FROM entry").fetchone()
        self.assertEqual(count, 0)

    def test_killed(self) -> None:
        """What wasn't committed is as if it had never been asked."""
        store = self.open_store()
        self.append(store, entry("a", 1))
        self.writing.is_held = True
        self.assertNoResult(store.append(PEER, [entry("b", 2)]))
        self.assertEqual(self.texts(self.loaded()[PEER].undelivered), ["a"])


class TroubleTests(DatabaseCase):
    """What can't be read or written."""

    def test_full(self) -> None:
        """On a full disk nothing is stored, and nothing by halves; reading goes on."""
        store = self.open_store()
        self.append(store, theirs("before", 1))
        (pages,) = self.writing.connection.execute("PRAGMA page_count").fetchone()
        self.writing.allow_pages(pages)
        refused = store.append(PEER, [theirs("x", 2), theirs("x" * 100_000, 3)])
        self.assertIn("full", self.failureResultOf(refused, StorageFailed).getErrorMessage())
        found = store.entries(PEER, EntryRange(THEIRS, THEIR_LOG, 1, 9), 1000)
        self.assertEqual(self.successResultOf(found), [b"raw before"])
        self.writing.allow_pages(0)
        self.append(store, theirs("x", 2), theirs("x" * 100_000, 3))

    def test_unreadable(self) -> None:
        """What can't be read is said so, with the file's name."""
        store = self.open_store()
        error = sqlite3.DatabaseError("malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        self.reading.fails_with = error
        failed = store.entries(PEER, EntryRange(OURS, OUR_LOG, 1, 2), 1000)
        reason = str(self.failureResultOf(failed, StorageFailed).value)
        self.assertIn("damaged", reason)
        self.assertIn(str(self.file.path), reason)

    def test_too_many_reads(self) -> None:
        """Whoever asks faster than it can be read is refused."""
        store = self.open_store()
        self.reading.is_held = True
        for _ in range(MAX_READS):
            store.entries(PEER, EntryRange(OURS, OUR_LOG, 1, 2), 1000)
        refused = store.entries(PEER, EntryRange(OURS, OUR_LOG, 1, 2), 1000)
        self.failureResultOf(refused, StorageFailed)
        self.reading.do_one()
        self.assertNoResult(store.entries(PEER, EntryRange(OURS, OUR_LOG, 1, 2), 1000))


class CloseTests(DatabaseCase):
    """The end."""

    def close(self, store: SqliteStore) -> None:
        """Close a store."""
        self.successResultOf(store.close())

    def test_one_file(self) -> None:
        """After the program has ended the database is one file."""
        store = self.open_store()
        self.append(store, entry("a", 1))
        self.close(store)
        self.assertEqual(os.listdir(self.file.path.parent), [self.file.path.name])

    def test_writes_first(self) -> None:
        """What waits is written before."""
        store = self.open_store()
        self.writing.is_held = True
        waiting = store.append(PEER, [entry("a", 1)])
        closed = store.close()
        self.writing.do_one()
        self.successResultOf(waiting)
        self.writing.do_one()
        self.successResultOf(closed)

    def test_disk_hangs(self) -> None:
        """A disk that hangs is left behind."""
        store = self.open_store()
        self.writing.is_held = True
        store.append(PEER, [entry("a", 1)]).addErrback(lambda _: None)
        closed = store.close()
        closed.cancel()
        self.failureResultOf(closed, CancelledError)
