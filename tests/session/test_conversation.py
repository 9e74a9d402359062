"""A conversation: what makes delivery certain, and what is refused."""

from __future__ import annotations

import contextlib
from collections import deque
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.session.control import Opened, RemoteDisconnected
from p2pchat.session.conversation import MAX_JUMP
from p2pchat.session.conversation_events import Delivered, Introduced, Received
from p2pchat.session.own_log import MAX_LOG
from p2pchat.wire.entries import ENTRY, HAVE, MAX_TEXT, Item, Known, LogEntry
from p2pchat.wire.messages import (
    Credit,
    Disconnect,
    Hello,
    Ping,
    Pong,
    Proof,
)
from tests.session.conversing import (
    ALICE,
    NOW,
    WALL,
    ConversationCase,
    Have,
    Said,
    Silent,
    Talker,
    announced,
    hear,
    line,
    of,
    receipt,
    sent,
    signed,
    told,
)
from tests.wire.frames import changed


class DeliveryTests(ConversationCase):
    """What is said is shown once, in order, and its author knows."""

    def texts(self, one: Silent) -> list[str]:
        """Return the lines that one side was shown since the last time."""
        return [event.text for event in of(Received, told(one))]

    def test_both_ways(self) -> None:
        """Lines are numbered from 1, shown with their author's time, and confirmed."""
        self.opened()
        ids = [self.alice.say(f"a{n}", WALL + 0.25, NOW) for n in range(3)]
        self.assertEqual(ids, [f"{self.alice.log.hex()}-{n}" for n in (1, 2, 3)])
        self.bob.say("b0", WALL, NOW)
        self.pump(NOW + 0.5)
        self.assertEqual(told(self.bob)[:1], [Received(ids[0], "a0", WALL + 0.25, "")])
        self.assertEqual(of(Delivered, told(self.alice)), [Delivered(one, 0.5) for one in ids])
        self.assertEqual((self.alice.undelivered, self.bob.undelivered), (0, 0))

    def test_hello(self) -> None:
        """HELLO tells the name; the first HAVE of a log is a new conversation."""
        for is_new in (True, False):
            self.open()
            self.assertEqual(told(self.bob), [Opened("alice"), Introduced(is_new)])
            self.cut()

    def test_at_once(self) -> None:
        """Lines go out right after our own HELLO; theirs are taken after theirs."""
        self.alice.say("at once", WALL, NOW)
        self.alice.link_began()
        self.bob.link_began()
        hello, have, entry = sent(self.alice)
        hear(self.bob, have)
        hear(self.bob, entry)
        self.assertEqual(told(self.bob), [])
        hear(self.bob, hello)
        events = told(self.bob)
        self.assertEqual(events[:2], [Opened("alice"), Introduced(True)])
        self.assertEqual([one.text for one in of(Received, events)], ["at once"])

    def test_said_before(self) -> None:
        """What is said before there is a link waits for it."""
        self.alice.say("early", WALL, NOW)
        self.open()
        self.assertEqual(self.texts(self.bob), ["early"])

    def test_sent_again(self) -> None:
        """A new link brings what the last one lost, and nothing that HAVE says is there."""
        self.opened()
        for text in ("one", "two", "three"):
            self.alice.say(text, WALL, NOW)
        one, *_lost = sent(self.alice, NOW)
        hear(self.bob, one)
        self.cut()
        self.alice.link_began()
        self.bob.link_began()
        for message in sent(self.bob):
            hear(self.alice, message)
        self.assertEqual(len(of(Delivered, told(self.alice))), 1)
        again = sent(self.alice)
        self.assertEqual([one.number for one in of(LogEntry, again)], [2, 3])
        for message in again:
            hear(self.bob, message)
        self.pump()
        self.assertEqual(self.texts(self.bob), ["one", "two", "three"])
        self.assertEqual(self.alice.undelivered, 0)

    def test_lost_receipt(self) -> None:
        """A line whose receipt was lost is confirmed by the next link, not shown again."""
        self.opened()
        self.alice.say("once", WALL, NOW)
        hear(self.bob, sent(self.alice, NOW)[0])
        self.cut()
        self.open()
        self.assertEqual(self.texts(self.bob), ["once"])
        self.assertEqual(len(of(Delivered, told(self.alice))), 1)

    def test_duplicates(self) -> None:
        """A message that comes again is confirmed again and not shown again."""
        self.opened()
        self.alice.say("once", WALL, NOW)
        (message,) = sent(self.alice, NOW)
        for _ in range(3):
            hear(self.bob, message)
        self.assertEqual(self.texts(self.bob), ["once"])
        self.assertEqual(sent(self.bob, NOW), [receipt(self.alice, 1)])

    def test_other_side_restarted(self) -> None:
        """To a new program of theirs goes what the old one never confirmed, and its own is new."""
        self.opened()
        self.alice.say("confirmed", WALL, NOW)
        self.pump()
        self.alice.say("not confirmed", WALL, NOW)
        self.cut()
        self.bob = Talker("bob", b"C" * 16)
        self.bob.say("hello again", WALL, NOW)
        self.open()
        self.assertEqual(self.texts(self.bob), ["not confirmed"])
        events = told(self.alice)
        self.assertEqual(of(Introduced, events), [Introduced(True)])
        self.assertEqual(of(Received, events)[0].text, "hello again")
        self.assertEqual(self.alice.undelivered, 0)

    def test_room(self) -> None:
        """No more lines go out than the link has room for, in order."""
        self.opened()
        for number in range(10):
            self.alice.say(str(number), WALL, NOW)
        batches = [sent(self.alice, NOW, room) for room in (600, 0, 10_000)]
        self.assertEqual([len(batch) for batch in batches], [3, 0, 7])
        for message in (*batches[0], *batches[2]):
            hear(self.bob, message)
        self.assertEqual(self.texts(self.bob), [str(number) for number in range(10)])

    def test_limits(self) -> None:
        """A line too long, or one too many, is refused here, and leaves the log as it was."""
        self.assertRaises(LocalProtocolError, self.alice.say, "x" * (MAX_TEXT + 1), WALL, NOW)
        for _ in range(MAX_LOG):
            self.alice.say("", WALL, NOW)
        self.assertRaises(LocalProtocolError, self.alice.say, "one more", WALL, NOW)
        self.assertEqual(self.alice.undelivered, MAX_LOG)

    def test_disconnect(self) -> None:
        """Who leaves says so, with a reason."""
        self.opened()
        self.alice.leave("left", "good night")
        self.pump()
        self.assertEqual(told(self.bob), [RemoteDisconnected("left", "good night")])

    def test_disconnect_is_last(self) -> None:
        """Who leaves says so after all that was said before, however little room there is."""
        self.opened()
        for number in range(5):
            self.alice.say(str(number), WALL, NOW)
        self.alice.leave()
        went: list[Said] = []
        for room in (0, 300, 0, 300, 300):
            went += sent(self.alice, NOW, room)
        self.assertEqual(went[5:], [Disconnect("left", "")])
        self.assertEqual(sent(self.alice, NOW), [])
        for message in went:
            hear(self.bob, message)
        self.assertEqual(of(RemoteDisconnected, told(self.bob)), [RemoteDisconnected("left", "")])

    @settings(max_examples=150)
    @given(st.lists(st.sampled_from(["a", "b", "link", "cut", ">", "<", ">", "<", "beat"])))
    def test_any_history(self, history: list[str]) -> None:
        """
        Links made and broken at any moment: all arrives once, in order, and is confirmed.

        Says (a, b), links (link, cut), frames that arrive (> at Bob, < at Alice), heartbeats.
        """
        self.meet()
        said: dict[str, list[str]] = {"a": [], "b": []}
        flying: dict[str, deque[Said]] = {">": deque(), "<": deque()}
        ends = {">": (self.alice, self.bob), "<": (self.bob, self.alice)}
        linked = False
        for step, event in enumerate(history):
            if event in said:
                speaker = self.alice if event == "a" else self.bob
                speaker.say(f"{event}{step}", WALL, NOW)
                said[event].append(f"{event}{step}")
            elif event == "link" and not linked:
                linked = True
                self.alice.link_began()
                self.bob.link_began()
            elif event == "cut":
                linked = False
                self.cut()
                flying = {">": deque(), "<": deque()}
            elif event == "beat":
                self.alice.beat(NOW)
            elif event in ends and linked:
                sender, reader = ends[event]
                flying[event] += sent(sender, NOW, 200)
                if flying[event]:
                    hear(reader, flying[event].popleft())
        self.cut()
        self.open()
        for reader, writer in ((self.alice, "b"), (self.bob, "a")):
            self.assertEqual(self.texts(reader), said[writer])
        self.assertEqual((self.alice.undelivered, self.bob.undelivered), (0, 0))


