"""Conversations by mailbox: complete, in order, nothing twice, with links between or without."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.session.mail import MAX_MAIL
from p2pchat.wire.entries import ENTRY, HAVE, Item, LogEntry, encode_have
from p2pchat.wire.envelopes import decode_contents
from tests.identity.people import ALICE, BOB
from tests.session.mailing import Mailing
from tests.session.recovering import NOW, Both, Side
from tests.wire.frames import changed

STEPS = ("say", "commit", "commit", "leave", "leave", "refused", "fetch", "take", "again")
BREAKS = ("lose", "crash", "link", "cut", "talk", "carry", "arrive", "expire")


class MailCase(SynchronousTestCase):
    """Alice and Bob, who keep what is said, and their mailboxes."""

    def setUp(self) -> None:
        self.meet()

    def meet(self) -> None:
        """Let two who never talked be there."""
        self.both = Both(Side(ALICE, BOB), Side(BOB, ALICE))
        self.alice, self.bob = self.both.alice, self.both.bob
        self.mail = Mailing(self.both)

    def say(self, side: Side, *lines: str) -> None:
        """Say lines, each stored."""
        for text in lines:
            side.say(text)
            self.both.commit(side)

    def same(self) -> list[str]:
        """Check that both have the same; returns the texts."""
        ours, theirs = self.alice.rows.history(), self.bob.rows.history()
        self.assertEqual(ours, theirs)
        return [text for _, text in ours]


class MailTests(MailCase):
    """There is never a link."""

    def test_three_lines(self) -> None:
        """Three lines are one envelope; Bob is shown them, and his receipt reaches Alice."""
        self.say(self.alice, "one", "two", "three")
        self.assertTrue(self.mail.leave(self.alice))
        self.assertFalse(self.mail.leave(self.alice))
        self.mail.fetch(self.bob)
        self.assertEqual(self.bob.shown, ["one", "two", "three"])
        self.assertEqual(self.alice.delivered, [])
        self.assertTrue(self.mail.leave(self.bob))
        self.mail.fetch(self.alice)
        self.assertEqual(len(self.alice.delivered), 3)
        self.assertEqual(self.mail.finish(), 0)  # no receipt of a receipt

    def test_singles(self) -> None:
        """Single lines become a batch: one envelope, which is replaced."""
        for number in range(100):
            self.say(self.alice, f"{number} ".ljust(80, "x"))
            self.mail.leave(self.alice)
        (frames,) = self.mail.waiting[self.bob].values()
        self.assertLess(len(frames), 20_000)
        self.mail.finish()
        self.assertEqual(len(self.same()), 100)

    def test_replaced_late(self) -> None:
        """One that was fetched before it was replaced is no trouble."""
        self.say(self.alice, "one")
        self.mail.leave(self.alice)
        first = self.mail.seen[self.bob][0]
        self.say(self.alice, "two")
        self.mail.leave(self.alice)
        self.mail.take(self.bob, first)
        self.mail.finish()
        self.assertEqual(self.bob.shown, ["one", "two"])

    def test_many(self) -> None:
        """Lines of more than one envelope come in order, whatever order those come in."""
        texts = [f"{number} ".ljust(900, "x") for number in range(200)]
        for text in texts:
            self.alice.say(text)
        while self.alice.commit():
            pass
        while self.mail.leave(self.alice):
            pass
        frames = list(self.mail.waiting[self.bob].values())
        self.assertGreater(len(frames), 2)
        self.assertLessEqual(max(map(len, frames)), MAX_MAIL)
        self.assertEqual(self.mail.take(self.bob, frames[1]).gap, self.alice.talk.log)
        for one in (frames[0], *reversed(frames)):
            self.mail.take(self.bob, one)
        self.mail.finish()
        self.assertEqual(self.same(), texts)

    def test_longest(self) -> None:
        """A line that no envelope has room for waits here; those before it go."""
        self.say(self.alice, "short", "é" * 32_768)
        self.mail.finish()
        self.assertEqual(self.bob.shown, ["short"])
        self.assertEqual(self.alice.talk.undelivered, 1)
        self.both.talk()
        self.assertEqual(len(self.same()), 2)

    def test_both_ways(self) -> None:
        """An answer confirms what it answers, in the same envelope."""
        self.say(self.alice, "question")
        self.mail.leave(self.alice)
        self.mail.fetch(self.bob)
        self.say(self.bob, "answer")
        self.mail.leave(self.bob)
        self.mail.fetch(self.alice)
        self.assertEqual((self.alice.shown, len(self.alice.delivered)), (["answer"], 1))
        self.assertEqual(self.same(), ["question", "answer"])

    def test_stored_first(self) -> None:
        """What was taken counts as stored when it is."""
        self.say(self.alice, "one")
        self.mail.leave(self.alice)
        taken = self.mail.take(self.bob, self.mail.seen[self.bob][0])
        self.assertFalse(self.bob.talk.has_stored(taken))
        self.both.commit(self.bob)
        self.assertTrue(self.bob.talk.has_stored(taken))

    def test_no_way_back(self) -> None:
        """A line that waits in a mailbox can't be taken back: it may have been read."""
        self.say(self.alice, "one")
        self.mail.leave(self.alice)
        name = self.alice.waiting[0]
        self.assertRaises(LocalProtocolError, self.alice.talk.withdraw, name)

    def test_lost_receipt(self) -> None:
        """Where a receipt is lost, the same lines are left again, taken once, and confirmed."""
        self.say(self.alice, "one")
        self.mail.leave(self.alice)
        self.mail.fetch(self.bob)
        self.mail.leave(self.bob)
        self.mail.waiting[self.alice].clear()
        self.mail.known[self.alice].lost()
        self.mail.finish()
        self.assertEqual((self.bob.shown, len(self.alice.delivered)), (["one"], 1))

    def test_crash_before_receipt(self) -> None:
        """Who ends between storing and its receipt owes it still."""
        self.say(self.alice, "one")
        self.mail.leave(self.alice)
        self.mail.fetch(self.bob)
        self.both.crash(self.bob)
        self.mail.finish()
        self.assertEqual(len(self.alice.delivered), 1)


