"""The handshake of a link: under a secret, with copies of what is lost, and forgotten."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, pairwise

from qh3.quic.packet import get_retry_integrity_tag

from p2pchat.errors import LinkClosed
from p2pchat.session import qh3_connection, quic_secrets
from p2pchat.session.link import FIRST_KEYS, KEYS, PROOF_DEADLINE, LinkState
from p2pchat.wire.addresses import Address
from tests.cases import each
from tests.identity.people import ALICE, BOB
from tests.session.link_ends import (
    LEFT,
    RIGHT,
    SECRET,
    BareEnd,
    LinkEnd,
    answering_end,
    dialing_end,
)
from tests.session.memory import core, makes, reachable
from tests.session.test_link import LinkCase


class SecretTests(LinkCase):
    """A handshake without the secret of the attempt is refused before anything leaves."""

    def assert_silent(self, end: LinkEnd) -> None:
        """This end says nothing to the other one, and gives up in time."""
        self.assertEqual(end.outgoing(self.wire.now), [])
        self.wire.run(PROOF_DEADLINE + 1)
        self.assert_never_opened(end)

    def test_wrong_secret(self) -> None:
        """Who dials with another secret gets no byte of an answer."""
        self.alice = self.dialing(secret=bytes(32))
        self.wire.run(1)
        self.assert_silent(self.bob)
        self.assert_never_opened(self.alice)

    def test_wrong_server(self) -> None:
        """An answer under another secret is dropped, and nothing but the first flight leaves."""
        flight = self.alice.link.datagrams_to_send(self.wire.now)
        other = answering_end(ALICE, self.wire.now, bytes(32))
        other.connection.receive_datagrams(dialing_end(BOB, 0.0, bytes(32)).flight(), self.wire.now)
        for data in other.connection.datagrams_to_send(self.wire.now):
            source = flight[0][15:23]
            self.alice.receive(data[:6] + source + data[14:], RIGHT, self.wire.now)
        self.assertEqual(self.alice.outgoing(self.wire.now), [])
        self.open()

    def test_plain_quic(self) -> None:
        """The very id with the Initial keys that everybody has gets no answer either."""
        for data in dialing_end(BOB, self.wire.now, bytes(32)).flight():
            named = data[:6] + quic_secrets.connection_id(SECRET) + data[14:]
            self.bob.receive(named, LEFT, self.wire.now)
        self.assertEqual(self.bob.outgoing(self.wire.now), [])
        self.open()

    def test_forged_initials(self) -> None:
        """Thousands of forged first packets are answered by nothing; the right one still works."""
        good = dialing_end(BOB, self.wire.now).flight()[0]
        for number in range(3000):
            forged = good[:100] + number.to_bytes(4, "big") + good[104:]
            self.bob.receive(forged, LEFT, self.wire.now)
        self.assertEqual(self.bob.outgoing(self.wire.now), [])
        self.assertLess(self.open(), 0.045)

    def test_replayed_initials(self) -> None:
        """A first flight that comes again makes no second handshake, and no second answer."""
        flight = self.alice.link.datagrams_to_send(self.wire.now)
        for data in flight:
            self.bob.receive(data, LEFT, self.wire.now)
        first = self.bob.outgoing(self.wire.now)
        self.assertTrue(first)
        for data in flight * 100:
            self.bob.receive(data, LEFT, self.wire.now)
        self.assertEqual(self.bob.outgoing(self.wire.now), [])
        for one in first:
            self.alice.receive(one.data, RIGHT, self.wire.now)
        self.open()

    def test_forged_negotiation(self) -> None:
        """Neither Version Negotiation nor Retry stops a handshake, or turns it elsewhere."""
        head = self.alice.link.datagrams_to_send(self.wire.now)[0]
        ids = b"\x08" + head[15:23] + b"\x08" + head[6:14]
        for first in (0x80, 0xC0, 0xF0):
            for versions in (b"", b"\0\0\0\2", b"\x0a\x0a\x0a\x0a"):
                forged = bytes([first]) + bytes(4) + ids + versions
                self.alice.receive(forged, RIGHT, self.wire.now)
        token = retry_token(head[6:14], bytes([0xF0]) + b"\0\0\0\1" + ids + b"token")
        self.alice.receive(token, RIGHT, self.wire.now)
        self.assertEqual(self.alice.outgoing(self.wire.now), [])
        self.assertLess(self.open(), 1.0)

    def test_second_start(self) -> None:
        """The secret is gone from the link once its connection is made."""
        self.assertEqual((self.alice.link.secret, self.bob.link.secret), (b"", b""))
        self.assertNotIn("secret", repr(self.alice.link))


def retry_token(destination: bytes, packet: bytes) -> bytes:
    """Return a Retry packet with the tag that everybody can compute (RFC 9001 section 5.8)."""
    return packet + get_retry_integrity_tag(packet, destination, version=1)


class LostFlightTests(LinkCase):
    """Whatever of a handshake is lost is sent again."""

    @each(*combinations(range(8), 2))
    def test_two_to_the_client(self, *lost: int) -> None:
        """With any two of the first datagrams lost the link opens in a second."""
        self.wire.attach(Losing(self.alice, set(lost)), LEFT)
        self.assertLess(self.open(), 1.1)

    @each(*combinations(range(8), 2))
    def test_two_to_the_server(self, *lost: int) -> None:
        """On the other side too."""
        self.wire.attach(Losing(self.bob, set(lost)), RIGHT)
        self.assertLess(self.open(), 1.1)

    @each(0.1, 0.3, 0.5)
    def test_dark(self, seconds: float) -> None:
        """So it does when the path carries nothing at first."""
        self.path.loss = 1.0
        self.wire.run(seconds)
        self.path.loss = 0.0
        self.assertLess(self.open(), 0.6)

    def test_path_later(self) -> None:
        """What was sent before there was a path is sent again when there is one."""
        self.wire.cut(LEFT, RIGHT)
        self.wire.run(0.01)
        self.wire.link(LEFT, RIGHT)
        self.alice.link.wake(self.wire.now)
        self.bob.link.wake(self.wire.now)
        self.assertLess(self.open(), 0.06)

    def test_no_answer(self) -> None:
        """Where nobody answers, a flight is sent again a few times and no more."""
        self.wire.cut(LEFT, RIGHT)
        sent = 0
        while self.alice.get_timer() is not None:
            now = self.alice.get_timer() or 0.0
            self.alice.handle_timer(now)
            sent += len(self.alice.outgoing(now))
        self.assertLess(sent, 40)


class KeyTests(LinkCase):
    """Traffic keys don't live long."""

    def phases(self) -> list[int | None]:
        """Return which keys each side sends under, first as 0, then 1, then 0 again."""
        return [core(end.link).send_key_phase for end in (self.alice, self.bob)]

    def test_soon(self) -> None:
        """New ones follow the proof at once, and again a second later; then there is peace."""
        self.open()
        self.wire.run(0.1)
        self.assertEqual(self.phases(), [1, 1])
        self.wire.run(FIRST_KEYS)
        for expected in (0, 0, 0):
            self.bob.send(b"line")
            self.wire.run(1)
            self.assertEqual(self.phases(), [expected, expected])
        self.assertEqual(len(self.alice.frames), 3)

    def test_hourly(self) -> None:
        """Every hour there are new ones, with the next line."""
        self.open()
        self.wire.run(0.1 + FIRST_KEYS)
        seen = []
        for _ in range(3 * 12):
            self.bob.send(b"line")
            self.wire.run(KEYS / 12)
            seen.append(self.phases())
        changes = [new for old, new in pairwise(seen) if new != old]
        self.assertEqual(changes, [[1, 1], [0, 0]])
        self.assertEqual((self.alice.errors, self.bob.errors), ([], []))

    def test_loss(self) -> None:
        """On a bad path no line is lost by it."""
        self.open()
        self.path.loss, self.path.jitter = 0.3, 0.02
        for number in range(100):
            self.alice.send(b"%d" % number)
            self.bob.send(b"%d" % number)
            self.wire.run(0.1)
        self.wire.run(20)
        lines = [b"%d" % number for number in range(100)]
        self.assertEqual((self.alice.frames, self.bob.frames), (lines, lines))

    def forgets(self, one: LinkEnd, stranger: BareEnd, prove: Callable[[], None]) -> None:
        """What makes the binding can be found in a link until it is open, and not after."""
        self.wire.run_until(lambda: stranger.received)
        binding = stranger.connection.binding or b""
        self.assertTrue([found for found in reachable(one.link) if makes(found, binding)])
        prove()
        self.wire.run(0.1)
        self.assertTrue(one.opened)
        self.assertEqual([found for found in reachable(one.link) if makes(found, binding)], [])

    def test_server_forgets(self) -> None:
        """The secret that the binding is made of is gone when the link is open."""
        stranger = dialing_end(BOB, self.wire.now)
        self.wire.attach(stranger, LEFT)
        self.forgets(self.bob, stranger, lambda: stranger.prove(ALICE, "client"))
        self.assertEqual(self.bob.link.key_exchange, "X25519MLKEM768")

    def test_client_forgets(self) -> None:
        """On the other side too."""
        stranger = answering_end(ALICE, self.wire.now)
        self.wire.attach(stranger, RIGHT)
        self.forgets(self.alice, stranger, lambda: stranger.prove(BOB, "server"))


