"""Tests of :mod:`p2pchat.tap.event_log`."""

from __future__ import annotations

from typing import Any, cast

from twisted.logger import LogLevel, eventAsText, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.tap.event_log import EventLog
from tests.ui.fake_node import ALICE, BOB

ADDRESS = "203.0.113.7:50071"
SECRET = "what nobody else may read"


class EventLogTests(SynchronousTestCase):
    """The log of a node."""

    def setUp(self) -> None:
        self.log = EventLog()
        self.lines: list[str] = []
        observer = cast(Any, self._observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _observe(self, event: Any) -> None:
        self.assertIs(event["log_level"], LogLevel.info)
        self.lines.append(eventAsText(event, includeTimestamp=False, includeSystem=False))

    def test_lines(self) -> None:
        """Start, registry, calls, paths and conversations stand there, by peer id."""
        for event, line in (
            (
                events.Starting(ALICE, "alice", "http://r", "1.0", "/state"),
                f"p2pchat 1.0 starts: peer {ALICE}, registry http://r, state /state",
            ),
            (events.Registered(ALICE, "alice", "http://r", ADDRESS, 1), "registered at http://r"),
            (events.RegistryLost("it can't be reached", 1.0), "registry lost: it can't be reached"),
            (events.Calling(BOB, "bob", 2, 3), f"calling {BOB}, attempt 2"),
            (events.OfferReceived(BOB, "bob", False), f"call of {BOB}"),
            (events.OfferReceived(BOB, "bob", True), f"call accepted of {BOB}"),
            (
                events.PathFound(BOB, "bob", "srflx", "relay", ADDRESS, 97.2, 3.0),
                f"path to {BOB} after 97 ms: srflx to relay",
            ),
            (events.Connected(BOB, "bob", 97.0, False), f"conversation with {BOB} begun"),
            (events.PathLost(BOB, "bob", ADDRESS), f"path to {BOB} lost"),
            (events.Connected(BOB, "bob", 97.0, True), f"conversation with {BOB} resumed"),
            (
                events.Disconnected(BOB, "bob", "left", 0),
                f"conversation with {BOB} ended: left",
            ),
            (
                events.CallFailed(BOB, "bob", "no-path", ADDRESS),
                f"call to or of {BOB} ended: no-path",
            ),
            (events.OfferEnded(BOB, "bob", "cancelled"), f"call of {BOB} ended: cancelled"),
        ):
            self.log(event)
            self.assertEqual(self.lines.pop(), line)

    def test_lost_once(self) -> None:
        """A registry that is away is told once, however often it is tried."""
        for event in (events.RegistryLost("x", 1.0),) * 3:
            self.log(event)
        self.assertEqual(len(self.lines), 1)
        self.log(events.Registered(ALICE, "alice", "http://r", "", 0))
        self.log(events.RegistryLost("x", 1.0))
        self.assertEqual(len(self.lines), 3)

    def test_silence(self) -> None:
        """Nothing that is said, and no address or name, is there; nor anything of most events."""
        for event in (
            events.MessageSent(BOB, "1", SECRET),
            events.MessageReceived(BOB, SECRET, "1", SECRET, 0.0),
            events.MessageEdited(BOB, SECRET, "1", "2", 0.0, SECRET),
            events.MessageDeleted(BOB, SECRET, "1", "2", 0.0),
            events.Checking(BOB, SECRET, (ADDRESS,)),
            events.Trouble(SECRET),
        ):
            self.log(event)
        self.assertEqual(self.lines, [])

    def test_odd_path(self) -> None:
        """A path that isn't UTF-8 can be written to the log all the same."""
        self.log(events.Starting(ALICE, "alice", "http://r", "1.0", "/state\udcff"))
        self.lines[0].encode("utf-8")

    def test_hostile_words(self) -> None:
        """A reason that the other side made up forges no line and controls no terminal."""
        self.log(events.Disconnected(BOB, "bob", "left\n2020 forged \x1b[2J", 0))
        self.assertTrue(self.lines[0].isprintable())
