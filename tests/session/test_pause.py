"""Pauses: who has sent too much for a day is told until when nothing is stored."""

from __future__ import annotations

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.conversation_events import Paused
from p2pchat.session.pause import LONGEST, MAX_PAUSES
from p2pchat.wire.entries import PAUSE
from tests.session.conversing import NOW, WALL, ConversationCase, of, told

MIDNIGHT = NOW + 3600.0  # by the clock of these tests, which begins in 1970


class PauseTests(ConversationCase):
    """Bob stores nothing more of Alice's."""

    def setUp(self) -> None:
        super().setUp()
        self.opened()

    def pauses(self) -> list[float]:
        """Return what Alice was told."""
        return [event.until for event in of(Paused, told(self.alice))]

    def hear(self, until: int) -> list[float]:
        """Let Alice have a frame; return what she is told."""
        self.alice.conversation.receive(PAUSE + until.to_bytes(8, "big"), NOW)
        return self.pauses()

    def test_told(self) -> None:
        """Alice is told once on a link, and again on the next one."""
        for _ in range(3):
            self.bob.conversation.pause.begin(MIDNIGHT)
            self.pump()
        self.assertEqual(self.pauses(), [MIDNIGHT])
        self.cut()
        self.open()
        self.assertEqual(self.pauses(), [MIDNIGHT])

    def test_over(self) -> None:
        """Once something is stored again nothing is said of it any more."""
        self.bob.conversation.pause.begin(MIDNIGHT)
        self.pump()
        self.alice.say("hi", WALL, NOW)
        self.pump()
        self.cut()
        self.pauses()
        self.open()
        self.assertEqual(self.pauses(), [])

    def test_liar(self) -> None:
        """One that is over, or far away, or comes again and again, says little."""
        self.assertEqual(self.hear(int(NOW)), [])
        self.assertEqual(self.hear(2**64 - 1), [NOW + LONGEST])
        found = [until for number in range(1000) for until in self.hear(int(MIDNIGHT) + number)]
        self.assertEqual(len(found), MAX_PAUSES - 1)

    def test_cut_short(self) -> None:
        """One that is cut short breaks the rules."""
        with self.assertRaises(RemoteProtocolError):
            self.alice.conversation.receive(PAUSE + b"short", NOW)
