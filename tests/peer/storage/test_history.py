"""What a person finds in the history."""

from __future__ import annotations

from p2pchat.peer.storage import history
from p2pchat.peer.storage.history import MAX_FOUND, START, HistoryLine, quoted
from p2pchat.session.conversation_events import UNKNOWN
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


class HistoryCase(DatabaseCase):
    """A store with a conversation."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.open_store()

    def last(self, count: int = 50, peer_id: str = PEER) -> list[HistoryLine]:
        """Return the last lines."""
        return history.last_lines(self.reading.connection, OURS, peer_id, count)

    def found(self, words: str) -> list[str]:
        """Return the texts of what a search finds."""
        found = history.find_lines(self.reading.connection, OURS, words)
        return [line.text for line in found]


class LastTests(HistoryCase):
    """The last lines of a conversation."""

    def test_order(self) -> None:
        """They stand by Lamport number, then author, whatever the order in which they came."""
        self.append(self.store, theirs("4", 2, lamport=3), theirs("2", 1, lamport=1))
        self.append(self.store, entry("1", 1), entry("3", 2, lamport=3))
        self.assertEqual([line.text for line in self.last()], ["1", "2", "3", "4"])
        self.assertEqual([line.text for line in self.last(2)], ["3", "4"])

    def test_line(self) -> None:
        """A line says whose it is, when it was written and came, and whether it is delivered."""
        self.append(self.store, entry("out", 1), entry("waits", 2), theirs("in", 1, 3, NOON + 9))
        self.successResultOf(self.store.confirmed(PEER, OUR_LOG, 1))
        out, waits, come = self.last()
        self.assertEqual((out.ours, out.delivered), (True, True))
        self.assertEqual((waits.ours, waits.delivered), (True, False))
        self.assertEqual((come.ours, come.delivered, come.kind), (False, False, ""))
        self.assertEqual((come.sent_at, come.arrived_at), (NOON, NOON + 9))
        self.assertEqual(waits.id, entry("waits", 2).id)

    def test_unknown_kind(self) -> None:
        """What this program can't show is told as on the day it came."""
        self.append(self.store, entry("", 1, kind="poll"))
        (line,) = self.last()
        self.assertEqual((line.kind, line.text), ("poll", UNKNOWN.format("poll")))

    def test_long_lines(self) -> None:
        """An answer has a bounded number of characters, the newest lines', and one at least."""
        long = [theirs("x" * 400_000, 1), theirs("y" * 400_000, 2), theirs("z", 3)]
        self.append(self.store, *long)
        self.assertEqual([line.text[0] for line in self.last()], ["y", "z"])
        self.assertEqual(len(self.last(1)), 1)

    def test_nobody(self) -> None:
        """With a stranger there is no history."""
        self.append(self.store, entry("a", 1))
        self.assertEqual(self.last(peer_id="carol"), [])


class AfterTests(HistoryCase):
    """A conversation from its beginning, a part at a time."""

    def test_all(self) -> None:
        """The parts are the whole, each line once, whatever shares a Lamport number."""
        ours = [entry(f"{n}", n, lamport=n // 3 + 1) for n in range(1, 1200)]
        self.append(self.store, *ours)
        self.append(self.store, *[theirs(f"t{n}", n, lamport=n // 5 + 1) for n in range(1, 100)])
        lines, place = history.lines_after(self.reading.connection, OURS, PEER, START)
        texts: list[str] = []
        while lines:
            texts += [line.text for line in lines]
            lines, place = history.lines_after(self.reading.connection, OURS, PEER, place)
        everything = [line.text for line in self.last(10_000)]
        self.assertEqual(texts[-len(everything) :], everything)
        self.assertEqual(len(set(texts)), 1298)


class SearchTests(HistoryCase):
    """The search for words."""

    def test_words(self) -> None:
        """All words must be there, whole, whatever their order, case and accents."""
        self.append(
            self.store,
            entry("Meet me at the café tomorrow", 1),
            entry("the cafeteria is closed", 2),
            entry("Tomorrow, CAFE?", 3),
        )
        both = ["Meet me at the café tomorrow", "Tomorrow, CAFE?"]
        self.assertEqual(self.found("cafe tomorrow"), both)
        self.assertEqual(self.found("tomorrow Café"), both)
        self.assertEqual(self.found("tomorrow yesterday"), [])

    def test_beginning(self) -> None:
        """A word with a star finds all that begin so."""
        self.append(self.store, entry("the café", 1), entry("the cafeteria", 2))
        self.assertEqual(self.found("caf*"), ["the café", "the cafeteria"])
        self.assertEqual(self.found("cafet* the"), ["the cafeteria"])

    def test_newest(self) -> None:
        """The newest are found, the last of them last; of everybody."""
        count = MAX_FOUND + 5
        self.append(self.store, *[entry(f"word {n}", n) for n in range(1, count + 1)])
        self.successResultOf(self.store.append("carol", [theirs("word of carol", 1)]))
        found = self.found("word")
        self.assertEqual((len(found), found[-1]), (MAX_FOUND, "word of carol"))
        self.assertEqual(found[0], f"word {count - MAX_FOUND + 2}")

    @each('"', "AND", "OR NOT", "word*)", "*", "**", "a'b", 'a"b', "?!", "-a", "a\0b", "(x", "a:b")
    def test_strange(self, words: str) -> None:
        """No word of a person's is a query of the database's."""
        self.append(self.store, entry("nothing of that", 1))
        self.assertEqual(self.found(words), [])

    def test_literal(self) -> None:
        """Words of the query language are words."""
        self.append(self.store, entry("this AND that", 1), entry("this that", 2))
        self.assertEqual(self.found("and"), ["this AND that"])

    def test_nothing_left(self) -> None:
        """Of signs alone nothing is asked."""
        self.assertEqual(quoted("?! * …"), "")
        self.assertEqual(quoted('say "hi*'), '"say" """hi"*')
