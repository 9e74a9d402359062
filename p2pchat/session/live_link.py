"""
The link to one peer, the path that it goes over, and what is said on it.

::

               ┌────────── heard ───────────┐
               ▼                            │
    begin ──▶ held ──probe, path changed──▶ to be heard within REVIVAL ──▶ is_silent
               └──────────── close ─────────┴──▶ none; its last words still go out

On a path, something of it is awaited::

    path changed ── a datagram by UNHEARD, one that acknowledges ours by UNANSWERED, HELLO by
                    UNOPENED ── else it is overdue

A link outlives paths, and a path a link.  Owns where the datagrams go: over the path in use, and
nowhere while there is none; the first ones are for its owner to send.  Owns how much of what comes
is handed on at a time: FRAMES in a SLOT.  What the other side says is handed on before there is a
path, too, but not that it can be talked with, for nothing could be answered.  What a silent link
means is its owner's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.bulk_allowance import BulkAllowance
from p2pchat.session.byte_streams import ByteStreams
from p2pchat.session.control import Control, ControlEvent
from p2pchat.session.conversation import KIND
from p2pchat.session.conversation_events import ConversationEvent, Introduced
from p2pchat.session.datagram_size import DatagramSize
from p2pchat.session.link import (
    Link,
    LinkEnded,
    LinkOpened,
    LinkShrunk,
    LinkStalled,
    LinkWritable,
)
from p2pchat.session.liveness import IdleTracker
from p2pchat.session.qh3_connection import DATAGRAM_SIZE
from p2pchat.session.quic import StreamsRenewed
from p2pchat.session.stages import StreamStirred
from p2pchat.session.streams import BACKLOG, Reader, Streams, Writer
from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.round_trips import bounded
from p2pchat.traversal.routes import PORTION, Datagram, Fragmentation, Route, addressed
from p2pchat.wire import messages
from p2pchat.wire.framing import encode_frames
from p2pchat.wire.messages import RENEWS, Credit, Opening, Renew, StreamRefusal

REVIVAL = 2.0  # seconds for a link to be heard on its new path before a new link is made, ...
REVIVAL_RTTS, LONGEST_REVIVAL = 4, 20.0  # ... or so many round trips; seconds at most
UNHEARD = 0.8  # seconds on a new path in which something of the link comes, and UNHEARD_RTTS
UNHEARD_RTTS = 4  # round-trip times of the path
UNANSWERED = 1.2  # seconds on a new path in which something is acknowledged, and UNANSWERED_RTTS
UNANSWERED_RTTS = 6
UNOPENED = 2.0  # the same for the handshake to be done
UNOPENED_RTTS = 8
SLOT = 0.001  # seconds in which ...
FRAMES = 512  # frames are looked at: some ms of work; others and their lines come between
FRAME_WORK = 4096  # bytes that count as a frame where one is longer
EARLY = 1000  # bytes to be said in a first flight; its handshake has some 1,700 beside it


@attrs.frozen
class RuleBroken:
    """The other side broke the protocol."""

    explanation: str


@attrs.frozen
class StreamRefused:
    """The other side doesn't take a stream of ours."""

    kind: str
    reason: str
    detail: str


@attrs.frozen
class ProbeWanted:
    """The path of now is worth a probe: does it carry datagrams of so many bytes?"""

    size: int


LiveLinkEvent = (
    ControlEvent
    | ConversationEvent
    | LinkEnded
    | LinkStalled
    | RuleBroken
    | StreamRefused
    | ProbeWanted
    | StreamStirred
)


