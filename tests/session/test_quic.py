"""What the QUIC stack is made to do, and that nothing of it gets out."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Sequence
from itertools import permutations
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from qh3.quic.events import ConnectionIdRetired
from qh3.tls import AlertUnexpectedMessage, CipherSuite, Context, Epoch
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import HandshakeRefused, LinkClosed
from p2pchat.session import qh3_connection, quic, quic_secrets
from tests.cases import each
from tests.identity.people import ALICE, BOB
from tests.session.link_ends import CERTIFICATE, LEFT, RIGHT, SECRET, answering_end, dialing_end
from tests.session.memory import core, makes, reachable
from tests.traversal.fake_wire import FakeWire

DATAGRAM = qh3_connection.DATAGRAM_SIZE
ENDLESS = 4 * qh3_connection.MAX_CRYPTO  # bytes


def handshake() -> tuple[quic.QuicConnection, quic.QuicConnection]:
    """Let two connections finish their handshake."""
    wire = FakeWire()
    client, server = dialing_end(BOB, wire.now), answering_end(ALICE, wire.now)
    wire.attach(client, LEFT)
    wire.attach(server, RIGHT)
    wire.link(LEFT, RIGHT)
    wire.run(0.2)
    return client.connection, server.connection


def connections() -> int:
    """Count the connections that there are."""
    gc.collect()
    return sum(isinstance(one, quic.QuicConnection) for one in gc.get_objects())


class BindingTests(SynchronousTestCase):
    """The channel binding names one TLS session."""

    def test_same_at_both_ends(self) -> None:
        """Both ends of a session have the same binding, before they prove anything."""
        client, server = handshake()
        self.assertTrue(client.is_ready and server.is_ready)
        self.assertEqual(client.binding, server.binding)
        self.assertEqual(len(client.binding or b""), 32)

    def test_other_session(self) -> None:
        """Two sessions have two bindings, with the same certificate too."""
        self.assertNotEqual(handshake()[0].binding, handshake()[0].binding)

    def test_not_yet(self) -> None:
        """Before the handshake there is none."""
        self.assertIsNone(quic.dial(SECRET, 0.0).binding)


def on_streams(end: quic.QuicConnection) -> list[quic.StreamEvent]:
    """Take what happened on the streams."""
    return [one for one in end.take() if not isinstance(one, quic.StreamsRenewed)]


class ForgettingTests(SynchronousTestCase):
    """What is dropped after the handshake."""

    def setUp(self) -> None:
        self.ends = handshake()

    def exchange(self, now: float) -> list[quic.StreamEvent]:
        """Let datagrams pass; returns what arrived."""
        arrived: list[quic.StreamEvent] = []
        for _ in range(3):
            for sender, reader in (self.ends, self.ends[::-1]):
                reader.receive_datagrams(sender.datagrams_to_send(now), now)
                arrived += [
                    one for one in reader.take() if not isinstance(one, quic.StreamsRenewed)
                ]
                now += 0.01
        return arrived

    def test_secret_of_the_binding(self) -> None:
        """Nothing refers to the secret behind the binding any more, in our objects or qh3's."""
        for connection in self.ends:
            binding = connection.binding or b""
            self.assertTrue([one for one in reachable(connection) if makes(one, binding)])
            connection.forget_handshake()
            self.assertEqual([one for one in reachable(connection) if makes(one, binding)], [])
            self.assertIsNone(connection.binding)

    def test_goes_on(self) -> None:
        """Streams and new keys go on as before."""
        for connection in self.ends:
            connection.forget_handshake()
        for second, stream in ((101, 2), (102, 2), (103, 2)):
            self.assertTrue(self.ends[0].update_keys())
            self.ends[0].send(stream, b"%d" % second)
            self.ends[1].send(stream + 1, b"%d" % second)
            arrived = self.exchange(second)
            self.assertEqual({one.stream for one in arrived}, {2, 3})

    def test_updates(self) -> None:
        """New keys are for both directions, and wait for those before to be confirmed."""
        client, server = self.ends
        self.assertTrue(client.update_keys())
        self.assertFalse(client.update_keys())
        self.exchange(101.0)
        phases = [(core(one).send_key_phase, core(one).receive_key_phase) for one in self.ends]
        self.assertEqual(phases, [(1, 1), (1, 1)])
        self.assertTrue(client.update_keys())
        server.close("enough")
        self.exchange(102.0)

    def test_streams_bounded(self) -> None:
        """Under new keys the other side can't have more streams open than before."""
        ours, theirs = self.ends
        arrived: list[quic.StreamEvent] = []
        for second in (101, 103):
            for one in self.ends:
                one.prepare(bytes([second]) * 32, DATAGRAM, second)
                one.go_on()
            ours.send(2 + 4 * second, b"one more than there were")
            arrived += self.exchange(second + 1)
        self.assertEqual([one.stream for one in arrived], [2 + 4 * 101, 2 + 4 * 103])
        ours.send(2 + 4 * (103 + qh3_connection.STREAMS + 1), b"too many")
        self.assertEqual(self.exchange(110), [])
        self.assertIsNotNone(core(theirs).local_error)

    def test_path(self) -> None:
        """Each time that the path is forgotten the congestion window begins anew, a few times."""
        now, falls = 101.0, []
        for _ in range(2 * quic.MOVES):
            for second in range(20):
                self.ends[0].send(2, bytes(9000))
                self.ends[1].send(3, bytes(9000))
                self.assertEqual(len({one.stream for one in self.exchange(now + second / 10)}), 2)
            before = [core(one).congestion_window for one in self.ends]
            for connection in self.ends:
                connection.forget_path()
                connection.send(2 if connection is self.ends[0] else 3, b"here")
            now += 2.1  # just after the last exchange: a pause alone has that effect, too
            self.exchange(now)
            after = [core(one).congestion_window for one in self.ends]
            falls.append([new < old for new, old in zip(after, before, strict=True)])
        self.assertEqual(falls, [[True, True]] * quic.MOVES + [[False, False]] * quic.MOVES)


