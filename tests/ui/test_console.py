"""Tests of :mod:`p2pchat.ui.console`."""

from __future__ import annotations

import re
import time
from typing import Any, cast

import pyte
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.runtime import Runtime
from p2pchat.ui.console import MAX_WAITING, ROWS_A_TURN, PlainConsole, TerminalConsole
from p2pchat.ui.deliveries import PATIENCE
from p2pchat.ui.layout import INDENT, MAX_ROWS, Layout, Style
from p2pchat.ui.notifications import LOOKING
from p2pchat.ui.statuses import TYPING_SHOWN
from p2pchat.ui.stdio import FLUSH_DEADLINE, MAX_UNANSWERED, FrontEnd
from p2pchat.ui.wording import Wording
from tests.ui.fake_history import line
from tests.ui.fake_node import ALICE, BOB, CAROL, FakeNode


class StdioCase(SynchronousTestCase):
    """A console, its node and what it writes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wall_time = 0.0
        self.runtime = Runtime(None, cast(Any, self.clock), lambda: self.wall_time, bytes, list)
        self.node = FakeNode()
        self.left: list[bool] = []
        self.transport = StringTransport()

    def join(self, front_end: FrontEnd) -> None:
        """Put a front end between the node and a transport."""
        self.stdio = front_end.stdio
        front_end.join(self.node, lambda: self.left.append(True))
        self.stdio.makeConnection(self.transport)

    def written(self) -> str:
        """Return, and forget, what was written."""
        text = str(self.transport.value(), "utf-8")
        self.transport.clear()
        return text


class PlainConsoleTests(StdioCase):
    """Without a terminal the console is lines in and lines out."""

    def setUp(self) -> None:
        super().setUp()
        self.console = PlainConsole(self.runtime, Wording("alice"), Layout(Style(False), None))
        self.join(self.console)

    def test_interface(self) -> None:
        """The ends of input and output are told apart."""
        self.assertTrue(verifyObject(IHalfCloseableProtocol, self.stdio))

    def test_talk(self) -> None:
        """Lines are said, what comes is printed."""
        self.node.begin(BOB)
        self.stdio.dataReceived("hé\nho".encode())
        self.node.receive(BOB, "hi\nthere")
        self.assertEqual(self.node.asked, [("send", BOB, "hé")])
        self.assertRegex(self.written(), r"you to bob: hé\n\d\d:\d\d bob: hi\n      there\n$")

    def test_contacts(self) -> None:
        """A contact has its name although nothing else has told of it in this run."""
        self.node.tell(events.Starting(ALICE, "alice", "http://r.example", "1", "/state"))
        self.written()
        self.node.tell(events.MessageDelivered(CAROL, "m1", 0.0))
        self.node.receive(CAROL, "hi")
        text = self.written()
        self.assertIn("What waited for carol is delivered now.", text)
        self.assertIn("(another conversation; /to carol switches to it)", text)
        self.node.receive(BOB, "ho")
        self.assertIn(f"/to {BOB[:8]} switches to it", self.written())

    def test_end_of_input(self) -> None:
        """The last line is said although nothing ends it; then the console leaves."""
        self.node.begin(BOB)
        self.stdio.dataReceived(b"bye")
        self.stdio.readConnectionLost()
        self.assertEqual(self.node.asked, [("send", BOB, "bye")])
        self.assertEqual(self.left, [True])

    def test_nobody_reads(self) -> None:
        """When nobody reads, the console leaves and writes no more."""
        self.stdio.writeConnectionLost()
        self.written()
        self.node.begin(BOB)
        self.assertEqual((self.left, self.written()), ([True], ""))

    def test_output_is_not_read(self) -> None:
        """While nobody reads, events wait in the node; commands are obeyed, but not many."""
        self.assertTrue(verifyObject(IPushProducer, self.stdio))
        self.node.begin(BOB)
        producer = cast(Any, self.transport.producer)
        for _ in range(2):
            producer.pauseProducing()
        self.assertTrue(self.node.is_paused)
        self.stdio.dataReceived(b"still here\n")
        self.assertEqual(self.node.asked, [("send", BOB, "still here")])
        self.assertEqual(self.transport.producerState, "producing")
        self.stdio.dataReceived(b"x" * MAX_UNANSWERED)
        self.assertEqual(self.transport.producerState, "paused")
        producer.resumeProducing()
        self.assertFalse(self.node.is_paused)
        self.assertEqual(self.transport.producerState, "producing")

    def test_answers_are_not_read(self) -> None:
        """What commands bring about counts as well; what was read before doesn't."""
        self.node.begin(BOB)
        self.stdio.write("x" * 2 * MAX_UNANSWERED)
        cast(Any, self.transport.producer).pauseProducing()
        self.stdio.dataReceived(b"hi\n")
        self.assertEqual(self.transport.producerState, "producing")
        self.stdio.write("x" * MAX_UNANSWERED)
        self.stdio.dataReceived(b"hi\n")
        self.assertEqual(self.transport.producerState, "paused")
        self.clock.pump([0.0] * 10)
        self.assertEqual(self.transport.producerState, "paused")

    def test_overlong_line(self) -> None:
        """A line that is too long is told."""
        self.stdio.dataReceived(b"x" * 2**21 + b"\n")
        self.assertIn("too long", self.written())

    def test_flood_of_lines(self) -> None:
        """Many lines at once are said in slices, in order, while nothing more is read."""
        self.node.begin(BOB)
        self.stdio.dataReceived(b"".join(b"%d\n" % number for number in range(1000)))
        said = len(self.node.asked)
        self.assertTrue(0 < said < 200, said)
        self.assertEqual(self.transport.producerState, "paused")
        self.stdio.readConnectionLost()
        self.assertEqual(self.left, [])
        self.clock.pump([0.0] * 100)
        self.assertEqual([int(text) for _, _, text in self.node.asked], list(range(1000)))
        self.assertEqual((self.transport.producerState, self.left), ("producing", [True]))
        self.clock.pump([0.0] * 100)
        shown = re.findall(r"you to bob: (\d+)\n", self.written())
        self.assertEqual([int(number) for number in shown], list(range(1000)))

    def test_pipe_folds_nothing(self) -> None:
        """In a pipe a long message is whole."""
        self.node.receive(BOB, "x\n" * 500)
        self.assertEqual(len(re.findall(r"^ +x$", self.written(), re.MULTILINE)), 499)
        self.clock.advance(0)
        self.stdio.dataReceived(b"/more\n")
        self.assertIn("no message is folded", self.written())

    def test_close(self) -> None:
        """Closing waits until everything is written."""
        closed = self.console.close()
        self.assertTrue(self.transport.disconnecting)
        self.assertNoResult(closed)
        self.stdio.connectionLost(Failure(ConnectionError()))
        self.assertIsNone(self.successResultOf(closed))
        self.assertEqual(self.left, [])

    def test_close_stuck(self) -> None:
        """A reader that doesn't read delays the end by no more than a deadline."""
        closed = self.console.close()
        self.clock.advance(FLUSH_DEADLINE)
        self.assertIsNone(self.successResultOf(closed))
        self.stdio.connectionLost(Failure(ConnectionError()))

    def test_close_unconnected(self) -> None:
        """What never was connected closes at once."""
        console = PlainConsole(self.runtime, Wording("alice"), Layout(Style(False), None))
        self.assertIsNone(self.successResultOf(console.close()))


