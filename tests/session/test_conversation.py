"""A conversation: what makes delivery certain, and what is refused."""

from __future__ import annotations

from collections import deque

from hypothesis import given, settings
from hypothesis import strategies as st

from p2pchat.errors import LocalProtocolError, RemoteProtocolError, UnsupportedVersion
from p2pchat.session.control import Opened, RemoteDisconnected
from p2pchat.session.conversation import MAX_LOG, Delivered, Received
from p2pchat.wire.messages import (
    MAX_TEXT,
    ChatMessage,
    Disconnect,
    Hello,
    Ping,
    Pong,
    Proof,
    Receipt,
    TextMessage,
    encode,
)
from p2pchat.wire.strict_json import dumps, loads
from tests.session.conversing import (
    NOW,
    WALL,
    ConversationCase,
    Silent,
    Talker,
    hear,
    of,
    sent,
    told,
)


class DeliveryTests(ConversationCase):
    """What is said is shown once, in order, and its author knows."""

    def texts(self, one: Silent) -> list[str]:
        """Return the lines that one side was shown since the last time."""
        return [event.message.text for event in of(Received, told(one))]

    def test_both_ways(self) -> None:
        """Lines are numbered from 1, shown with their author's time, and confirmed."""
        self.opened()
        self.assertEqual([self.alice.say(f"a{n}", WALL, NOW) for n in range(3)], [1, 2, 3])
        self.bob.say("b0", WALL, NOW)
        self.pump(NOW + 0.5)
        self.assertEqual(
            told(self.bob)[:1], [Received(self.alice.epoch, TextMessage(1, "a0", WALL))]
        )
        self.assertEqual(of(Delivered, told(self.alice)), [Delivered(n, 0.5) for n in (1, 2, 3)])
        self.assertEqual((self.alice.undelivered, self.bob.undelivered), (0, 0))

    def test_hello(self) -> None:
        """HELLO tells the name; the first one of a log is a new conversation."""
        self.open()
        self.assertEqual(told(self.bob), [Opened("alice", True)])
        self.cut()
        self.open()
        self.assertEqual(told(self.bob), [Opened("alice", False)])

    def test_said_before(self) -> None:
        """What is said before there is a link waits for it."""
        self.alice.say("early", WALL, NOW)
        self.assertEqual(sent(self.alice, NOW), [])
        self.open()
        self.assertEqual(self.texts(self.bob), ["early"])

    def test_sent_again(self) -> None:
        """A new link brings what the last one lost, and nothing that HELLO says is there."""
        self.opened()
        for text in ("one", "two", "three"):
            self.alice.say(text, WALL, NOW)
        one, *_lost = sent(self.alice, NOW)
        hear(self.bob, one)
        self.cut()
        self.alice.link_opened()
        self.bob.link_opened()
        hear(self.alice, sent(self.bob, NOW)[0])
        self.assertEqual(of(Delivered, told(self.alice)), [Delivered(1, 0.0)])
        self.pump()
        self.assertEqual(self.texts(self.bob), ["one", "two", "three"])
        self.assertEqual(self.alice.undelivered, 0)

    def test_lost_receipt(self) -> None:
        """A line whose receipt was lost is confirmed by the next HELLO, not shown again."""
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
        self.assertEqual(sent(self.bob, NOW), [Receipt(1)])

    def test_other_side_restarted(self) -> None:
        """To a new program of theirs goes what the old one never confirmed, and its own is new."""
        self.opened()
        self.alice.say("confirmed", WALL, NOW)
        self.pump()
        self.alice.say("not confirmed", WALL, NOW)
        self.cut()
        self.bob = Talker("bob", "c" * 32)
        self.bob.say("hello again", WALL, NOW)
        self.open()
        self.assertEqual(self.texts(self.bob), ["not confirmed"])
        events = told(self.alice)
        self.assertEqual(of(Opened, events), [Opened("bob", True)])
        self.assertEqual(of(Received, events)[0].message.text, "hello again")
        self.assertEqual(self.alice.undelivered, 0)

    def test_room(self) -> None:
        """No more lines go out than the link has room for, in order."""
        self.opened()
        for number in range(10):
            self.alice.say(str(number), WALL, NOW)
        batches = [sent(self.alice, NOW, room) for room in (3, 0, 100)]
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
        went: list[ChatMessage] = []
        for room in (0, 2, 0, 2, 2):
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
        self.setUp()
        said: dict[str, list[str]] = {"a": [], "b": []}
        flying: dict[str, deque[ChatMessage]] = {">": deque(), "<": deque()}
        ends = {">": (self.alice, self.bob), "<": (self.bob, self.alice)}
        linked = False
        for step, event in enumerate(history):
            if event in said:
                speaker = self.alice if event == "a" else self.bob
                speaker.say(f"{event}{step}", WALL, NOW)
                said[event].append(f"{event}{step}")
            elif event == "link" and not linked:
                linked = True
                self.alice.link_opened()
                self.bob.link_opened()
            elif event == "cut":
                linked = False
                self.cut()
                flying = {">": deque(), "<": deque()}
            elif event == "beat":
                self.alice.beat(NOW)
            elif event in ends and linked:
                sender, reader = ends[event]
                flying[event] += sent(sender, NOW, 2)
                if flying[event]:
                    hear(reader, flying[event].popleft())
        self.cut()
        self.open()
        for reader, writer in ((self.alice, "b"), (self.bob, "a")):
            self.assertEqual(self.texts(reader), said[writer])
        self.assertEqual((self.alice.undelivered, self.bob.undelivered), (0, 0))


