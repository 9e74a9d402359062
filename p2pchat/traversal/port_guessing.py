"""
Port guessing: what gets through a NAT that gives each destination a random port of its own.

Where the other side's mapping is endpoint-independent, the birthday paradox joins the two.  Both
sides know who is who from the mapping behaviour in offer and answer::

    symmetric side               opens SOCKETS_OPENED sockets and checks from each, with a low TTL,
                                 the one address of the other side: as many mappings, all open for
                                 that address
    endpoint-independent side    checks random ports at the symmetric side's address from the chat
                                 socket

A check that hits a mapping is answered from the socket behind it, which checks back: that
socket becomes the base of the path.  With 256 of 64,512 ports open, n probes hit none of them
with probability C(64512 - n, 256) / C(64512, 256): 1,024 probes find one in 98.3 % of runs, 1,750
in 99.9 %.

Where the new port follows the last one by a fixed step, it is predicted instead: the ports that
come next are told as candidates (:mod:`p2pchat.traversal.gathering`).

Owns the budgets.  Nobody is probed but the address of a fresh signed offer or answer, by one run
at a time, with at most PROBES checks of 100 bytes, PROBES_A_TICK in each TICK; a run that failed
delays the next one.  Strangers' runs neither delay nor keep away those of known peers, who have a
budget of their own, and of strangers one at a time is opened sockets for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile

import attrs

from p2pchat.traversal.reachability import is_public_ipv4
from p2pchat.traversal.routes import CHAT_SOCKET, SOCKETS, Datagram
from p2pchat.traversal.strategy import BURST_DELAY, Strategy
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate, CandidateType

SOCKETS_OPENED = 256
PROBES = 1750
TICK = 0.005  # seconds between two batches
PROBES_A_TICK = 5  # 1,000 a second, 0.8 Mbit/s
SOCKETS_A_TICK = 16  # all within 80 ms
OPENINGS = 2  # passes over all sockets: a check may be lost
PORTS = range(1024, 65536)
RUN_LENGTH = BURST_DELAY + PROBES / PROBES_A_TICK * TICK  # seconds
FIRST_PAUSE = 2.0  # seconds after a run that failed
LONGEST_PAUSE = 300.0  # seconds


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
class ProbeBurst:
    """
    Paced datagrams, all with the same bytes: from many sockets, or to many ports.

    :ivar strategy: what it is for.
    :ivar sent: how many went out.
    :ivar began: when the first did.
    """

    strategy: Strategy
    _shots: list[Datagram]
    _a_tick: int
    _due: float | None
    sent: int = 0
    began: float | None = None

    @classmethod
    def openings(cls, ufrag: str, data: bytes, to: Address, ttl: int, begin: float) -> ProbeBurst:
        """Make the symmetric side's: a check from each of many sockets, OPENINGS times over."""
        bases = [f"{SOCKETS}{ufrag}/{number}" for number in range(SOCKETS_OPENED)]
        shots = [Datagram(data, to, ttl, base) for base in bases * OPENINGS]
        return cls(Strategy.MANY_SOCKETS, shots, SOCKETS_A_TICK, begin)

    @classmethod
    def probes(
        cls, data: bytes, host: str, random_bytes: Callable[[int], bytes], begin: float
    ) -> ProbeBurst:
        """Make the other side's: one check to each of many random ports."""
        ports = random_ports(PROBES, random_bytes)
        shots = [Datagram(data, (host, port), None, CHAT_SOCKET) for port in ports]
        return cls(Strategy.PROBE, shots, PROBES_A_TICK, begin)

    def take_due(
        self, now: float, may_go: Callable[[Datagram], bool] = lambda _datagram: True
    ) -> list[Datagram]:
        """Return the datagrams that are due and may go; the others wait for the next tick."""
        if self._due is None or now < self._due:
            return []
        batch = list(takewhile(may_go, self._shots[self.sent : self.sent + self._a_tick]))
        if batch and self.began is None:
            self.began = now
        self.sent += len(batch)
        self._due = now + TICK if self.sent < len(self._shots) else None
        return batch

    def stop(self) -> None:
        """Send no more."""
        self._due = None
        del self._shots[self.sent :]

    def has_probed(self, address: Address) -> bool:
        """Tell whether a probe went to this address."""
        sent = self._shots[: self.sent] if self.strategy is Strategy.PROBE else []
        return any(shot.destination == address for shot in sent)

    def get_timer(self) -> float | None:
        """Return when the next ones are due."""
        return self._due


@attrs.define
class RunBudget:
    """
    Allows one run at a time, with a pause after each.

    :ivar length: seconds that a run takes.
    :ivar longest_pause: what the pause doubles up to, with each run that failed.
    """

    _length: float
    _longest_pause: float
    _running: str = ""
    _not_before: float = 0.0
    _pause: float = FIRST_PAUSE

    def take(self, ufrag: str, now: float) -> bool:
        """Ask for a run; tells whether it may begin."""
        if self._running or now < self._not_before:
            return False
        self._running, self._not_before = ufrag, now + self._length + self._pause
        return True

    def give_back(self, ufrag: str, succeeded: bool) -> None:
        """End a run; one that succeeded lets the next begin at once."""
        if self._running != ufrag:
            return
        self._running = ""
        self._pause = FIRST_PAUSE if succeeded else min(self._pause * 2, self._longest_pause)
        if succeeded:
            self._not_before = 0.0


@attrs.define
class GuessingBudget:
    """
    The port guessing of all attempts of an agent.

    Strangers neither delay nor keep away known peers, who probe within a budget of their own, and
    open many sockets as they like.
    """

    _probing: dict[bool, RunBudget] = attrs.Factory(  # by whether it has priority
        lambda: {one: RunBudget(RUN_LENGTH, LONGEST_PAUSE) for one in (True, False)}
    )
    _opening: RunBudget = attrs.Factory(lambda: RunBudget(0.0, FIRST_PAUSE))  # by strangers
    _spread: set[str] = attrs.Factory(set)  # attempts with many sockets open

    def take(self, strategy: Strategy, ufrag: str, has_priority: bool, now: float) -> bool:
        """Ask for what a strategy takes; tells whether it may begin."""
        if strategy is Strategy.PROBE:
            return self._probing[has_priority].take(ufrag, now)
        may_open = strategy is Strategy.MANY_SOCKETS and (
            has_priority or self._opening.take(ufrag, now)
        )
        if may_open:
            self._spread.add(ufrag)
        return may_open

    def give_back(self, ufrag: str, has_priority: bool, succeeded: bool, keeps: bool) -> bool:
        """
        End what an attempt does; tells whether it had many sockets open.

        :param keeps: whether it keeps some of them.
        """
        self._probing[has_priority].give_back(ufrag, succeeded)
        # The system has only so many sockets: the pause stays, whatever came of these.
        self._opening.give_back(ufrag, False)
        is_spread = ufrag in self._spread
        if not keeps:
            self._spread.discard(ufrag)
        return is_spread
