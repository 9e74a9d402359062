"""The encrypted link: who is believed, and what is let through before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LinkClosed, ProofFailed, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.session import quic
from p2pchat.session.link import (
    HELD,
    MAX_PROOF,
    OVERHEAD,
    PROOF_DEADLINE,
    LinkEnded,
    LinkOpened,
    LinkState,
    LinkWritable,
)
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import messages
from p2pchat.wire.addresses import Address
from p2pchat.wire.messages import ControlMessage, Hello, Ping, Proof
from tests.cases import each
from tests.identity.people import ALICE, BOB, CAROL
from tests.session.link_ends import (
    LEFT,
    RIGHT,
    SECRET,
    BareEnd,
    LinkEnd,
    answering_end,
    dialing_end,
    link_end,
)
from tests.traversal.fake_wire import FakeWire, Link
from tests.wire.frames import frames_of


class LinkCase(SynchronousTestCase):
    """Alice dials, Bob answers."""

    def setUp(self) -> None:
        self.meet()

    def meet(self) -> None:
        """Let two ends that know nothing of each other yet be there."""
        self.wire = FakeWire(seed=5)
        self.path = self.wire.link(LEFT, RIGHT)
        self.alice = self.dialing()
        self.bob = self.answering()

    def dialing(
        self, identity: Identity = ALICE, peer: Identity = BOB, secret: bytes = SECRET
    ) -> LinkEnd:
        """Put an end that dials on the left."""
        return self.at(LEFT, link_end(identity, peer, True, self.wire.now, secret))

    def answering(self, identity: Identity = BOB, peer: Identity = ALICE) -> LinkEnd:
        """Put an end that answers on the right."""
        return self.at(RIGHT, link_end(identity, peer, False, self.wire.now))

    def at(self, address: Address, station: LinkEnd) -> LinkEnd:
        """Attach a station."""
        self.wire.attach(station, address)
        return station

    def open(self, within: float = 5.0) -> float:
        """Let time pass until both are open."""
        return self.wire.run_until(lambda: self.alice.opened and self.bob.opened, within)

    def sent(self, *bodies: bytes) -> list[bytes]:
        """Let Alice send frames; returns the datagrams, which don't go out."""
        self.alice.send(*bodies)
        return self.alice.link.datagrams_to_send(self.wire.now)

    def assert_never_opened(self, *ends: LinkEnd) -> None:
        """These have ended without believing anybody, or delivering anything."""
        for one in ends:
            self.assertIs(one.link.state, LinkState.ENDED)
            self.assertFalse(one.opened or one.frames)


