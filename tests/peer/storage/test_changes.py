"""Edits, deletions, answers and lines said again, in whatever order they are stored."""

from __future__ import annotations

from statistics import median
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from p2pchat.errors import StorageFailed
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.peer.storage.message_store import SqliteStore
from p2pchat.session.stored import LogHead, StoredEntry
from p2pchat.wire.entries import NOTHING, TEXT, Known, LogEntry
from p2pchat.wire.references import CHANGES, DELETE, EDIT, REPLY, write_body
from p2pchat.wire.strict_json import loads
from tests.peer.lasting_store import history_of
from tests.peer.storage.cases import (
    NOON,
    OUR_LOG,
    OURS,
    PEER,
    THEIR_LOG,
    THEIRS,
    DatabaseCase,
)

NEW_LOG = b"3" * 16  # of theirs
LOGS = {THEIR_LOG: THEIRS, NEW_LOG: THEIRS, OUR_LOG: OURS}


def at(log: bytes, number: int, author: bytes = b"") -> Known:
    """Return a place."""
    return Known(author or LOGS[log], log, number)


def said(
    place: Known,
    text: str = "",
    kind: str = TEXT,
    refers: Known | None = None,
    *,
    lamport: int = 0,
    first: Known | None = None,
    sent_at: float = 0.0,
) -> StoredEntry:
    """Return an entry as it comes."""
    when = sent_at or NOON + place.number
    made = LogEntry(
        *(bytes(16), place.author, place.author, place.log, place.number, NOTHING),
        *(lamport or place.number, int(when * 1e6), kind, (first,) if first else ()),
        write_body(kind, text, refers),
    )
    about: tuple[Known | None, Known | None] = (refers, first)
    content = (made.lamport, when, kind, text, made.encode(), NOON)
    return StoredEntry(place.author, place.log, place.number, *content, False, *about)


