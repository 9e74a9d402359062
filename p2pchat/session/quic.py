"""
A QUIC connection: what :mod:`p2pchat.session.qh3_connection` wants to be told and asked.

An exception of any kind out of qh3 becomes :class:`p2pchat.errors.LinkClosed`, after which it is
not touched again for this connection.

A connection is at one virtual address on a path that never changes; which real path carries its
packets is decided below it.  Dropped before qh3: Version Negotiation and Retry, which nothing
protects, and what goes to another connection id.

The channel binding of a session is a hash of the server's first application traffic secret (RFC
8446 section 7.1), which qh3 hands over for its key log.  It depends on the whole handshake, both
ends know it and nobody between them; and the server has it with its first flight, so its proof
arrives one round trip sooner than a binding to an exporter would allow.

Datagrams have DATAGRAM_SIZE bytes at first.  For others a connection goes on under a secret that
one end sent the other (:meth:`QuicConnection.prepare`); nothing may be under way then, which is for
:mod:`p2pchat.session.renewal` to see to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import attrs

from p2pchat.errors import HandshakeRefused, LinkClosed
from p2pchat.identity.proof import Certificate
from p2pchat.session.qh3_connection import (
    DATAGRAM_SIZE,
    HANDSHAKE_FAILURE,
    KEY_EXCHANGES,
    VERSION,
    VIRTUAL_ADDRESS,
    WINDOW,
    KeyedConnection,
    PacketCore,
    SecretLog,
    client,
    events,
    server,
)
from p2pchat.session.quic_secrets import (
    CONNECTION_ID,
    ROLES,
    channel_binding,
    connection_id,
    next_id,
)

_T = TypeVar("_T")

MOVES = 3  # times that it becomes another; qh3 knows four paths in the life of a connection
BLACK_HOLE = 3  # large datagrams in a row that were lost, while what is small came through
MAX_EARLY = 12  # datagrams that may wait for a key; a handshake has eight
MAX_RETIRED = 64  # connection ids of ours; qh3 goes through all of them with each packet
# Bytes that aren't acknowledged; both windows allow half.  Answers to QUIC's own frames wait for no
# congestion window, and qh3 holds 400 bytes of each until it is acknowledged.
MAX_IN_FLIGHT = 2 * WINDOW


class StreamData(NamedTuple):
    """Bytes of a stream, in order; after the ``end`` no more of it come."""

    stream: int
    data: bytes
    end: bool = False


@attrs.frozen
class StreamReset:
    """The other side gave up what it was writing on a stream."""

    stream: int


@attrs.frozen
class StreamStopped:
    """The other side takes nothing more of what we write on a stream."""

    stream: int


@attrs.frozen
class StreamsRenewed:
    """A connection goes on in another core, which knows no streams; what follows is of that."""


StreamEvent = StreamData | StreamReset | StreamStopped
QuicEvent = StreamEvent | StreamsRenewed


def first_stream(is_client: bool) -> int:
    """Return the id of a side's first unidirectional stream (RFC 9000 section 2.1)."""
    return 2 if is_client else 3