class BatchTests(ConversationCase):
    """Lines that are stored together have one signature."""

    def setUp(self) -> None:
        super().setUp()
        self.opened()
        for text in ("one", "two", "three"):
            self.alice.conversation.say(text, WALL, NOW)
        self.batch = of(LogEntry, sent(self.alice))

    def test_one_signature(self) -> None:
        """The last one is signed; until it is there nothing is shown, stored or confirmed."""
        self.assertEqual([bool(one.signature) for one in self.batch], [False, False, True])
        hear(self.bob, self.batch[0])
        hear(self.bob, self.batch[1])
        self.assertEqual((told(self.bob), sent(self.bob)), ([], []))
        self.assertFalse(self.bob.conversation.has_unread)
        hear(self.bob, self.batch[2])
        self.assertEqual(
            [one.text for one in of(Received, told(self.bob))], ["one", "two", "three"]
        )
        self.assertEqual(sent(self.bob), [receipt(self.alice, 3)])

    def test_half_a_batch(self) -> None:
        """A link that ends in a batch costs nothing: it comes again, whole."""
        hear(self.bob, self.batch[0])
        self.cut()
        self.open()
        self.assertEqual(
            [one.text for one in of(Received, told(self.bob))], ["one", "two", "three"]
        )
        self.assertEqual(self.alice.undelivered, 0)

    def test_forged(self) -> None:
        """A line that the author didn't write breaks the rules, and so does another's signature."""
        hear(self.bob, self.batch[0])
        hear(self.bob, self.batch[1])
        forged = changed(self.batch[2], body=b"forged")
        for entry in (forged, signed(self.bob, self.batch[2])):
            self.assertRaises(RemoteProtocolError, hear, self.bob, entry)
        self.assertEqual(told(self.bob), [])