class ChangeCase(DatabaseCase):
    """A store, and entries of theirs."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.opened()

    def opened(self) -> SqliteStore:
        """Open the store."""
        store = self.open_store()
        self.load(store)
        return store

    def history(self) -> list[HistoryLine]:
        """Return the last lines."""
        found: Any = self.successResultOf(self.store.last(PEER, 100))
        return list(found)

    def shown(self) -> list[str]:
        """Return what the last lines say."""
        return [one.text for one in self.history()]

    def stored(self, *entries: StoredEntry) -> list[StoredEntry]:
        """Store entries; returns those that were said before."""
        appended: Any = self.store.append(PEER, entries)
        repeated: Any = self.successResultOf(appended)
        return list(repeated)

    def found(self, words: str) -> list[str]:
        """Return the lines that a search finds."""
        hits: Any = self.successResultOf(self.store.search(words))
        return [one.text for one in hits]


class ChangeTests(ChangeCase):
    """Step by step."""

    def test_edited(self) -> None:
        """An edited line says the new words, is found by them, and not by the old ones."""
        line = at(THEIR_LOG, 1)
        self.append(self.store, said(line, "old words"))
        self.append(self.store, said(at(THEIR_LOG, 2), "new ones", EDIT, line))
        (shown,) = self.history()
        self.assertEqual((shown.text, shown.edited, shown.deleted), ("new ones", True, False))
        self.assertEqual((self.found("old"), self.found("new")), ([], ["new ones"]))

    def test_deleted(self) -> None:
        """A deleted line has no text, isn't found, and no later edit brings it back."""
        line = at(THEIR_LOG, 1)
        self.append(self.store, said(line, "old words"))
        self.append(self.store, said(at(THEIR_LOG, 2), "", DELETE, line))
        self.append(self.store, said(at(THEIR_LOG, 3), "again", EDIT, line))
        (shown,) = self.history()
        self.assertEqual((shown.text, shown.edited, shown.deleted), ("", False, True))
        self.assertEqual((self.found("old"), self.found("again")), ([], []))

    def test_export(self) -> None:
        """An export has changes, too, and what was said first; of what is deleted no text."""
        line, gone = at(THEIR_LOG, 1), at(THEIR_LOG, 2)
        self.append(self.store, said(line, "old"), said(gone, "secret"))
        self.append(self.store, said(at(THEIR_LOG, 3), "new", EDIT, line))
        self.append(self.store, said(at(THEIR_LOG, 4), "a secret, too", EDIT, gone))
        self.append(self.store, said(at(THEIR_LOG, 5), "", DELETE, gone))
        path = self.file.path.with_name("export")
        self.successResultOf(self.store.export([PEER], str(path)))
        lines = [loads(one) for one in path.read_bytes().splitlines()]
        self.assertEqual([one.get("text", "") for one in lines], ["new", "", "new", "", ""])
        self.assertEqual((lines[0]["edited"], lines[0]["original"]), (True, "old"))
        self.assertEqual((lines[1]["deleted"], lines[4]["kind"]), (True, DELETE))
        self.assertNotIn(b"secret", path.read_bytes())

    def test_newest(self) -> None:
        """Of edits the one counts that comes last in the order of the conversation."""
        line = at(THEIR_LOG, 1)
        edits = [
            said(at(NEW_LOG, 1), "third", EDIT, line, lamport=9),
            said(at(THEIR_LOG, 2), "first", EDIT, line, lamport=5),
            said(at(THEIR_LOG, 3), "second", EDIT, line, lamport=9),
        ]
        self.append(self.store, said(line, "zero"))
        for edit in edits:
            self.append(self.store, edit)
        self.assertEqual(self.shown(), ["third"])

    def test_answer(self) -> None:
        """An answer quotes what its line says now; of one that isn't here nothing."""
        line, gone = at(OUR_LOG, 1), at(OUR_LOG, 77)
        self.append(self.store, said(line, "shall we?"))
        self.append(self.store, said(at(THEIR_LOG, 2), "yes", REPLY, line))
        self.append(self.store, said(at(THEIR_LOG, 3), "what?", REPLY, gone))
        _, yes, what = self.history()
        self.assertEqual((yes.text, yes.kind, yes.quote), ("yes", "", "shall we?"))
        self.assertEqual(yes.reply_to, f"{OUR_LOG.hex()}-1")
        self.assertEqual((what.quote, what.reply_to), ("", f"{OUR_LOG.hex()}-77"))
        self.append(self.store, said(at(OUR_LOG, 2), "shall we go?", EDIT, line))
        self.assertEqual(self.history()[1].quote, "shall we go?")

    def test_harmless(self) -> None:
        """Changes of what isn't there, isn't theirs, is a change, or is themselves: nothing."""
        ours, edit = at(OUR_LOG, 1), at(THEIR_LOG, 2)
        self.append(self.store, said(ours, "ours"), said(at(THEIR_LOG, 1), "theirs"))
        changes = (
            said(edit, "mine now", EDIT, ours),
            said(at(THEIR_LOG, 3), "an edit of an edit", EDIT, edit),
            said(at(THEIR_LOG, 4), "", DELETE, edit),
            said(at(THEIR_LOG, 5), "itself", EDIT, at(THEIR_LOG, 5)),
            said(at(THEIR_LOG, 6), "nothing", EDIT, at(b"?" * 16, 6, THEIRS)),
            said(at(THEIR_LOG, 7), "", DELETE, ours),
        )
        self.append(self.store, *changes)
        self.assertEqual(sorted(self.shown()), ["ours", "theirs"])
        self.assertFalse(any(one.edited or one.deleted for one in self.history()))

    def test_outbox(self) -> None:
        """Changes wait like lines, and say what they are about."""
        line = at(OUR_LOG, 1)
        self.append(self.store, said(line, "had"), said(at(OUR_LOG, 2), "has", EDIT, line))
        self.successResultOf(self.store.confirmed(PEER, OUR_LOG, 1))
        self.assertEqual(self.waiting(), [(EDIT, "has", "has")])
        self.append(self.store, said(at(OUR_LOG, 3), "", DELETE, line))
        self.assertEqual(self.waiting(), [(EDIT, "", ""), (DELETE, "", "")])

    def waiting(self) -> list[tuple[str, str, str]]:
        """Return kinds, texts and quotations of what waits."""
        lines: Any = self.successResultOf(self.store.waiting(""))
        return [(one.kind, one.text, one.quote) for one in lines]

    def test_taken_back(self) -> None:
        """Where a change of ours is taken back, its line says what it said before."""
        line = at(OUR_LOG, 1)
        self.append(self.store, said(line, "had"))
        self.append(self.store, said(at(OUR_LOG, 2), "has", EDIT, line))
        self.append(self.store, said(at(OUR_LOG, 3), "", DELETE, line))
        head = LogHead(OURS, OUR_LOG, 1, 2)
        self.successResultOf(self.store.replace(PEER, head, []))
        self.assertEqual(self.shown(), ["has"])
        self.successResultOf(self.store.replace(PEER, attrs.evolve(head, number=1), []))
        self.assertEqual(self.shown(), ["had"])
        self.assertEqual(self.found("had"), ["had"])

    def test_line(self) -> None:
        """A line is found by its id; a change is no line."""
        self.append(self.store, said(at(THEIR_LOG, 1), "hi"))
        self.append(self.store, said(at(THEIR_LOG, 2), "ho", EDIT, at(THEIR_LOG, 1)))
        found: Any = self.successResultOf(self.store.line(f"{THEIR_LOG.hex()}-1"))
        self.assertEqual(found.text, "ho")
        for number in (2, 3):
            name = f"{THEIR_LOG.hex()}-{number}"
            self.assertIsNone(self.successResultOf(self.store.line(name)))

    def test_pages(self) -> None:
        """Pages end before a line, by its place and not by its time; changes are no lines."""
        for number in range(1, 9):
            self.append(self.store, said(at(THEIR_LOG, number), str(number)))
        self.append(self.store, said(at(THEIR_LOG, 9), "new 3", EDIT, at(THEIR_LOG, 3)))
        self.append(self.store, said(at(OUR_LOG, 1), "ours", lamport=2))
        name = f"{THEIR_LOG.hex()}-4"
        page: Any = self.successResultOf(self.store.before(name, 3))
        self.assertEqual([one.text for one in page], ["ours", "2", "new 3"])
        page = self.successResultOf(self.store.before(page[0].id, 3))
        self.assertEqual([one.text for one in page], ["1"])
        self.failureResultOf(self.store.before(f"{THEIR_LOG.hex()}-44", 3), StorageFailed)

    def test_said_again(self) -> None:
        """Of lines that say the same the first is shown, and the store tells of the others."""
        first = at(THEIR_LOG, 1)
        one = said(at(NEW_LOG, 1), "hi", lamport=7, first=first, sent_at=NOON)
        other = said(at(THEIR_LOG, 9), "hi", lamport=5, first=first, sent_at=NOON)
        self.assertEqual(self.stored(one), [])
        self.assertEqual(self.stored(other), [other])
        (shown,) = self.history()
        self.assertEqual((shown.id, shown.text), (other.id, "hi"))
        self.assertEqual(self.found("hi"), ["hi"])

    def test_cost(self) -> None:
        """A thousand edits of one line cost no more each than the first ones."""
        line = at(THEIR_LOG, 1)
        self.append(self.store, said(line, "zero"))
        steps = []
        connection: Any = self.writing.connection
        for number in range(2, 1002):
            count = [0]
            connection.set_progress_handler(
                lambda count=count: count.__setitem__(0, count[0] + 1), 1
            )
            self.append(self.store, said(at(THEIR_LOG, number), str(number), EDIT, line))
            steps.append(count[0])
        connection.set_progress_handler(None, 0)
        self.assertLess(
            median(steps[-100:]), 1.5 * median(steps[:100])
        )  # the index merges at times
        self.assertEqual(self.shown(), ["1001"])


