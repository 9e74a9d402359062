"""What the processes of one registry tell each other."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.store.directory import Delivery
from p2pchat.registry.store.redis_scripts import (
    VERSION,
    AnswerMessage,
    DeliverMessage,
    EndMessage,
    Message,
    read_message,
    write_message,
)

MESSAGES: tuple[Message, ...] = (
    DeliverMessage(7, "abc", "peer", "a.b.c"),
    EndMessage("peer", 5, "removed"),
    *(AnswerMessage(7, one) for one in (Delivery.TAKEN, Delivery.OFFLINE, Delivery.FULL)),
)


def changed(message: Message, **members: Any) -> str:
    """Write a message, with other members."""
    return json.dumps({**json.loads(write_message(message)), **members})


class MessageTests(SynchronousTestCase):
    """Written and read."""

    def test_round_trip(self) -> None:
        """What is written is read, and says in which version it is."""
        for message in MESSAGES:
            self.assertEqual(read_message(write_message(message)), message)
            self.assertEqual(json.loads(write_message(message))["v"], VERSION)

    def test_newer(self) -> None:
        """What a newer release says besides is ignored; another version, or type, is nothing."""
        for message in MESSAGES:
            self.assertEqual(read_message(changed(message, more=[1])), message)
            self.assertIsNone(read_message(changed(message, v=VERSION + 1)))
            self.assertIsNone(read_message(changed(message, type="more")))

    def test_end(self) -> None:
        """A stream is ended with an event that we know, and with no other."""
        self.assertIsNone(read_message(changed(EndMessage("peer", 5, "removed"), event="bye")))

    @given(st.text(max_size=40))
    def test_anything(self, text: str) -> None:
        """What can't be read is nothing."""
        for message in (text, f"{{{text}", changed(MESSAGES[0], peer={text: 1})):
            self.assertIsNone(read_message(message))
