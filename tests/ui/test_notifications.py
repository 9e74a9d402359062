"""Tests of :mod:`p2pchat.ui.notifications`."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.notifications import BELL, LOOKING, QUIET, Attention, Notifications, Notify
from p2pchat.wire.usernames import MAX_USERNAME
from tests.ui.fake_node import BOB, CAROL

WHOLE = re.compile(r"\a\x1b\]9;p2pchat: [^\x00-\x1f\x7f-\x9f]{1,60}\a")


class NotificationsTests(SynchronousTestCase):
    """A terminal rings, and names who it is; nobody can make it do more."""

    def setUp(self) -> None:
        self.notifications = Notifications(Notify.ALL)

    def test_message(self) -> None:
        """A bell rings, and a sentence of ours has the contact's name."""
        written = self.notifications.message(BOB, "bob", 5.0)
        self.assertEqual(written, "\a\x1b]9;p2pchat: message from bob\a")

    def test_flood(self) -> None:
        """Of many messages one is told every few seconds; of another contact at once."""
        told = [self.notifications.message(BOB, "bob", 5.0 + n / 100) for n in range(1000)]
        self.assertEqual(len([one for one in told if one]), 1)
        self.assertTrue(self.notifications.message(CAROL, "carol", 5.0))
        self.assertTrue(self.notifications.message(BOB, "bob", 5.0 + QUIET))

    def test_choices(self) -> None:
        """A bell alone has no words; whoever wants nothing gets nothing."""
        bell, none = Notifications(Notify.BELL), Notifications(Notify.NONE)
        self.assertEqual((bell.message(BOB, "bob", 0.0), bell.call("bob")), (BELL, BELL))
        self.assertEqual((none.message(BOB, "bob", 0.0), none.call("")), ("", ""))

    @given(st.text(max_size=MAX_USERNAME))
    def test_names(self, name: str) -> None:
        """Whatever a name has in it, a terminal obeys nothing of it."""
        for written in (Notifications(Notify.ALL).message(BOB, name, 0.0), self.call(name)):
            self.assertTrue(WHOLE.fullmatch(written), written)

    def call(self, name: str) -> str:
        """Return what is written for a call."""
        return self.notifications.call(name)

    def test_stranger(self) -> None:
        """A stranger is never named."""
        self.assertEqual(self.call(""), "\a\x1b]9;p2pchat: somebody is calling\a")


class AttentionTests(SynchronousTestCase):
    """Who looks is known by keys and by the focus."""

    def test_looking(self) -> None:
        """A sign of life is good for a while, and until the person turns away."""
        attention = Attention()
        self.assertFalse(attention.is_here(0.0))
        attention.see(0.0)
        self.assertEqual((attention.is_here(1.0), attention.is_here(LOOKING)), (True, False))
        attention.turn_away()
        self.assertFalse(attention.is_here(1.0))
        attention.see(2.0)
        self.assertTrue(attention.is_here(2.0))
