"""Receipts for what was seen, gathered."""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.contacts import Contacts
from p2pchat.peer.read_receipts import SOON, ReadReceipts
from tests.identity.people import ALICE, BOB


@attrs.define
class Endpoint:
    """An endpoint, and the driver of it, that remember what was seen."""

    seen_lines: list[tuple[str, str]] = attrs.Factory(list)

    def seen(self, peer_id: str, message_id: str, _now: float) -> None:
        """Remember it."""
        self.seen_lines.append((peer_id, message_id))

    def __enter__(self) -> float:
        return 0.0

    def __exit__(self, *_: object) -> None:
        pass


class ReadReceiptsTests(SynchronousTestCase):
    """Contacts are told, soon, and once for many lines."""

    def test_gathered(self) -> None:
        """Of a burst the last line counts; strangers get nothing."""
        clock, endpoint, contacts = Clock(), Endpoint(), Contacts()
        contacts.keep(BOB.peer_id, "bob")
        receipts = ReadReceipts(contacts, cast(Any, endpoint), cast(Any, endpoint), clock)
        for number in range(1000):
            receipts.seen(BOB.peer_id, f"{number}")
            receipts.seen(ALICE.peer_id, f"{number}")
        self.assertEqual(endpoint.seen_lines, [])
        clock.advance(SOON)
        self.assertEqual(endpoint.seen_lines, [(BOB.peer_id, "999")])
        receipts.seen(BOB.peer_id, "1000")
        receipts.flush()
        self.assertEqual(endpoint.seen_lines[1:], [(BOB.peer_id, "1000")])
        self.assertEqual(clock.getDelayedCalls(), [])
