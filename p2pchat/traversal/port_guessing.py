"""
Port guessing: what gets through a NAT that gives each destination a random port of its own.

Where the other side's mapping is endpoint-independent, the birthday paradox joins the two.  Each
side has its part, by the mapping behaviour in offer and answer::

    many sockets    the symmetric side opens SOCKETS_OPENED sockets and checks from each, with a
                    low TTL, the one address of the other side: as many mappings, all open for
                    that address
    port probing    the endpoint-independent side checks random ports (probes) at the symmetric
                    side's address from the chat socket

A probe that hits a mapping is answered from the socket behind it, which sends a triggered check:
that socket becomes the base of the path.  With 256 of 64,512 ports open, n probes hit none of them
with probability C(64512 - n, 256) / C(64512, 256): 1,024 probes find one in 98.3 % of runs, 1,750
in 99.9 %.

Where the new port follows the last one by a fixed step, it is predicted instead: the ports that
come next are told as candidates (:mod:`p2pchat.traversal.gathering`).

Owns the budgets.  Nobody is probed but the address of a fresh signed offer or answer, by one run
of a peer at a time, with at most PROBES probes of 100 bytes, PROBES_A_TICK in each TICK; a run that
failed delays the peer's next one.  Each side tells by how long, and neither begins before both may:
one part alone meets nobody.  All strangers count as one peer.  Many sockets are opened for one
stranger at a time.

What went to one host lately bounds a run, too (:mod:`p2pchat.traversal.send_budget`).  One that
would have less than LEAST packets doesn't begin: it would take from the next one, and meet nobody.
KEPT_FOR_CHECKS are left in any case, so that plain checks are sent whatever guessing has used up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile
from math import inf

import attrs

from p2pchat.traversal.reachability import is_public_ipv4
from p2pchat.traversal.routes import CHAT_SOCKET, SOCKETS, Datagram
from p2pchat.traversal.send_budget import STRANGERS
from p2pchat.traversal.strategy import GUESSING_DELAY, Strategy
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate, CandidateType

SOCKETS_OPENED = 256  # on the symmetric side, for one attempt
PROBES = 1750  # ports of one run: see the chances above
TICK = 0.005  # seconds between two batches
PROBES_A_TICK = 5  # 1,000 a second, 0.8 Mbit/s
SOCKETS_A_TICK = 16  # all within 80 ms
OVERTIME = 3  # times a run's length: what has not gone out by then does not go
PASSES = 2  # over all sockets: a check may be lost
PORTS = range(1024, 65536)
RUN_LENGTH = GUESSING_DELAY + PROBES / PROBES_A_TICK * TICK  # seconds
FIRST_PAUSE = 18.0  # seconds after a run that failed; LEAST packets may go to the host then
LONGEST_PAUSE = 90.0  # seconds; a host that was probed in vain may get as many probes then
STRANGERS_PAUSES = 2.0, 300.0  # seconds; the first and the longest after runs for strangers
LATEST = 3.0  # seconds that a run is waited for; one that begins later ends with its round
LEAST = 256  # packets of a run: all sockets once, or probes that meet one of them in 64 % of runs
ENOUGH = {Strategy.MANY_SOCKETS: 256, Strategy.PORT_PROBING: 1024}  # packets that mostly do
WHOLE = {Strategy.MANY_SOCKETS: PASSES * SOCKETS_OPENED, Strategy.PORT_PROBING: PROBES}
THEIR_PAUSE = 55.0  # seconds from a whole run to the next ENOUGH probes, by the other side's limits
KEPT_FOR_CHECKS = 100  # packets to a host: those of a round, with four candidates there
MAX_PAUSED = 256  # known peers whose runs failed that are remembered


def target(candidates: Iterable[Candidate]) -> Address | None:
    """Return the address that a peer's NAT, an IPv4 one, shows to the world, or ``None``."""
    public = [one for one in candidates if is_public_ipv4(one.address)]
    usable = [one for one in public if one.type is not CandidateType.RELAYED]
    usable.sort(key=lambda one: one.type is not CandidateType.SERVER_REFLEXIVE)
    return usable[0].address if usable else None


