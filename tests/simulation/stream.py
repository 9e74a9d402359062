"""
One direction of a TCP connection: segments in order, each until it has arrived.

A segment that its path loses, or that arrives while the path is down, is sent again after a
doubling timeout, and what follows waits behind it.  A sender gives up after `GIVE_UP_AFTER`; a
client whose NAT has forgotten the connection is told at once, by a reset, since its segments
reach the server from another endpoint.

Deviations from RFC 9293: no congestion control; the window is fixed; acknowledgements take no
time and are never lost; the retransmission timeout is capped far below 60 s, so that a path
which comes back is used again soon.
"""

from __future__ import annotations

from collections import deque
from errno import ECONNRESET, ETIMEDOUT
from typing import Protocol

import attrs

from tests.simulation.clock import EventClock
from tests.simulation.path import Path

WINDOW = 256 * 1024  # bytes sent and not yet read at the other end
FIRST_RETRANSMISSION = 0.2  # seconds; Linux, TCP_RTO_MIN
LONGEST_RETRANSMISSION = 2.0  # seconds
LARGEST_SEGMENT = 16 * 1024  # bytes; as with segmentation offload
GIVE_UP_AFTER = 120.0  # seconds; Linux waits some 15 minutes

ACK = None  # completes the handshake
FIN = b""
Segment = bytes | None


class End(Protocol):
    """What a stream joins: one end of a connection."""

    def arrive(self, segment: Segment) -> None:
        """Take the next segment."""

    def fail(self, errno: int) -> None:
        """The connection is broken."""

    def wake(self) -> None:
        """There may be room to send again."""


@attrs.define(eq=False)
class Stream:
    """
    The segments on their way from `source` to `target`.

    :ivar unread: bytes sent, and not read by the other end.
    """

    path: Path
    clock: EventClock
    source: End
    target: End
    is_clients: bool
    unread: int = 0
    _segments: deque[Segment] = attrs.Factory(deque)
    _in_flight: int = 0
    _generation: int = 0
    _last_arrival: float = 0.0
    _waiting: bool = False
    _failing_since: float | None = None
    _timeout: float = FIRST_RETRANSMISSION

    def room(self) -> int:
        """Return how many bytes the window still takes."""
        return max(0, WINDOW - self.unread)

    def acknowledge(self, size: int) -> None:
        """The other end has read so many bytes."""
        self.unread -= size
        self.source.wake()

    def send(self, segment: Segment) -> None:
        """Add a segment; what must wait is joined to what waits already."""
        self.unread += len(segment or b"")
        last = self._segments[-1] if len(self._segments) > self._in_flight else None
        if last and segment and len(last) + len(segment) <= LARGEST_SEGMENT:
            self._segments[-1] = last + segment
        else:
            self._segments.append(segment)
        self._transmit()

    def stop(self) -> None:
        """Drop everything, what is under way too."""
        self._segments.clear()
        self._lose_flight()

    def reset(self) -> None:
        """Drop everything, and tell the other end, once, that the connection is gone."""
        self.stop()
        delay = self.path.delay()
        if delay is not None:
            self.clock.post(self.clock.rightNow + delay, self._reset_arrives)

    def _reset_arrives(self) -> None:
        if self.path.is_up():
            self.target.fail(ECONNRESET)

    def _lose_flight(self) -> None:
        self._generation += 1
        self._in_flight = 0

    def _transmit(self) -> None:
        while not self._waiting and self._in_flight < len(self._segments):
            delay = self.path.delay()
            if delay is None:
                self._retransmit_later()
                return
            self._last_arrival = max(self._last_arrival, self.clock.rightNow + delay)
            self.clock.post(self._last_arrival, self._arrive, self._generation)
            self._in_flight += 1

    def _arrive(self, generation: int) -> None:
        if generation != self._generation:
            return
        if not self.path.is_up():
            self._lose_flight()
            self._retransmit_later()
            return
        self._in_flight -= 1
        self._failing_since = None
        self._timeout = FIRST_RETRANSMISSION
        self.target.arrive(self._segments.popleft())

    def _retransmit_later(self) -> None:
        if self._waiting:
            return
        now = self.clock.rightNow
        self._failing_since = now if self._failing_since is None else self._failing_since
        refused = self.path.severed and self.is_clients
        if now - self._failing_since >= (FIRST_RETRANSMISSION if refused else GIVE_UP_AFTER):
            self.stop()
            self.source.fail(ECONNRESET if refused else ETIMEDOUT)
            return
        self._waiting = True
        self.clock.post(now + self._timeout, self._retransmit)
        self._timeout = min(2 * self._timeout, LONGEST_RETRANSMISSION)

    def _retransmit(self) -> None:
        self._waiting = False
        self._transmit()