OLD = ("X25519",)


class KeyExchangeTests(SynchronousTestCase):
    """Which key exchange is taken."""

    def meet(self, client: Sequence[str], server: Sequence[str]) -> list[quic.QuicConnection]:
        """Let two who take these finish their handshake, if they can; returns them."""
        ends = (
            quic.dial(SECRET, 0.0, 0.0, client),
            quic.answer(SECRET, CERTIFICATE, 0.0, 0.0, server),
        )
        return self.shake(*ends)

    def shake(self, *ends: quic.QuicConnection) -> list[quic.QuicConnection]:
        """Let datagrams pass between two."""
        now = 0.0
        for _ in range(4):
            for sender, reader in (ends, ends[::-1]):
                for data in sender.datagrams_to_send(now):
                    with contextlib.suppress(LinkClosed):
                        reader.receive_datagrams([data], now)
                now += 0.01
        return list(ends)

    @each(
        (qh3_connection.KEY_EXCHANGES, qh3_connection.KEY_EXCHANGES, "X25519MLKEM768"),
        (qh3_connection.QUANTUM_SAFE, qh3_connection.KEY_EXCHANGES, "X25519MLKEM768"),
        (qh3_connection.KEY_EXCHANGES, qh3_connection.QUANTUM_SAFE, "X25519MLKEM768"),
        (qh3_connection.QUANTUM_SAFE, qh3_connection.QUANTUM_SAFE, "X25519MLKEM768"),
        (OLD, qh3_connection.KEY_EXCHANGES, "X25519"),
        (OLD, OLD, "X25519"),
    )
    def test_taken(self, client: Sequence[str], server: Sequence[str], taken: str) -> None:
        """The best one that the client offers and the server takes is taken, and told to both."""
        for one in self.meet(client, server):
            self.assertEqual((one.is_ready, one.key_exchange), (True, taken))

    @each((OLD, qh3_connection.QUANTUM_SAFE), (qh3_connection.QUANTUM_SAFE, OLD))
    def test_refused(self, client: Sequence[str], server: Sequence[str]) -> None:
        """Where there is none both sides can say so at once, and which one would do."""
        for one in self.meet(client, server):
            self.assertFalse(one.is_ready)
            error = self.assertRaises(HandshakeRefused, one.take)
            self.assertIn(server[0], str(error))

    @each(CipherSuite.AES_256_GCM_SHA384, CipherSuite.CHACHA20_POLY1305_SHA256)
    def test_other_suite(self, suite: CipherSuite) -> None:
        """Another cipher suite of TLS follows the Initial packets' own; the bindings agree."""
        client, server = dialing_end(BOB, 0.0).connection, answering_end(ALICE, 0.0).connection
        (context,) = (one for one in reachable(server) if isinstance(one, Context))
        vars(context)["_cipher_suites"] = [suite]
        self.shake(client, server)
        self.assertTrue(client.is_ready and server.is_ready)
        self.assertEqual(client.binding, server.binding)


