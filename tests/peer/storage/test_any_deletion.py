"""Deletion beside whatever else happens: lines that come, confirmations, and killed programs."""

from __future__ import annotations

import attrs
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from p2pchat.peer.storage import deletion, history
from tests.peer.storage.cases import NOON, OUR_LOG, OURS, PEER, DatabaseCase, entry, theirs

WORD = "xyzzyplugh"  # that every line has, beside one of its own
STEPS = (
    "ours",
    "theirs",
    "carol",
    "confirm",
    "wipe",
    "old",
    "kill",
    "work",
    "work",
    "work",
    "work",
)
AGE = 5.0  # seconds after which a line is old


@attrs.define(eq=False)
class Line:
    """
    A line that was to be stored.

    :ivar waits: it is ours, and nobody has said yet that the other side has it.
    :ivar is_stored: surely.
    :ivar may_go: something was asked for that deletes it, or its program was killed.
    :ivar is_gone: such a deletion was over.
    """

    text: str
    came: float
    peer: str
    waits: bool
    is_stored: bool = False
    may_go: bool = False
    is_gone: bool = False


class AnyDeletionTests(DatabaseCase):
    """Alice talks with Bob and Carol, and deletes what Bob said, or all that is old."""

    def begin(self) -> None:
        """Begin with nothing."""
        self.choose_file()
        self.lines: list[Line] = []
        self.deletions: list[Deferred[None]] = []
        self.is_deleting = False  # a deletion was asked for, and isn't over
        self.start()

    def start(self) -> None:
        """Start the program, on a disk that works when told."""
        self.store = self.open_store()
        self.load(self.store)
        self.writing.is_held = True

    def step(self, what: str, now: float) -> None:
        """Let something happen."""
        match what:
            case "confirm":
                self.confirm()
            case "wipe":
                chosen = [line for line in self.lines if line.peer == PEER]
                self.delete(self.store.wipe(PEER), chosen)
            case "old":
                chosen = [line for line in self.lines if line.came < now - AGE]
                self.delete(self.store.delete_older(now - AGE), chosen)
            case "kill":
                self.kill()
                for line in self.lines:
                    line.may_go = line.may_go or not line.is_stored
                self.start()
            case "work" if self.writing.waiting:
                self.writing.do_one()
            case "ours" | "theirs" | "carol":
                self.append_line(what, now)

    def append_line(self, whose: str, now: float) -> None:
        """Store a line."""
        peer = "carol" if whose == "carol" else PEER
        number = 1 + sum(line.text.startswith(f"{WORD} {whose}") for line in self.lines)
        line = Line(f"{WORD} {whose}q{number}q", now, peer, waits=whose == "ours")
        make = entry if line.waits else theirs
        self.lines.append(line)
        stored = self.store.append(peer, [make(line.text, number, arrived_at=now)])
        stored.addCallback(lambda _: setattr(line, "is_stored", True))

    def confirm(self) -> None:
        """Let Bob have all that is ours."""
        waiting = [line for line in self.lines if line.waits]
        if waiting:
            number = sum(line.peer == PEER and " ours" in line.text for line in self.lines)
            self.store.confirmed(PEER, OUR_LOG, number)
            for line in waiting:
                line.waits, line.may_go = False, line.may_go or self.is_deleting

    def delete(self, done: Deferred[None], chosen: list[Line]) -> None:
        """Expect that these go, but for those that wait."""
        going = [line for line in chosen if not line.waits]
        self.is_deleting = True
        for line in going:
            line.may_go = True

        def over(_: object) -> None:
            files = self.files()
            for line in going:
                line.is_gone = True
                self.assertNotIn(line.text.encode(), files)

        done.addCallback(over)
        self.deletions.append(done)

    def shown(self) -> set[str]:
        """Return what the histories show."""
        connection = self.reading.connection
        found = [history.last_lines(connection, OURS, peer, 1000) for peer in (PEER, "carol")]
        return {line.text for lines in found for line in lines}

    @settings(max_examples=100)
    @given(st.lists(st.sampled_from(STEPS), max_size=60))
    @example(["theirs", "work", "wipe", "work", "kill"])
    def test_any(self, steps: list[str]) -> None:
        """What was deleted is in no list, no search and no file; all else is there, once."""
        self.begin()
        for number, what in enumerate(steps):
            self.step(what, NOON + number)
            shown = self.shown()
            self.assertEqual(
                [one.text for one in self.lines if one.is_gone and one.text in shown], []
            )
        self.work()
        for done in self.deletions:
            if done.called:
                self.successResultOf(done)
        self.step("kill", NOON + len(steps))
        self.work()
        self.check()
        self.kill()

    def work(self) -> None:
        """Let the disk do all that it was asked."""
        while self.writing.waiting:
            self.writing.do_one()

    def check(self) -> None:
        """Check the lists, the index and the files."""
        shown = self.shown()
        for line in self.lines:
            if line.is_gone:
                self.assertNotIn(line.text, shown)
            elif not line.may_go:
                self.assertIn(line.text, shown)
        found = history.find_lines(self.reading.connection, OURS, WORD)
        self.assertEqual(sorted(line.text for line in found), sorted(shown))
        self.writing.connection.execute("INSERT INTO words (words) VALUES ('integrity-check')")
        self.assertFalse(deletion.is_marked(self.reading.connection))
        files = self.files()
        left = [line.text for line in self.lines if line.is_gone and line.text.encode() in files]
        self.assertEqual(left, [])

    def files(self) -> bytes:
        """Return all that is on the disk."""
        return b"".join(one.read_bytes() for one in self.file.path.parent.iterdir())
