"""What is said of older lines: told to both persons, and harmless whatever it names."""

from __future__ import annotations

from p2pchat import events
from p2pchat.errors import LocalProtocolError
from p2pchat.session.conversation_events import FOREIGN, Changed, Received, Sent
from p2pchat.session.line_events import line_event
from p2pchat.session.stored import About, place_of
from p2pchat.wire.entries import Known, LogEntry
from p2pchat.wire.references import DELETE, EDIT, REPLY, read_body, write_body
from tests.session.conversing import (
    ALICE,
    BOB,
    NOW,
    WALL,
    ConversationCase,
    hear,
    line,
    of,
    sent,
    told,
)


class ReferringCase(ConversationCase):
    """Alice and Bob, who say things of lines."""

    def say_of(self, kind: str, text: str, author: bytes, name: str) -> str:
        """Let Alice say something of a line."""
        return self.alice.conversation.say(text, WALL, NOW, About(kind, place_of(author, name)))


class ReferringTests(ReferringCase):
    """On an open link."""

    def test_told(self) -> None:
        """Bob is told which line is answered, changed, deleted."""
        self.opened()
        name = self.alice.say("one", WALL, NOW)
        ids = [self.say_of(kind, kind, ALICE, name) for kind in (REPLY, EDIT)]
        ids.append(self.say_of(DELETE, "", ALICE, name))
        self.pump()
        _, reply, edit, deletion = told(self.bob)
        self.assertEqual(reply, Received(ids[0], REPLY, WALL, "", name))
        self.assertEqual(edit, Changed(name, ids[1], EDIT, EDIT, WALL))
        self.assertEqual(deletion, Changed(name, ids[2], DELETE, "", WALL))

    def test_ours(self) -> None:
        """Nobody changes a line of the other side; an answer to it goes."""
        for kind in (EDIT, DELETE):
            with self.assertRaises(LocalProtocolError):
                self.say_of(kind, "x", BOB, f"{BOB.hex()}-1")
        self.say_of(REPLY, "x", BOB, f"{BOB.hex()}-1")

    def test_foreign(self) -> None:
        """A change of what isn't its author's is shown as what it is, and changes nothing."""
        self.opened()
        for number, kind in enumerate((EDIT, DELETE), 1):
            body = write_body(kind, "ha", Known(ALICE, self.alice.log, 1))
            hear(self.alice, line(self.bob, number, kind=kind, body=body, previous=self.last))
        found = of(Received, told(self.alice))
        self.assertEqual([(one.text, one.kind) for one in found], [(FOREIGN, EDIT)])

    last = bytes(32)

    def test_withdrawn(self) -> None:
        """With a line that is taken back go its changes; an answer to it is a line."""
        name = self.alice.say("one", WALL, NOW)
        edit = self.say_of(EDIT, "two", ALICE, name)
        self.say_of(REPLY, "three", ALICE, name)
        self.alice.settle()
        self.assertEqual(self.alice.conversation.withdraw(name), [edit])
        self.open()
        found = of(Received, told(self.bob))
        self.assertEqual([(one.text, one.reply_to) for one in found], [("three", "")])

    def test_moved(self) -> None:
        """What names a line whose place has changed names it in its new one."""
        first, second = (self.alice.say(text, WALL, NOW) for text in ("one", "two"))
        edit = self.say_of(EDIT, "2", ALICE, second)
        self.alice.settle()
        self.alice.conversation.withdraw(first)
        self.alice.settle()
        self.say_of(DELETE, "", ALICE, second)  # by the name that a person knows
        self.alice.settle()
        self.alice.link_began()
        said = [one for one in sent(self.alice) if isinstance(one, LogEntry)]
        names = [read_body(one.kind, one.body)[1] for one in said]
        place = Known(ALICE, self.alice.log, 1)
        self.assertEqual(names, [None, place, place])
        self.assertEqual(said[0].said_first, place_of(ALICE, second))
        self.assertEqual(said[1].said_first, place_of(ALICE, edit))


class EventTests(ReferringCase):
    """The events of a session."""

    def test_sent(self) -> None:
        """Each kind has a member for the line."""
        for kind, member in ((REPLY, "reply_to"), (EDIT, "edits"), (DELETE, "deletes")):
            event = line_event("bob", "", Sent("2", "x", kind, "1"))
            self.assertEqual(event, events.MessageSent("bob", "2", "x", **{member: "1"}))
        self.assertEqual(line_event("bob", "", Sent("2", "x")), events.MessageSent("bob", "2", "x"))

    def test_changed(self) -> None:
        """A change names its line and itself; that is what is confirmed."""
        edit = line_event("bob", "b", Changed("1", "2", EDIT, "x", 3.0))
        self.assertEqual(edit, events.MessageEdited("bob", "b", "1", "2", 3.0, "x"))
        deletion = line_event("bob", "b", Changed("1", "2", DELETE, "", 3.0))
        self.assertEqual(deletion, events.MessageDeleted("bob", "b", "1", "2", 3.0))
        assert isinstance(deletion, events.MessageDeleted)
        self.assertEqual(deletion.entry_id, "2")