class SilenceTests(SynchronousTestCase):
    """What a connection tells of a silent path; qh3 has no public words for it."""

    def setUp(self) -> None:
        self.client, self.server = handshake()
        self.now = 101.0

    def timers(self, count: int) -> list[bytes]:
        """Let the client's next timers pass, and return what it sends."""
        sent = self.client.datagrams_to_send(self.now)
        for _ in range(count):
            self.now = self.client.get_timer() or self.now
            self.client.handle_timer(self.now)
            sent += self.client.datagrams_to_send(self.now)
        return sent

    def test_probes(self) -> None:
        """Each probe timeout counts, until an acknowledgement comes."""
        self.client.send(2, b"are you there?")
        self.assertEqual(self.client.probes, 0)
        sent = self.timers(3)
        self.assertEqual(self.client.probes, 3)
        for data in sent:
            self.server.receive_datagrams([data], self.now)
        self.client.receive_datagrams(self.server.datagrams_to_send(self.now), self.now)
        self.assertEqual(self.client.probes, 0)

    def test_paced(self) -> None:
        """What pacing alone holds back is told, and when it may go."""
        self.assertIsNone(self.client.paced)
        for _ in range(40):
            self.client.send(2, bytes(200))
            self.client.datagrams_to_send(self.now)
        self.assertGreater(self.client.backlog(), 0)
        paced = self.client.paced
        assert paced is not None
        self.assertTrue(self.now < paced < self.now + 0.1)
        self.assertTrue(self.client.datagrams_to_send(paced + 1e-5))

    def test_ping(self) -> None:
        """A PING is one small packet that is acknowledged, and says nothing to the other side."""
        self.client.ping()
        (data,) = self.client.datagrams_to_send(self.now)
        self.assertLess(len(data), 60)
        self.server.receive_datagrams([data], self.now)
        self.assertEqual(self.server.take(), [])

    def test_nothing_begun(self) -> None:
        """Before anything came there is nothing to tell, nor to send."""
        connection = quic.answer(SECRET, CERTIFICATE, 0.0)
        self.assertEqual(connection.datagrams_to_send(0.0), [])
        self.assertEqual((connection.probes, connection.paced), (0, None))


