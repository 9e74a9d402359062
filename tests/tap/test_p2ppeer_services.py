"""Tests of :mod:`p2pchat.tap.p2ppeer_services`."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from twisted.application.service import Application
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from p2pchat import events
from p2pchat.errors import ConfigurationError
from p2pchat.runtime import Runtime
from p2pchat.tap.message_command import PAUSE, MessageCommand
from p2pchat.tap.p2ppeer_services import SAY_LEAVING, STOP_DEADLINE, PeerService
from p2pchat.tap.process import Process
from p2pchat.ui.json_lines import JsonLines
from p2pchat.ui.stdio import FLUSH_DEADLINE, FrontEnd
from tests.cases import each
from tests.tap.fake_starter import FakeStarter
from tests.ui.fake_node import ALICE, BOB, FakeNode


class FakeReactor:
    """A reactor that runs as soon as it is asked, and only notes its end."""

    def __init__(self) -> None:
        self.stops = 0

    def callWhenRunning(self, call: Callable[[], None]) -> None:
        call()

    def stop(self) -> None:
        self.stops += 1


TAKEN = CannotListenError("", 5000, OSError(98, "Address already in use"))


class PeerServiceTests(SynchronousTestCase):
    """The program begins with a node, and ends with everything closed."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.reactor = FakeReactor()
        self.node = FakeNode()
        self.transport = StringTransport()
        self.stderr = io.StringIO()
        self.statuses: list[int] = []
        self.started: list[object] = []
        self.why = ""
        runtime = Runtime(self.reactor, cast(Any, self.clock), lambda: 0.0, bytes, list)
        front_end = JsonLines(runtime)
        self.stdio = front_end.stdio
        process = Process(
            io.StringIO(),
            self.stderr,
            self.statuses.append,
            "p2ppeer",
            lambda: self.started.append(self.node.asked[-1]),
            lambda: self.why,
        )
        self.make_service = partial(
            PeerService,
            runtime=runtime,
            front_ends=[front_end],
            process=process,
            make_node=lambda: self.node,
            attach=lambda one: one.stdio.makeConnection(self.transport),
            starting=events.Starting(ALICE, "alice", "http://r", "1.0"),
            call="bob",
        )
        self.service = self.make_service()

    def _registered(self) -> None:
        self.node.tell(events.Registered(ALICE, "alice", "http://r", "192.0.2.1", 1))

    def _told(self) -> list[str]:
        """Return the names of the events that were written so far."""
        return [json.loads(line)["event"] for line in self.transport.value().splitlines()]

    def test_starting(self) -> None:
        """What it is about to do is told before the registry has answered."""
        self.node.started = Deferred()
        self.service.startService()
        self.assertEqual(self._told(), ["starting"])

    def test_started(self) -> None:
        """The process is told once the node was started: all is there that stays."""
        self.service.startService()
        self.assertEqual(self.started, [("start",)])

    def test_not_obeyed(self) -> None:
        """What is typed after /quit does nothing, in the same breath or later."""
        self.node.stopped = Deferred()
        self.service.startService()
        self.stdio.dataReceived(b"/quit\n/connect bob\nhello\n")
        self.service.stopService()
        self.stdio.dataReceived(b"/connect carol\n/help\n" + b'{"text":"x","to":"bob"}\n')
        self.assertEqual(self.node.asked, [("start",), ("stop",)])
        self.assertEqual(self._told(), ["starting"])

    def test_signal(self) -> None:
        """Nor is anything obeyed after a signal."""
        self.service.startService()
        self.service.stopService()
        self.stdio.dataReceived(b"/help\n")
        self._registered()
        self.assertEqual(self.node.asked, [("start",), ("stop",)])

    @each((SAY_LEAVING / 2, []), (SAY_LEAVING, ["leaving"]))
    def test_leaving(self, seconds: float, told: list[str]) -> None:
        """Goodbyes that take longer than a moment are told of, others are not."""
        self.node.stopped = Deferred()
        self.service.startService()
        self.service.stopService()
        self.clock.advance(seconds)
        self.node.stopped.callback(None)
        self.clock.advance(STOP_DEADLINE)
        self.assertEqual(self._told(), ["starting", *told])

    def test_call(self) -> None:
        """--connect calls once registered, and not again when the registry comes back."""
        self.service.startService()
        self.assertEqual(self.node.asked, [("start",)])
        self._registered()
        self._registered()
        self.assertEqual(self.node.asked, [("start",), ("connect", "bob")])

    def test_stop(self) -> None:
        """Stopping says goodbye, then writes what is left."""
        self.node.stopped = Deferred()
        self.service.startService()
        stopped = self.service.stopService()
        self.assertFalse(self.transport.disconnecting)
        self.node.stopped.callback(None)
        self.assertTrue(self.transport.disconnecting)
        self.assertNoResult(stopped)
        self.stdio.connectionLost()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.stops, 0)

    def test_on_message(self) -> None:
        """A contact's message starts the command; what goes wrong is told, and leaving ends it."""
        starter = FakeStarter()
        command = MessageCommand(["beep"], starter, cast(Any, self.clock))
        service = self.make_service(on_message=command)
        service.startService()
        self.node.receive(BOB, "hi")
        (child,) = starter.children
        self.assertEqual(child.text, b"hi\n")
        child.ended("ended with status 3")
        told = json.loads(self.transport.value().splitlines()[-1])
        self.assertEqual((told["event"], told["word"]), ("error", "on-message"))
        self.clock.advance(PAUSE)
        self.node.receive(BOB, "you?")
        stopped = service.stopService()
        self.assertEqual(starter.children[-1].signals, ["terminate"])
        self.assertFalse(self.transport.disconnecting)
        starter.children[-1].ended("")
        self.stdio.connectionLost()
        self.successResultOf(stopped)

    def test_stop_stuck(self) -> None:
        """Neither a node nor a reader that is stuck holds up the end for long."""
        self.node.stopped = Deferred()
        self.service.startService()
        stopped = self.service.stopService()
        self.clock.advance(STOP_DEADLINE)
        self.clock.advance(FLUSH_DEADLINE)
        self.successResultOf(stopped)

    def test_leave(self) -> None:
        """/quit and the end of the input stop the reactor, once."""
        self.service.startService()
        self.stdio.dataReceived(b"/quit\n")
        self.stdio.readConnectionLost()
        self.assertEqual((self.reactor.stops, self.statuses), (1, []))

    @each(("", 0), ("No space left on device", 1))
    def test_output_lost(self, why: str, failures: int) -> None:
        """Who goes away and reads no more ends the program; a disk that is full fails it, once."""
        self.why = why
        self.service.startService()
        self.stdio.writeConnectionLost()
        self.stdio.connectionLost()
        self.assertEqual((self.reactor.stops, self.statuses), (1, [1] * failures))
        self.assertEqual(
            self.stderr.getvalue().count(f"stdout can't be written to: {why}"), failures
        )

    def test_two_front_ends(self) -> None:
        """One may pause, or go; the other goes on, and the program ends with it."""
        runtime = Runtime(self.reactor, cast(Any, self.clock), lambda: 0.0, bytes, list)
        self.node = FakeNode()
        front_ends = [JsonLines(runtime) for _ in range(2)]
        first, second = StringTransport(), StringTransport()
        attached: dict[FrontEnd, StringTransport] = dict(
            zip(front_ends, (first, second), strict=True)
        )
        service = PeerService(
            runtime=runtime,
            front_ends=[*front_ends],
            process=Process(io.StringIO(), self.stderr, self.statuses.append, "p2ppeer"),
            make_node=lambda: self.node,
            attach=lambda one: one.stdio.makeConnection(attached[one]),
            starting=events.Starting(ALICE, "alice", "http://r", "1.0"),
        )
        service.startService()
        cast(Any, first.producer).pauseProducing()
        self.assertTrue(self.node.is_paused)
        front_ends[0].stdio.dataReceived(b"/quit\n")
        self.assertEqual((self.node.is_paused, self.reactor.stops), (False, 0))
        self.assertTrue(first.disconnecting)
        front_ends[0].stdio.connectionLost()
        self._registered()
        for transport, told in ((first, ["starting"]), (second, ["starting", "registered"])):
            lines = transport.value().splitlines()
            self.assertEqual([json.loads(line)["event"] for line in lines], told)
        front_ends[1].stdio.dataReceived(b"/quit\n")
        self.assertEqual(self.reactor.stops, 1)

    @each(
        (ConfigurationError("that is wrong"), "p2ppeer: that is wrong\n"),
        (TAKEN, "p2ppeer: UDP port 5000 can't be used: Address already in use\n"),
    )
    def test_failures(self, error: Exception, sentence: str) -> None:
        """What keeps the node from starting is one sentence and status 1."""
        self.node.started = fail(error)
        self.service.startService()
        self.assertEqual(self.stderr.getvalue(), sentence)
        self.assertEqual((self.reactor.stops, self.statuses), (1, [1]))

    def test_left_while_starting(self) -> None:
        """Whoever leaves in the middle of the start hears nothing of what that ended, status 0."""
        self.node.started = Deferred()
        self.service.startService()
        self.stdio.dataReceived(b"/quit\n")
        self.service.stopService()
        self.node.started.errback(RuntimeError("the database is closed"))
        self.assertEqual((self.stderr.getvalue(), self.statuses), ("", []))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_closed_stdin(self) -> None:
        """Without stdin and stdout there is nothing to talk on; the node isn't started."""

        def attach(_protocol: object) -> None:
            raise OSError(9, "Bad file descriptor")

        self.make_service(attach=attach).startService()
        self.assertIn("Bad file descriptor", self.stderr.getvalue())
        self.assertEqual(self.node.asked, [])

    def test_fault(self) -> None:
        """A fault of ours is logged whole, and told in one line."""
        self.node.started = fail(ZeroDivisionError("oh"))
        self.service.startService()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.stderr.getvalue().count("\n"), 1)

    def test_observer(self) -> None:
        """The application takes its log observer from the service."""

        @implementer(ILogObserver)
        class Observer:
            def __call__(self, _event: Any) -> None:
                pass

        observer = Observer()
        application = Application("p2ppeer")
        self.make_service(observer=observer).setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), observer)
