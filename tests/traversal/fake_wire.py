"""
A fake wire: carries datagrams between pure machines, on a plain float clock.

A *station* listens at some addresses.  What it sends to an address takes the link that joins
that address with one of its own, and arrives from there after the link's latency; where there is
no link it is lost, and so it is when its TTL is used up on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from math import inf
from random import Random
from typing import Protocol

import attrs

from p2pchat.traversal.routes import Datagram
from p2pchat.wire.addresses import Address

HOPS = 8
MAX_STANDSTILL = 1000  # steps without time passing, before a machine is said to spin


class Station(Protocol):
    """A machine at the end of a wire."""

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram."""

    def handle_timer(self, now: float) -> None:
        """Do what is due."""

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""

    def outgoing(self, now: float) -> Sequence[Datagram]:
        """Return, and forget, what is to be sent."""


@attrs.define
class Link:
    """
    What joins two addresses; may be changed while it is in use.

    :ivar latency: seconds, one way.
    :ivar jitter: at most so many seconds more; datagrams overtake each other.
    :ivar loss: probability of a datagram to be lost.
    :ivar twice: probability of a datagram to come twice.
    :ivar most: bytes of a datagram; longer ones are lost.
    :ivar rate: bytes a second that each way carries, 0 for any number.
    :ivar queue: seconds that a datagram waits for that at most; others are lost.
    """

    latency: float = 0.01
    jitter: float = 0.0
    loss: float = 0.0
    twice: float = 0.0
    most: int = 65_535
    rate: float = 0.0
    queue: float = 1.0
    _free_at: dict[Address, float] = attrs.Factory(dict)  # by source

    def leaves(self, source: Address, size: int, now: float) -> float | None:
        """Return when a datagram has left the queue, None if that is full."""
        if not self.rate:
            return now
        free = max(now, self._free_at.get(source, now))
        if free - now > self.queue:
            return None
        self._free_at[source] = free + size / self.rate
        return self._free_at[source]


class FakeWire:
    """
    See the module.

    :ivar now: seconds.
    :ivar lost: datagrams that found no way.
    """

    def __init__(self, seed: int = 0) -> None:
        self.now = 100.0
        self.lost: list[Datagram] = []
        self._random = Random(seed)
        self._stations: dict[Address, Station] = {}
        self._links: dict[frozenset[Address], Link] = {}
        self._flying: list[tuple[float, int, Station, bytes, Address]] = []
        self._numbers = count()
        self._timers: dict[Station, float] = {}
        self._stands = 0  # steps since time last passed
        self._passing, self._losing = 0, 0  # datagrams that pass, and then are lost

    def attach(self, station: Station, *addresses: Address) -> None:
        """Let a station listen at these addresses."""
        self._stations.update(dict.fromkeys(addresses, station))

    def link(self, left: Address, right: Address, link: Link | None = None) -> Link:
        """Join two addresses."""
        self._links[frozenset({left, right})] = link = link or Link()
        return link

    def cut(self, left: Address, right: Address) -> None:
        """Let nothing pass between two addresses any more."""
        self._links.pop(frozenset({left, right}), None)

    def lose_next(self, after: int, count: int) -> None:
        """Lose so many datagrams, after so many that pass."""
        self._passing, self._losing = after, count

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        end = self.now + seconds
        self._flush()
        while self._step(end):
            pass
        self.now = end

    def run_until(self, happened: Callable[[], object], within: float = 10.0) -> float:
        """Let time pass until something has happened; returns the seconds that it took."""
        start = self.now
        self._flush()
        while not happened():
            if not self._step(start + within):
                raise AssertionError(f"not within {within} seconds")
        return self.now - start

    def quiet(self) -> float:
        """Return the seconds until something comes or is due."""
        self._flush()
        return max(0.0, min(self._next()) - self.now)

    def _next(self) -> tuple[float, float]:
        """Return when the first timer is due, and when the first datagram comes."""
        arrival = self._flying[0][0] if self._flying else inf
        return min(self._timers.values(), default=inf), arrival

    def _step(self, end: float) -> bool:
        """Go to what is next; tell whether it is before the end."""
        due, arrival = self._next()
        when = min(due, arrival)
        if when > end:
            return False
        self._stands = 0 if when > self.now else self._stands + 1
        if self._stands > MAX_STANDSTILL:
            raise AssertionError(f"a machine wants to be called at {due} for ever")
        self.now = max(self.now, when)
        if arrival <= due:
            _, _, station, data, source = heappop(self._flying)
            station.receive(data, source, self.now)
            self._settle(station)
        else:
            ready = [one for one, wanted in self._timers.items() if wanted <= self.now]
            for station in ready:
                station.handle_timer(self.now)
            for station in ready:
                self._settle(station)
        return True

    def _flush(self) -> None:
        self._timers.clear()  # somebody may listen no more
        for station in list(dict.fromkeys(self._stations.values())):
            self._settle(station)

    def _settle(self, station: Station) -> None:
        """Send what a station that something was done to has, and note when it is next."""
        for datagram in station.outgoing(self.now):
            self._send(station, datagram)
        wanted = station.get_timer()
        self._timers[station] = inf if wanted is None else wanted

    def _send(self, station: Station, datagram: Datagram) -> None:
        ours = [address for address, one in self._stations.items() if one is station]
        for source in ours:
            link = self._links.get(frozenset({source, datagram.destination}))
            if link is not None and (datagram.ttl is None or datagram.ttl >= HOPS):
                self._fly(link, source, datagram)
                return
        self.lost.append(datagram)

    def _fly(self, link: Link, source: Address, datagram: Datagram) -> None:
        if self._random.random() < link.loss or len(datagram.data) > link.most:
            return
        if self._passing > 0:
            self._passing -= 1
        elif self._losing > 0:
            self._losing -= 1
            return
        left = link.leaves(source, len(datagram.data), self.now)
        if left is None:
            return
        for _ in range(2 if self._random.random() < link.twice else 1):
            when = left + link.latency + link.jitter * self._random.random()
            target = self._stations[datagram.destination]
            heappush(self._flying, (when, next(self._numbers), target, datagram.data, source))
