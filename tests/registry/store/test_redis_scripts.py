"""What the processes of one registry tell each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.store.directory import Delivery
from p2pchat.registry.store.redis_scripts import (
    AnswerMessage,
    DeliverMessage,
    EndMessage,
    read_message,
)


class MessageTests(SynchronousTestCase):
    """Written and read."""

    def test_round_trip(self) -> None:
        """What is written is read."""
        answers = [
            AnswerMessage(7, one) for one in (Delivery.TAKEN, Delivery.OFFLINE, Delivery.FULL)
        ]
        messages: list[DeliverMessage | AnswerMessage] = [
            DeliverMessage(7, "abc", "peer", "a.b.c"),
            *answers,
        ]
        for message in messages:
            self.assertEqual(read_message(message.encode()), message)

    def test_end(self) -> None:
        """The scripts' message ends a stream with an event that we know."""
        self.assertEqual(read_message("end peer 5 removed"), EndMessage("peer", 5, "removed"))
        self.assertIsNone(read_message("end peer 5 bye"))

    @given(st.text(max_size=40))
    def test_anything(self, text: str) -> None:
        """What can't be read is nothing."""
        for start in ("", "deliver ", "answer x ", "end a b "):
            self.assertIsNone(read_message(f"{start}{text}, "))
