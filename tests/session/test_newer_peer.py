"""
A peer whose program comes after ours: what it says beyond version 2 is ignored or refused by words.

Nothing of it may end the link, and all that this version knows goes on beside it.
"""

from __future__ import annotations

from hashlib import sha256

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.entry_signatures import sign_entry
from p2pchat.identity.keys import peer_id_octets
from p2pchat.session import control
from p2pchat.session import conversation as talk
from p2pchat.session.byte_streams import ByteStreams, StreamCount
from p2pchat.session.control import Control
from p2pchat.session.conversation import Conversation
from p2pchat.session.conversation_events import EntriesWaiting, Received
from p2pchat.session.link import Link, LinkEnded
from p2pchat.session.live_link import LiveLink, LiveLinkEvent, RuleBroken, StreamRefused
from p2pchat.session.liveness import IdleTracker
from p2pchat.traversal.keepalive import Keepalive
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import entries, messages
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import CandidateType
from p2pchat.wire.entries import Item, Known, LogEntry
from p2pchat.wire.framing import encode_frame, encode_frames
from p2pchat.wire.messages import Opening, StreamRefusal
from p2pchat.wire.strict_json import dumps
from tests.identity.people import ALICE, BOB
from tests.session.link_ends import CERTIFICATE, LEFT, RIGHT, SECRET, dialing_end
from tests.session.test_streams import Giver
from tests.traversal.fake_wire import FakeWire
from tests.wire.frames import changed

WALL = 1_800_000_000.0
US, THEM = peer_id_octets(BOB.peer_id), peer_id_octets(ALICE.peer_id)
LOG = b"l" * 16
CONTROL, CONVERSATION = 2, 6  # their streams


