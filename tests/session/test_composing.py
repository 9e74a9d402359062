"""Notices that somebody types."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.composing import INTERVAL, LEAST, Composing
from p2pchat.wire.messages import Typing, decode, encode

NOW = 100.0


class ComposingTests(SynchronousTestCase):
    """They are few, whoever types how much, and whatever the other side sends."""

    def setUp(self) -> None:
        self.is_on, self.heard = True, 0
        self.composing = Composing(lambda: self.is_on, self.hear)

    def hear(self) -> None:
        """Count."""
        self.heard += 1

    def said(self, now: float) -> bool:
        """Type; tell whether that is said."""
        self.composing.type(now)
        return self.composing.next_message() is not None

    def test_given(self) -> None:
        """Who types all the time says so once in four seconds."""
        said = [self.said(NOW + tenths / 10) for tenths in range(int(INTERVAL * 30))]
        self.assertEqual((sum(said), said[0], said[40]), (3, True, True))

    def test_flood(self) -> None:
        """A peer that sends a thousand a second is heard once in two."""
        for number in range(10_000):
            self.composing.receive(NOW + number / 1000)
        self.assertEqual(self.heard, 10 / LEAST)

    def test_off(self) -> None:
        """Who has switched it off neither gives nor takes."""
        self.is_on = False
        self.assertFalse(self.said(NOW))
        self.composing.receive(NOW)
        self.assertEqual(self.heard, 0)

    def test_link(self) -> None:
        """What a link didn't take isn't said on the next one."""
        self.composing.type(NOW)
        self.composing.link_ended()
        self.assertIsNone(self.composing.next_message())

    def test_frame(self) -> None:
        """The frame has nothing of what is typed."""
        self.assertEqual(encode(Typing()), b'{"type":"TYPING"}')
        self.assertEqual(decode(encode(Typing())), Typing())
