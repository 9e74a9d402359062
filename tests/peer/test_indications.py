"""Indications to contacts: gathered, and only what is switched on."""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import WhoError
from p2pchat.interfaces import IIndications
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.indications import SOON, Indications
from p2pchat.peer.settings import PrivacyInfo
from p2pchat.session.privacy import Privacy
from tests.identity.people import ALICE, BOB


@attrs.define
class Endpoint:
    """An endpoint, its context and its driver, that remember what they were told."""

    seen_lines: list[tuple[str, str]] = attrs.Factory(list)
    typed: list[str] = attrs.Factory(list)
    privacy: Privacy = attrs.Factory(Privacy)

    @property
    def context(self) -> Endpoint:
        """What sessions share."""
        return self

    def seen(self, peer_id: str, message_id: str, _now: float) -> None:
        """Remember it."""
        self.seen_lines.append((peer_id, message_id))

    def typing(self, peer_id: str, _now: float) -> None:
        """Remember it."""
        self.typed.append(peer_id)

    def __enter__(self) -> float:
        return 0.0

    def __exit__(self, *_: object) -> None:
        pass


class IndicationsTests(SynchronousTestCase):
    """Contacts are told, and nobody else."""

    def setUp(self) -> None:
        self.clock, self.endpoint, contacts = Clock(), Endpoint(), Contacts()
        contacts.keep(BOB.peer_id, "bob")
        self.changes = 0
        endpoint = cast(Any, self.endpoint)
        self.indications = Indications(contacts, endpoint, endpoint, self.clock, self.changed)

    def changed(self) -> None:
        """Count changes of our visibility."""
        self.changes += 1

    def test_interface(self) -> None:
        """They are what front ends use."""
        self.assertTrue(verifyObject(IIndications, self.indications))

    def test_history_follows(self) -> None:
        """What was said earlier, and is shown later, takes nothing from what has been seen."""
        for name in ("aa-8", "aa-7", "bb-3"):
            self.indications.seen(BOB.peer_id, name)
        self.clock.advance(SOON)
        self.assertEqual(self.endpoint.seen_lines, [(BOB.peer_id, "aa-8"), (BOB.peer_id, "bb-3")])

    def test_gathered(self) -> None:
        """Of a burst of lines the last one counts; strangers get nothing."""
        for number in range(1000):
            self.indications.seen(BOB.peer_id, f"aa-{number}")
            self.indications.seen(ALICE.peer_id, f"aa-{number}")
        self.assertEqual(self.endpoint.seen_lines, [])
        self.clock.advance(SOON)
        self.assertEqual(self.endpoint.seen_lines, [(BOB.peer_id, "aa-999")])
        self.indications.seen(BOB.peer_id, "aa-1000")
        self.indications.flush()
        self.assertEqual(self.endpoint.seen_lines[1:], [(BOB.peer_id, "aa-1000")])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_typing(self) -> None:
        """That somebody types is told to contacts alone."""
        for one in (ALICE, BOB):
            self.indications.typing(one.peer_id)
        self.assertEqual(self.endpoint.typed, [BOB.peer_id])

    def test_switches(self) -> None:
        """Each is switched by its name; a change of visibility is told once."""
        for what in ("receipts", "typing"):
            self.indications.switch(what, False)
        self.assertEqual(self.indications.privacy(), PrivacyInfo(False, False, False))
        for _ in range(2):
            self.indications.switch("invisible", True)
        self.indications.switch("receipts", True)
        self.assertEqual(self.indications.privacy(), PrivacyInfo(True, False, True))
        self.assertEqual(self.changes, 1)
        self.assertRaises(WhoError, self.indications.switch, "everything", True)
