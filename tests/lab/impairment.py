"""
What a cable does to the frames that it carries, and when each comes out; pure.

::

    put -> too large for the link? -> full queue? -> rate -> lost? -> delay, jitter -> due
             |                                                          |
             fragmented, or told to the sender, or nothing               late, if reordered

Frames come out in the order in which they were put in, save those that are reordered on purpose: a
shorter delay drains as a queue does, it lets nothing overtake. What is in a cable is bounded: the
queue before the rate by `Impairment.buffer`, the rest by HELD_LIMIT.
"""

from __future__ import annotations

import heapq
from random import Random

import attrs

from tests.lab.frames import fragments, ip_size, is_fragment, too_big

ETHERNET_MTU = 1500  # bytes of IP
HELD_LIMIT = 8192  # frames; three seconds of 2,700 in a second


@attrs.frozen
class Impairment:
    """
    What one direction of a cable does.

    :ivar delay: seconds from one end to the other.
    :ivar jitter: seconds; up to so much more, drawn evenly for each frame.
    :ivar loss: the probability, from 0 to 1, that a frame is lost.
    :ivar rate: bits in a second; 0: as many as come.
    :ivar buffer: bytes that wait for the rate; more is lost.
    :ivar mtu: bytes of IP; larger packets are fragmented where they allow it, else lost.
    :ivar icmp: whether the sender of a packet that was too large is told.
    :ivar reordering: the probability that a frame is late, so that others overtake it.
    :ivar late: seconds by which it then is.
    """

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    rate: float = 0.0
    buffer: int = 64_000
    mtu: int = attrs.field(default=ETHERNET_MTU, validator=attrs.validators.ge(68))  # RFC 791
    icmp: bool = True
    reordering: float = 0.0
    late: float = 0.01


NOTHING = Impairment()


@attrs.define
class Lane:
    """
    One direction of a cable: frames go in at one end and come out later, or never.

    :ivar fragments: how many pieces of packets it has taken in, or cut itself.
    """

    _random: Random
    impairment: Impairment = NOTHING
    fragments: int = 0
    _held: list[tuple[float, int, bytes]] = attrs.Factory(list)  # a heap
    _count: int = 0
    _free: float = 0.0  # when the last frame that waited for the rate is through
    _latest: float = 0.0  # when the last of those that keep their order comes out

    def put(self, now: float, frame: bytes) -> bytes | None:
        """Take a frame in; return the answer that its sender gets at once, if any."""
        mtu = self.impairment.mtu
        if ip_size(frame) <= mtu:
            self._take(now, frame)
            return None
        pieces = fragments(frame, mtu)
        for piece in pieces:
            self._take(now, piece)
        return too_big(frame, mtu) if self.impairment.icmp and not pieces else None

    def next_due(self) -> float | None:
        """Return when the next frame comes out; None while there is none."""
        return self._held[0][0] if self._held else None

    def due(self, now: float) -> list[bytes]:
        """Return the frames that come out by now, in order."""
        out = []
        while self._held and self._held[0][0] <= now:
            out.append(heapq.heappop(self._held)[2])
        return out

    def _take(self, now: float, frame: bytes) -> None:
        self.fragments += is_fragment(frame)
        through = self._through(now, frame)
        lost = self._random.random() < self.impairment.loss
        if through is None or lost or len(self._held) >= HELD_LIMIT:
            return
        jitter = self._random.random() * self.impairment.jitter
        moment = self._latest = max(through + self.impairment.delay + jitter, self._latest)
        if self._random.random() < self.impairment.reordering:
            moment += self.impairment.late
        self._count += 1
        heapq.heappush(self._held, (moment, self._count, frame))

    def _through(self, now: float, frame: bytes) -> float | None:
        """Return when a frame has passed the rate; None where the queue before it is full."""
        rate = self.impairment.rate
        if rate <= 0:
            return now
        waiting = max(0.0, self._free - now) * rate / 8
        if waiting + len(frame) > self.impairment.buffer:
            return None
        self._free = max(now, self._free) + len(frame) * 8 / rate
        return self._free
