"""Tests of :mod:`p2pchat.tap.message_command`."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.interfaces import IChildProcess, IProcessStarter
from p2pchat.tap.message_command import (
    KILL_AFTER,
    MAX_WAITING,
    PAUSE,
    TIME_LIMIT,
    MessageCommand,
)
from tests.cases import each
from tests.tap.fake_starter import FakeChild, FakeStarter
from tests.ui.fake_node import BOB, CAROL, NAMES

HOSTILE = "$(reboot); `reboot`\n\x1b]0;x\x07 --exec"


class MessageCommandTests(SynchronousTestCase):
    """What contacts say starts a command, which can do nothing to us."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.starter = FakeStarter()
        self.viewed: set[str] = set()
        self.told: list[events.Trouble] = []
        self.command = MessageCommand(["beep", "-v"], self.starter, cast(Any, self.clock))
        self.command.is_in_view = self.viewed.__contains__
        self.command.tell = self.told.append

    def receive(self, peer_id: str, text: str, **more: Any) -> None:
        """Let somebody say something."""
        name = more.pop("name", NAMES[peer_id])
        self.command(events.MessageReceived(peer_id, name, "m1", text, 0.0, **more))

    def last(self, count: int) -> FakeChild:
        """Return the last child, of so many."""
        self.assertEqual(len(self.starter.children), count)
        return self.starter.children[-1]

    def end(self, how: str = "") -> None:
        """Let the last child end, and the pause after it."""
        self.starter.children[-1].ended(how)
        self.clock.advance(PAUSE)

    def test_interface(self) -> None:
        """The fakes are like what they stand for."""
        self.assertTrue(verifyObject(IProcessStarter, self.starter))
        self.receive(BOB, "hi")
        self.assertTrue(verifyObject(IChildProcess, self.last(1)))

    def test_message(self) -> None:
        """The id and the name are in the environment, the text is on stdin, the command is ours."""
        self.receive(BOB, HOSTILE, name="bob\n\x1b")
        child = self.last(1)
        self.assertEqual(child.arguments, ["beep", "-v"])
        self.assertEqual(child.text, HOSTILE.encode() + b"\n")
        self.assertEqual(
            child.variables,
            {
                "P2PCHAT_ID": BOB,
                "P2PCHAT_NAME": r"bob\n\x1b",
                "P2PCHAT_MESSAGES": "1",
                "P2PCHAT_OMITTED": "0",
            },
        )

    def test_nobody(self) -> None:
        """Strangers, muted contacts and what is in view start nothing."""
        self.receive(BOB, "hi", quiet=True)
        self.viewed.add(CAROL)
        self.receive(CAROL, "hi")
        self.command(events.PathLost(BOB, "bob", "silence"))
        self.assertEqual(self.starter.children, [])

    def test_one_at_a_time(self) -> None:
        """Meanwhile messages wait, by contact, in order; the next command comes after a pause."""
        for number in range(3):
            self.receive(BOB, f"b{number}")
        self.receive(CAROL, "c")
        self.assertEqual(self.last(1).text, b"b0\n")
        self.last(1).ended("")
        self.receive(BOB, "b3")
        self.clock.advance(PAUSE / 2)
        self.last(1)
        self.clock.advance(PAUSE / 2)
        self.assertEqual(self.last(2).text, b"b1\nb2\nb3\n")
        self.assertEqual(self.last(2).variables["P2PCHAT_MESSAGES"], "3")
        self.end()
        self.assertEqual(self.last(3).variables["P2PCHAT_ID"], CAROL)
        self.end()
        self.last(3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bound(self) -> None:
        """Of a flood a bounded part waits, and the number of the rest; then there is room again."""
        self.receive(CAROL, "c")
        text = "x" * 32767
        count = MAX_WAITING // 32768 + 5
        for _ in range(count):
            self.receive(BOB, text)
        self.end()
        self.assertEqual(len(self.last(2).text), MAX_WAITING)
        self.assertEqual(self.last(2).variables["P2PCHAT_MESSAGES"], str(count))
        self.assertEqual(self.last(2).variables["P2PCHAT_OMITTED"], "5")
        self.receive(BOB, text)
        self.end()
        self.assertEqual(self.last(3).variables["P2PCHAT_OMITTED"], "0")

    def test_seen_meanwhile(self) -> None:
        """What the person has looked at meanwhile starts nothing any more."""
        self.receive(CAROL, "c")
        self.receive(BOB, "b")
        self.viewed.add(BOB)
        self.end()
        self.last(1)

    @each((True, True, False), (True, False, True), (False, False, False))
    def test_muted_meanwhile(self, contact: bool, muted: bool, blocked: bool) -> None:
        """Who is muted, blocked or forgotten starts nothing any more."""
        self.receive(CAROL, "c")
        self.receive(BOB, "b")
        self.command(events.ContactChanged(BOB, "bob", "muted", contact, muted, blocked))
        self.end()
        self.last(1)

    def test_time_limit(self) -> None:
        """A command that takes too long is asked to end, then ended; that is said once."""
        for count in (1, 2):
            self.receive(BOB, "hi")
            child = self.last(count)
            self.clock.advance(TIME_LIMIT)
            self.assertEqual(child.signals, ["terminate"])
            self.clock.advance(KILL_AFTER)
            self.assertEqual(child.signals, ["terminate", "kill"])
            self.end("was ended by signal 9")
        (told,) = self.told
        self.assertIn("beep -v took more than 10 seconds and was ended", told.reason)

    def test_failure(self) -> None:
        """A command that fails says so once; others go on."""
        for count in (1, 2):
            self.receive(BOB, "hi")
            self.last(count)
            self.end("ended with status 3")
        (told,) = self.told
        self.assertIn("beep -v ended with status 3.", told.reason)
        self.assertIn("try it by hand", told.reason)
        self.assertEqual(told.word, "on-message")

    def test_not_started(self) -> None:
        """One that can't be started says so once, and is tried again with the next message."""
        self.starter.is_failing = True
        for _ in range(3):
            self.receive(BOB, "hi")
            self.clock.advance(PAUSE)
        (told,) = self.told
        self.assertIn("can't be started: Exec format error", told.reason)
        self.starter.is_failing = False
        self.receive(BOB, "hi")
        self.last(1)

    def test_stop(self) -> None:
        """At the end nothing more is started, and what runs has a second."""
        self.receive(BOB, "hi")
        self.receive(BOB, "there")
        stopped = self.command.stop()
        child = self.last(1)
        self.assertEqual(child.signals, ["terminate"])
        self.clock.advance(KILL_AFTER)
        self.assertEqual(child.signals, ["terminate", "kill"])
        self.assertNoResult(stopped)
        child.ended("was ended by signal 9")
        self.successResultOf(stopped)
        self.receive(BOB, "late")
        self.assertEqual((self.told, self.clock.getDelayedCalls()), ([], []))
        self.last(1)

    def test_stop_idle(self) -> None:
        """Where nothing runs, nothing is waited for."""
        self.receive(BOB, "hi")
        self.last(1).ended("")
        self.successResultOf(self.command.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])