@attrs.define(eq=False)
class LiveEnd:
    """A `Station` with our program from the conversation down, and what it told."""

    live: LiveLink
    told: list[LiveLinkEvent] = attrs.Factory(list)

    def receive(self, data: bytes, _source: Address, now: float) -> None:
        """Take a datagram."""
        self.live.receive_datagrams([data], now)
        self._note(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.live.handle_timer(now)
        self._note(now)

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        return self.live.get_timer()

    def outgoing(self, now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent."""
        outgoing = self.live.datagrams_to_send(now)
        self._note(now)
        return outgoing

    def _note(self, now: float) -> None:
        while (event := self.live.next_event(now)) is not None:
            self.told.append(event)
            if isinstance(event, EntriesWaiting):
                conversation = self.live.control.conversation
                conversation.stored(conversation.next_unstored(event.are_ours))
            if isinstance(event, Received):
                self.live.control.conversation.read(event.id)


class LinkCase(SynchronousTestCase):
    """Bob's program, and by hand that of Alice, who dials and has proved who she is."""

    def setUp(self) -> None:
        self.wire = FakeWire()
        self.wire.link(LEFT, RIGHT)
        self.conversation = Conversation(BOB, THEM, lambda size: b"o" * size)
        live = LiveLink(
            Control("bob", self.conversation),
            IdleTracker(Keepalive()),
            ByteStreams(ALICE.peer_id, StreamCount()),
        )
        self.bob = LiveEnd(live)
        link = Link(BOB, ALICE.peer_id, CERTIFICATE, SECRET, False, bytes)
        live.begin(link, "link", self.wire.now)
        live.use(Path(LEFT, CandidateType.HOST, CandidateType.HOST, 0.02), self.wire.now)
        self.alice = dialing_end(BOB, self.wire.now)
        self.wire.attach(self.alice, LEFT)
        self.wire.attach(self.bob, RIGHT)
        self.wire.run_until(lambda: self.alice.received)
        self.alice.prove(ALICE, "client")

    def write(self, stream: int, *bodies: bytes) -> None:
        """Let Alice write frames."""
        self.alice.connection.send(stream, encode_frames(bodies))

    def greet(self, *features: str) -> None:
        """Let Alice say HELLO, open the conversation, and tell what she has."""
        self.alice.say(messages.Hello("alice", features))
        opening = {**Opening(talk.KIND, self.conversation.name).to_json(), "newer": [1]}
        self.write(CONVERSATION, dumps(opening), entries.encode_have([Item(THEM, LOG, 1, 0)]))
        self.wire.run(0.1)

    def entry(
        self, number: int, before: bytes = b"", kind: str = "text", **more: object
    ) -> LogEntry:
        """Make an entry of Alice's."""
        previous = sha256(before).digest() if before else entries.NOTHING
        head = (self.conversation.id, THEM, THEM, LOG, number, previous, number, int(WALL * 1e6))
        made = changed(LogEntry(*head, kind, (), b"hi"), **more)
        signature = sign_entry(ALICE, made.encode()[: -entries.UNSIGNED])
        return changed(made, signature=signature)

    def received(self) -> list[Received]:
        """Return what was shown."""
        return [one for one in self.bob.told if isinstance(one, Received)]

    def heard(self, kind: type[messages.ControlMessage]) -> list[messages.ControlMessage]:
        """Return what Alice heard of one kind."""
        return [one for one in self.alice.heard() if isinstance(one, kind)]

    def assert_alive(self) -> None:
        """The link goes on: no rule was broken, and a PING is answered."""
        self.alice.say(messages.Ping(77))
        self.wire.run(0.1)
        self.assertIn(messages.Pong(77), self.alice.heard())
        ends = [one for one in self.bob.told if isinstance(one, RuleBroken | LinkEnded)]
        self.assertEqual(ends, [])


class NewerPeerTests(LinkCase):
    """What a newer program may say."""

    def test_features(self) -> None:
        """Words of features, and members of frames, that this version doesn't know."""
        self.greet("teleport", "x" * 64)
        self.write(CONTROL, dumps({"type": "PING", "number": 5, "urgent": True}))
        self.wire.run(0.1)
        self.assertIn(messages.Pong(5), self.alice.heard())
        self.assert_alive()

    def test_control_frames(self) -> None:
        """Types of control frames, before HELLO too, and words of DISCONNECT."""
        self.write(CONTROL, dumps({"type": "WAVE", "to": {"all": []}}))
        self.greet()
        self.write(CONTROL, dumps({"type": "TYPING"}))
        self.assert_alive()
        self.alice.say(messages.Disconnect("moved", "to another machine"))
        self.wire.run(0.1)
        self.assertEqual(
            self.bob.told[-1], control.RemoteDisconnected("moved", "to another machine")
        )

    def test_stream_kinds(self) -> None:
        """Streams of other kinds, of either direction, are refused, and so is who repeats."""
        self.greet()
        for stream, opening in (
            (10, Opening("hologram", "x")),
            (0, Opening("hologram", "y")),
            (14, Opening(talk.KIND, "of others")),
            (18, Opening(talk.KIND, self.conversation.name)),
        ):
            self.write(stream, opening.encode(), bytes(1000))
            self.wire.run(0.1)
            self.write(stream, b"it goes on all the same")
        self.wire.run(0.1)
        self.assertEqual(
            self.heard(StreamRefusal),
            [
                StreamRefusal(10, "unknown-kind"),
                StreamRefusal(0, "unknown-kind"),
                StreamRefusal(14, "unknown"),
                StreamRefusal(18, "duplicate"),
            ],
        )
        self.assert_alive()

    def test_have(self) -> None:
        """Items of HAVE about logs of others, or of nobody."""
        self.greet()
        other = Item(b"c" * 16, b"C" * 16, 3, 9)
        self.write(CONVERSATION, entries.encode_have([other, Item(US, bytes(16), 1, 5), other]))
        self.write(CONVERSATION, entries.encode_have([]))
        self.assert_alive()

    def test_frame_types(self) -> None:
        """Types of a conversation's frames, an empty one among them."""
        self.greet()
        self.write(CONVERSATION, b"\x05 a reaction", b"", bytes(100_000), b"\xff")
        self.write(CONVERSATION, entries.ENTRY + self.entry(1).encode())
        self.assert_alive()
        self.assertEqual([one.text for one in self.received()], ["hi"])

    def test_entry_kinds(self) -> None:
        """A kind of entry is shown as such, confirmed, and followed by others."""
        self.greet()
        first = self.entry(1, kind="image", person=b"p" * 16).encode() + b"later"
        second = self.entry(2, first, after=(Known(b"c" * 16, b"C" * 16, 8),)).encode()
        foreign = self.entry(1, author=b"c" * 16).encode()
        for one in (first, foreign, second):
            self.write(CONVERSATION, entries.ENTRY + one)
        self.assert_alive()
        image, text = self.received()
        self.assertEqual((image.kind, text.kind, text.text), ("image", "", "hi"))
        self.assertIn("'image'", image.text)
        self.assertFalse(self.conversation.has_unread)

    def test_refuses_ours(self) -> None:
        """One who doesn't take a stream of ours says why, and is written to no more."""
        self.greet()
        self.bob.live.open_stream("bulk", "x", Giver(1_000_000))
        self.wire.run(0.5)
        self.alice.say(StreamRefusal(11, "unknown-kind", "not any more"))
        self.alice.connection.refuse(11)
        self.assert_alive()
        self.assertIn(StreamRefused("bulk", "unknown-kind", "not any more"), self.bob.told)


class GoodbyeTests(LinkCase):
    """DISCONNECT comes after all that was said before it, on whatever stream."""

    def test_in_order(self) -> None:
        """A goodbye that overtakes lines waits for them."""
        self.greet()
        frame = encode_frame(entries.ENTRY + self.entry(1).encode())
        opening = {**Opening(talk.KIND, self.conversation.name).to_json(), "newer": [1]}
        have = entries.encode_have([Item(THEM, LOG, 1, 0)])
        before = len(encode_frames([dumps(opening), have]))
        streams = (messages.Written(CONVERSATION, before + len(frame)),)
        self.alice.say(messages.Disconnect("left", streams=streams))
        self.alice.connection.send(CONVERSATION, frame[:50])
        self.wire.run(0.1)
        self.assertFalse(self.bob.live.control.remote_left)
        self.alice.connection.send(CONVERSATION, frame[50:])
        self.wire.run(0.1)
        self.assertTrue(self.bob.live.control.remote_left)
        self.assertEqual(
            [type(one) for one in self.bob.told[-2:]],
            [Received, control.RemoteDisconnected],
        )

    def test_never_whole(self) -> None:
        """Of a goodbye whose lines never come the end of the link tells."""
        self.greet()
        self.alice.say(messages.Disconnect("left", "", (messages.Written(CONVERSATION, 99_999),)))
        self.wire.run(0.1)
        self.alice.connection.close("bye")
        self.wire.run(5)
        self.assertEqual(
            [type(one) for one in self.bob.told[-2:]], [control.RemoteDisconnected, LinkEnded]
        )


class BrokenTests(LinkCase):
    """What no version may do."""

    def broken(self) -> str:
        """Return the rule that was broken."""
        self.wire.run(0.2)
        (rule,) = (one.explanation for one in self.bob.told if isinstance(one, RuleBroken))
        return rule

    def test_before_hello(self) -> None:
        """CREDIT and REFUSED have their time after HELLO."""
        self.alice.say(messages.Credit(7, 1))
        self.assertEqual(self.broken(), "CREDIT before HELLO")

    def test_frame_too_long(self) -> None:
        """A frame that is too long is refused before it is there."""
        self.greet()
        self.alice.write((2**31).to_bytes(4, "big"))
        self.assertIn("a frame of", self.broken())

    def test_more_than_credit(self) -> None:
        """One who sends more than credit allows has broken a rule."""
        opening = Opening(talk.KIND, self.conversation.name).encode()
        self.alice.connection.send(CONVERSATION, encode_frame(opening) + bytes(600_000))
        self.wire.run(3)
        self.assertIn("a stream carries", self.broken())

    def test_nothing_after_it(self) -> None:
        """What follows a broken rule isn't looked at."""
        self.alice.say(messages.Credit(7, 1))
        self.greet()
        self.alice.write((2**31).to_bytes(4, "big"))
        self.broken()
        self.assertFalse(self.bob.live.control.is_open)