PLACES = st.sampled_from([at(log, number) for log in LOGS for number in range(1, 6)])
SAID = st.tuples(PLACES, st.sampled_from([TEXT, TEXT, REPLY, EDIT, EDIT, DELETE]), PLACES)


class AnyOrderTests(ChangeCase):
    """Whatever refers to whatever, however it comes."""

    @settings(max_examples=80, deadline=None)
    @given(st.lists(st.tuples(SAID, st.booleans()), max_size=24), st.randoms(use_true_random=False))
    def test_same(self, made: list[Any], random: Any) -> None:
        """What is shown is what the rules say, and depends on no order, cut or restart."""
        self.kill()
        self.choose_file()
        self.store = self.opened()
        entries: dict[Known, StoredEntry] = {}
        for number, ((place, kind, refers), repeats) in enumerate(made, 1):
            first = at(THEIR_LOG, 9) if repeats and place.author == THEIRS else None
            first = None if kind in CHANGES else first
            entries[place] = said(
                place,
                "" if kind == DELETE else f"text {number}",
                kind,
                None if kind == TEXT else refers,
                lamport=1 + number // 3,
                first=first,
                sent_at=NOON - number % 3 if first else NOON + number,
            )
        waiting = list(entries.values())
        random.shuffle(waiting)
        while waiting:
            count = random.randint(1, 4)
            self.append(self.store, *waiting[:count])
            del waiting[:count]
            if random.random() < 0.1:
                self.kill()
                self.store = self.opened()
        shown = [(one.id, one.text) for one in self.history()]
        expected = history_of(list(entries.values()))
        self.assertEqual(sorted(shown), sorted(expected))
        for id, text in expected:
            if text:
                self.assertEqual(self.found(f"{text}"), [text], id)