@attrs.define(eq=False)
class LiveLink:
    """
    At most one link, and at most one path.

    :ivar control: what is said on the link.
    :ivar idle: for how long the path carried nothing.
    :ivar services: the streams on which services are reached.
    :ivar name: of the link that was begun last, the same on both sides; empty before any.
    :ivar path: the one in use.
    :ivar kinds: who takes streams of other kinds than a conversation.
    :ivar is_doubted: whether something of the link should have come by now.
    :ivar is_answer_doubted: whether something should have been acknowledged, whatever comes.
    """

    control: Control
    idle: IdleTracker
    services: ByteStreams
    name: str = ""
    path: Path | None = None
    kinds: dict[str, Callable[[Opening], Reader | str]] = attrs.Factory(dict)
    is_doubted: bool = False
    is_answer_doubted: bool = False
    _link: Link | None = None
    _size: DatagramSize = attrs.Factory(DatagramSize)
    _allowance: BulkAllowance = attrs.Factory(BulkAllowance)  # on the path of now
    _streams: Streams = attrs.field(init=False)
    _slot_end: float = 0.0
    _work_left: int = FRAMES  # in this slot
    _has_greeted: bool = False  # our HELLO is written, or about to be
    _introduced: Introduced | None = None  # waits for a path: before, nothing can be answered
    _is_broken: bool = False  # they broke a rule: nothing that follows costs or means anything
    _silent_at: float | None = None
    _unheard_at: float | None = None
    _unanswered_at: float | None = None
    _unopened_at: float | None = None
    _is_overdue: bool = False
    _farewell: list[Datagram] = attrs.Factory(list)  # of links that are gone

    def __attrs_post_init__(self) -> None:
        self._streams = Streams(True, self._accept, self._receive_control)

    def __bool__(self) -> bool:
        """Whether there is a link, open or not."""
        return self._link is not None

    # -- link and path come and go

    def begin(self, link: Link, name: str, now: float) -> None:
        """Hold this link in place of another; its path is to be chosen."""
        self.control.link_ended()
        self._link, self.name = link, name
        self._is_broken, self._has_greeted, self._introduced = False, False, None
        self._streams = Streams(link.dials, self._accept, self._receive_control)
        self.services.begin(link.dials, self._streams.spend)
        self.path, self._silent_at = None, None
        self._size.path_changed()
        self._allowance = BulkAllowance()
        link.start(now)

    def first_flight(self, theirs: tuple[bytes, ...], now: float) -> tuple[bytes, ...]:
        """
        Return the datagrams that begin the link, after those of the other side.

        They leave before there is a path: what waits to be said follows as far as EARLY bytes go.

        :param theirs: the first flight of the other side, if that dials.
        """
        assert self._link is not None
        if theirs:
            self._link.receive_datagrams(theirs, now)
        if self._link.is_writable:
            self._greet()
            self.fill(now, EARLY)
        return tuple(self._link.first_flight(now))

    def use(self, path: Path, now: float) -> None:
        """Send over this path from now on."""
        is_new = self.path is None or path.route != self.path.route
        self.path = path
        if is_new and self._link is not None:
            self._size.path_changed()
            self._allowance = BulkAllowance()
            self.idle.answered()
            self._link.shrink()
            self._await(path, now)
        if self._introduced is not None:
            self.control.events.append(self._introduced)
            self._introduced = None
        if self._link is not None:
            self._link.rtt = path.rtt
        self.control.path_changed(now, path.rtt)
        self.verified(now)
        self.control.beat(now)  # a PING makes QUIC send again on the new path at once

    def _await(self, path: Path, now: float) -> None:
        """Give the link its times on a new path."""
        self._unheard_at = now + max(UNHEARD, UNHEARD_RTTS * path.rtt)
        self._unanswered_at = now + max(UNANSWERED, UNANSWERED_RTTS * path.rtt)
        if not self.control.is_open:
            self._unopened_at = now + max(UNOPENED, UNOPENED_RTTS * path.rtt)
        if self._silent_at is not None:
            self._silent_at = now + bounded(REVIVAL, REVIVAL_RTTS * path.rtt, LONGEST_REVIVAL)

    def _notice_silence(self, now: float) -> None:
        if self._unheard_at is not None and now >= self._unheard_at:
            self._unheard_at, self.is_doubted, self._is_overdue = None, True, True
        if self._unanswered_at is not None and now >= self._unanswered_at:
            self._unanswered_at = None
            if self.control.is_open and self._link is not None and self._link.awaits_answer:
                self.is_answer_doubted = self._is_overdue = True
        if self._unopened_at is not None and now >= self._unopened_at:
            self._unopened_at, self._is_overdue = None, True

    def takes_overdue(self) -> bool:
        """Tell, once, whether the path of now has had its time and didn't carry the link."""
        is_overdue, self._is_overdue = self._is_overdue, False
        return is_overdue

    def stops_doubt(self) -> bool:
        """Note that something came; tells whether that was doubted, and no doubt is left."""
        was_doubted, self.is_doubted, self._unheard_at = self.is_doubted, False, None
        if self._link is None or self._link.is_answered:
            was_doubted = was_doubted or self.is_answer_doubted
            self.is_answer_doubted, self._unanswered_at = False, None
        return was_doubted and not self.is_answer_doubted

    def verified(self, now: float) -> None:
        """The path of now was found to carry datagrams."""
        if self._link is not None:
            self._link.rtt = self.control.rtt or self._link.rtt
            self._link.wake(now)

    def probe(self, now: float, was_lost: bool = False, rtt: float = 0.0) -> None:
        """
        The path is about to change: the link must be heard on the new one.

        :param was_lost: whether nothing came over the one before any more.
        :param rtt: of the new path in seconds.
        """
        self._silent_at = now + bounded(REVIVAL, REVIVAL_RTTS * rtt, LONGEST_REVIVAL)
        if was_lost and self._link is not None:
            self._link.path_lost()

    def heard(self) -> None:
        """The link works over the path of now."""
        self._silent_at = self._unopened_at = self._unheard_at = self._unanswered_at = None
        self.is_doubted = self.is_answer_doubted = False
        if self._link is not None and RENEWS in self.control.features:
            self._link.heard()

    def size_probed(self, route: Route, size: int, is_carried: bool) -> None:
        """Take whether a route carries datagrams of a size."""
        if self._link is not None and self.path is not None and route == self.path.route:
            is_last = self._size.probed(size, is_carried)
            self._link.size = self._size.proved
            if is_last and self._size.proved > DATAGRAM_SIZE:
                self._link.renew()

    def is_silent(self, now: float) -> bool:
        """Tell whether the link had its time on a new path and wasn't heard."""
        return self._silent_at is not None and now >= self._silent_at

    def close(self, reason: str, now: float) -> None:
        """Let the link go; the path stays."""
        if self._link is not None:
            self.fill(now)
            self._link.hurry(now)
            self._farewell += self._datagrams(now)
            self._link.close(reason, now)
            self._farewell += self._datagrams(now)
        self._link, self._introduced = None, None
        self.services.lose()
        self.heard()  # nothing is awaited any more
        self.control.link_ended()

    @property
    def key_exchange(self) -> str:
        """Name of the link's key exchange, "" without a link."""
        return "" if self._link is None else self._link.key_exchange

    @property
    def open_name(self) -> str:
        """The name of the link, if both sides said HELLO on it."""
        return self.name if self._link is not None and self.control.is_open else ""

    # -- what is said

    def next_event(self, now: float) -> LiveLinkEvent | None:
        """Return, and forget, the oldest event of what is said."""
        events = self.control.events
        while events or self._goes_on(now):
            if not events:
                continue
            event: LiveLinkEvent = events.popleft()
            if self.path is not None or not isinstance(event, Introduced):
                return event
            self._introduced = event
        stirred = self.services.next_stirred()
        return None if stirred is None else StreamStirred(stirred)

    def _goes_on(self, now: float) -> bool:
        """Take what is there of frames, or else the next event of the link, if there is any."""
        link = self._link
        has_any = self._streams.has_frames or self.control.remote_goodbye is not None
        has_any = has_any or self.control.conversation.held.is_released
        if link is None or not (has_any or link.has_event):  # asked after every step
            return False
        try:
            return self._takes_frames(now) or self._takes_event(link, now)
        except RemoteProtocolError as error:
            self._is_broken = True
            self.control.events.append(RuleBroken(str(error)))
            return True

    def _takes_frames(self, now: float) -> bool:
        """Hand on as many frames as this slot has work for."""
        if self._is_broken:
            return False
        before = self._work_left
        while (body := self.control.conversation.held.next_released()) is not None:
            self.control.conversation.receive(body, now)
        while self._work_left > 0 and (size := self._streams.take(now)):
            self._work_left -= 1 + size // FRAME_WORK
        return self._work_left < before

    def _takes_event(self, link: Link, now: float) -> bool:
        if self._work_left <= 0 and not self._is_broken:
            return False  # it waits for the frames before it
        event = link.next_event()
        match event:
            case None:
                return self._takes_goodbye()
            case LinkEnded():
                self.control.take_goodbye()
                self.control.events.append(event)
            case LinkWritable():
                self._greet()
            case LinkShrunk():
                self._size.lost()
            case LinkStalled():
                self.control.events.append(event)
            case LinkOpened():
                self.control.conversation.their_key = link.remote_key
                if self.control.verification is not None:
                    self.control.verification.link_opened(link.binding, link.remote_key)
            case StreamsRenewed():
                self.services.renewed()
            case _ if not self._is_broken:
                streams = self._streams if event.stream & 2 else self.services
                streams.receive(event, now)
        return True

    def _takes_goodbye(self) -> bool:
        goodbye = self.control.remote_goodbye
        has_all = goodbye is not None and self._streams.has_all(goodbye.streams)
        if not has_all or self.control.conversation.has_unshown:
            return False
        self.control.take_goodbye()
        return True

    def _greet(self) -> None:
        if not self._has_greeted:
            self._has_greeted = True
            self.control.link_began()
            conversation = self.control.conversation
            self._streams.open(KIND, conversation.name, conversation, is_first=True)

    def _accept(self, opening: Opening) -> Reader | str:
        """Say who reads a stream that opens, or the word that refuses it."""
        conversation = self.control.conversation
        if opening.kind == KIND:
            return conversation if opening.of == conversation.name else "unknown"
        find = self.kinds.get(opening.kind)
        return "unknown-kind" if find is None else find(opening)

    def _receive_control(self, body: bytes, now: float) -> None:
        message = messages.decode(body)
        match message:
            case Credit(stream) if self.control.is_open:
                (self._streams if stream & 2 else self.services).credited(message)
            case Renew(secret) if self.control.is_open and self._link is not None:
                self._link.receive_renewal(secret)
            case StreamRefusal(stream) if self.control.is_open and not stream & 2:
                self.services.refused(message)
            case StreamRefusal(_, reason, detail) if self.control.is_open:
                opening = self._streams.refused(message)
                if opening is not None:
                    self.control.events.append(StreamRefused(opening.kind, reason, detail))
            case _:
                self.control.receive(message, now)

    def fill(self, now: float, most: int = BACKLOG) -> bool:
        """
        Hand on what is to be said, as the link has room; it may turn out to have ended.

        Tells whether there may be more than there was room for.

        :param most: bytes that may wait in the link; one frame may exceed it.
        """
        link, streams = self._link, self._streams
        if link is None or not link.is_writable:
            return False
        room = most - link.backlog()
        if room > 0:
            said = self.control.next_messages(now)
            said += streams.next_messages(self.control.rtt, now)
            said += self.services.next_messages(self.control.rtt, now)
            self._write_control(link, said)
        for stream in streams.next_unwanted():
            link.refuse(stream)
        writes = streams.next_writes(room, now)
        while link.is_writable and (write := next(writes, None)) is not None:
            link.send(*write)
            room -= len(write[1])
        room -= self._fill_services(link, room, now)
        if self.control.is_leaving and room > 0 and link.is_writable:
            goodbye = self.control.next_goodbye(streams.written())
            self._write_control(link, [] if goodbye is None else [goodbye])
        return room <= 0

    def _fill_services(self, link: Link, room: int, now: float) -> int:
        """Hand on what goes out on streams of services; returns its bytes."""
        for stream in self.services.next_stopped():
            link.stop(stream)
        for stream, is_cut_off in self.services.next_ended().items():
            if is_cut_off:
                link.refuse(stream)
            link.forget(stream)
        written = 0
        room = min(room, int(self._allowance.size) - link.in_hands)
        writes = self.services.next_writes(room, link, now)
        while link.is_writable and (write := next(writes, None)) is not None:
            link.send(*write)
            written += len(write[1])
        return written

    @staticmethod
    def _write_control(link: Link, said: Sequence[messages.ControlMessage]) -> None:
        if said:
            link.send(link.control, encode_frames([messages.encode(one) for one in said]))

    def open_stream(self, kind: str, of: str, writer: Writer) -> None:
        """Open a stream of another kind on the link of now."""
        self._streams.open(kind, of, writer)

    def _begin_slot(self, now: float) -> None:
        if now >= self._slot_end:
            self._slot_end, self._work_left = now + SLOT, FRAMES

    # -- datagrams and time

    def receive_datagrams(self, datagrams: Sequence[bytes], now: float) -> None:
        """Take datagrams; without a link they are nobody's."""
        if self._link is not None:
            self._begin_slot(now)
            if not self._streams.is_full(now):
                self._link.receive_datagrams(datagrams, now)
                self._link.measure(self._allowance, now)
            self.idle.heard(now)
            if self._link.is_answered:
                self.idle.answered()

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return, and forget, what goes out: first the last words of links that are gone."""
        outgoing, self._farewell = self._farewell, []
        is_full = self.fill(now)
        while datagrams := self._datagrams(now):
            outgoing += datagrams
            if not is_full or len(outgoing) >= PORTION:
                break
            is_full = self.fill(now)  # what went out has made room
        return outgoing

    def _datagrams(self, now: float) -> list[Datagram]:
        if self._link is None or self.path is None:
            return []
        route, way = self.path.route, self.path.fragmentation
        sent = self._link.datagrams_to_send(now)
        self._count(sent)
        if self._link.is_large:
            way = Fragmentation.FORBIDDEN  # as it was proved
        return addressed(sent, route, way)

    def _count(self, sent: Sequence[bytes]) -> None:
        """See whether so much goes over the path that it is worth a probe; a relay's never is."""
        self._size.sent(sum(map(len, sent)))
        if self.path is not None and not self.path.is_relayed and RENEWS in self.control.features:
            size = self._size.next_probe()
            if size is not None:
                self.control.events.append(ProbeWanted(size))

    def handle_timer(self, now: float) -> None:
        """Let the link do what is due, and notice overdue answers."""
        if self._link is not None:
            self._begin_slot(now)
            self._link.handle_timer(now)
            self._notice_silence(now)
            self.services.handle_timer(now)
        self.control.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return the earliest deadline."""
        if self._link is None:
            return earliest(self._silent_at, self.control.get_timer())
        slot = self._slot_end if self._work_left <= 0 else self._streams.get_timer()
        times = (self._link.get_timer(), slot, self._silent_at, self.control.get_timer())
        return earliest(
            *(*times, self._unheard_at, self._unanswered_at, self._unopened_at),
            self.services.get_timer(),
        )