def random_ports(count: int, random_bytes: Callable[[int], bytes]) -> list[int]:
    """Return distinct random ports."""
    found: dict[int, None] = {}
    while len(found) < count:
        drawn = random_bytes(2 * count)
        for high, low in zip(drawn[::2], drawn[1::2], strict=True):
            if high << 8 | low >= PORTS.start:
                found[high << 8 | low] = None
    return list(found)[:count]


@attrs.define
class GuessingRun:
    """
    The paced datagrams of one side, all with the same bytes: from many sockets, or to many ports.

    :ivar strategy: which of the two.
    :ivar host: the IP address that all of it goes to.
    :ivar sent: how many went out.
    :ivar began: when the first did.
    :ivar is_short: whether it has fewer packets than mostly lead to a path.
    """

    strategy: Strategy
    host: str
    _datagrams: list[Datagram]
    _a_tick: int
    _due: float | None
    sent: int = 0
    began: float | None = None
    is_short: bool = attrs.Factory(
        lambda self: len(self._datagrams) < ENOUGH[self.strategy], takes_self=True
    )
    _counted: int = 0

    @classmethod
    def many_sockets(
        cls,
        ufrag: str,
        data: bytes,
        to: Address,
        ttl: int,
        begins_at: float,
        *,
        packets: int = WHOLE[Strategy.MANY_SOCKETS],
    ) -> GuessingRun:
        """Return the symmetric side's: a check from each of many sockets, PASSES times over."""
        bases = [f"{SOCKETS}{ufrag}/{number}" for number in range(SOCKETS_OPENED)]
        datagrams = [Datagram(data, to, ttl, base) for base in (bases * PASSES)[:packets]]
        return cls(Strategy.MANY_SOCKETS, to[0], datagrams, SOCKETS_A_TICK, begins_at)

    @classmethod
    def port_probing(
        cls,
        data: bytes,
        host: str,
        random_bytes: Callable[[int], bytes],
        begins_at: float,
        *,
        packets: int = WHOLE[Strategy.PORT_PROBING],
    ) -> GuessingRun:
        """Return the other side's: one probe to each of many random ports."""
        ports = random_ports(packets, random_bytes)
        datagrams = [Datagram(data, (host, port), None, CHAT_SOCKET) for port in ports]
        return cls(Strategy.PORT_PROBING, host, datagrams, PROBES_A_TICK, begins_at)

    def take_due(
        self, now: float, may_go: Callable[[Datagram], bool] = lambda _datagram: True
    ) -> list[Datagram]:
        """
        Return the datagrams that are due and may go; the others wait for the next tick.

        What the budgets hold back for too long is let go, so that the next run finds them full:
        half the sockets open at once are worth more than all of them one after the other.
        """
        if self._due is None or now < self._due:
            return []
        batch = list(takewhile(may_go, self._datagrams[self.sent : self.sent + self._a_tick]))
        if batch and self.began is None:
            self.began = now
        self.sent += len(batch)
        longest = OVERTIME * TICK * len(self._datagrams) / self._a_tick
        is_late = self.began is not None and now >= self.began + longest
        self._due = None if is_late or self.sent >= len(self._datagrams) else now + TICK
        return batch

    def take_uncounted(self) -> int:
        """Return how many went out since the last call."""
        new, self._counted = self.sent - self._counted, self.sent
        return new

    def stop(self) -> None:
        """Send no more."""
        self._due = None
        del self._datagrams[self.sent :]

    def has_probed(self, address: Address) -> bool:
        """Tell whether a probe went to this address."""
        sent = self._datagrams[: self.sent] if self.strategy is Strategy.PORT_PROBING else []
        return any(one.destination == address for one in sent)

    def get_timer(self) -> float | None:
        """Return when the next ones are due."""
        return self._due


