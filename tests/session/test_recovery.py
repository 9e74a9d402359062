"""What one side has lost, and takes back: crashes, backups, and a side that lies."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.keys import peer_id_octets
from p2pchat.session.conversation import MAX_LOGS, MAX_NAMED
from p2pchat.session.log_copy import MAX_UNSIGNED
from p2pchat.session.own_log import MAX_BATCH
from p2pchat.session.passing_on import PORTION
from p2pchat.wire.entries import ENTRY, MAX_NUMBER, Item, LogEntry, encode_have
from tests.identity.people import ALICE, BOB
from tests.pages import ROOT
from tests.session.recovering import Both, Side, times
from tests.wire.frames import changed

STEPS = (
    "say",
    "reply",
    "edit",
    "delete",
    "talk",
    "commit",
    "commit",
    "link",
    "cut",
    "carry",
    "carry",
    "part",
    "take",
    "take",
    "take",
    "withdraw",
)
BREAKS = ("crash", "back up", "put back")


ALICE_ID = peer_id_octets(ALICE.peer_id)


class RecoveryCase(SynchronousTestCase):
    """Alice and Bob, who keep what is said."""

    def setUp(self) -> None:
        self.meet()

    def meet(self, keeps: bool = True) -> None:
        """Let two who never talked be there; Alice keeps what is said."""
        self.both = Both(Side(ALICE, BOB), Side(BOB, ALICE, keeps))
        self.alice, self.bob = self.both.alice, self.both.bob

    def check(self, links: int = 4) -> None:
        """Let both talk until all is quiet: they have the same, all of it, and nothing twice."""
        self.both.finish(links)
        ours, theirs = self.alice.rows.history(), self.bob.rows.history()
        self.assertEqual(ours, theirs)
        found = [text for _, text in ours]
        self.assertLessEqual(self.both.said, times(self.alice.rows))
        self.assertEqual(times(self.alice.rows), times(self.bob.rows))
        shown = sorted(text for text in found if text)  # but deleted ones
        self.assertEqual(shown, sorted(set(shown)))
        self.assertEqual((self.alice.talk.undelivered, self.bob.talk.undelivered), (0, 0))


class RecoveryTests(RecoveryCase):
    """A disk that was put back, step by step."""

    def say(self, side: Side, *lines: str) -> None:
        """Say lines, each stored."""
        for text in lines:
            side.say(text)
            self.both.commit(side)

    def lose_lines(self, side: Side) -> None:
        """Alice says three lines, which Bob hears; a side's disk is put back to the first one."""
        self.say(self.alice, "one")
        self.both.talk()
        self.both.back_up(side)
        self.say(self.alice, "two", "three")
        self.both.talk()
        self.both.put_back(side)

    def texts(self) -> list[str]:
        """Return the texts that both have, in order."""
        return [text for _, text in self.alice.rows.history()]

    def test_own_lines(self) -> None:
        """Who lost its own lines has them back, and isn't shown them as new."""
        self.lose_lines(self.alice)
        self.check()
        self.assertEqual(self.texts(), ["one", "two", "three"])
        self.assertEqual(self.alice.shown, [])

    def test_written_meanwhile(self) -> None:
        """What was written before that was known is said again, in a log of its own."""
        self.lose_lines(self.alice)
        self.say(self.alice, "four", "five")
        first = f"{self.alice.talk.log.hex()}-2"
        self.both.link()
        self.check()
        self.assertEqual(sorted(self.texts()), sorted(["one", "two", "three", "four", "five"]))
        self.assertEqual(self.bob.shown, ["one", "two", "three", "four", "five"])
        self.assertIn(first, self.alice.delivered)  # the id that its front ends know
        self.assertEqual(len({entry.log for entry in self.alice.rows.entries()}), 2)

    def test_stored_late(self) -> None:
        """What one side stores when the other has lost it already is given back on that link."""
        self.say(self.alice, "one")
        self.both.talk()
        self.both.back_up(self.alice)
        self.both.link()
        self.say(self.alice, "two")
        self.both.exchange()
        self.both.put_back(self.alice)
        self.say(self.alice, "three")
        self.both.link()
        self.both.exchange()
        self.assertEqual(self.bob.shown, ["one"], "its disk has stood still")
        self.check(links=0)
        self.assertEqual(sorted(self.texts()), ["one", "three", "two"])

    def test_unconfirmed_then(self) -> None:
        """Of lines that weren't confirmed when the disk was copied, none is said twice."""
        self.say(self.alice, "one", "two")
        self.both.back_up(self.alice)
        self.both.talk()
        self.say(self.alice, "three")
        self.both.talk()
        self.both.put_back(self.alice)
        self.say(self.alice, "four")
        self.check()
        self.assertEqual(self.bob.shown, ["one", "two", "three", "four"])

    def test_their_lines(self) -> None:
        """Who lost lines of the other side is shown them again, from the beginning of the gap."""
        self.lose_lines(self.bob)
        self.say(self.alice, "four")
        self.check()
        self.assertEqual(self.bob.shown, ["two", "three", "four"])

    def test_everything(self) -> None:
        """A new disk gets all that was said, of both, in portions."""
        for number in range(40):
            self.say(self.alice if number % 2 else self.bob, f"{number}" + "x" * 6000)
        self.both.back_up(self.bob)
        self.both.talk()
        self.both.put_back(self.bob)
        self.bob.rows.logs.clear()
        self.both.crash(self.bob)
        self.check()
        self.assertEqual(len(self.texts()), 40)

    def test_wiped(self) -> None:
        """What the other side has deleted is lost, up to the next line; nobody waits for it."""
        self.say(self.alice, "one", "two")
        self.both.back_up(self.bob)
        self.both.talk()
        self.say(self.alice, "three")
        self.both.talk()
        (log,) = [log for name, log in self.alice.rows.logs.items() if name[0] == ALICE_ID]
        self.both.put_back(self.bob)
        del log[1], log[2]
        self.say(self.alice, "four")
        self.both.finish()
        self.assertEqual(self.bob.shown, ["four"])
        self.assertEqual(self.alice.talk.undelivered, 0)

    def test_twin(self) -> None:
        """A copied directory that is used, too: both go on, each with what it has."""
        self.say(self.alice, "one")
        self.both.talk()
        twin = Side(ALICE, BOB, logs=1000)
        twin.rows = deepcopy(self.alice.rows)
        twin.boot()
        self.say(self.alice, "by one")
        self.both.finish()
        others = Both(twin, self.bob)
        twin.say("by the other")
        others.finish()
        self.assertEqual(self.bob.shown, ["one", "by one", "by the other"])
        self.both.finish()
        self.assertEqual(self.alice.rows.history(), self.bob.rows.history())