class StreamTests(SynchronousTestCase):
    """Streams of one connection, and what becomes of those that one side wants no more."""

    def setUp(self) -> None:
        self.client, self.server = handshake()
        self.now = 200.0

    def carry(self) -> list[quic.StreamEvent]:
        """Carry what both send; returns what happened at the server."""
        for sender, reader in ((self.server, self.client), (self.client, self.server)) * 2:
            self.now += 0.01
            for data in sender.datagrams_to_send(self.now):
                reader.receive_datagrams([data], self.now)
            if reader is self.client:
                self.client.poll()
        return on_streams(self.server)

    def test_both_kinds(self) -> None:
        """Streams of both kinds carry bytes and their end, each in its own order."""
        self.client.send(2, b"one")
        self.client.send(0, b"two", end=True)
        self.assertEqual(
            sorted(self.carry(), key=str),
            [quic.StreamData(0, b"two", True), quic.StreamData(2, b"one")],
        )

    def test_stopped(self) -> None:
        """What is written on a stream that the other side stopped is lost, and ends nothing."""
        self.client.send(6, b"one")
        self.carry()
        self.server.refuse(6)
        self.carry()
        self.assertEqual(self.client.take(), [quic.StreamStopped(6)])
        for end in (False, True):
            self.client.send(6, b"two", end)
        self.client.send(10, b"three")
        self.assertIn(quic.StreamData(10, b"three"), self.carry())

    def test_gap(self) -> None:
        """Where the first bytes are missing at most 2 MiB follow: they cost the reader memory."""
        self.client.send(6, bytes(4 * 2**20))
        lost, now, size = False, 101.0, 0
        while now < 104.0:
            for data in self.client.datagrams_to_send(now):
                if lost and size < 3 * 2**20:
                    size += len(data)
                    self.server.receive_datagrams([data], now)
                lost = True
            self.client.receive_datagrams(self.server.datagrams_to_send(now), now)
            now += 0.001
        self.assertGreater(self.client.backlog(), 2**20)

    def test_no_acknowledgement(self) -> None:
        """A connection ends where packet after packet goes out and none is acknowledged."""
        sent = 0
        with self.assertRaisesRegex(LinkClosed, "acknowledged"):
            while sent < 200_000:
                self.server.ping()
                sent += len(self.server.datagrams_to_send(self.now + sent * 1e-6))
        self.assertGreater(sent, 100_000)

    def test_reset(self) -> None:
        """A stream that is given up is told; to end one twice, or none, is nothing."""
        self.client.send(6, b"one")
        self.carry()
        for stream in (6, 6, 26):
            self.client.reset(stream)
        self.assertIn(quic.StreamReset(6), self.carry())
        for stream in (6, 50):
            self.server.refuse(stream)


class TlsTests(SynchronousTestCase):
    """How much qh3's TLS is given."""

    @each(0, 1)
    def test_endless_message(self, sender: int) -> None:
        """A message of TLS that goes on and on ends the link before much of it has come."""
        ends = handshake()
        writer, reader = ends[sender], ends[1 - sender]
        core(writer).send_crypto(int(Epoch.ONE_RTT), 0, b"\x04\xff\xff\xff" + bytes(ENDLESS))
        self.assertIn("more than a handshake needs", self.meet(writer, reader))

    @staticmethod
    def meet(writer: quic.QuicConnection, reader: quic.QuicConnection) -> str:
        """Let datagrams pass until the reader's link ends; returns why."""
        for step in range(100):
            now = 101.0 + step / 10
            try:
                reader.receive_datagrams(writer.datagrams_to_send(now), now)
                reader.handle_timer(now)
                reader.poll()
            except LinkClosed as error:
                return str(error)
            writer.receive_datagrams(reader.datagrams_to_send(now), now)
            if writer.get_timer() is not None:
                writer.handle_timer(now)
        return ""

    def test_compressed_certificate(self) -> None:
        """A compressed certificate is refused: it may become any number of bytes."""
        client = quic.dial(SECRET, 0.0)
        (context,) = (one for one in reachable(client) if isinstance(one, Context))
        with self.assertRaises(AlertUnexpectedMessage):
            vars(context)["_client_handle_compressed_certificate"](None)