@attrs.define
class RunBudget:
    """One run at a time, and a pause after each, which doubles after a run that failed."""

    _length: float  # seconds that a run takes
    _first_pause: float = FIRST_PAUSE
    _longest_pause: float = LONGEST_PAUSE
    _running: str = ""
    _began: float = -inf
    _not_before: float = 0.0
    _pause: float = attrs.Factory(lambda self: self._first_pause, takes_self=True)

    def ready_at(self, now: float) -> float:
        """Return when the next run may begin, if the one that is on fails."""
        return max(now, self._not_before)

    def pause(self, ufrag: str, now: float) -> float:
        """Return the seconds until an attempt may have a run; 0 where it has it already."""
        return 0.0 if self._running == ufrag else self.ready_at(now) - now

    def they_are_ready_at(self, now: float) -> float:
        """Return when the other side may send ENOUGH probes again, if its last were in vain."""
        return max(now, self._began + THEIR_PAUSE)

    def take(self, ufrag: str, now: float) -> bool:
        """Ask for a run that begins then; tells whether it may."""
        if self._running or now < self._not_before:
            return False
        self._running, self._began = ufrag, now
        self._not_before = now + self._length + self._pause
        return True

    def give_back(self, ufrag: str, succeeded: bool) -> None:
        """End a run; one that succeeded lets the next begin at once."""
        if self._running != ufrag:
            return
        self._running = ""
        self._pause = self._first_pause if succeeded else min(self._pause * 2, self._longest_pause)
        if succeeded:
            self._not_before, self._began = 0.0, -inf


@attrs.define
class GuessingBudget:
    """The port guessing of all attempts of an agent, by what their peers count as."""

    _known: dict[str, RunBudget] = attrs.Factory(dict)  # the last MAX_PAUSED
    _strangers: dict[Strategy, RunBudget] = attrs.Factory(
        lambda: {
            Strategy.PORT_PROBING: RunBudget(RUN_LENGTH, *STRANGERS_PAUSES),
            # The system has only so many sockets: the pause stays, whatever came of these.
            Strategy.MANY_SOCKETS: RunBudget(0.0, STRANGERS_PAUSES[0], STRANGERS_PAUSES[0]),
        }
    )
    _open: set[str] = attrs.Factory(set)  # attempts with many sockets open

    def _budget(self, strategy: Strategy, peer: str) -> RunBudget:
        if peer == STRANGERS:
            return self._strangers[strategy]
        return self._known.get(peer) or RunBudget(RUN_LENGTH)

    def ready_at(self, strategy: Strategy, peer: str, now: float) -> float:
        """Return when port guessing for a peer may begin."""
        return self._budget(strategy, peer).ready_at(now)

    def pause(self, ufrag: str, peer: str, now: float) -> float:
        """Return the seconds until an attempt to reach a peer that we know may have a run."""
        return self._budget(Strategy.PORT_PROBING, peer).pause(ufrag, now)

    def is_worth_it_at(self, strategy: Strategy, peer: str, now: float) -> float:
        """Return when it is likely to be met by the other side's, too."""
        budget = self._budget(strategy, peer)
        theirs = strategy is Strategy.MANY_SOCKETS  # probing is what takes longer to come back
        return max(budget.ready_at(now), budget.they_are_ready_at(now) if theirs else now)

    def take(self, strategy: Strategy, ufrag: str, peer: str, now: float) -> bool:
        """Ask for port guessing of an attempt that begins then; tells whether it may."""
        budget = self._budget(strategy, peer)
        if not budget.take(ufrag, now):
            return False
        if strategy is Strategy.MANY_SOCKETS:
            self._open.add(ufrag)
        if peer != STRANGERS:
            if peer not in self._known and len(self._known) >= MAX_PAUSED:
                del self._known[next(iter(self._known))]
            self._known[peer] = budget
        return True

    def give_back(self, ufrag: str, peer: str, succeeded: bool, keeps: bool) -> bool:
        """
        End the port guessing of an attempt; tells whether it had many sockets open.

        :param keeps: whether it keeps some of them.
        """
        if peer == STRANGERS:
            self._strangers[Strategy.PORT_PROBING].give_back(ufrag, succeeded)
            self._strangers[Strategy.MANY_SOCKETS].give_back(ufrag, False)
        elif peer in self._known:
            self._known[peer].give_back(ufrag, succeeded)
        has_sockets = ufrag in self._open
        if not keeps:
            self._open.discard(ufrag)
        return has_sockets