class RefusalTests(ConversationCase):
    """What breaks the rules."""

    def refuse(self, message: Said) -> None:
        """Bob refuses this message, and shows nothing."""
        with self.subTest(message=message):
            self.assertRaises(RemoteProtocolError, hear, self.bob, message)
            self.assertEqual(told(self.bob), [])

    def introduced(self, oldest: int = 1) -> None:
        """Make a link on which Alice has told from where on she has her log."""
        self.alice.link_began()
        self.bob.link_began()
        hear(self.bob, Hello("alice"))
        hear(self.bob, announced(self.alice, oldest, oldest - 1))
        told(self.bob)

    def test_before_hello(self) -> None:
        """No control frame but HELLO and DISCONNECT comes first, on each link."""
        early = (Ping(1), Pong(1), Credit(2, 3), Proof(bytes(32), bytes(64)))
        self.bob.link_began()
        for message in early:
            self.refuse(message)
        self.opened()
        self.cut()
        self.bob.link_began()
        for message in early:
            self.refuse(message)

    def test_second_hello(self) -> None:
        """HELLO comes once on a link; on the next link it comes again."""
        self.opened()
        self.refuse(Hello("alice"))
        self.refuse(Hello("mallory"))
        self.cut()
        self.bob.link_began()
        hear(self.bob, Hello("alice"))
        self.assertEqual(told(self.bob), [Opened("alice")])

    def test_gap(self) -> None:
        """An entry whose number leaves a gap is refused: something was lost."""
        self.introduced()
        self.refuse(line(self.alice, 2))
        hear(self.bob, line(self.alice, 1))
        told(self.bob)
        self.refuse(line(self.alice, 3))

    def test_not_announced(self) -> None:
        """An entry of a log of which nothing was said on this link is refused."""
        self.alice.link_began()
        self.bob.link_began()
        hear(self.bob, Hello("alice"))
        told(self.bob)
        self.refuse(line(self.alice, 1))
        hear(self.bob, announced(self.alice))
        self.bob.link_began()
        hear(self.bob, Hello("alice"))
        told(self.bob)
        self.refuse(line(self.alice, 1))

    def test_another(self) -> None:
        """An entry of another log, or another conversation, is refused."""
        self.introduced()
        self.refuse(line(self.alice, 1, log=b"other log of her"))
        self.refuse(changed(line(self.alice, 1), conversation=bytes(16)))

    def passed_over(self, message: LogEntry) -> None:
        """Bob shows nothing of this message, and says what he has."""
        hear(self.bob, message)
        self.assertEqual(told(self.bob), [])
        self.assertEqual(len(of(Have, sent(self.bob))), 1)

    def test_chain(self) -> None:
        """An entry that doesn't follow the one before it isn't taken, where that one is here."""
        self.introduced()
        self.passed_over(line(self.alice, 1, previous=b"p" * 32))
        hear(self.bob, line(self.alice, 1))
        told(self.bob)
        self.passed_over(line(self.alice, 2))

    def test_chain_of_a_known_log(self) -> None:
        """Where the entry before isn't here, nobody can tell; from then on it is."""
        self.introduced(7)
        hear(self.bob, line(self.alice, 7, previous=b"p" * 32))
        self.assertEqual(len(of(Received, told(self.bob))), 1)
        self.passed_over(line(self.alice, 8, previous=b"p" * 32))

    def test_lamport(self) -> None:
        """A clock that leaps is refused, but for that of a log that is new here."""
        self.introduced()
        self.alice.say("one", WALL, NOW)
        self.alice.say("two", WALL, NOW)
        one, two = of(LogEntry, sent(self.alice))
        far = signed(self.alice, changed(one, lamport=10 * MAX_JUMP))
        hear(self.bob, far)
        told(self.bob)
        follows = sha256(far.encode()).digest()
        self.refuse(changed(two, previous=follows, lamport=11 * MAX_JUMP + 1))
        near = changed(two, previous=follows, lamport=11 * MAX_JUMP)
        hear(self.bob, signed(self.alice, near))
        self.bob.say("after it", WALL, NOW)
        self.assertEqual(of(LogEntry, sent(self.bob))[0].lamport, 11 * MAX_JUMP + 1)

    def test_receipt_for_nothing(self) -> None:
        """Nobody can confirm, or answer, what was never written."""
        self.introduced()
        self.bob.say("x", WALL, NOW)
        self.refuse(receipt(self.bob, 2))
        known = Known(self.bob.conversation.author, self.bob.log, 2)
        self.refuse(changed(line(self.alice, 1), after=(known,)))

    def test_second_proof(self) -> None:
        """PROOF has no business in a conversation."""
        self.opened()
        self.refuse(Proof(bytes(32), bytes(64)))

    @settings(max_examples=100)
    @given(st.lists(st.binary(max_size=300), max_size=5))
    def test_any_bytes(self, frames: list[bytes]) -> None:
        """Any bytes raise only our error."""
        conversation = Talker("bob", b"B" * 16).conversation
        conversation.greeted()
        for frame in frames:
            for kind in (b"", HAVE, ENTRY):
                with contextlib.suppress(RemoteProtocolError):
                    conversation.receive(kind + frame, NOW)
        self.assertFalse(conversation.has_unread)


