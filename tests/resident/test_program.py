"""Tests of :mod:`p2pchat.resident.program`."""

from __future__ import annotations

import os

from twisted.internet.interfaces import IFileDescriptorReceiver
from zope.interface.verify import verifyObject

from p2pchat.attach.messages import (
    FEATURES,
    MAX_REQUEST,
    PROTOCOL,
    ProgramHello,
    encode,
    encode_hello,
)
from p2pchat.resident.bounded_output import MAX_WAITING
from p2pchat.resident.program import HELLO_TIMEOUT, LAST_WORDS
from tests.resident.attached_case import AttachedCase, end, is_open, said, words
from tests.ui.fake_node import ALICE, BOB


class HelloTests(AttachedCase):
    """Who is attached, and who isn't."""

    def test_interface(self) -> None:
        """Twisted hands it descriptors, which it closes."""
        self.assertTrue(verifyObject(IFileDescriptorReceiver, self.connected()[0]))

    def test_hello(self) -> None:
        """A program is told whose node this is."""
        program, transport = self.connected()
        program.dataReceived(encode_hello(ProgramHello("9", ("new",), ("json",))))
        hello = said(transport)[0]
        self.assertEqual((hello["peer_id"], hello["username"]), (ALICE, "alice"))
        self.assertEqual(hello["pid"], os.getpid())
        self.clock.advance(HELLO_TIMEOUT)
        self.assertFalse(transport.is_aborted)

    def test_in_pieces(self) -> None:
        """However the bytes are cut."""
        program, transport = self.connected()
        for byte in encode_hello(ProgramHello("9", (), ("json",))):
            program.dataReceived(bytes([byte]))
        self.assertEqual(said(transport)[0]["username"], "alice")

    def test_refused(self) -> None:
        """Whoever can't be served reads why, and is let go."""
        for line, word in (
            (encode_hello(ProgramHello("9", (), ("json",), PROTOCOL + 1)), "restart-node"),
            (encode_hello(ProgramHello("9", (), ("hologram",))), "restart-node"),
            (encode_hello(ProgramHello("9", FEATURES, ())), "nothing-wanted"),
            (b"GET / HTTP/1.1\n", "broken"),
        ):
            program, transport = self.connected()
            program.dataReceived(line)
            hello = said(transport)[0]
            self.assertEqual((hello["error"], bool(hello["reason"])), (word, True))
            self.assertTrue(transport.disconnecting)
            program.dataReceived(encode({"command": "/me"}))
            self.assertEqual(said(transport), [])

    def test_another_user(self) -> None:
        """Another user is told nothing of whose node it is."""
        real = os.geteuid()
        self.patch(os, "geteuid", lambda: real + 1)
        _, transport = self.connected()
        hello = said(transport)[0]
        self.assertEqual(hello["error"], "not-yours")
        self.assertNotIn("peer_id", hello)
        self.assertNotIn("username", hello)

    def test_silent(self) -> None:
        """Who says nothing is let go after a while."""
        _, transport = self.connected()
        self.clock.advance(HELLO_TIMEOUT)
        self.assertTrue(transport.is_aborted)

    def test_gone_before(self) -> None:
        """Nor does one that has gone again leave anything."""
        program, _ = self.connected()
        end(program)
        self.assertEqual((self.clock.getDelayedCalls(), self.server.wants), ([], []))


class BoundTests(AttachedCase):
    """What a program can't do to the node."""

    def test_endless_line(self) -> None:
        """A line has a bound, and what comes after it is dropped."""
        program, transport = self.attached("json")
        for _ in range(20):
            program.dataReceived(b"x" * (MAX_REQUEST // 16))
        self.assertEqual(words(said(transport)), [("dropped", "too-long")])
        self.clock.advance(LAST_WORDS)
        self.assertTrue(transport.is_aborted)

    def test_not_read(self) -> None:
        """Who reads nothing is dropped, with a reason, before much waits; nobody waits for it."""
        program, transport = self.attached("json")
        program.output.pauseProducing()
        for _ in range(MAX_WAITING // 1000):
            self.node.receive(BOB, "x" * 1000)
            if transport.disconnecting:
                break
        self.assertTrue(transport.disconnecting)
        self.assertLess(len(transport.value()), MAX_WAITING * 1.1)
        self.assertEqual(words(said(transport))[-1], ("dropped", "slow"))
        self.assertFalse(self.node.is_paused)

    def test_descriptors(self) -> None:
        """A descriptor that a program passes is closed, and the program dropped."""
        program, transport = self.attached("json")
        reading, writing = os.pipe()
        for one in (reading, writing):
            program.fileDescriptorReceived(one)
            self.assertFalse(is_open(one))
        self.assertEqual(words(said(transport)), [("dropped", "descriptor")])

    def test_no_more_than_wanted(self) -> None:
        """What a program doesn't say that it wants it can't have."""
        program, transport = self.attached("console")
        program.dataReceived(b'{"command":"/quit"}\nhello\n{"do":"open","id":7}\n{"do":[]}\n')
        found = said(transport)
        self.assertEqual(words(found), 4 * [("error", "not-wanted")])
        self.assertEqual(found[2]["request"], 7)
        self.assertEqual(self.node.asked, [])

    def test_odd_ids(self) -> None:
        """An id that can't be one isn't repeated."""
        program, transport = self.attached("console")
        odd: tuple[object, ...] = ([], {}, None, "x" * 10_000)
        for name in odd:
            (found,) = self.ask(program, transport, do="x", id=name)
            self.assertLess(len(str(found["request"])), 200)

    def test_node_ends(self) -> None:
        """When the node ends, everybody is let go."""
        _, transport = self.attached("json")
        self.successResultOf(self.server.stop())
        self.assertTrue(transport.disconnecting)
