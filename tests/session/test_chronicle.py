"""What is told of a dialogue."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.chronicle import Chronicle, describe_path
from p2pchat.traversal.pairs import Path
from p2pchat.wire.documents import CandidateType

PATH = Path(("203.0.113.1", 5), CandidateType.HOST, CandidateType.SERVER_REFLEXIVE, 0.0123)


class ChronicleTests(SynchronousTestCase):
    """Events come out in the order they happened, and ends only of what began."""

    def setUp(self) -> None:
        self.told = Chronicle("id", "bob", began=10.0)

    def events(self) -> list[events.DialogueEvent]:
        """Return the events that wait."""
        found = []
        while (event := self.told.next_event()) is not None:
            found.append(event)
        return found

    def test_order(self) -> None:
        """Milliseconds count from the beginning of the call."""
        self.told.calling(1, 3)
        self.told.path_found(PATH, 10.5)
        self.told.connected(False, 10.6)
        self.assertEqual(
            self.events(),
            [
                events.Calling("id", "bob", 1, 3),
                events.PathFound("id", "bob", "host", "srflx", "203.0.113.1:5", 500.0, 12.3),
                events.Connected("id", "bob", 600.0, False),
            ],
        )

    def test_lost_path(self) -> None:
        """From a lost path on they count from the loss."""
        self.told.connected(False, 11.0)
        self.told.path_lost("silence", 20.0)
        self.told.connected(True, 21.0)
        self.assertEqual(self.events()[-1], events.Connected("id", "bob", 1000.0, True))

    def test_end(self) -> None:
        """An end is told once, and only of what was told to be open."""
        self.told.disconnected("left", 1, False)
        self.told.connected(False, 11.0)
        self.events()
        self.told.disconnected("left", 2, False)
        self.told.disconnected("left", 3, False)
        self.assertEqual(self.events(), [events.Disconnected("id", "bob", "left", 2)])

    def test_message_id(self) -> None:
        """A line has one id at both ends, from its author's log."""
        name = self.told.sent("epoch", 7, "text")
        self.told.delivered("epoch", 7, 0.1234)
        self.assertEqual(
            self.events(),
            [events.MessageSent("id", name, "text"), events.MessageDelivered("id", name, 123.4)],
        )

    def test_path(self) -> None:
        """A path is described by its types, its address and its time."""
        self.assertEqual(describe_path(PATH), "host to srflx 203.0.113.1:5, 12.3 ms")