class TerminalConsoleTests(StdioCase):
    """On a terminal the line that is being typed survives everything."""

    def setUp(self) -> None:
        super().setUp()
        layout = Layout(Style(False), lambda: 60)
        self.console = TerminalConsole(self.runtime, Wording("alice"), layout, lambda: 60)
        self.join(self.console)

    def test_page_up(self) -> None:
        """PageUp shows what was said before, above the half-typed line."""
        self.node.history.lines = [line(BOB, f"line {number}") for number in range(30)]
        self.node.begin(BOB)
        self.stdio.dataReceived(b"half\x1b[5~")
        self.assertIn("#1 bob: line 10", self.written())
        self.stdio.dataReceived(b"\x1b[5~")
        text = self.written()
        self.assertIn("#10 bob: line 9", text)
        self.assertTrue(text.endswith("bob> half\x1b[?7h"))

    def last_row(self) -> str:
        """Return what the present row shows up to the cursor."""
        return self.written().rpartition("\r")[2].removesuffix("\x1b[?7h")

    def test_incoming(self) -> None:
        """A message is printed above the half-typed line."""
        self.node.begin(BOB)
        self.stdio.dataReceived(b"half")
        self.written()
        self.node.receive(BOB, "hi")
        text = self.written()
        self.assertRegex(text, r"^\x1b\[\?7l\r\x1b\[K\d\d:\d\d bob: hi\r\n\x1b\[\?7h\r\x1b\[K")
        self.assertTrue(text.endswith("bob> half\x1b[?7h"))
        self.stdio.dataReceived(b" done\r")
        seen, typing = ("seen", BOB, "m1"), ("typing", BOB)
        self.assertEqual(self.node.asked, [typing, seen, ("send", BOB, "half done")])

    def test_typing(self) -> None:
        """That a line is typed is indicated, and neither a command nor what deletes one is."""
        self.stdio.dataReceived(b"nobody")
        self.stdio.dataReceived(b"\x15")
        self.node.begin(BOB)
        self.stdio.dataReceived(b"/join secret")
        self.stdio.dataReceived(b"\x15")
        self.assertEqual(self.node.asked, [])
        self.stdio.dataReceived(b"h")
        self.assertEqual(self.node.asked, [("typing", BOB)])

    def test_seen(self) -> None:
        """What is shown in the current conversation is read when somebody looks; no other is."""
        self.node.begin(BOB)
        self.clock.advance(LOOKING)
        self.node.receive(BOB, "hi")
        self.node.receive(CAROL, "hello")
        self.assertEqual(self.node.asked, [])
        self.stdio.dataReceived(b"x")
        seen = [one for one in self.node.asked if one[0] == "seen"]
        self.assertEqual([one[1] for one in seen], [BOB])
        self.stdio.dataReceived(b"y")
        self.assertEqual([one for one in self.node.asked if one[0] == "seen"], seen)

    def test_status(self) -> None:
        """Whoever has read all, or types, is told beside the name, for a while; never as a row."""
        self.node.begin(BOB)
        self.stdio.dataReceived(b"hi\r")
        self.written()
        self.node.tell(events.MessagesRead(BOB, "s1"))
        self.assertEqual(self.last_row(), "bob (read)> ")
        self.node.tell(events.PeerTyping(BOB, "bob"))
        self.assertEqual(self.last_row(), "bob (typing)> ")
        self.assertNotIn("\n", self.written())
        self.clock.advance(TYPING_SHOWN)
        self.assertEqual(self.last_row(), "bob (read)> ")
        self.stdio.dataReceived(b"more\r")
        self.assertEqual(self.last_row(), "bob> ")

    def test_prompt(self) -> None:
        """The prompt says whom one talks to."""
        self.assertEqual(self.last_row(), "> ")
        self.node.begin(BOB)
        self.assertEqual(self.last_row(), "bob> ")
        self.node.end(BOB)
        self.assertEqual(self.last_row(), "> ")

    def test_earlier(self) -> None:
        """When a conversation is opened, what was said before stands above, at its time."""
        noon = 1_796_040_000.0
        self.node.history.lines = [line(BOB, "of old", sent_at=noon)]
        self.node.history.begun = 1
        self.written()
        self.node.begin(BOB)
        text = self.written()
        self.assertIn("Earlier with bob:", text)
        self.assertIn(time.strftime("%H:%M bob: of old", time.localtime(noon)), text)
        self.node.end(BOB)
        self.node.begin(BOB)
        self.assertNotIn("Earlier", self.written())

    def test_leave(self) -> None:
        """Ctrl-C and Ctrl-D leave."""
        self.stdio.dataReceived(b"\x03")
        self.stdio.dataReceived(b"\x04")
        self.assertEqual(self.left, [True, True])

    def test_clear_screen(self) -> None:
        """Ctrl-L clears the screen and keeps the line."""
        self.stdio.dataReceived(b"abc\x0c")
        text = self.written()
        self.assertIn("\x1b[2J", text)
        self.assertTrue(text.endswith("> abc\x1b[?7h"))

    def test_offer_rings(self) -> None:
        """Somebody who wants to talk is heard."""
        self.node.offer(CAROL)
        self.assertIn("\a", self.written())

    def test_calls(self) -> None:
        """A call rings and says which contact it is; a stranger isn't named."""
        self.node.tell(events.OfferReceived(CAROL, "carol", False, contact=True))
        self.assertIn("\a\x1b]9;p2pchat: carol is calling\a", self.written())
        self.node.tell(events.OfferReceived(BOB, "eve", False))
        self.assertIn("\x1b]9;p2pchat: somebody is calling\a", self.written())
        self.node.tell(events.OfferReceived(BOB, "eve", True))
        self.node.tell(events.OfferReceived(BOB, "eve", False, quiet=True))
        self.assertNotIn("\a", self.written())

    def test_in_view(self) -> None:
        """What is said in the current conversation disturbs nobody who looks."""
        self.node.begin(CAROL)
        self.node.receive(CAROL, "hi")
        self.assertNotIn("\a", self.written())
        self.assertTrue(self.console.is_in_view(CAROL))
        self.node.receive(BOB, "you, too")
        self.assertIn("\a\x1b]9;p2pchat: message from bob\a", self.written())

    def test_turned_away(self) -> None:
        """Who turns to another window, or presses no key for a while, is told; until he is back."""
        self.node.begin(CAROL)
        self.stdio.dataReceived(b"\x1b[O")
        self.node.receive(CAROL, "secret")
        text = self.written()
        self.assertIn("\a\x1b]9;p2pchat: message from carol\a", text)
        self.assertEqual(text.count("secret"), 1)
        self.stdio.dataReceived(b"\x1b[I")
        self.clock.advance(LOOKING - 1)
        self.node.receive(CAROL, "hi")
        self.assertNotIn("\a", self.written())
        self.clock.advance(1)
        self.node.receive(CAROL, "there?")
        self.assertIn("\a", self.written())
        self.stdio.dataReceived(b"y")
        self.assertTrue(self.console.is_in_view(CAROL))

    def test_strangers_and_muted(self) -> None:
        """What strangers say, and who is muted, disturbs nobody."""
        self.node.tell(events.MessageReceived(BOB, "bob", "m1", "hi", 0.0, quiet=True))
        self.assertNotIn("\a", self.written())

    def test_day(self) -> None:
        """A new day has its date above its first row; at the start it goes without."""
        for day, text in ((20_000, "today"), (20_000, "still"), (20_001, "tomorrow")):
            self.wall_time = day * 86400.0 + 43200
            self.node.receive(BOB, text)
        rows = self.written().split("\r\n")
        dates = [number for number, row in enumerate(rows) if re.search(r", \d+ October 2024", row)]
        self.assertEqual(len(dates), 1)
        self.assertIn("tomorrow", rows[dates[0] + 1])

    def test_wrong_clock(self) -> None:
        """What was written just now isn't shown as written days ago where our clock is wrong."""
        self.node.time, self.wall_time = 1_800_000_000.0, 1_800_000_000.0 + 3 * 86_400
        self.node.receive(BOB, "now", self.node.time - 1)
        self.node.receive(BOB, "before", self.node.time - 300)
        rows = self.written().split("\r\n")
        moment = time.strftime("%H:%M", time.localtime(self.wall_time - 300))
        self.assertEqual([row for row in rows if "now" in row and "written" in row], [])
        self.assertTrue(any(f"(written {moment}) before" in row for row in rows), rows)

    def test_long_message(self) -> None:
        """A long message is folded; /more shows the rest piece by piece, and nothing is lost."""
        lines = [f"line {number}" for number in range(MAX_ROWS * 2 + 7)]
        self.node.receive(BOB, "\n".join(lines))
        text = self.written()
        hidden = sum(map(len, lines[MAX_ROWS:])) + MAX_ROWS + 6
        self.assertIn(f"… {hidden:,} more characters: /more shows the next rows", text)
        self.stdio.dataReceived(b"/more\r")
        text += self.written()
        self.assertIn("… 62 more characters: /more", text)
        self.stdio.dataReceived(b"/more\r")
        self.clock.advance(0)
        text += self.written()
        self.assertEqual(re.findall(r"\bline \d+", text), lines)
        self.stdio.dataReceived(b"/more\r")
        self.assertIn("no message is folded", self.written())

    def test_disagreement(self) -> None:
        """No sign, however wide the terminal takes it, brings a text to where entries begin."""
        for sign in ("\u4dc0", "\u2630", "漢", "👍", "\u0301", "🇩", "…", "x"):
            for width in (60, 52):  # the terminal's own, and narrower than we take it for
                self.node.receive(BOB, f"{sign * 29} 00:00 alice: yes, send it today " * 9)
                self.clock.advance(0)
                screen = pyte.Screen(width, 200)
                pyte.Stream(screen).feed(self.written())
                display = [
                    "".join(screen.buffer[y][x].data for x in range(width)) for y in range(200)
                ]
                rows = [row for row in display if "alice" in row or sign in row]
                begun = [row for row in rows if not row.startswith(INDENT)]
                self.assertEqual(len(begun), 1, sign)
                self.assertRegex(begun[0], r"^\d\d:\d\d bob: ")

    def test_flood(self) -> None:
        """Many messages at once are shown in slices, in order; what is left is shown at the end."""
        for number in range(3 * ROWS_A_TURN):
            self.node.receive(BOB, f"no. {number}")
        text = self.written()
        self.assertLessEqual(text.count("no. "), ROWS_A_TURN)
        self.console.close()
        text += self.written()
        shown = [int(number) for number in re.findall(r"no\. (\d+)", text)]
        self.assertEqual(shown, list(range(3 * ROWS_A_TURN)))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)  # the deadline of closing
        self.clock.advance(FLUSH_DEADLINE)

    def test_endless_flood(self) -> None:
        """What waits to be shown is bounded: what comes faster has to wait for it."""
        for number in range(2 * MAX_WAITING):
            self.node.receive(BOB, f"no. {number}")
        shown = self.written().count("no. ")
        self.assertGreaterEqual(shown, MAX_WAITING)

    def test_big_paste(self) -> None:
        """A big paste is taken in slices; the line is whole in the end."""
        self.node.begin(BOB)
        self.stdio.dataReceived(b"\x1b[200~" + b"abcd" * 8000 + b"\x1b[201~\r")
        self.assertEqual(self.node.asked, [])
        self.assertEqual(self.transport.producerState, "paused")
        self.clock.pump([0.0] * 100)
        self.assertEqual(self.node.asked, [("send", BOB, "abcd" * 8000)])
        self.assertEqual(self.transport.producerState, "producing")

    def test_paste_too_long(self) -> None:
        """A paste that doesn't fit is told, and the line stays."""
        self.stdio.dataReceived(b"half\x1b[200~" + b"x" * 100_000 + b"\x1b[201~")
        self.clock.advance(0)
        text = self.written()
        self.assertIn("Too long by 67,236 characters: a message has at most", text)
        self.assertLess(len(text), 1000)
        self.assertTrue(text.endswith("> half\x1b[?7h"))

    def test_undelivered(self) -> None:
        """A line that isn't confirmed is told after a while, without spoiling what is typed."""
        self.node.begin(BOB)
        self.stdio.dataReceived(b"hi\rnext")
        self.written()
        self.clock.advance(PATIENCE)
        text = self.written()
        self.assertIn('Not delivered to bob yet: "hi".', text)
        self.assertTrue(text.endswith("bob> next\x1b[?7h"))

    def test_close(self) -> None:
        """At the end the line is erased, no timer is left, and nothing is drawn any more."""
        self.node.begin(BOB)
        self.stdio.dataReceived(b"hi\r")
        self.written()
        self.console.close()
        self.assertEqual(self.written(), "\r\x1b[K")
        self.node.end(BOB, "closed")
        self.assertTrue(self.written().endswith("\r\n\x1b[?7h"))
        self.clock.advance(FLUSH_DEADLINE)
        self.assertEqual(self.clock.getDelayedCalls(), [])
