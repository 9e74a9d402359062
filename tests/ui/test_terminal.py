"""Tests of :mod:`p2pchat.ui.terminal` on a real pseudo-terminal."""

from __future__ import annotations

import contextlib
import os
import termios

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.terminal import Terminal, is_terminal


class TerminalTests(SynchronousTestCase):
    """A terminal is as it was when we leave it."""

    def setUp(self) -> None:
        self.keyboard, self.screen = os.openpty()
        self.addCleanup(os.close, self.screen)
        self.addCleanup(os.close, self.keyboard)
        self.terminal = Terminal(self.screen, self.screen)
        self.addCleanup(self.terminal.restore)

    def test_modes(self) -> None:
        """Keys arrive one by one, unechoed, Ctrl-C too; output is as ever."""
        before = termios.tcgetattr(self.screen)
        self.terminal.prepare()
        now = termios.tcgetattr(self.screen)
        self.assertFalse(now[3] & (termios.ICANON | termios.ECHO | termios.ISIG))
        self.assertEqual(now[1], before[1])

    def test_reports(self) -> None:
        """Pastes in brackets and reports of the focus are asked for, and taken back at the end."""
        self.terminal.prepare()
        self.terminal.restore()
        written = os.read(self.keyboard, 1000)
        for mode in (b"2004", b"1004"):
            self.assertLess(written.index(b"?%bh" % mode), written.index(b"?%bl" % mode))

    def test_restore(self) -> None:
        """Everything is put back, once."""
        before = termios.tcgetattr(self.screen)
        self.terminal.prepare()
        os.set_blocking(self.screen, False)
        self.terminal.restore()
        self.assertEqual(termios.tcgetattr(self.screen), before)
        self.assertTrue(os.get_blocking(self.screen))
        written = b""
        while not written.endswith(b"\x1b[?7h"):  # the kernel hands it on in pieces
            written += os.read(self.keyboard, 1000)
        self.terminal.restore()
        os.set_blocking(self.keyboard, False)
        self.assertRaises(BlockingIOError, os.read, self.keyboard, 1000)

    def test_restore_unread(self) -> None:
        """A terminal that nobody reads is put back, too, and holds nobody up."""
        before = termios.tcgetattr(self.screen)
        self.terminal.prepare()
        os.set_blocking(self.screen, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(self.screen, b"x" * 1000)
        self.terminal.restore()
        self.assertEqual(termios.tcgetattr(self.screen), before)

    def test_recognised(self) -> None:
        """A pipe is no terminal, and neither is one that can't move its cursor."""
        self.assertTrue(is_terminal(self.screen, self.screen, {"TERM": "xterm"}))
        self.assertFalse(is_terminal(self.screen, self.screen, {"TERM": "dumb"}))
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.addCleanup(os.close, writer)
        self.assertFalse(is_terminal(reader, self.screen, {"TERM": "xterm"}))

    def test_width(self) -> None:
        """A terminal that doesn't know its width has the usual one."""
        self.assertEqual(self.terminal.width(), 80)