class LiarTests(RecoveryCase):
    """Bob, who says what isn't true."""

    def setUp(self) -> None:
        super().setUp()
        self.alice.say("one")
        self.both.finish()
        self.both.link()
        self.hear(self.bob.write())
        self.items = {"author": ALICE_ID, "log": self.alice.talk.log, "oldest": 1}

    def hear(self, frames: list[bytes]) -> list[bytes]:
        """Let Alice take frames, and her disk work; returns what she says then."""
        self.alice.arriving.extend(frames)
        while self.alice.arriving:
            self.alice.take()
        while self.alice.commit():
            pass
        return self.alice.write()

    def lie(self, number: int, last: bytes = b"?" * 32, **others: Any) -> list[bytes]:
        """Let Bob say what he has of Alice's log."""
        item = Item(**{**self.items, **others}, number=number, hash=last)
        return self.hear([encode_have([item])])

    def test_more_than_there_is(self) -> None:
        """Who says that he has more makes a log begin, once on a link, and gets no line there."""
        for _ in range(100):
            self.lie(MAX_NUMBER, oldest=MAX_NUMBER)
        self.assertLessEqual(self.alice.logs, 3)
        self.alice.say("two")
        self.both.finish()
        self.assertIn("two", self.bob.shown)

    def test_waiting(self) -> None:
        """Who says that he has more, and never gives it, hears nothing on this link alone."""
        self.lie(7)
        self.alice.say("two")
        while self.alice.commit():
            pass
        self.assertEqual(self.alice.write(), [])
        self.check()

    def test_again_and_again(self) -> None:
        """Who says that he has nothing gets it once on a link."""
        said = [frame for _ in range(50) for frame in self.lie(0, bytes(32))]
        self.assertEqual(said, [])  # the item that came first on this link counts
        self.both.link()
        said = [frame for _ in range(50) for frame in self.lie(0, bytes(32))]
        self.assertEqual(len([frame for frame in said if frame[:1] == ENTRY]), 1)

    def test_many_logs(self) -> None:
        """Who names logs without end makes nobody remember more than MAX_LOGS of them."""
        for first in range(0, 3 * MAX_LOGS, 100):
            names = [number.to_bytes(16, "big") for number in range(first, first + 100)]
            author = peer_id_octets(BOB.peer_id)
            self.hear([encode_have([Item(author, name, 1, 9) for name in names])])
        self.assertLessEqual(len(self.alice.talk.state().heads), MAX_LOGS + 1)

    def test_forged_return(self) -> None:
        """What comes back as ours without our signature breaks the rules."""
        self.lie(7)
        entry = LogEntry.decode(next(iter(self.alice.rows.entries())).raw)
        forged = changed(entry, number=2, previous=self.alice.talk.state().heads[-1].hash)
        with self.assertRaises(RemoteProtocolError):
            self.hear([ENTRY + forged.encode()])