class EntryTests(ConversationCase):
    """What entries say beside their text."""

    def setUp(self) -> None:
        super().setUp()
        self.opened()

    def said(self, one: Silent, text: str = "x") -> LogEntry:
        """Let somebody say a line, and return its entry."""
        one.say(text, WALL, NOW)
        (entry,) = of(LogEntry, sent(one))
        return entry

    def test_chain(self) -> None:
        """Each entry has the hash of the one before it."""
        one, two = self.said(self.alice), self.said(self.alice)
        self.assertEqual((one.previous, two.previous), (bytes(32), sha256(one.encode()).digest()))

    def test_after(self) -> None:
        """An entry names the last one of the other side's log, where none before it does."""
        theirs = self.said(self.bob)
        hear(self.alice, theirs)
        one, two = self.said(self.alice), self.said(self.alice)
        known = Known(theirs.author, theirs.log, theirs.number)
        self.assertEqual((one.after, two.after), ((known,), ()))
        self.assertEqual([theirs.lamport, one.lamport, two.lamport], [1, 2, 3])

    def test_lost_before(self) -> None:
        """What the author can't pass on any more is lost, and the log goes on after it."""
        hear(self.bob, announced(self.alice, 5, 9))
        hear(self.bob, line(self.alice, 5, previous=b"p" * 32))
        events = told(self.bob)
        self.assertEqual([one.text for one in of(Received, events)], ["x"])
        self.assertEqual(of(Introduced, events), [])
        self.assertEqual(sent(self.bob), [receipt(self.alice, 5)])

    def test_lone_surrogate(self) -> None:
        """What UTF-8 can't carry arrives as U+FFFD."""
        hear(self.bob, self.said(self.alice, "a\ud800b"))
        self.assertEqual([one.text for one in of(Received, told(self.bob))], ["a\ufffdb"])

    def test_item_of_another(self) -> None:
        """What is said of other logs, and entries of other authors, are a newer program's."""
        items = (Item(b"c" * 16, b"C" * 16, 1, 7), Item(ALICE, bytes(16), 1, 3))
        hear(self.alice, Have(items))
        hear(self.alice, changed(line(self.bob, 1), author=b"c" * 16))
        self.assertEqual(told(self.alice), [])

    def test_leaving(self) -> None:
        """Who leaves takes no line any more, and still hears what became of its own."""
        entry, late = self.said(self.alice, "last"), self.said(self.bob, "too late")
        hear(self.bob, entry)
        self.alice.leave()
        hear(self.alice, late)
        self.pump()
        self.assertEqual([type(one) for one in told(self.alice)], [Delivered])
