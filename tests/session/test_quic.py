"""What the QUIC stack is made to do, and that nothing of it gets out."""

from __future__ import annotations

import gc
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from qh3.quic.connection import QuicConnectionError
from qh3.quic.events import ConnectionIdRetired
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LinkClosed
from p2pchat.session import quic
from tests.session.link_ends import CERTIFICATE, LEFT, RIGHT, BareEnd
from tests.traversal.fake_wire import FakeWire

DATAGRAM = quic.DATAGRAM_SIZE


def handshake() -> tuple[quic.Engine, quic.Engine]:
    """Let two engines finish their handshake."""
    wire = FakeWire()
    client, server = BareEnd(RIGHT, quic.dial(wire.now)), BareEnd(LEFT)
    wire.attach(client, LEFT)
    wire.attach(server, RIGHT)
    wire.link(LEFT, RIGHT)
    wire.run(0.2)
    assert client.engine is not None and server.engine is not None
    return client.engine, server.engine


def engines() -> int:
    """Count the engines that there are."""
    gc.collect()
    return sum(isinstance(one, quic.Engine) for one in gc.get_objects())


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
        self.assertIsNone(quic.dial(0.0).binding)


class SilenceTests(SynchronousTestCase):
    """What an engine tells of a silent path; qh3 has no public words for it."""

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
            self.server.receive_datagram(data, self.now)
        for data in self.server.datagrams_to_send(self.now):
            self.client.receive_datagram(data, self.now)
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
        self.server.receive_datagram(data, self.now)
        self.assertEqual(self.server.take(), [])

    def test_nothing_begun(self) -> None:
        """Before there is a connection there is nothing to tell."""
        engine = quic.answer(bytes(8), CERTIFICATE)
        self.assertEqual((engine.probes, engine.paced), (0, None))


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
                reader.receive_datagram(data, self.now)
            if reader is self.client:
                self.client.poll()
        return self.server.take()

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
        self.server.stop(6)
        self.carry()
        self.assertEqual(self.client.take(), [quic.StreamStopped(6)])
        for end in (False, True):
            self.client.send(6, b"two", end)
        self.client.send(10, b"three")
        self.assertIn(quic.StreamData(10, b"three"), self.carry())

    def test_reset(self) -> None:
        """A stream that is given up is told; to end one twice, or none, is nothing."""
        self.client.send(6, b"one")
        self.carry()
        for stream in (6, 6, 26):
            self.client.reset(stream)
        self.assertIn(quic.StreamReset(6), self.carry())
        for stream in (6, 50):
            self.server.stop(stream)


class InitialTests(SynchronousTestCase):
    """Which datagram begins a connection."""

    def test_dial(self) -> None:
        """The first flight of one who dials does, and fits any path that carries QUIC."""
        flight = quic.dial(0.0).datagrams_to_send(0.0)
        self.assertTrue(flight)
        for data in flight:
            self.assertEqual(len(data), DATAGRAM)
            self.assertEqual(len(quic.initial_destination(data) or b""), quic.CONNECTION_ID)

    def test_others(self) -> None:
        """Short headers, other versions, short datagrams and absurd ids don't."""
        good = quic.dial(0.0).datagrams_to_send(0.0)[0]
        for data in (
            *(b"", good[:-1], b"\x40" + good[1:], b"\xe0" + good[1:]),
            *(good[:1] + b"\0\0\0\2" + good[5:], good[:5] + b"\x07" + good[6:]),
            good[:5] + b"\x15" + good[6:],
        ):
            self.assertIsNone(quic.initial_destination(data))

    @given(st.binary(max_size=30))
    def test_any_bytes(self, start: bytes) -> None:
        """Any bytes are judged, and an id has a legal length."""
        for data in (start, start + bytes(DATAGRAM), b"\xc0\0\0\0\1" + start + bytes(DATAGRAM)):
            found = quic.initial_destination(data)
            self.assertTrue(found is None or 8 <= len(found) <= 20)


class Breaking:
    """A connection that can't take a datagram, nor anything else."""

    calls = 0

    def receive_datagram(self, *_arguments: object) -> None:
        """Fail."""
        self.calls += 1
        raise ZeroDivisionError("no wonder")

    handle_timer = close = datagrams_to_send = receive_datagram


class Raising:
    """A connection that can't send just now."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def datagrams_to_send(self, _now: float) -> list[tuple[bytes, object]]:
        """Fail."""
        raise self._error


class Retiring:
    """A connection whose other side retires one connection id after the other."""

    def __init__(self, count: int) -> None:
        self._events = [ConnectionIdRetired(bytes(8))] * count

    def next_event(self) -> object:
        """Return the next one."""
        return self._events.pop() if self._events else None


class GuardTests(SynchronousTestCase):
    """An engine that fails is one link's end and nobody else's."""

    def test_failure(self) -> None:
        """Whatever it raises becomes LinkClosed, and it isn't touched again."""
        connection = Breaking()
        engine = quic.Engine(cast(Any, connection), cast(Any, None))
        error = self.assertRaises(LinkClosed, engine.receive_datagram, b"x", 0.0)
        self.assertIn("no wonder", str(error))
        engine.receive_datagram(b"x", 1.0)
        engine.handle_timer(1.0)
        engine.close("bye")
        self.assertEqual((engine.datagrams_to_send(1.0), engine.get_timer()), ([], None))
        self.assertEqual((engine.backlog(), connection.calls), (0, 1))

    def test_connection_ids(self) -> None:
        """A peer that retires many connection ids, each of which costs for ever, ends the link."""
        quic.Engine(cast(Any, Retiring(quic.MAX_RETIRED)), cast(Any, None)).poll()
        engine = quic.Engine(cast(Any, Retiring(quic.MAX_RETIRED + 1)), cast(Any, None))
        self.assertRaises(LinkClosed, engine.poll)

    def test_failure_to_send(self) -> None:
        """During the handshake too, whatever it raises becomes LinkClosed."""
        engine = quic.Engine(cast(Any, Raising(ZeroDivisionError())), cast(Any, None))
        self.assertRaises(LinkClosed, engine.datagrams_to_send, 0.0)
        self.assertEqual(engine.datagrams_to_send(1.0), [])

    def test_no_room(self) -> None:
        """A server that may not send more before it heard more waits, and isn't at its end."""
        full = QuicConnectionError(1, 0, "no room")
        engine = quic.Engine(cast(Any, Raising(full)), cast(Any, None))
        for now in (0.0, 1.0):
            self.assertEqual(engine.datagrams_to_send(now), [])

    def test_warm_up(self) -> None:
        """Warming up needs no network and leaves nothing behind."""
        before = engines()
        quic.warm_up(CERTIFICATE, 0.0)
        self.assertEqual(engines(), before)
