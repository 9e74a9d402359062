"""Events on their way to front ends, some of which can't take more."""

from __future__ import annotations

from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.events import (
    MessageReceived,
    MessageSent,
    NodeEvent,
    RegistryLost,
    Trouble,
)
from p2pchat.peer.event_queue import MAX_HELD, EventQueue

BOB = "b0b00000-0000-8000-8000-000000000002"


def line(number: int) -> MessageReceived:
    """Return a line of Bob's."""
    return MessageReceived(BOB, "bob", f"e-{number}", f"line {number}", 0.0)


class EventQueueTests(SynchronousTestCase):
    """Two front ends."""

    def setUp(self) -> None:
        self.taken: list[str] = []
        self.queue = EventQueue(lambda lines: self.taken.extend(one.id for one in lines))
        self.first: list[NodeEvent] = []
        self.second: list[NodeEvent] = []
        self.one = self.queue.subscribe(self.first.append)
        self.other = self.queue.subscribe(self.second.append)

    def test_interface(self) -> None:
        """A subscription is a producer, of whatever consumer writes the events."""
        self.assertTrue(verifyObject(IPushProducer, self.one))

    def test_at_once(self) -> None:
        """Events go to every listener at once, and lines of peers are taken then."""
        for number in range(3):
            self.queue.put(line(number))
        self.queue.put(Trouble("x"))
        self.assertEqual(self.first, [line(0), line(1), line(2), Trouble("x")])
        self.assertEqual(self.second, self.first)
        self.assertEqual(self.taken, ["e-0", "e-1", "e-2"])

    def test_paused(self) -> None:
        """A listener that pauses hears nothing, the other all; no line is taken meanwhile."""
        told: list[NodeEvent] = [line(1), Trouble("x"), line(2)]
        self.other.pauseProducing()
        for event in told:
            self.queue.put(event)
        self.assertEqual((self.first, self.second, self.taken), (told, [], []))
        self.other.resumeProducing()
        self.assertEqual((self.first, self.second, self.taken), (told, told, ["e-1", "e-2"]))

    def test_coming_and_going(self) -> None:
        """A listener hears what comes after it came, and one that leaves holds nobody up."""
        self.one.pauseProducing()
        self.queue.put(line(1))
        third: list[NodeEvent] = []
        self.queue.subscribe(third.append)
        self.queue.put(line(2))
        self.assertEqual((self.first, third, self.taken), ([], [line(2)], []))
        self.queue.unsubscribe(self.first.append)
        self.queue.put(line(3))
        self.assertEqual((self.second, third), ([line(1), line(2), line(3)], [line(2), line(3)]))
        self.assertEqual((self.first, self.taken), ([], ["e-1", "e-2", "e-3"]))

    def test_leaving_when_called(self) -> None:
        """A listener that leaves while an event is handed on hears no other."""
        third: list[NodeEvent] = []

        def leave(event: NodeEvent) -> None:
            third.append(event)
            self.queue.put(Trouble("y"))
            self.queue.unsubscribe(leave)

        self.queue.subscribe(leave)
        self.queue.put(line(1))
        self.assertEqual((third, self.second), ([line(1)], [line(1), Trouble("y")]))

    def test_sent(self) -> None:
        """That a line was sent answers a request, and is told at once."""
        self.one.pauseProducing()
        self.queue.put(Trouble("x"))
        self.queue.put(MessageSent(BOB, "e-1", "hi"))
        self.assertEqual(self.first, [MessageSent(BOB, "e-1", "hi")])

    def test_paused_by_an_event(self) -> None:
        """A listener may pause when it is called; that event was taken, the next one wasn't."""
        self.queue.subscribe(lambda _: self.one.pauseProducing())
        for number in range(3):
            self.queue.put(line(number))
        self.assertEqual((self.first, self.taken), ([line(0)], ["e-0"]))
        self.one.resumeProducing()
        self.assertEqual(self.taken, ["e-0", "e-1", "e-2"])

    def test_event_of_a_listener(self) -> None:
        """What a listener brings about comes after what it was called with, for everybody."""

        def react(event: NodeEvent) -> None:
            if event == line(1):
                self.queue.put(Trouble("y"))

        self.queue.subscribe(react)
        third: list[NodeEvent] = []
        self.queue.subscribe(third.append)
        self.queue.put(line(1))
        self.assertEqual(third, [line(1), Trouble("y")])

    def test_failing_listener(self) -> None:
        """A listener that fails has had its line; its fault is logged, and costs nobody else."""

        def fail(event: NodeEvent) -> None:
            if event == line(1):
                raise ZeroDivisionError

        self.queue.subscribe(fail)
        third: list[NodeEvent] = []
        self.queue.subscribe(third.append)
        for number in (1, 2):
            self.queue.put(line(number))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((third, self.taken), ([line(1), line(2)], ["e-1", "e-2"]))

    def test_stopped(self) -> None:
        """A listener that stops hears nothing more, and holds nobody up."""
        self.other.pauseProducing()
        self.queue.put(line(1))
        for _ in range(2):
            self.other.stopProducing()
        self.assertEqual((self.first, self.second, self.taken), ([line(1)], [], ["e-1"]))

    def test_bound(self) -> None:
        """Of what isn't a line the newest wait, every line does, and what is missing is told."""
        self.one.pauseProducing()
        for number in range(3 * MAX_HELD):
            self.queue.put(RegistryLost(str(number), 1.0))
            if number % 100 == 0:
                self.queue.put(line(number))
        self.one.resumeProducing()
        lines = [event for event in self.first if isinstance(event, MessageReceived)]
        self.assertEqual(lines, [line(number) for number in range(0, 3 * MAX_HELD, 100)])
        lost = [event.reason for event in self.first if isinstance(event, RegistryLost)]
        self.assertTrue(MAX_HELD // 2 <= len(lost) <= MAX_HELD, len(lost))
        self.assertEqual(lost[-1], str(3 * MAX_HELD - 1))
        (trouble,) = (event for event in self.first if isinstance(event, Trouble))
        self.assertEqual(trouble, self.first[0])
        self.assertIn(f"{3 * MAX_HELD - len(lost):,} older", trouble.reason)