class RefusalTests(ConversationCase):
    """What breaks the rules."""

    def refuse(self, message: ChatMessage) -> None:
        """Bob refuses this message, and shows nothing."""
        with self.subTest(message=message):
            self.assertRaises(RemoteProtocolError, hear, self.bob, message)
            self.assertEqual(told(self.bob), [])

    def test_before_hello(self) -> None:
        """Nothing but HELLO and DISCONNECT comes first, on each link."""
        early = (
            TextMessage(1, "x", WALL),
            Receipt(0),
            Ping(1),
            Pong(1),
            Proof(bytes(32), bytes(64)),
        )
        self.bob.link_opened()
        for message in early:
            self.refuse(message)
        self.opened()
        self.cut()
        self.bob.link_opened()
        for message in early:
            self.refuse(message)

    def test_second_hello(self) -> None:
        """HELLO comes once on a link; on the next link it comes again."""
        self.opened()
        hello = Hello("alice", self.alice.epoch)
        self.refuse(hello)
        self.refuse(Hello("mallory", "c" * 32))
        self.cut()
        self.bob.link_opened()
        hear(self.bob, hello)
        self.assertEqual(told(self.bob), [Opened("alice", False)])

    def test_gap(self) -> None:
        """A message whose number leaves a gap is refused: something was lost."""
        self.opened()
        self.refuse(TextMessage(2, "x", WALL))
        hear(self.bob, TextMessage(1, "x", WALL))
        told(self.bob)
        self.refuse(TextMessage(3, "x", WALL))

    def test_receipt_for_nothing(self) -> None:
        """Nobody can confirm what was never written, by RECEIPT or by HELLO."""
        self.opened()
        self.bob.say("x", WALL, NOW)
        self.refuse(Receipt(2))
        self.assertRaises(
            RemoteProtocolError, hear, self.bob, Hello("alice", "a" * 32, 1, self.bob.epoch, 2)
        )

    def test_second_proof(self) -> None:
        """PROOF has no business in a conversation."""
        self.opened()
        self.refuse(Proof(bytes(32), bytes(64)))

    def test_version(self) -> None:
        """Another version is refused by name."""
        self.opened()
        newer = dumps({**loads(encode(Ping(1), WALL)), "v": 9})
        error = self.assertRaises(UnsupportedVersion, self.bob.receive_frame, newer, NOW)
        self.assertIn("version 9", str(error))

    def test_unknown_type(self) -> None:
        """A type of a newer program is ignored, before HELLO too."""
        newer = dumps({**loads(encode(Ping(1), WALL)), "type": "WAVE"})
        self.bob.receive_frame(newer, NOW)
        self.opened()
        self.bob.receive_frame(newer, NOW)
        self.assertEqual((told(self.bob), sent(self.bob, NOW)), ([], []))

    @settings(max_examples=100)
    @given(st.lists(st.binary(max_size=30), max_size=5))
    def test_any_bytes(self, frames: list[bytes]) -> None:
        """Any bytes raise only our error."""
        for frame in frames:
            self.assertRaises(RemoteProtocolError, self.bob.receive_frame, frame, NOW)
