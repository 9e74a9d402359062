"""What peers are called on a screen."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.ui.display_names import DisplayNames
from p2pchat.ui.wording import Wording
from tests.ui.fake_node import BOB, CAROL

IMPOSTOR = "bad00000-0000-8000-8000-000000000007"


class DisplayNamesTests(SynchronousTestCase):
    """A label means one peer, and a contact's name means the contact."""

    def setUp(self) -> None:
        self.names = DisplayNames("alice")

    def offer(self, peer_id: str, name: str, contact: bool = False, mistaken_for: str = "") -> None:
        """Learn of somebody who calls."""
        self.names.learn(events.OfferReceived(peer_id, name, False, False, contact, mistaken_for))

    def test_contact(self) -> None:
        """A contact is called by its name, even beside somebody else of this name."""
        self.offer(BOB, "bob", contact=True)
        self.offer(IMPOSTOR, "Bob", mistaken_for=BOB)
        self.assertEqual(self.names.label(BOB), "bob")
        self.assertEqual(self.names.label(IMPOSTOR), "Bob (bad00000, not your contact)")

    def test_absent_contact(self) -> None:
        """Who has the name of a contact that isn't here is told from it, too."""
        self.offer(IMPOSTOR, "b0b", mistaken_for=BOB)
        self.assertEqual(self.names.label(IMPOSTOR), "b0b (bad00000, not your contact)")

    def test_forgotten(self) -> None:
        """When the contact is forgotten, its name is free."""
        self.offer(IMPOSTOR, "bob", mistaken_for=BOB)
        self.names.learn(
            events.ContactChanged(
                BOB, "bob", "forgotten", contact=False, muted=False, blocked=False
            )
        )
        self.assertEqual(self.names.label(IMPOSTOR), "bob (bad00000)")

    def test_called_by_its_id(self) -> None:
        """Somebody may have the beginning of the own id for a name, and another one later."""
        for name in (BOB[:8], "bob", BOB[:8]):
            self.offer(BOB, name)
            self.assertEqual(self.names.name(BOB), name)

    def test_lookalikes(self) -> None:
        """Of strangers whose names look alike each has its id beside."""
        self.offer(BOB, "bob")
        self.assertEqual(self.names.label(BOB), "bob")
        self.offer(CAROL, "b0b")
        self.assertEqual(self.names.label(BOB), "bob (b0b00000)")
        self.assertEqual(self.names.label(CAROL), "b0b (ca401000)")

    def test_ours(self) -> None:
        """Whoever calls himself like us, or "you", is told by his id, contact or not."""
        for name in ("Alice", "alicе", "you", "YOU"):  # noqa: RUF001 - a Cyrillic e
            self.offer(BOB, name, contact=True)
            self.assertEqual(self.names.label(BOB), f"{name} (b0b00000)")

    def test_made_ids(self) -> None:
        """Of ids that begin alike as much is shown as tells them apart."""
        other = f"{BOB[:8]}-0000-8000-8000-00000000000f"
        self.offer(BOB, "bob")
        self.offer(other, "bob")
        self.assertEqual(self.names.label(BOB), f"bob ({BOB})")
        self.assertEqual(self.names.label(other), f"bob ({other})")
        self.offer(IMPOSTOR[:8] + BOB[8:], "carol", mistaken_for=IMPOSTOR[:8] + CAROL[8:])
        shown = self.names.label(IMPOSTOR[:8] + BOB[8:])
        self.assertNotIn(f"({IMPOSTOR[:8]},", shown)

    def test_crowd(self) -> None:
        """Of a crowd the names of the last are kept."""
        for number in range(1500):
            self.offer(f"{number:08x}-0000-8000-8000-000000000000", "dave")
        self.offer(BOB, "bob")
        self.assertEqual(self.names.label(BOB), "bob")
        self.assertEqual(self.names.label("00000001-0000-8000-8000-000000000000"), "? (00000001)")


class NotWhomYouKnowTests(SynchronousTestCase):
    """Whoever has the name of a contact that he isn't is announced so, wherever he appears."""

    def setUp(self) -> None:
        self.wording = Wording("alice")

    def said(self, value: object) -> str:
        """Return what a person reads."""
        return "\n".join(one.lead + " ".join(one.rows) for one in self.wording.say(value))

    def test_everywhere(self) -> None:
        """In a call, an offer, a connection, a message, a new name and the prompt."""
        not_bob = "not your contact"
        for event in (
            events.Calling(IMPOSTOR, "bob", 1, 3, False, BOB),
            events.OfferReceived(IMPOSTOR, "bob", False, False, False, BOB),
            events.Connected(IMPOSTOR, "bob", 9.0, False, False, BOB),
            events.Renamed(IMPOSTOR, "bob", "bob", "mallory", False, BOB),
        ):
            self.assertIn(
                "not the bob you know: your contact has the id b0b00000…", self.said(event)
            )
        self.assertIn(not_bob, self.said(events.MessageReceived(IMPOSTOR, "bob", "m", "hi", 0.0)))
        self.assertIn(not_bob, self.wording.label(IMPOSTOR))

    def test_contact(self) -> None:
        """Of the contact itself nothing of the kind is said."""
        told = self.said(events.Connected(BOB, "bob", 9.0, False, True))
        self.assertEqual(told, "Connected to bob (b0b00000) directly, encrypted.")

    def test_quiet(self) -> None:
        """A call that shall not disturb is no row, nor is its end, unless it is a contact's."""
        offer = events.OfferReceived(IMPOSTOR, "bob", False, True)
        self.assertEqual(self.said(offer), "")
        self.assertEqual(self.said(events.OfferEnded(IMPOSTOR, "bob", "cancelled", True)), "")
        self.assertIn("is calling", self.said(events.OfferReceived(BOB, "bob", False, True, True)))
        self.assertIn("cancelled", self.said(events.OfferEnded(BOB, "bob", "cancelled", True)))

    def test_new_name(self) -> None:
        """A contact that calls itself otherwise keeps its name, and the person reads of it."""
        told = self.said(events.Renamed(BOB, "bob", "robert", "bob", True))
        self.assertEqual(told, "bob (b0b00000) is called robert now.")
        self.assertEqual(self.wording.label(BOB), "bob")
