"""Deletion for good: what is gone, what stays, and that a killed program goes on with it."""

from __future__ import annotations

from random import Random

from p2pchat.errors import StorageFailed
from p2pchat.peer.storage import deletion, history
from p2pchat.peer.storage.deletion import DeletionStage
from p2pchat.peer.storage.message_store import SqliteStore
from tests.cases import each
from tests.peer.storage.cases import (
    NOON,
    OUR_LOG,
    OURS,
    PEER,
    DatabaseCase,
    entry,
    theirs,
)

SECRET = "xyzzyplugh"  # a word that nothing else has
DAY = 86_400.0


class DeletionCase(DatabaseCase):
    """A conversation of many lines beside another, each with the secret word."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.open_store()
        for begin in range(1, 501, 100):
            numbers = range(begin, begin + 100)
            self.append(self.store, *[theirs(f"{SECRET} {n} of {n * n}", n) for n in numbers])
        self.append(self.store, entry(f"{SECRET} of ours", 1), entry("waits", 2))
        self.successResultOf(self.store.confirmed(PEER, OUR_LOG, 1))
        self.successResultOf(self.store.append("carol", [theirs("of carol", 1)]))

    def texts_of(self, peer_id: str) -> list[str]:
        """Return what the history shows."""
        lines = history.last_lines(self.reading.connection, OURS, peer_id, 1000)
        return [line.text for line in lines]

    def found(self, words: str) -> int:
        """Return how many lines a search finds."""
        return len(history.find_lines(self.reading.connection, OURS, words))

    def on_disk(self, text: str = SECRET) -> bool:
        """Tell whether a text is anywhere in the files."""
        files = self.file.path.parent.iterdir()
        return any(text.encode() in one.read_bytes() for one in files)


class WipeTests(DeletionCase):
    """All that was said with somebody goes."""

    def test_gone(self) -> None:
        """It is in no list, no search and no file; what others said stays."""
        self.assertTrue(self.on_disk())
        before = self.file.size()
        self.successResultOf(self.store.wipe(PEER))
        self.assertFalse(self.on_disk())
        self.assertEqual(self.found(SECRET), 0)
        self.assertEqual(self.texts_of("carol"), ["of carol"])
        self.assertLess(self.file.size(), before)
        integrity = "INSERT INTO words (words) VALUES ('integrity-check')"
        self.writing.connection.execute(integrity)

    @each(4, 10, 72)  # one seed of six is such that a copy stays if nothing is rewritten
    def test_moved(self, seed: int) -> None:
        """No copy stays where lines were moved, because those beside them went before."""
        random = Random(seed)
        counts = dict.fromkeys(("bob", "carol", "dave", "erin"), 0)
        for _ in range(120):
            peer_id, lines = random.choice(list(counts)), []
            for _ in range(random.randrange(1, 12)):
                counts[peer_id] += 1
                filling = "z" * random.randrange(900)
                lines.append(theirs(f"{peer_id} {SECRET} {filling}", counts[peer_id] + 1))
            self.successResultOf(self.store.append(peer_id, lines))
        for peer_id in ("bob", "carol", "dave"):
            self.successResultOf(self.store.wipe(peer_id))
            self.assertFalse(self.on_disk(f"{peer_id} {SECRET}"))

    def test_goes_on(self) -> None:
        """Logs go on where they were, and what waits for the other side still waits."""
        before = self.load(self.store)[PEER]
        self.successResultOf(self.store.wipe(PEER))
        after = self.load(self.store)[PEER]
        self.assertEqual(self.texts(after.undelivered), ["waits"])
        self.assertEqual(self.texts_of(PEER), ["waits"])
        for old, new in zip(before.heads, after.heads, strict=True):
            self.assertEqual((old.number, old.hash), (new.number, new.hash))
        self.assertEqual([head.oldest for head in after.heads], [501, 2])

    def test_hidden_at_once(self) -> None:
        """It is shown no more as soon as it is asked for; storing goes on meanwhile."""
        self.writing.is_held = True
        wiped = self.store.wipe(PEER)
        self.writing.do_one()
        self.assertEqual(self.texts_of(PEER), [])
        self.assertEqual(self.found(SECRET), 0)
        stored = self.store.append(PEER, [theirs("new", 501)])
        self.writing.do_one()
        self.writing.do_one()
        self.successResultOf(stored)
        self.assertNoResult(wiped)
        while self.writing.waiting:
            self.writing.do_one()
        self.successResultOf(wiped)
        self.assertEqual(self.texts_of(PEER), ["waits", "new"])

    def test_killed(self) -> None:
        """Wherever a program is killed meanwhile, the next one goes on."""
        self.successResultOf(self.store.wipe("nobody"))
        for pieces in (1, 2, 5, 7, 8, 9):
            store = self.open_store()
            self.writing.is_held = True
            if pieces == 1:
                store.wipe(PEER)
            else:
                store.resume_deletion()
            for _ in range(pieces):
                if self.writing.waiting:
                    self.writing.do_one()
            self.kill()
        self.successResultOf(self.open_store().resume_deletion())
        self.assertFalse(self.on_disk())
        self.assertEqual(self.texts_of(PEER), ["waits"])

    def test_reader_in_the_way(self) -> None:
        """Where somebody reads all the time, the WAL is cut at the next start, and it is said."""
        reader = self.file.connect()
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entry").fetchone()
        self.writing.connection.execute("PRAGMA busy_timeout = 1")
        reason = self.failureResultOf(self.store.wipe(PEER), StorageFailed).getErrorMessage()
        self.assertIn("at the next start", reason)
        self.assertEqual(self.texts_of(PEER), [])
        reader.close()
        self.kill()
        self.successResultOf(self.open_store().resume_deletion())
        self.assertFalse(self.on_disk())

    def test_two_at_once(self) -> None:
        """Who wipes another conversation meanwhile has it wiped as well."""
        self.writing.is_held = True
        wiped = [self.store.wipe(PEER), self.store.wipe("carol")]
        while self.writing.waiting:
            self.writing.do_one()
        for one in wiped:
            self.successResultOf(one)
        self.assertEqual(self.texts_of("carol"), [])
        self.assertFalse(self.on_disk())

    def test_marked_between(self) -> None:
        """What is marked before the last piece is deleted too, and not forgotten."""
        connection = self.writing.connection
        deletion.mark(connection, PEER)
        self.assertIs(deletion.go_on(connection, DeletionStage.UNMARK), DeletionStage.DELETE)
        self.assertTrue(deletion.is_marked(connection))


class OlderTests(DatabaseCase):
    """``--keep``: what is old enough goes."""

    def kept(self, store: SqliteStore, wall_time: float) -> list[str]:
        """Delete what is older than a time; return what is left."""
        self.successResultOf(store.delete_older(wall_time))
        return [line.text for line in history.last_lines(self.reading.connection, OURS, PEER, 99)]

    def test_days(self) -> None:
        """What came before the time goes, whenever its author says to have written it."""
        store = self.open_store()
        days = [theirs(f"day {n}", n + 1, arrived_at=NOON + n * DAY) for n in range(10)]
        self.append(store, *days)
        for day in (-1, 0):
            self.assertEqual(len(self.kept(store, NOON + day * DAY)), 10)
        self.assertEqual(self.kept(store, NOON + 7 * DAY), ["day 7", "day 8", "day 9"])
        self.assertEqual(self.kept(store, NOON + 7 * DAY), ["day 7", "day 8", "day 9"])
        self.assertEqual(self.kept(store, NOON + 99 * DAY), [])

    def test_nothing(self) -> None:
        """In a new database there is nothing to delete."""
        self.assertEqual(self.kept(self.open_store(), NOON), [])

    def test_waiting(self) -> None:
        """What waits for the other side stays, however old it is."""
        store = self.open_store()
        self.append(store, entry("waits", 1), theirs("old", 1))
        self.assertEqual(self.kept(store, NOON + DAY), ["waits"])
