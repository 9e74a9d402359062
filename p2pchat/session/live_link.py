"""
The link to one peer, the path that it goes over, and what is said on it.

::

               ┌────────── heard ───────────┐
               ▼                            │
    begin ──▶ held ──probe, path changed──▶ to be heard within REVIVAL ──▶ is_silent
               └──────────── close ─────────┴──▶ none; its last words still go out

A link outlives paths, and a path a link.  Owns where the datagrams go: over the path in use, and
nowhere while there is none; the first ones are for its owner to send.  What a silent link means is
its owner's to say.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import attrs

from p2pchat.errors import NotRead, RemoteProtocolError, UnsupportedVersion
from p2pchat.session.control import Control, ControlEvent, Opened
from p2pchat.session.conversation import ConversationEvent
from p2pchat.session.link import Link, LinkEnded, LinkEvent, LinkWritable
from p2pchat.session.liveness import IdleTracker
from p2pchat.session.quic import StreamData, first_stream
from p2pchat.traversal.earliest import earliest
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.routes import PORTION, Datagram
from p2pchat.wire.framing import FrameReader, encode_frames

REVIVAL = 2.0  # seconds for a link to be heard on its new path before a new link is made
SLOT = 0.001  # seconds in which ...
FRAMES = 100  # frames are looked at: some ms of work; others and their lines come between
READ_AHEAD = 1024 * 1024  # bytes of frames that wait; no datagram is taken while there are more
OVERHEAD = 64  # bytes that a waiting frame costs beside its own
EARLY = 1000  # bytes to be said in a first flight; its handshake has some 1,700 beside it
BACKLOG = 128 * 1024  # bytes handed to QUIC ahead of the network; one frame may exceed it


@attrs.frozen
class RuleBroken:
    """The other side broke the protocol; ``reason`` is the word that DISCONNECT has for it."""

    reason: str
    explanation: str

    @classmethod
    def of(cls, error: RemoteProtocolError) -> RuleBroken:
        """Describe a broken rule."""
        if isinstance(error, UnsupportedVersion):
            return cls("unsupported-version", str(error))
        return cls("not-read" if isinstance(error, NotRead) else "protocol-error", str(error))


LiveLinkEvent = ControlEvent | ConversationEvent | LinkEnded | RuleBroken


@attrs.define(eq=False)
class LiveLink:
    """
    At most one link, and at most one path.

    :ivar control: what is said on the link.
    :ivar idle: for how long the path carried nothing.
    :ivar wall_of: from the machines' time to seconds since 1970.
    :ivar name: of the link that was begun last, the same on both sides; empty before any.
    :ivar path: the one in use.
    """

    control: Control
    idle: IdleTracker
    wall_of: Callable[[float], float]
    name: str = ""
    path: Path | None = None
    _link: Link | None = None
    _reader: FrameReader = attrs.Factory(FrameReader)
    _frames: deque[bytes] = attrs.Factory(deque)
    _waiting: int = 0  # bytes of them
    _slot_end: float = 0.0
    _frames_left: int = FRAMES  # in this slot
    _has_greeted: bool = False  # our HELLO is written, or about to be
    _opened: Opened | None = (
        None  # to be told when there is a path: before, nothing can be answered
    )
    _is_broken: bool = False  # they broke a rule: nothing that follows costs or means anything
    _silent_at: float | None = None
    _farewell: list[Datagram] = attrs.Factory(list)  # of links that are gone

    def __bool__(self) -> bool:
        """Whether there is a link, open or not."""
        return self._link is not None

    # -- link and path come and go

    def begin(self, link: Link, name: str, now: float) -> None:
        """Hold this link in place of another; its path is to be chosen."""
        self.control.link_ended()
        self._link, self.name = link, name
        self._is_broken, self._has_greeted, self._opened = False, False, None
        self._reader, self._waiting = FrameReader(), 0
        self._frames.clear()
        self.path, self._silent_at = None, None
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
        self.path = path
        if self._link is not None:
            self._link.rtt = path.rtt
        self.verified(now)
        self.control.path_changed(now)
        self.control.beat(now)  # a PING makes QUIC send again on the new path at once

    def verified(self, now: float) -> None:
        """The path of now was found to carry datagrams."""
        if self._link is not None:
            self._link.wake(now)

    def probe(self, now: float, was_lost: bool = False) -> None:
        """
        The path is about to change: the link must be heard on the new one.

        :param was_lost: whether nothing came over the one before any more.
        """
        self._silent_at = now + REVIVAL
        if was_lost and self._link is not None:
            self._link.path_lost()

    def heard(self) -> None:
        """The link works over the path of now."""
        self._silent_at = None

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
        self._link, self._silent_at, self._opened = None, None, None
        self.control.link_ended()

    @property
    def key_exchange(self) -> str:
        """Name of the link's key exchange, "" without a link."""
        return "" if self._link is None else self._link.key_exchange

    @property
    def open_name(self) -> str:
        """The name of the link, if both sides said HELLO on it."""
        return self.name if self._link is not None and self.control.is_open else ""

    # -- frames

    def next_event(self, now: float) -> LiveLinkEvent | None:
        """Return, and forget, the oldest event of what is said; frames are taken one by one."""
        while True:
            if self._opened is not None and self.path is not None:
                opened, self._opened = self._opened, None
                return opened
            said = self.control.next_event() or self.control.conversation.next_event()
            if isinstance(said, Opened) and self.path is None:
                self._opened = said
                continue
            if said is not None or self._link is None:
                return said
            try:
                if self._frames:
                    if not self._frames_left:
                        return None
                    self._take_frame(now)
                else:
                    event = self._link.next_event()
                    if event is None or isinstance(event, LinkEnded):
                        return event
                    self._react(event, self._link)
            except RemoteProtocolError as error:
                self._is_broken = True
                self._frames.clear()
                return RuleBroken.of(error)

    def _take_frame(self, now: float) -> None:
        self._frames_left -= 1
        body = self._frames.popleft()
        self._waiting -= len(body) + OVERHEAD
        self.control.receive_frame(body, now)

    def _react(self, event: LinkEvent, link: Link) -> None:
        match event:
            case LinkWritable():
                self._greet()
            case StreamData(stream, data) if stream == first_stream(not link.dials):
                if not self._is_broken:
                    frames = self._reader.receive(data)
                    self._frames += frames
                    self._waiting += sum(map(len, frames)) + OVERHEAD * len(frames)

    def _greet(self) -> None:
        if not self._has_greeted:
            self._has_greeted = True
            self.control.link_opened()

    def _begin_slot(self, now: float) -> None:
        if now >= self._slot_end:
            self._slot_end, self._frames_left = now + SLOT, FRAMES

    def fill(self, now: float, most: int = BACKLOG) -> bool:
        """
        Hand on what is to be said, as the link has room; it may turn out to have ended.

        Tells whether there may be more than there was room for.

        :param most: bytes that may wait in the link; one frame may exceed it.
        """
        link = self._link
        if link is None or not link.is_writable:
            return False
        frames, room, wall = [], most - link.backlog(), self.wall_of(now)
        while room > 0 and (frame := self.control.next_frame(wall, now)) is not None:
            frames.append(frame)
            room -= len(frame)
        if frames:
            link.send(link.control, encode_frames(frames))
        return room <= 0

    # -- datagrams and time

    def receive_datagrams(self, datagrams: Sequence[bytes], now: float) -> None:
        """Take datagrams; without a link they are nobody's."""
        if self._link is not None:
            self._begin_slot(now)
            self.idle.heard(now)
            if self._waiting <= READ_AHEAD:
                self._link.receive_datagrams(datagrams, now)

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
        address, base = self.path.route
        return [Datagram(data, address, None, base) for data in self._link.datagrams_to_send(now)]

    def handle_timer(self, now: float) -> None:
        """Let the link do what is due, and notice overdue answers."""
        if self._link is not None:
            self._begin_slot(now)
            self._link.handle_timer(now)
        self.control.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return the earliest deadline."""
        linked = None if self._link is None else self._link.get_timer()
        slot = self._slot_end if self._frames else None
        times = (linked, slot, self._silent_at, self.control.get_timer())
        return earliest(*times)