class AnyHistoryTests(RecoveryCase):
    """Whatever happens."""

    def step(self, side: Side, what: str, number: int) -> None:
        """Let something happen."""
        both = self.both
        match what:
            case "say":
                side.say(f"{number}")
            case "reply" | "edit" | "delete":
                side.say_of(what, "" if what == "delete" else f"{number}", number)
            case "commit":
                both.commit(side)
            case "link" | "cut":
                getattr(both, what)()
            case "carry":
                both.carry(side)
            case "part":
                both.carry(side, 200)
            case "take":
                side.take()
            case "talk":
                both.talk()
            case "withdraw":
                both.withdraw(side)
            case "crash":
                both.crash(side)
            case "back up":
                both.back_up(side)
            case "put back":
                both.put_back(side)

    @settings(max_examples=60)
    @given(st.lists(st.tuples(st.booleans(), st.sampled_from(STEPS + BREAKS)), max_size=60))
    def test_one_who_keeps_nothing(self, history: list[tuple[bool, str]]) -> None:
        """Where only Alice has a disk, Bob is shown all that is on it when she says it for good."""
        self.meet(keeps=False)
        shown: set[str] = set()
        for number, (is_alice, what) in enumerate(history):
            if not (what in BREAKS and what != "crash" and not is_alice):
                self.step(self.alice if is_alice else self.bob, what, number)
            shown.update(self.bob.shown)
        self.both.finish()
        shown.update(self.bob.shown)
        ours = {entry.text for entry in self.alice.rows.entries() if entry.author == ALICE_ID}
        self.assertLessEqual(ours, shown)
        self.assertEqual((self.alice.talk.undelivered, self.bob.talk.undelivered), (0, 0))

    @settings(max_examples=120)
    @given(st.lists(st.tuples(st.booleans(), st.sampled_from(STEPS + BREAKS)), max_size=60))
    def test_any(self, history: list[tuple[bool, str]]) -> None:
        """Both sides have the same in the end, in the same order, complete, nothing twice."""
        self.meet()
        for number, (is_alice, what) in enumerate(history):
            self.step(self.alice if is_alice else self.bob, what, number)
        self.check()

    @settings(max_examples=120)
    @given(st.lists(st.tuples(st.booleans(), st.sampled_from(STEPS + BREAKS)), max_size=60))
    def test_one_link(self, history: list[tuple[bool, str]]) -> None:
        """The link of now is enough for that, whatever was being stored when it began."""
        self.meet()
        for number, (is_alice, what) in enumerate(history):
            self.step(self.alice if is_alice else self.bob, what, number)
        self.check(links=0)


class PageTests(SynchronousTestCase):
    """The numbers of docs/protocol.rst."""

    def test_numbers(self) -> None:
        """They are those of the code."""
        words = " ".join((ROOT / "docs/protocol.rst").read_text().split())
        for sentence in (
            f"A batch has at most {MAX_UNSIGNED:,} bytes",
            f"ends one after {MAX_BATCH:,} bytes",
            f"reads {PORTION:,} bytes at a time from its store",
            f"the newest {MAX_NAMED} of all logs",
            f"logs of one conversation that are compared {MAX_LOGS:,}",
            f"bytes of entries without a signature {MAX_UNSIGNED:,}",
        ):
            self.assertIn(sentence, words)
