"""
An encrypted link between two peers who have proved who they are.

::

    start() ──▶ proving ──their proof holds──▶ open ──▶ ended
                   └── PROOF_DEADLINE, or any error ────▲

Carries streams of bytes.  The first frame on each side's first unidirectional stream, the *control
stream*, is PROOF, and nothing that comes is handed on before the other side's proof holds: it is
held, HELD bytes at most.  Nothing of ours but our own proof is sent before that either, unless the
owner *writes early*: then more may follow our proof at once.  Refuses: another first frame
than PROOF, and whatever QUIC refuses.

Once open, the link keeps pauses from its connection (:mod:`p2pchat.session.link_clock`): after
PROBES probe timeouts without an answer link time stands, and a PING frame knocks now and then.

The connection can be renewed (:mod:`p2pchat.session.renewal`), for datagrams of another size: those
that the path of now is proved to carry.  Where what is large goes missing, datagrams are small
again at once.

Each side makes one QUIC connection, from the secret of the attempt, when it is started.  Until the
handshake is done, what a side has sent is sent again now and then (:mod:`p2pchat.session.flight`).
Before its owner says that there is a path, the side that waits sends at most AMPLIFICATION times
the bytes that came: the address that its first datagrams go to may be a forged one.

The link knows no addresses: its datagrams go over whatever path its owner has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum

import attrs

from p2pchat.errors import LinkClosed, P2PChatError, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.identity.proof import Certificate, check_proof, make_proof
from p2pchat.session import quic
from p2pchat.session.bulk_allowance import BulkAllowance
from p2pchat.session.flight import Flight
from p2pchat.session.link_clock import LinkClock
from p2pchat.session.qh3_connection import DATAGRAM_SIZE, KEY_EXCHANGES
from p2pchat.session.renewal import Renewal, RenewalStage
from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.round_trips import bounded
from p2pchat.wire import messages
from p2pchat.wire.framing import FrameReader, encode_frame

MAX_PROOF = 1024  # bytes; ours has about 200
UNKNOWN_RTT = 0.1  # seconds that the answer to a first flight in a document counts for at most
AMPLIFICATION = 3  # bytes out for each that came, before there is a path; RFC 9000 section 8
PROBES = 1  # probe timeouts in a row after which link time stands
KNOCK = (0.1, 15.0)  # seconds from the first to the next knock at least; longest wait
HELD = 256 * 1024  # bytes before PROOF, if its packet was lost; a first flight has some thousands
OVERHEAD = 64  # bytes that each piece that is held costs beside its own
FIRST_FLIGHT = 4 * DATAGRAM_SIZE  # bytes of the waiting side's, to addresses unproven
FIRST_KEYS = 1.0  # seconds from the first update of the keys to the second
KEYS = 3600.0  # seconds that traffic keys are used; whoever finds one reads no more than that
PROOF_DEADLINE = 10.0  # seconds from start(), and from the first path, where trips are short
PROOF_TRIPS, LONGEST_PROOF = 4, 40.0  # that it takes where they aren't; seconds at most
PATH_TRIPS, LONGEST_PATH = 12, 70.0  # the same from start(): a path, or a relay, is found first


class LinkState(Enum):
    """State of a link."""

    PROVING = "proving"
    OPEN = "open"
    ENDED = "ended"


@attrs.frozen
class LinkWritable:
    """Our proof is written: what the owner writes may follow it."""


@attrs.frozen
class LinkOpened:
    """The other side has proved its key; what came on its streams follows."""


@attrs.frozen
class LinkShrunk:
    """Large datagrams went missing; they are small again."""


@attrs.frozen
class LinkEnded:
    """The link is over; ``error`` says why."""

    error: P2PChatError


@attrs.frozen
class LinkStalled:
    """Something that was sent isn't acknowledged in time, whatever else is."""


LinkEvent = LinkWritable | LinkOpened | quic.QuicEvent | LinkShrunk | LinkStalled | LinkEnded