class OpenTests(LinkCase):
    """Two honest ends."""

    def test_opens(self) -> None:
        """It takes two round trips at most, and both sides are told once."""
        self.assertLess(self.open(), 0.045)
        self.wire.run(5)
        self.assertEqual(
            (self.alice.told[:2], self.bob.told[:2]),
            ([LinkWritable(), LinkOpened()],) * 2,
        )
        self.assertEqual((self.alice.frames, self.bob.frames), ([], []))

    def test_frames(self) -> None:
        """Frames of any size arrive once, in order, on a bad path."""
        self.open()
        self.path.loss, self.path.jitter, self.path.twice = 0.2, 0.03, 0.1
        sent = [bytes([number]) * (number * number * 20) for number in range(40)]
        for body in sent:
            self.alice.send(body)
            self.bob.send(body[::-1])
        self.wire.run_until(lambda: len(self.alice.frames) == len(self.bob.frames) == 40, 60)
        self.assertEqual(self.bob.frames, sent)
        self.assertEqual(self.alice.frames, [body[::-1] for body in sent])
        self.assertEqual(self.alice.link.backlog(), 0)

    def test_together(self) -> None:
        """Datagrams that are taken together give the same frames as one by one."""
        self.open()
        self.alice.send(b"first")
        self.wire.run(1)
        bodies = [bytes([number]) * 3000 for number in range(10)]
        datagrams = self.sent(*bodies)
        self.assertGreater(len(datagrams), 5)
        self.bob.link.receive_datagrams(datagrams, self.wire.now)
        self.wire.run(1)
        self.assertEqual(self.bob.frames, [b"first", *bodies])

    def test_closed(self) -> None:
        """Who closes says why, and the other end hears it."""
        self.open()
        self.alice.link.close("enough", self.wire.now)
        self.wire.run(2)
        for one in (self.alice, self.bob):
            (error,) = one.errors
            self.assertIsInstance(error, LinkClosed)
            self.assertIn("enough", str(error))
            self.assertRaises(LinkClosed, one.send, b"more")
        self.alice.link.close("again", self.wire.now)
        self.wire.run(10)
        self.assertEqual((len(self.alice.errors), self.alice.get_timer()), (1, None))

    def test_bad_paths(self) -> None:
        """Loss, reordering and duplicates delay the handshake, for no seed do they end it."""
        for seed in range(10):
            self.wire = FakeWire(seed)
            self.wire.link(LEFT, RIGHT, Link(loss=0.1, jitter=0.05, twice=0.3))
            self.alice, self.bob = self.dialing(), self.answering()
            self.open(PROOF_DEADLINE)
            self.assertFalse(self.alice.errors or self.bob.errors)

    def test_reordered_flights(self) -> None:
        """A packet that overtakes all others of its flight isn't waited for again."""
        now = self.wire.now
        sides = [(self.alice, self.bob), (self.bob, self.alice)]
        for turn in range(6):
            sender, reader = sides[turn % 2]
            flight = sender.outgoing(now)
            for datagram in flight[-1:] + flight[:-1]:
                reader.receive(datagram.data, LEFT, now)
        self.assertTrue(self.alice.opened and self.bob.opened)


class IdentityTests(LinkCase):
    """Nobody else than the peer who was meant is believed."""

    def test_wrong_answerer(self) -> None:
        """Who dials Bob and gets Carol ends the link."""
        self.bob = self.answering(CAROL)
        self.wire.run(1)
        self.assertFalse(self.alice.opened)
        self.assertIsInstance(self.alice.errors[0], ProofFailed)
        self.assertIn(BOB.peer_id, str(self.alice.errors[0]))

    def test_wrong_dialer(self) -> None:
        """Who expects Alice and is dialed by Carol ends the link."""
        self.alice = self.dialing(CAROL)
        self.wire.run(1)
        self.assertFalse(self.bob.opened)
        self.assertIsInstance(self.bob.errors[0], ProofFailed)

    def test_own_proof(self) -> None:
        """Who plays our own proof back to us doesn't become us, nor anybody."""
        self.bob = self.answering(peer=BOB)
        mirror = dialing_end(BOB, self.wire.now)
        self.wire.attach(mirror, LEFT)
        self.wire.run_until(lambda: mirror.received)
        mirror.write(mirror.received)
        self.wire.run(1)
        self.assertIsInstance(self.bob.errors[0], ProofFailed)
        self.assert_never_opened(self.bob)

    def test_man_in_the_middle(self) -> None:
        """
        One with a TLS session to each side, who passes every byte on, gets nowhere.

        He can only have them with the secret of the attempt.
        """
        near, far = ("192.0.2.3", 3), ("192.0.2.4", 4)
        self.wire = FakeWire()
        self.alice, self.bob = self.dialing(), self.answering()
        self.alice.other, self.bob.other = near, far
        ends = answering_end(ALICE, self.wire.now), dialing_end(BOB, self.wire.now)
        mallory = Relaying(*ends, near)
        self.wire.attach(mallory, near, far)
        self.wire.link(LEFT, near)
        self.wire.link(RIGHT, far)
        self.wire.run(2)
        self.assertEqual([type(one) for one in mallory.left.heard()], [Proof])
        self.assertEqual([type(one) for one in mallory.right.heard()], [Proof])
        self.assert_never_opened(self.alice, self.bob)
        self.assertTrue(any(isinstance(e, ProofFailed) for e in self.alice.errors))


