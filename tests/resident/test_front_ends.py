"""Tests of :mod:`p2pchat.resident.front_ends`."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.interfaces import IHalfCloseableProtocol
from zope.interface.verify import verifyObject

from p2pchat.interfaces import IAttachedPart
from p2pchat.resident.bounded_output import MAX_WAITING
from p2pchat.resident.front_ends import AttachedConsole, AttachedJson, Attaching
from tests.resident.attached_case import AttachedCase, UnixTransport, end, is_open, said, words
from tests.ui.fake_node import BOB, CAROL


class JsonTests(AttachedCase):
    """The JSON interface over the socket."""

    def test_interface(self) -> None:
        """It is a part of a program."""
        attaching = Attaching(self.runtime, self.node, self.starting)
        program, _ = self.attached("json")
        self.assertTrue(verifyObject(IAttachedPart, AttachedJson(program, attaching)))

    def test_requests(self) -> None:
        """Requests are answered, and events come, as with --json."""
        program, transport = self.attached("json")
        (found,) = self.ask(program, transport, command="/contacts", id=3)
        self.assertEqual((found["event"], found["request"]), ("contacts", 3))
        self.node.begin(BOB)
        self.ask(program, transport, text="hi", to=BOB, id="a")
        self.assertEqual(self.node.asked, [("send", BOB, "hi")])
        program.dataReceived(b"/connect carol\n")
        self.assertEqual(self.node.asked[-1], ("connect", "carol"))

    def test_text_with_do(self) -> None:
        """A text that happens to speak of "do" is a text."""
        self.node.begin(BOB)
        program, transport = self.attached("json")
        self.ask(program, transport, text='{"do":"open"}', to=BOB)
        program.dataReceived(b'{"do" is no JSON\n')
        self.assertEqual(self.node.asked, [("send", BOB, '{"do":"open"}')])
        self.assertEqual(words(said(transport))[-1], ("error", "input"))

    def test_each_its_own(self) -> None:
        """What one program asks another isn't answered; what is said all hear."""
        self.node.begin(BOB)
        program, transport = self.attached("json")
        _, other = self.attached("json")
        self.ask(program, transport, command="/me", id=1)
        self.assertEqual(said(other), [])
        self.ask(program, transport, text="hi", to=BOB, id=2)
        (heard,) = said(other)
        self.assertEqual((heard["event"], heard["text"]), ("sent", "hi"))
        self.assertNotIn("request", heard)

    def test_quit(self) -> None:
        """/quit ends the program's attachment and nothing else."""
        program, transport = self.attached("json")
        program.dataReceived(b"/quit\n/me\n")
        self.assertEqual(words(said(transport)), [("left", "")])
        self.assertTrue(transport.disconnecting)
        end(program)
        self.node.receive(BOB, "anybody?")
        self.assertEqual((said(transport), self.node.asked, self.server.wants), ([], [], []))

    def test_begin(self) -> None:
        """What the program's command line says is done."""
        self.node.invitations.results.append(BOB)
        program, transport = self.attached("json")
        self.ask(program, transport, do="begin", connect="bob", join="an invitation")
        self.assertEqual(self.node.asked[-1], ("connect", "bob"))
        self.assertEqual(self.node.invitations.asked, [("join", "an invitation")])
        (error,) = self.ask(program, transport, do="begin", connect=5, id=1)
        self.assertEqual((error["event"], error["word"]), ("error", "broken"))

    def test_flood(self) -> None:
        """Many requests at once are done in turns, and reading waits meanwhile."""
        program, transport = self.attached("json")
        program.dataReceived(b'{"command":"/me"}\n' * 1000)
        self.assertEqual(transport.producerState, "paused")
        self.assertLess(len(said(transport)), 100)
        for _ in range(1000):
            self.clock.advance(0.01)
        self.assertEqual(transport.producerState, "producing")