class QuicConnection:
    """
    One QUIC connection.

    :ivar is_ready: whether the handshake is done, as far as this side can tell.
    :ivar size: bytes of its longest datagrams.
    :ivar is_answered: whether the datagrams that came last acknowledge anything new.
    :ivar acknowledged: how many bytes they do.
    :ivar under_way: bytes that weren't acknowledged before they came.
    """

    def __init__(self, qh3: KeyedConnection, secrets: SecretLog, ids: Sequence[bytes] = ()) -> None:
        self._qh3 = qh3
        self._address = VIRTUAL_ADDRESS
        self._secrets = secrets
        self._destinations = {bytes([len(one)]) + one for one in ids}  # as in a long header
        self._early: list[bytes] = []
        self._closed = False
        self._arrived: list[QuicEvent] = []
        self._stopped: set[int] = set()  # streams on which nothing of ours is wanted
        self._retired = 0
        self._opened = 0  # streams of each kind by the other side
        self._ours = 0  # bidirectional streams that we have opened
        self._next: PacketCore | None = None  # it goes on in that one, once it is heard
        self._next_id, self._next_size = b"", DATAGRAM_SIZE
        self._next_shrinks = False  # what that one was made for isn't known of the path any more
        self._has_shrunk = False  # qh3 knows no further paths then
        self._large: tuple[int, int] = (0, 0)  # that were sent, and all that were lost before
        self.size = DATAGRAM_SIZE
        self.is_ready = self.is_answered = False
        self.acknowledged = self.under_way = 0

    @property
    def binding(self) -> bytes | None:
        """The channel binding, 32 bytes, once this side can derive it."""
        secret = self._secrets.secret
        return channel_binding(bytes.fromhex(secret)) if secret else None

    @property
    def is_confirmed(self) -> bool:
        """Whether both sides have finished the handshake (RFC 9001 section 4.1.2)."""
        return self.is_ready and bool(self._qh3._handshake_confirmed)

    @property
    def key_exchange(self) -> str:
        """Name of the negotiated group, "" before; IANA's registry has it."""
        return self._qh3.key_exchange

    def forget_handshake(self) -> None:
        """Drop the secrets of the handshake, that of the binding among them; it must be done."""
        self._guard(self._qh3.forget_handshake)
        self._secrets.secret = ""
        self._early = []

    def update_keys(self) -> bool:
        """
        Begin to use new traffic keys in both directions (RFC 9001 section 6).

        It is for one who has just received something: after half a second of silence qh3 drops
        what the other side still sends under the old keys.  Returns whether it was time: the last
        ones must be confirmed.
        """
        return bool(self._guard(self._update_keys))

    def _update_keys(self) -> bool:
        try:
            self._qh3.request_key_update()
        except ValueError:
            return False
        self._qh3.send_ping(0)  # by itself qh3 would tell it with the next data
        return True

    def forget_path(self) -> bool:
        """
        Let round-trip time and congestion window begin anew, a few times in a life.

        Returns whether they do; otherwise it takes a renewal.
        """
        if self.size > DATAGRAM_SIZE or self._has_shrunk:
            return False
        moved = int(self._address[0].rpartition(".")[2])  # for qh3, to another host
        if moved <= MOVES:
            self._address = (f"127.0.0.{moved + 1}", 1)
        return moved <= MOVES

    def receive_datagrams(self, datagrams: Sequence[bytes], now: float) -> None:
        """Feed datagrams of this connection; what can't be one is dropped."""
        if self.is_confirmed:
            before = self.in_flight
            datagrams = list(datagrams) if self._next is None else self._hear_next(datagrams, now)
            self._guard(self._qh3.receive_many_datagrams, datagrams, self._address, now)
            self.under_way, self.acknowledged = before, max(0, before - self.in_flight)
            self.is_answered = self.acknowledged > 0
            return
        for data in datagrams:
            if self._may_be_ours(data):
                self._guard(self._receive, data, now)
                self.poll()

    # -- datagrams of another size

    def prepare(self, secret: bytes, size: int, now: float) -> None:
        """
        Be ready to go on, as soon as the other side does: its first datagram says so.

        :param secret: 32 random bytes that only both ends know.
        :param size: bytes of our longest datagrams then.
        """
        core = self._qh3._core
        rtt = 0.0 if core is None else core.smoothed_rtt or 0.0
        opened = self._opened, self._ours
        self._next = self._guard(self._qh3.next_core, secret, size, rtt, opened, now)
        self._next_id = next_id(secret, ROLES[not self._qh3._is_client])
        self._next_size, self._next_shrinks = size, False

    def go_on(self) -> None:
        """Send what is written from now on by the core that was prepared; all is acknowledged."""
        if self._next is not None:
            self.poll()
            self._arrived.append(StreamsRenewed())
            self._qh3.go_on(self._next)
            self._next, self._address = None, VIRTUAL_ADDRESS
            self.size, self._has_shrunk, self._large = self._next_size, False, (0, 0)
            self._retired = 0
            if self._next_shrinks:
                self.shrink()

    @property
    def may_go_on(self) -> bool:
        """Whether it is prepared, and the other side wasn't heard under the new keys."""
        return self._next is not None

    def _hear_next(self, datagrams: Sequence[bytes], now: float) -> list[bytes]:
        """Go on if one of these is for that; returns those that come then."""
        for index, data in enumerate(datagrams):
            if data[1 : 1 + CONNECTION_ID] == self._next_id:
                before = list(datagrams[:index])
                self._guard(self._qh3.receive_many_datagrams, before, self._address, now)
                self.go_on()
                return list(datagrams[index:])
        return list(datagrams)

    @property
    def is_idle(self) -> bool:
        """Whether all that was written is acknowledged; to be asked when all was sent that may."""
        core = self._qh3._core
        quiet = core is not None and not core.bytes_in_flight and self.paced is None
        return quiet and not self._closed and not self.backlog()

    @property
    def in_flight(self) -> int:
        """Bytes that aren't acknowledged, and aren't taken for lost."""
        core = self._qh3._core
        return 0 if core is None else int(core.bytes_in_flight)

    @property
    def latest_rtt(self) -> float:
        """Seconds that the last acknowledged packet took, 0 before any."""
        core = self._qh3._core
        return 0.0 if core is None else core.latest_rtt or 0.0

    def shrink(self) -> None:
        """Send no datagrams above DATAGRAM_SIZE from now on, nor where it goes on."""
        self._next_shrinks = self._next is not None
        if self.size > DATAGRAM_SIZE:
            self._guard(self._qh3.shrink)
            self.size, self._has_shrunk = DATAGRAM_SIZE, True

    @property
    def loses_large(self) -> bool:
        """Whether no large datagram comes through, as far as acknowledgements tell."""
        core, (sent, before) = self._qh3._core, self._large
        if core is None or self.size <= DATAGRAM_SIZE:
            return False
        lost = core.loss_total - before
        settled = sent - core.bytes_in_flight // self.size
        if min(lost, settled) < BLACK_HOLE:
            return False
        self._large = (0, core.loss_total)
        return lost >= settled

    def _may_be_ours(self, data: bytes) -> bool:
        """
        Tell whether a datagram is no forgery at first sight.

        Version Negotiation and Retry (RFC 9000 sections 17.2.1 and 17.2.5) could be anybody's: they
        have no key.  A long header names its destination; a short one is under keys of TLS.
        """
        if not data or data[0] < 0x80:
            return bool(data)
        is_retry = data[0] & 0x30 == 0x30
        is_version = int.from_bytes(data[1:5], "big") == VERSION
        return is_version and not is_retry and data[5 : 6 + CONNECTION_ID] in self._destinations

    def _receive(self, data: bytes, now: float) -> None:
        """
        Give a datagram of the handshake to qh3.

        A packet that overtook the one with its keys is lost on qh3 (RFC 9000 section 5.7 lets it
        wait).  So all are given once more when TLS has gone a step further; QUIC ignores what it
        has had already.
        """
        qh3, fresh = self._qh3, [data]
        while fresh:
            step = self._step
            for one in fresh:
                qh3.receive_datagram(one, self._address, now)
            fresh = self._early if self._step is not step else []
        self._early = [*self._early, data][-MAX_EARLY:]

    @property
    def _step(self) -> object:
        tls = self._qh3.tls
        return None if tls is None else tls.state

    def handle_timer(self, now: float) -> None:
        """Let qh3 do what is due."""
        self._guard(self._qh3.handle_timer, now)

    def get_timer(self) -> float | None:
        """Return when qh3 wants to be called."""
        return None if self._closed else self._qh3.get_timer()

    def datagrams_to_send(self, now: float, most: int | None = None) -> list[bytes]:
        """
        Return, and forget, what qh3 wants to send, ``most`` datagrams of it.

        :raises LinkClosed: the connection has ended, or too much isn't acknowledged.
        """
        sent = self._guard(self._poll_transmit, now, most) or []
        if self.size > DATAGRAM_SIZE:
            count, lost = self._large
            self._large = count + sum(len(one) > DATAGRAM_SIZE for one in sent), lost
        core = self._qh3._core if sent else None
        if core is not None and core.bytes_in_flight > MAX_IN_FLIGHT:
            raise LinkClosed("nothing of what was sent is acknowledged")
        return sent

    def _poll_transmit(self, now: float, most: int | None) -> list[bytes]:
        """
        Ask the packet core itself.

        ``datagrams_to_send`` of the connection reads the header of each packet for a log that isn't
        kept, which costs as much as to make the packet; and it can't be told to stop.
        """
        core = self._qh3._core
        assert core is not None
        poll = core.poll_transmit
        sent: list[bytes] = []
        while len(sent) != most and (transmit := poll(now)) is not None:
            sent.append(transmit[0])
        return sent

    @property
    def paced(self) -> float | None:
        """When more may be sent, if nothing but pacing holds it back."""
        core = self._qh3._core  # get_timer() of the connection leaves out what it is for
        timer = None if core is None or self._closed else core.get_timer()
        return timer[1] if timer is not None and timer[0] == "pacing" else None

    @property
    def probes(self) -> int:
        """How many probe timeouts in a row passed without an acknowledgement."""
        core = self._qh3._core  # no public word of qh3 tells it; pinned in setup.cfg
        return 0 if core is None else int(core.pto_count)

    def send(self, stream: int, data: bytes | memoryview, end: bool = False) -> None:
        """Write to a stream; the first bytes open it, and where it was stopped they are lost."""
        if stream not in self._stopped:
            self._guard(self._qh3.send_stream_data, stream, data, end)
            if not stream & 3 ^ (not self._qh3._is_client):
                self._ours = max(self._ours, stream // 4 + 1)

    def may_open(self, stream: int) -> bool:
        """Tell whether a bidirectional stream of ours may be opened."""
        core = self._qh3._core
        return core is not None and not self._closed and stream // 4 < core.stream_limits[0]

    def stop(self, stream: int) -> None:
        """Ask the other side to write no more on a stream."""
        self._end(self._qh3.stop_stream, stream)

    def refuse(self, stream: int) -> None:
        """Ask the other side to write no more on a stream, and write nothing on it."""
        self.stop(stream)
        if not stream & 2:  # RFC 9000 section 2.1: bidirectional
            self.reset(stream)

    def forget(self, stream: int) -> None:
        """Keep nothing of a stream that is over."""
        self._stopped.discard(stream)
        self._qh3._created_local_stream_ids.discard(stream)  # qh3 keeps them for ever

    def reset(self, stream: int) -> None:
        """Give up what we were writing on a stream."""
        self._end(self._qh3.reset_stream, stream)

    def _end(self, call: Callable[[int, int], None], stream: int) -> None:
        def unless_over() -> None:
            with suppress(ValueError):  # it has ended, or was never there
                call(stream, 0)

        self._guard(unless_over)

    def ping(self) -> None:
        """Send a packet that asks for an acknowledgement and says nothing."""
        self._guard(self._qh3.send_ping, 0)

    def backlog(self) -> int:
        """Return how many written bytes haven't been sent once."""
        return 0 if self._closed else int(self._qh3.get_send_buffer_size())

    def poll(self) -> None:
        """
        Take in what qh3 has to say.

        :raises LinkClosed: the connection has ended.
        """
        while (event := self._qh3.next_event()) is not None:
            match event:
                case events.StreamDataReceived(data, end, stream):
                    self._opened = max(self._opened, stream // 4 + 1)
                    self._arrived.append(StreamData(stream, data, end))
                case events.HandshakeCompleted():
                    self.is_ready = True
                case events.StreamReset(_, stream):
                    self._arrived.append(StreamReset(stream))
                case events.StopSendingReceived(_, stream):
                    self._stopped.add(stream)  # qh3 raises on what is written to it
                    self._arrived.append(StreamStopped(stream))
                case events.ConnectionIdRetired():
                    self._retired += 1
                    if self._retired > MAX_RETIRED:
                        raise LinkClosed("too many connection ids were retired")
                case events.ConnectionTerminated():
                    self._closed = True
                    raise LinkClosed(event.reason_phrase or "the link ended")
        if not self.is_ready:
            self._judge_end()

    def _judge_end(self) -> None:
        """Tell a refused handshake at once; its event would come some round trips later."""
        end = self._qh3._close_event
        if end is not None and end.error_code == HANDSHAKE_FAILURE:
            raise HandshakeRefused(end.reason_phrase)

    def take(self) -> list[QuicEvent]:
        """
        Return, and forget, what happened on the streams.

        :raises LinkClosed: the connection has ended.
        """
        self.poll()
        arrived, self._arrived = self._arrived, []
        return arrived

    def close(self, reason: str) -> None:
        """Say goodbye on the wire; the datagrams must still be sent."""
        if not self._closed:
            self._guard(self._qh3.close, 0, None, reason)

    def _guard(self, call: Callable[..., _T], *arguments: Any) -> _T | None:
        if self._closed:
            return None
        try:
            return call(*arguments)
        except Exception as error:
            # qh3 raises what it likes on hostile or impossible input (its own tests aside);
            # whatever it is, this connection is at its end and the others aren't.
            self._closed = True
            raise LinkClosed(f"QUIC failed: {error!r}") from error


def dial(
    secret: bytes, now: float, rtt: float = 0.0, key_exchanges: Sequence[str] = KEY_EXCHANGES
) -> QuicConnection:
    """
    Make the connection of the side that sends the first flight, the client of TLS.

    :param secret: the handshake secret of the attempt, which has one connection on each side: a
        second one would use its keys for other packets of the same numbers.
    :param rtt: of the path in seconds, as the checks measured it; 0 while unknown.
    :param key_exchanges: those of KEY_EXCHANGES that are taken.
    """
    secrets = SecretLog()
    connection = client(secret, secrets, rtt, key_exchanges)
    connection.connect(VIRTUAL_ADDRESS, now)
    return QuicConnection(connection, secrets, [connection.host_cid])


def answer(
    secret: bytes,
    certificate: Certificate,
    now: float,
    rtt: float = 0.0,
    key_exchanges: Sequence[str] = KEY_EXCHANGES,
) -> QuicConnection:
    """Make the connection of the side that waits for the first flight, the server of TLS."""
    secrets = SecretLog()
    connection = server(secret, secrets, certificate, rtt, key_exchanges)
    connection.await_client(now)
    return QuicConnection(connection, secrets, [connection.host_cid, connection_id(secret)])


def warm_up(certificate: Certificate, now: float) -> None:
    """Begin a handshake with ourselves, so that the first caller doesn't wait for imports."""
    secret = bytes(32)
    ours, theirs = dial(secret, now), answer(secret, certificate, now)
    theirs.receive_datagrams(ours.datagrams_to_send(now), now)
    ours.receive_datagrams(theirs.datagrams_to_send(now), now)