class Relaying:
    """Mallory: a TLS session with each side, and every byte passed on."""

    def __init__(self, left: BareEnd, right: BareEnd, near: Address) -> None:
        self.left, self.right = left, right
        self._near = near
        self._passed = [0, 0]

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram of either side, and pass on what was said in it."""
        (self.left if source == LEFT else self.right).receive(data, source, now)
        for number, (reader, writer) in enumerate(
            ((self.left, self.right), (self.right, self.left))
        ):
            fresh = reader.received[self._passed[number] :]
            if fresh and writer.connection.binding is not None:
                self._passed[number] += len(fresh)
                writer.write(fresh)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.left.handle_timer(now)
        self.right.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        times = (self.left.get_timer(), self.right.get_timer())
        return min((time for time in times if time is not None), default=None)

    def outgoing(self, now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent."""
        return self.left.outgoing(now) + self.right.outgoing(now)


class BeforeProofTests(LinkCase):
    """Until the other side's proof holds, nothing is delivered and nothing sent but our own."""

    def setUp(self) -> None:
        super().setUp()
        self.stranger = dialing_end(BOB, self.wire.now)
        self.wire.attach(self.stranger, LEFT)

    def shake(self) -> None:
        """Let the stranger finish the handshake."""
        self.wire.run_until(lambda: self.stranger.received)

    def test_nothing_sent(self) -> None:
        """Bob's proof is all that a stranger gets, and Bob can't send more."""
        self.shake()
        self.assertRaises(LinkClosed, self.bob.send, b"secret")
        self.wire.run(PROOF_DEADLINE - 1)
        (proof,) = self.stranger.heard()
        self.assertIsInstance(proof, Proof)

    @each(Hello("alice"), Ping(1), Proof(ALICE.public_key, bytes(64)))
    def test_nothing_delivered(self, message: ControlMessage) -> None:
        """Frames before PROOF end the link, and so does a PROOF that doesn't hold."""
        self.shake()
        self.stranger.say(message)
        self.stranger.say(Hello("alice"))
        self.wire.run(1)
        self.assertIsInstance(self.bob.errors[0], RemoteProtocolError)
        self.assert_never_opened(self.bob)
        self.assertTrue(self.stranger.closed)

    def test_deadline(self) -> None:
        """
        A stranger who proves nothing, and one who never sends a byte, have PROOF_DEADLINE.

        It is no wrong proof: the path may be to blame, and the caller tries again.
        """
        silent = self.answering()
        started = self.wire.now
        for one in (self.bob, silent):
            self.wire.attach(one, RIGHT)
            self.wire.run(PROOF_DEADLINE + 0.001 - (self.wire.now - started))
            self.assertIsInstance(one.errors[0], LinkClosed)
            self.assertIn("in time", str(one.errors[0]))
            self.assertIsNone(one.get_timer())
            self.assert_never_opened(one)

    def test_other_streams(self) -> None:
        """What comes on other streams before PROOF is held, and handed on after it, in order."""
        self.shake()
        for stream, data in ((6, b"first"), (0, b"second"), (6, b"third")):
            self.stranger.connection.send(stream, data)
        self.wire.run(0.1)
        self.assertEqual(self.bob.told, [])
        self.stranger.prove(ALICE, "client")
        self.wire.run(0.1)
        found = [one for one in self.bob.told if isinstance(one, quic.StreamData)]
        self.assertEqual(b"".join(one.data for one in found if one.stream == 6), b"firstthird")
        self.assertEqual(b"".join(one.data for one in found if one.stream == 0), b"second")

    @each(1, 1000, 100_000)
    def test_much_before(self, size: int) -> None:
        """More than HELD bytes before PROOF end the link, whatever they are cut into."""
        self.shake()
        connection = self.stranger.connection
        for number in range(HELD // (size + OVERHEAD) + 2):
            connection.send(6 + number % 64 * 4, bytes(size))
            if number % 50 == 0:
                self.wire.run(0.02)
        self.wire.run(3)
        self.assertIn("before PROOF", str(self.bob.errors[0]))
        self.assert_never_opened(self.bob)

    def test_early(self) -> None:
        """An end that is early writes beside its own proof, and hands nothing on all the same."""
        self.bob.link.writes_early = True
        self.wire.run_until(lambda: self.stranger.received)
        self.assertEqual(self.bob.told, [LinkWritable()])
        self.bob.send(b"a line")
        self.wire.run(0.1)
        proof, line = frames_of(self.stranger.received)
        self.assertEqual((isinstance(messages.decode(proof), Proof), line), (True, b"a line"))
        self.stranger.prove(ALICE, "client")
        self.wire.run(0.1)
        self.assertEqual(self.bob.told[:2], [LinkWritable(), LinkOpened()])

    def test_proved(self) -> None:
        """With a good proof the same stranger is let in."""
        self.shake()
        self.stranger.prove(ALICE, "client")
        self.stranger.say(Ping(1))
        self.wire.run(0.1)
        self.assertEqual((self.bob.opened, len(self.bob.frames)), (True, 1))


class HostileTests(LinkCase):
    """What comes over the path is anybody's."""

    def test_proof_too_long(self) -> None:
        """A first frame that is longer than any PROOF ends the link before it is there."""
        stranger = dialing_end(BOB, self.wire.now)
        self.wire.attach(stranger, LEFT)
        self.wire.run_until(lambda: stranger.received)
        stranger.write((MAX_PROOF + 1).to_bytes(4, "big"))
        self.wire.run(1)
        self.assertIsInstance(self.bob.errors[0], RemoteProtocolError)
        self.assert_never_opened(self.bob)

    @settings(max_examples=30)
    @given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from([0x40, 0xC0, 0xD0, 0xFF]))
    def test_garbage(self, chunks: list[bytes], first: int) -> None:
        """Garbage never raises, never opens a link, and doesn't keep a handshake from ending."""
        self.meet()
        for chunk in chunks:
            for data in (chunk, bytes([first]) + b"\0\0\0\1\x08" + chunk, bytes([first]) + chunk):
                self.alice.receive(data, RIGHT, self.wire.now)
                self.bob.receive(data, LEFT, self.wire.now)
        self.assertFalse(self.alice.told or self.bob.told)
        self.open()

    def test_damaged(self) -> None:
        """A damaged copy beside every datagram changes nothing."""
        for seed in range(5):
            self.wire = FakeWire(seed)
            self.wire.link(LEFT, RIGHT)
            self.alice, self.bob = self.dialing(), self.answering()
            for address, one in ((LEFT, self.alice), (RIGHT, self.bob)):
                self.wire.attach(Damaging(one, seed), address)
            self.open()
            self.alice.send(b"still here")
            self.wire.run(1)
            self.assertEqual(self.bob.frames, [b"still here"])
            self.assertFalse([one for one in self.bob.told if isinstance(one, LinkEnded)])


class Damaging:
    """Hands on every datagram, and before and after it a damaged copy."""

    def __init__(self, inner: LinkEnd, seed: int) -> None:
        self._inner = inner
        self._at = seed * 7 + 1
        self.handle_timer = inner.handle_timer
        self.get_timer = inner.get_timer
        self.outgoing = inner.outgoing

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram."""
        self._at = self._at * 31 % 1201
        at = max(1, self._at % len(data))
        damaged = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        if self._inner.opened:
            self._inner.receive(damaged, source, now)
        self._inner.receive(data, source, now)
        self._inner.receive(damaged, source, now)