class FirstFlightTests(LinkCase):
    """The first flight by a document, before there is a path."""

    def by_document(self, wait: float) -> None:
        """Let Alice's first flight come by a document, and then be a path."""
        self.wire.cut(LEFT, RIGHT)
        flight = self.alice.link.first_flight(self.wire.now)
        self.assertEqual(sum(len(data) for data in flight), 2 * qh3_connection.DATAGRAM_SIZE)
        self.wire.run(wait)
        self.bob.link.receive_datagrams(flight, self.wire.now)
        self.path = self.wire.link(LEFT, RIGHT)

    def test_opens(self) -> None:
        """The answer to it is all that the dialing side waits for: half a round trip."""
        self.by_document(0.3)
        self.assertLess(self.wire.run_until(lambda: self.alice.opened), 0.015)
        self.assertLess(self.open(), 0.015)

    def test_early_words(self) -> None:
        """Who has the flight from a signed document sends beside its proof, all in one go."""
        self.bob.link.writes_early = True
        self.by_document(0.3)
        self.assertIs(self.bob.link.state, LinkState.PROVING)
        self.bob.send(b"early")
        self.wire.run_until(lambda: self.alice.frames, 0.015)
        self.assertEqual(self.alice.frames, [b"early"])
        self.assertFalse(self.bob.opened)
        self.open()

    def test_wait(self) -> None:
        """The way of the document is no round-trip time: a lost line is missed soon."""
        self.by_document(9.0)
        self.open()
        self.wire.run(1)
        self.path.loss = 1.0
        self.alice.send(b"lost")
        self.wire.run(0.01)
        self.path.loss = 0.0
        self.wire.run_until(lambda: self.bob.frames, 1.2)

    def test_not_sent(self) -> None:
        """Until there is an answer time alone sends it again, and that isn't often."""
        self.by_document(0.0)
        self.wire.cut(LEFT, RIGHT)
        self.alice.outgoing(self.wire.now)
        self.wire.run(PROOF_DEADLINE + 1)
        self.assertIsInstance(self.alice.errors[0], LinkClosed)

    def test_allowance(self) -> None:
        """Before its path is proven the other side sends three times what came, at most."""
        self.by_document(0.0)
        self.wire.cut(LEFT, RIGHT)
        sent = 0
        while self.bob.get_timer() is not None and self.bob.link.state is LinkState.PROVING:
            now = self.bob.get_timer() or 0.0
            self.bob.handle_timer(now)
            sent += sum(len(one.data) for one in self.bob.outgoing(now))
        self.assertGreater(sent, 2 * qh3_connection.DATAGRAM_SIZE)
        self.assertLessEqual(sent, 3 * 2 * qh3_connection.DATAGRAM_SIZE)


class Losing:
    """Hands on every datagram but some of the first ones."""

    def __init__(self, inner: LinkEnd, lost: set[int]) -> None:
        self._inner, self._lost, self._number = inner, lost, 0
        self.handle_timer = inner.handle_timer
        self.get_timer = inner.get_timer
        self.outgoing = inner.outgoing

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram."""
        self._number += 1
        if self._number - 1 not in self._lost:
            self._inner.receive(data, source, now)