class InitialTests(SynchronousTestCase):
    """How a connection begins."""

    def setUp(self) -> None:
        self.client = quic.dial(SECRET, 0.0)
        self.server = quic.answer(SECRET, CERTIFICATE, 0.0)

    def answer(self, *flight: bytes) -> list[bytes]:
        """Return what the server says to datagrams."""
        self.server.receive_datagrams(flight, 0.0)
        return self.server.datagrams_to_send(0.0)

    def test_dial(self) -> None:
        """The first flight goes to the id of the secret, and fits any path that carries QUIC."""
        flight = self.client.datagrams_to_send(0.0)
        self.assertEqual([len(data) for data in flight], [DATAGRAM, DATAGRAM])
        for data in flight:
            self.assertEqual(data[1:14], b"\0\0\0\1\x08" + quic_secrets.connection_id(SECRET))
        self.assertTrue(self.answer(*flight))

    def test_others(self) -> None:
        """Other ids, versions and kinds of packet, and damaged ones, get no answer."""
        flight = self.client.datagrams_to_send(0.0)
        good = flight[0]
        for data in (
            *(b"", good[:-1], good[:5], b"\x40" + good[1:], b"\xf0" + good[1:]),
            *(good[:1] + b"\0\0\0\2" + good[5:], good[:1] + bytes(4) + good[5:]),
            *(good[:6] + bytes(8) + good[14:], good[:5] + b"\x07" + good[6:]),
            good[:-1] + bytes([good[-1] ^ 1]),
        ):
            self.assertEqual(self.answer(data), [])
        self.assertTrue(self.answer(*flight))

    @given(st.binary(max_size=30))
    def test_any_bytes(self, start: bytes) -> None:
        """Any bytes are taken, and change nothing."""
        head = b"\xc0\0\0\0\1\x08" + quic_secrets.connection_id(SECRET)
        for data in (start, start + bytes(DATAGRAM), head + start, head + start + bytes(DATAGRAM)):
            self.assertEqual(self.answer(data), [])

    @each(*permutations(range(4)))
    def test_any_order(self, *order: int) -> None:
        """The server's flight and its first words may come in any order."""
        self.server.receive_datagrams(self.client.datagrams_to_send(0.0), 0.0)
        self.server.send(3, b"words")
        flight = self.server.datagrams_to_send(0.0)
        self.assertEqual(len(flight), len(order))
        for number in order:
            self.client.receive_datagrams([flight[number]], 0.1)
        self.assertEqual(
            (self.client.is_ready, self.client.take()), (True, [quic.StreamData(3, b"words")])
        )

    def test_most(self) -> None:
        """A server whose first words are long sends as much of them as it is let."""
        self.server.receive_datagrams(self.client.datagrams_to_send(0.0), 0.0)
        self.server.send(3, bytes(50_000))
        sent = [len(self.server.datagrams_to_send(0.0, most)) for most in (0, 2, 1, 3)]
        self.assertEqual(sent, [0, 2, 1, 3])
        self.assertGreater(self.server.backlog(), 40_000)


class Breaking:
    """A connection that can't take a datagram, nor anything else."""

    calls = 0

    def receive_datagram(self, *_arguments: object) -> None:
        """Fail."""
        self.calls += 1
        raise ZeroDivisionError("no wonder")

    handle_timer = close = receive_datagram
    tls = _close_event = None

    def next_event(self) -> None:
        """Tell nothing."""


class Retiring:
    """A connection whose other side retires one connection id after the other."""

    _close_event = None

    def __init__(self, count: int) -> None:
        self._events = [ConnectionIdRetired(bytes(8))] * count

    def next_event(self) -> object:
        """Return the next one."""
        return self._events.pop() if self._events else None


class GuardTests(SynchronousTestCase):
    """A connection that fails is one link's end and nobody else's."""

    def test_failure(self) -> None:
        """Whatever it raises becomes LinkClosed, and it isn't touched again."""
        qh3 = Breaking()
        connection = quic.QuicConnection(cast(Any, qh3), cast(Any, None))
        error = self.assertRaises(LinkClosed, connection.receive_datagrams, [b"x"], 0.0)
        self.assertIn("no wonder", str(error))
        connection.receive_datagrams([b"x"], 1.0)
        connection.handle_timer(1.0)
        connection.close("bye")
        self.assertEqual((connection.datagrams_to_send(1.0), connection.get_timer()), ([], None))
        self.assertEqual((connection.backlog(), qh3.calls), (0, 1))

    def test_connection_ids(self) -> None:
        """A peer that retires many connection ids, each of which costs for ever, ends the link."""
        quic.QuicConnection(cast(Any, Retiring(quic.MAX_RETIRED)), cast(Any, None)).poll()
        connection = quic.QuicConnection(cast(Any, Retiring(quic.MAX_RETIRED + 1)), cast(Any, None))
        self.assertRaises(LinkClosed, connection.poll)

    def test_warm_up(self) -> None:
        """Warming up needs no network and leaves nothing behind."""
        before = connections()
        quic.warm_up(CERTIFICATE, 0.0)
        self.assertEqual(connections(), before)