@attrs.define(eq=False)
class Link:
    """
    The machine of one link.

    :ivar identity: ours.
    :ivar peer_id: whom the other end must prove to be.
    :ivar certificate: for TLS; only the side that waits needs it.
    :ivar secret: the handshake secret of the attempt; dropped when the link starts.
    :ivar dials: whether this side sends the first flight.
    :ivar writes_early: whether we write before the other side has proved its key.
    :ivar key_exchanges: those that are taken.
    :ivar rtt: of the path in seconds, 0 while unknown; sets the first retransmissions' time.
    :ivar size: bytes of datagrams that the path of now is proved to carry.
    :ivar binding: the channel binding, once the other side has proved its key.
    :ivar remote_key: the other side's public key, once that has proved it.
    :ivar trip: seconds that a document and its answer take, for what comes before a path.
    :ivar renewals: how often it was renewed.
    """

    identity: Identity
    peer_id: str
    certificate: Certificate
    secret: bytes = attrs.field(repr=False)
    dials: bool
    random_bytes: Callable[[int], bytes]
    rtt: float = 0.0
    size: int = DATAGRAM_SIZE
    writes_early: bool = False
    key_exchanges: tuple[str, ...] = KEY_EXCHANGES
    trip: float = 0.0
    remote_key: bytes = b""
    binding: bytes = b""
    renewals: int = 0
    state: LinkState = LinkState.PROVING
    _connection: quic.QuicConnection | None = None
    _flight: Flight = attrs.Factory(Flight)
    _allowance: int | None = None  # bytes that may go out before there is a path; None for any
    _clock: LinkClock = attrs.Factory(LinkClock)
    _probes: int = PROBES  # at how many link time stands
    _knock_at: float = 0.0  # while it does
    _knock_wait: float = 0.0  # seconds
    _has_path: bool = False  # or had one
    _deadline: float = 0.0  # for the proof
    _keys_at: float | None = None  # when to ask for new keys; None before the handshake is done
    _key_updates: int = 0
    _renewal: Renewal = attrs.field(init=False)
    _starts_anew: bool = False  # once the link is heard on a new path
    _proved: bool = False  # our proof is written
    _opening: FrameReader = attrs.Factory(FrameReader)  # of their control stream, up to PROOF
    _held: list[quic.QuicEvent] = attrs.Factory(list)  # before it holds
    _held_bytes: int = 0
    _events: deque[LinkEvent] = attrs.Factory(deque)

    def __attrs_post_init__(self) -> None:
        self._renewal = Renewal(self.dials)

    def start(self, now: float) -> None:
        """Begin: the dialing side makes its first flight, the other waits for it."""
        self._deadline = now + bounded(PROOF_DEADLINE, PATH_TRIPS * self.trip, LONGEST_PATH)
        if self.dials:
            self._connection = quic.dial(self.secret, self._time(now), self.rtt, self.key_exchanges)
        else:
            given = self._time(now), self.rtt, self.key_exchanges
            self._connection = quic.answer(self.secret, self.certificate, *given)
            self._allowance = 0
        self.secret = b""

    def first_flight(self, now: float) -> list[bytes]:
        """
        Return the datagrams that begin the handshake, to be sent before there is a path.

        They go out again over the path when there is one.  Link time stands until an answer comes,
        for the way of a document is no round-trip time.
        """
        if self._allowance is not None:
            self._allowance = min(self._allowance, FIRST_FLIGHT)
        flight = self.datagrams_to_send(now)
        self._clock.stand(now)
        return flight

    def receive_datagrams(self, datagrams: Sequence[bytes], now: float) -> None:
        """Take QUIC datagrams, over this link's paths or by a document."""
        connection = self._connection
        if connection is None or self.state is LinkState.ENDED:
            return
        if self._allowance is not None:
            self._allowance += AMPLIFICATION * sum(len(data) for data in datagrams)
        # What comes is heard: nobody sleeps any more.
        self._clock.go_on(now, self.rtt or UNKNOWN_RTT)
        try:
            connection.receive_datagrams(datagrams, self._time(now))
            self._step(connection)
            self._renew_keys(connection, now)
            self._notice_size(connection, now)
        except P2PChatError as error:
            self._end(error, now)
        self._may_probe()

    def _renew_keys(self, connection: quic.QuicConnection, now: float) -> None:
        """
        Forget the secrets of the handshake when it is done; have new keys soon after, and hourly.

        The dialing side asks for them, just when something came; two updates leave nothing of the
        first keys in qh3.
        """
        if self.state is not LinkState.OPEN or not connection.is_confirmed:
            return
        if self._keys_at is None:
            connection.forget_handshake()
            self._keys_at = now
        if self.dials and now >= self._keys_at and connection.update_keys():
            self._key_updates += 1
            self._keys_at = now + (FIRST_KEYS if self._key_updates < 2 else KEYS)

    # -- renewal

    def renew(self) -> None:
        """Go on under new keys, with datagrams of ``size`` bytes, where all is there."""
        connection = self._connection
        if self.state is LinkState.OPEN and connection is not None and connection.is_confirmed:
            self._renewal.want(self.random_bytes(32))

    def receive_renewal(self, secret: bytes) -> None:
        """
        Take RENEW of the other side.

        :raises RemoteProtocolError: it comes too often.
        """
        self._renewal.receive(secret)

    def _go_on(self, connection: quic.QuicConnection, now: float) -> None:
        """All that we wrote is there: ask the other side, or do what it asked for."""
        renewal = self._renewal
        if renewal.stage is RenewalStage.ASKED:
            return
        connection.prepare(renewal.secret, self.size, self._time(now))
        if renewal.stage is RenewalStage.ASKING:
            frame = encode_frame(messages.encode(messages.Renew(renewal.secret)))
            connection.send(self.control, frame)
            renewal.ask()
        else:
            connection.go_on()
            connection.ping()  # whoever asked waits for it
            self._renewed(now)

    def _notice_size(self, connection: quic.QuicConnection, now: float) -> None:
        """See whether the other side has gone on, and whether large datagrams arrive."""
        if self._renewal.stage is RenewalStage.ASKED and not connection.may_go_on:
            self._renewed(now)
        if connection.loses_large:
            self.shrink()
            self._events.append(LinkShrunk())

    def _renewed(self, now: float) -> None:
        self._renewal.done()
        self.renewals += 1
        self._keys_at, self._key_updates = now, 0
        self._may_probe()

    def shrink(self) -> None:
        """Send small datagrams from now on: nothing is known of the path."""
        self.size = DATAGRAM_SIZE
        if self._connection is not None:
            try:
                self._connection.shrink()
            except LinkClosed as error:
                self._end(error, 0.0)

    @property
    def is_large(self) -> bool:
        """Whether datagrams may be longer than every path carries."""
        return self._connection is not None and self._connection.size > DATAGRAM_SIZE

    @property
    def is_answered(self) -> bool:
        """Whether the datagrams that came last acknowledge anything new."""
        return self._connection is not None and self._connection.is_answered

    def measure(self, allowance: BulkAllowance, now: float) -> None:
        """Tell an allowance what the datagrams that came last acknowledge."""
        one = self._connection
        if one is not None and one.is_answered and not self._clock.is_standing:
            allowance.acknowledged(one.acknowledged, one.under_way, one.latest_rtt, now)

    @property
    def in_hands(self) -> int:
        """Bytes that QUIC has, and of which it isn't known that they arrived."""
        one = self._connection
        return 0 if one is None else one.in_flight + one.backlog()

    @property
    def awaits_answer(self) -> bool:
        """Whether anything that was sent isn't acknowledged."""
        return self._connection is not None and self._connection.in_flight > 0

    def heard(self) -> None:
        """The link works on its new path: what QUIC knows of the one before means nothing here."""
        if self._starts_anew:
            self._starts_anew = False
            self.renew()

    @property
    def key_exchange(self) -> str:
        """Name of the key exchange that was negotiated, "" before."""
        return "" if self._connection is None else self._connection.key_exchange

    def handle_timer(self, now: float) -> None:
        """Let QUIC do what is due, and keep the deadline."""
        if self.state is LinkState.ENDED:
            return
        if self.state is LinkState.PROVING and now >= self._deadline:
            self._end(LinkClosed("the other side proved no identity in time"), now)
        elif self._connection is not None:
            try:
                self._pass_time(self._connection, now)
            except P2PChatError as error:
                self._end(error, now)

    def _pass_time(self, connection: quic.QuicConnection, now: float) -> None:
        self._flight.handle_timer(now)
        if self._clock.is_standing:
            self._knock(connection, now)
            return
        connection.handle_timer(self._time(now))
        self._step(connection)
        self._notice_size(connection, now)
        if self.state is LinkState.OPEN and connection.probes >= self._probes:
            self._clock.stand(now)
            self._events.append(LinkStalled())
            self._knock_wait = max(KNOCK[0], self.rtt)
            self._knock_at = now + self._knock_wait

    # -- link time

    def _time(self, now: float) -> float:
        return self._clock.time(
            now, None if self._connection is None else self._connection.get_timer()
        )

    def _knock(self, connection: quic.QuicConnection, now: float) -> None:
        """Ask once more, at growing distances; the answer lets link time go on."""
        if self.state is LinkState.OPEN and now >= self._knock_at:
            connection.ping()
            self._knock_wait = min(2 * self._knock_wait, KNOCK[1])
            self._knock_at = now + self._knock_wait

    def _may_probe(self) -> None:
        if self.state is LinkState.OPEN and self._connection is not None:
            self._probes = self._connection.probes + PROBES

    def wake(self, now: float) -> None:
        """A path was found, or the one of now verified: what wasn't answered is sent again."""
        if self.state is LinkState.OPEN:
            self._clock.go_on(now, self.rtt)
        elif not self._has_path:
            self._deadline = now + bounded(PROOF_DEADLINE, PROOF_TRIPS * self.rtt, LONGEST_PROOF)
        self._has_path, self._allowance = True, None
        self._flight.send_again()
        self._may_probe()

    def path_lost(self) -> None:
        """Take the next path for another one: what QUIC knows of this one means nothing there."""
        if self._connection is not None:
            self._starts_anew = not self._connection.forget_path()

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called."""
        if self.state is LinkState.ENDED:
            return None
        due = None if self._connection is None else self._connection.get_timer()
        found = earliest(self._flight.get_timer(), self._clock.our_time(due))
        if self.state is LinkState.PROVING:
            return earliest(found, self._deadline)
        return earliest(found, self._knock_at) if self._clock.is_standing else found

    def datagrams_to_send(self, now: float) -> list[bytes]:
        """Return, and forget, what goes out over the path."""
        if self._connection is None:
            return []
        try:
            if self._connection.is_confirmed:
                self._flight.forget()
                return self._datagrams(self._connection, now)
            return self._handshake_datagrams(self._connection, now)
        except LinkClosed as error:
            self._end(error, now)
            return []

    def _handshake_datagrams(self, connection: quic.QuicConnection, now: float) -> list[bytes]:
        """Return what goes out during the handshake, within the allowance."""
        again = self._flight.take_due()
        if self._allowance is None:
            fresh = self._unpaced(connection, now)
        else:
            room = self._allowance // DATAGRAM_SIZE
            again = again[:room]
            fresh = connection.datagrams_to_send(self._time(now), room - len(again))
            self._allowance -= sum(len(data) for data in (*again, *fresh))
        self._flight.sent(fresh, now)
        return again + fresh

    def _datagrams(self, connection: quic.QuicConnection, now: float) -> list[bytes]:
        """Return what goes out; a renewal goes on when nothing else is left."""
        datagrams = self._unpaced(connection, now)
        if not self._renewal.is_quiet and connection.is_idle:
            self._go_on(connection, now)
            datagrams += self._unpaced(connection, now)
        return datagrams

    def _unpaced(self, connection: quic.QuicConnection, now: float) -> list[bytes]:
        """Where link time stands nothing is paced; what is under way has its bound all the same."""
        datagrams = connection.datagrams_to_send(self._time(now))
        while self._clock.is_standing and (paced := connection.paced) is not None:
            self._clock.skip_to(paced)
            more = connection.datagrams_to_send(self._time(now))
            if not more:
                break
            datagrams += more
        return datagrams

    @property
    def has_event(self) -> bool:
        """Whether something happened that nobody has taken yet."""
        return bool(self._events)

    def next_event(self) -> LinkEvent | None:
        """Return, and forget, the oldest event."""
        return self._events.popleft() if self._events else None

    @property
    def control(self) -> int:
        """The id of our control stream."""
        return quic.first_stream(self.dials)

    @property
    def is_writable(self) -> bool:
        """Whether streams may be written to."""
        if self.state is LinkState.PROVING:
            return self.writes_early and self._proved
        return self.state is LinkState.OPEN and self._renewal.is_quiet

    def send(self, stream: int, data: bytes | memoryview, end: bool = False) -> None:
        """
        Write to a stream; QUIC takes it from here.

        Where the other side has said goodbye, and that wasn't noticed yet, the link ends.

        :raises LinkClosed: the link isn't writable.
        """
        if not self.is_writable or self._connection is None:
            raise LinkClosed("the link is not open")
        try:
            self._connection.send(stream, data, end)
        except LinkClosed as error:
            self._end(error, 0.0)

    def may_open(self, stream: int) -> bool:
        """Tell whether a bidirectional stream of ours may be opened."""
        return self._connection is not None and self._connection.may_open(stream)

    def refuse(self, stream: int) -> None:
        """Have nothing to do with a stream, in either direction."""
        if self._connection is not None:
            self._tell(self._connection.refuse, stream)

    def stop(self, stream: int) -> None:
        """Take nothing more of what the other side writes on a stream."""
        if self._connection is not None:
            self._tell(self._connection.stop, stream)

    def forget(self, stream: int) -> None:
        """Keep nothing of a stream on which both sides have ended."""
        if self._connection is not None:
            self._connection.forget(stream)

    def _tell(self, call: Callable[[int], None], stream: int) -> None:
        try:
            call(stream)
        except LinkClosed as error:
            self._end(error, 0.0)

    def backlog(self) -> int:
        """Return how many bytes wait for a first transmission."""
        return 0 if self._connection is None else self._connection.backlog()

    def hurry(self, now: float) -> None:
        """Let what waits go out without pacing: the link is about to be closed."""
        self._clock.stand(now)

    def close(self, reason: str, now: float) -> None:
        """End the link, telling the other side where possible."""
        self._end(LinkClosed(reason), now)

    def _step(self, connection: quic.QuicConnection) -> None:
        if not self._proved and (binding := connection.binding) is not None:
            proof = make_proof(self.identity, self._role(self.dials), binding, self.peer_id)
            connection.send(self.control, encode_frame(messages.encode(proof)))
            self._proved = True
            if self.writes_early:
                self._events.append(LinkWritable())
        for event in connection.take():
            if self.state is LinkState.OPEN:
                self._events.append(event)
            else:
                self._hold(event, connection.binding)

    def _hold(self, event: quic.QuicEvent, binding: bytes | None) -> None:
        """Keep what comes before the other side's proof, and look whether that is complete."""
        control = quic.first_stream(not self.dials)
        if not isinstance(event, quic.StreamData):
            self._held.append(event)
        elif event.stream == control:
            self._opening.add(event.data)
            body = self._opening.next_frame(MAX_PROOF)
            if body is not None:
                self._check(body, binding)
                rest = quic.StreamData(control, self._opening.take_rest(), event.end)
                self._events += [LinkOpened(), rest, *self._held]
                self._held = []
        else:
            self._held.append(event)
            self._held_bytes += len(event.data)
        if self._held_bytes + OVERHEAD * len(self._held) > HELD:
            raise RemoteProtocolError("much was sent before PROOF")

    def _check(self, body: bytes, binding: bytes | None) -> None:
        proof = messages.decode(body)
        if not isinstance(proof, messages.Proof) or binding is None:
            raise RemoteProtocolError("the first frame must be PROOF")
        role, reader = self._role(not self.dials), self.identity.peer_id
        check_proof(proof, self.peer_id, role, binding, reader)
        self.remote_key, self.binding = proof.key, binding
        self.state = LinkState.OPEN
        if not self.writes_early:
            self._events.append(LinkWritable())

    @staticmethod
    def _role(dials: bool) -> str:
        return "client" if dials else "server"

    def _end(self, error: P2PChatError, now: float) -> None:
        if self.state is LinkState.ENDED:
            return
        self.state = LinkState.ENDED
        self._events.append(LinkEnded(error))
        if self._connection is not None:
            try:
                self._connection.close(str(error)[:200])
            except LinkClosed:
                self._connection = None  # it ended by itself; nothing is left to say
