"""Presence in words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.peer.settings import ContactInfo
from p2pchat.ui.presence_wording import came, presence_facts, record_state, seen_at

BOB = "b0b00000-0000-8000-8000-000000000002"
SEEN = 1_800_000_000.0


class PresenceWordingTests(SynchronousTestCase):
    """Rows say what is known, and how long ago that was."""

    def facts(self, presence: str, last_seen: float = 0.0) -> list[str]:
        """Return what is said of a contact."""
        return presence_facts(ContactInfo(BOB, "bob", True, presence=presence, last_seen=last_seen))

    def test_facts(self) -> None:
        """Who is there needs no time; who isn't, or of whom nothing is known, has the last one."""
        seen = f"last seen {seen_at(SEEN)}"
        self.assertEqual(self.facts("reachable", SEEN), [])
        self.assertEqual(self.facts("registered", SEEN), ["registered"])
        self.assertEqual(self.facts("absent", SEEN), ["not registered", seen])
        self.assertEqual(self.facts("", SEEN), [seen])
        self.assertEqual(self.facts(""), [])
        self.assertEqual(self.facts("absent"), ["not registered"])

    def test_time(self) -> None:
        """A time has its day."""
        self.assertRegex(seen_at(SEEN), r"^at \d\d:\d\d on [A-Z][a-z]+day, 1[45] January 2027$")

    def test_came(self) -> None:
        """Who comes is named, with when that was before."""
        event = events.PresenceChanged(BOB, "bob", "registered", SEEN)
        self.assertIn(f"bob is registered now, last seen {seen_at(SEEN)}.", came(event, "bob"))
        first = events.PresenceChanged(BOB, "bob", "registered", 0.0)
        self.assertNotIn("last seen", came(first, "bob"))

    def test_records(self) -> None:
        """A record without a stream isn't called online."""
        self.assertEqual(record_state(True), "registered")
        self.assertIn("can't be called", record_state(False))