class ConsoleTests(AttachedCase):
    """A console on another terminal."""

    def opened(self, **more: Any) -> tuple[Any, UnixTransport, Any, UnixTransport]:
        """Open a console; return the program, its transport, and our end of its bytes."""
        program, transport = self.attached("console")
        request = {"do": "console", "terminal": True, "columns": 80, "rows": 24, "id": 1, **more}
        found = self.ask(program, transport, **request)
        self.assertEqual([(one["event"], one["fds"]) for one in found], [("console", 1)])
        return program, transport, *self.reactor.adopted[-1]

    def test_interface(self) -> None:
        """It is a part of a program."""
        attaching = Attaching(self.runtime, self.node, self.starting)
        program, _ = self.attached("console")
        self.assertTrue(verifyObject(IAttachedPart, AttachedConsole(program, attaching)))
        self.assertTrue(verifyObject(IHalfCloseableProtocol, self.opened()[2]))

    def test_opened(self) -> None:
        """It shows whose node it is, and what goes on there."""
        _, transport, _, console = self.opened()
        shown = console.value().decode()
        self.assertIn("Attached to your node, process", shown)
        self.assertEqual(len(transport.passed), 1)
        self.assertTrue(is_open(transport.passed[0]))

    def test_only_conversation(self) -> None:
        """The conversation that is open is the current one."""
        self.node.begin(BOB)
        _, _, end_of_bytes, _ = self.opened()
        end_of_bytes.dataReceived(b"hi\r")
        self.assertEqual(self.node.asked[-1], ("send", BOB, "hi"))

    def test_two(self) -> None:
        """What is said on one is shown on all."""
        self.node.begin(CAROL)
        _, _, first, _ = self.opened()
        _, _, _, second = self.opened()
        first.dataReceived(b"from the first\r")
        self.assertIn("from the first", second.value().decode())

    def test_resize(self) -> None:
        """It is as wide as the terminal is now."""
        program, transport, _, console = self.opened()
        self.ask(program, transport, do="resize", columns=20, rows=5)
        console.clear()
        self.node.receive(BOB, "word " * 20)
        rows = console.value().decode().split("\r\n")
        self.assertLess(max(map(len, rows)), 60)
        (error,) = self.ask(program, transport, do="resize", columns=-1, id=2)
        self.assertEqual((error["word"], error["request"]), ("broken", 2))

    def test_plain(self) -> None:
        """Without a terminal it is lines."""
        _, _, end_of_bytes, console = self.opened(terminal=False, columns=80)
        end_of_bytes.dataReceived(b"/contacts\n")
        self.assertIn("carol", console.value().decode())
        self.assertNotIn("\x1b", console.value().decode())

    def test_quit(self) -> None:
        """Leaving ends this console only: the program is told once all is written."""
        program, transport, end_of_bytes, console = self.opened()
        end_of_bytes.dataReceived(b"/quit\r")
        self.assertTrue(console.disconnecting)
        end(end_of_bytes)
        self.assertEqual(words(said(transport)), [("left", "")])
        end(program)
        self.assertNotIn(("stop",), self.node.asked)

    def test_program_gone(self) -> None:
        """A program that goes takes its console along."""
        program, _, _, console = self.opened()
        end(program)
        self.assertTrue(console.is_aborted)
        self.node.receive(BOB, "anybody?")
        self.assertNotIn("anybody?", console.value().decode())

    def test_terminal_gone(self) -> None:
        """So does one whose terminal has gone half way."""
        _, transport, end_of_bytes, _ = self.opened()
        end_of_bytes.writeConnectionLost()
        end(end_of_bytes)
        self.assertEqual(words(said(transport)), [("left", "")])

    def test_input_ends(self) -> None:
        """The end of the input leaves."""
        _, transport, end_of_bytes, _ = self.opened(terminal=False)
        end_of_bytes.readConnectionLost()
        end(end_of_bytes)
        self.assertEqual(words(said(transport)), [("left", "")])

    def test_stopped_terminal(self) -> None:
        """A terminal that shows nothing for long is let go; no friend waits for it."""
        _, transport, end_of_bytes, console = self.opened()
        cast(Any, console.producer).pauseProducing()
        for _ in range(MAX_WAITING // 1000):
            self.node.receive(BOB, "x" * 1000)
            self.clock.advance(0.01)
        self.assertEqual(words(said(transport)), [("dropped", "slow")])
        self.assertFalse(self.node.is_paused)
        end(end_of_bytes)

    def test_second(self) -> None:
        """A program has one console."""
        program, transport, _, _ = self.opened()
        self.assertEqual(self.ask(program, transport, do="console"), [])
        self.assertEqual(len(self.reactor.adopted), 1)