class HostileMailTests(MailCase):
    """What a contact may put into an envelope."""

    def entry(self, **members: object) -> bytes:
        """Return the frame of Alice's first line, changed."""
        frames = decode_contents(self.mail.seen[self.bob][0])
        return ENTRY + changed(LogEntry.decode(frames[1][1:]), **members).encode()

    def setUp(self) -> None:
        super().setUp()
        self.say(self.alice, "one")
        self.mail.leave(self.alice)
        self.have = decode_contents(self.mail.seen[self.bob][0])[0]

    def refused(self, *bodies: bytes) -> None:
        """These frames are refused."""
        with self.assertRaises(RemoteProtocolError):
            self.bob.talk.take_mail(bodies, ALICE.public_key, NOW)
        self.bob.settle()
        self.assertEqual(self.bob.shown, [])

    def test_malformed(self) -> None:
        """Nothing is shown of another conversation, of a log not told of, of a forger."""
        self.refused(self.have, self.entry(conversation=bytes(16)))
        self.refused(self.have, self.entry(log=b"x" * 16))
        self.refused(self.have, self.entry(signature=bytes(64)))
        self.refused(self.entry())
        self.refused(self.have, ENTRY + b"short")
        self.refused(HAVE + b"short")

    def test_unsigned(self) -> None:
        """What no signature covers isn't shown."""
        talk = self.bob.talk
        talk.take_mail((self.have, self.entry(signature=b"")), ALICE.public_key, NOW)
        self.bob.settle()
        self.assertFalse(talk.has_unshown)

    def test_never_written(self) -> None:
        """A receipt for lines that were never written, or others, confirms nothing."""
        talk = self.alice.talk
        for number, last in ((5, b"x" * 32), (1, b"x" * 32)):
            item = Item(talk.author, talk.log, 1, number, last)
            talk.take_mail([encode_have([item])], BOB.public_key, NOW)
        self.alice.settle()
        self.assertEqual(talk.undelivered, 1)

    def test_newer(self) -> None:
        """What a newer program puts there is passed over."""
        self.bob.talk.take_mail((b"\x7fnew", self.have, self.entry()), ALICE.public_key, NOW)
        self.bob.settle()
        self.both.commit(self.bob)
        self.assertEqual(self.bob.shown, ["one"])


class AnyOrderTests(MailCase):
    """Loss, duplication, reordering, restarts, and links that come and go."""

    def step(self, side: Side, what: str, number: int) -> None:
        """Let one thing happen."""
        other, seen = self.both.others(side), self.mail.seen[side]
        steps: dict[str, Callable[[], object]] = {
            "say": lambda: side.say(f"{number}"),
            "commit": lambda: self.both.commit(side),
            "leave": lambda: self.mail.leave(side),
            "refused": lambda: self.mail.leave(side, is_refused=True),
            "fetch": lambda: self.mail.fetch(side),
            "take": lambda: [self.mail.take(side, one) for one in seen[-1:]],
            "again": lambda: [self.mail.take(side, one) for one in seen[number % 7 :: 7]],
            "lose": self.mail.waiting[side].clear,
            "crash": lambda: self.both.crash(side),
            "link": self.both.link,
            "cut": self.both.cut,
            "talk": self.both.talk,
            "carry": lambda: self.both.carry(side),
            "arrive": other.take,
            "expire": self.mail.known[side].lost,
        }
        steps[what]()

    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.tuples(st.booleans(), st.sampled_from(STEPS + BREAKS)), max_size=60))
    def test_any(self, history: list[tuple[bool, str]]) -> None:
        """In the end both have all that is on a disk, the same, in one order, nothing twice."""
        self.meet()
        for number, (is_alice, what) in enumerate(history):
            self.step(self.alice if is_alice else self.bob, what, number)
        self.both.cut()
        for side in (self.alice, self.bob):  # what was lost is noticed, when it expires
            self.mail.known[side].lost()
        self.mail.finish()
        found = self.same()
        self.assertEqual(sorted(found), sorted(set(found)))
        self.assertEqual((self.alice.talk.undelivered, self.bob.talk.undelivered), (0, 0))
        self.both.finish()  # a link has nothing to add
        self.assertEqual(self.same(), found)
