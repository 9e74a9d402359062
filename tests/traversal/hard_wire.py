"""
A toy wire between a peer behind a hard NAT and one behind an easy NAT.

The hard NAT gives each base a random port of its own; the easy one has one port for all.  Both
let in only what comes from an address and port that was sent to: the strictest filter there is.
Datagrams with a low TTL open the sender's NAT and end there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import count
from random import Random

import attrs

from p2pchat.traversal.agent import Agent, AgentEvent
from p2pchat.traversal.attempt_events import PathMoved
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.path_hint import PathHint
from p2pchat.traversal.port_guessing import PORTS
from p2pchat.traversal.punching import Punching
from p2pchat.traversal.relays import Relays
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from tests.traversal.outboxes import take

LATENCY = 0.02  # seconds, one way
KEY = b"k" * 32
HARD, EASY = "198.51.100.1", ("203.0.113.1", 5000)
SERVERS = [("192.0.2.1", 3478), ("192.0.2.1", 3479), ("192.0.2.2", 3478)]
START = 100.0


def gathering_seen_at(
    random_bytes: Callable[[int], bytes], inside: Address, mapped: Sequence[Address], now: float
) -> DualGathering:
    """Return a gathering that the STUN servers have seen at these addresses."""
    gathering = DualGathering((inside,), random_bytes)
    gathering.set_servers(SERVERS, now)
    for sent, address in zip(take(gathering, Datagram), mapped, strict=True):
        response = stun.success(stun.decode(sent.data), XOR_MAPPED_ADDRESS=address)
        gathering.receive_response(stun.decode(stun.encode(response)), sent.destination, now)
    return gathering


def agent_seen_at(seed: int, inside: Address, *mapped: Address) -> Agent:
    """Return an agent that the STUN servers have seen at these addresses."""
    random = Random(seed)
    gathering = gathering_seen_at(random.randbytes, inside, mapped, START)
    agent = Agent(gathering, Relays(random.randbytes), False, random.randbytes)
    agent.handle_timer(START)
    agent.datagrams_to_send(START)
    while agent.next_event() is not None:
        pass
    return agent


def hard_agent(seed: int) -> Agent:
    """Return an agent behind a NAT with a new random port for each destination."""
    ports = Random(seed).sample(PORTS, len(SERVERS))
    return agent_seen_at(seed, ("10.0.0.1", 4000), *((HARD, port) for port in ports))


def easy_agent(seed: int) -> Agent:
    """Return an agent behind a NAT with one port for all destinations."""
    return agent_seen_at(seed, ("10.0.0.2", 4000), *[EASY] * len(SERVERS))


@attrs.define(eq=False)
class HardWire:
    """
    See the module.

    :ivar ports: the hard NAT's ports, by base.
    :ivar sent_easy: (when, datagram), and likewise of the hard side.
    :ivar told_easy: what its agent told.
    """

    seed: int
    now: float = START
    ports: dict[str, int] = attrs.Factory(dict)
    sent_easy: list[tuple[float, Datagram]] = attrs.Factory(list)
    sent_hard: list[tuple[float, Datagram]] = attrs.Factory(list)
    told_easy: list[AgentEvent] = attrs.Factory(list)
    told_hard: list[AgentEvent] = attrs.Factory(list)
    easy: Agent = attrs.field(init=False)
    hard: Agent = attrs.field(init=False)
    _random: Random = attrs.field(init=False)
    _opened: set[Address] = attrs.Factory(set)  # that the easy side has sent to
    _flying: list[tuple[float, int, bytes, Address, str]] = attrs.Factory(list)
    _numbers: count[int] = attrs.Factory(count)

    def __attrs_post_init__(self) -> None:
        self.easy, self.hard = easy_agent(self.seed + 1000), hard_agent(self.seed)
        self._random = Random(f"ports {self.seed}")

    def punch(
        self,
        hard_offers: bool,
        theirs: NatTraits | None = None,
        hint: PathHint | None = None,
    ) -> None:
        """
        Let both begin.

        :param theirs: what the hard side is told, if not the truth.
        :param hint: what the hard side remembers.
        """
        hard = self.hard.gathering.traits()
        easy = theirs or self.easy.gathering.traits()
        for agent, other, ours, name, traits in (
            (self.hard, self.easy, "hard", "easy", easy),
            (self.easy, self.hard, "easy", "hard", hard),
        ):
            low_ttl = (agent is self.hard) is not hard_offers
            credentials = CheckCredentials(ours, name, KEY)
            memory = hint if agent is self.hard else None
            told = other.candidates()
            agent.punch(
                *(credentials, told, traits, self.now, low_ttl),
                hint=memory,
                has_priority=True,
                peer_id=name,
            )

    @property
    def attempts(self) -> tuple[Punching, Punching]:
        """The hard side's attempt, and the easy side's."""
        hard, easy = self.hard.attempt("hard"), self.easy.attempt("easy")
        assert hard is not None and easy is not None
        return hard, easy

    def moves(self) -> tuple[list[PathMoved], list[PathMoved]]:
        """Return the paths that the hard side chose, and those of the easy side."""
        hard = [one for one in self.told_hard if isinstance(one, PathMoved)]
        return hard, [one for one in self.told_easy if isinstance(one, PathMoved)]

    def run(self, seconds: float, until_joined: bool = False) -> float:
        """Let time pass, or less if both have a path before; returns the seconds."""
        start, end = self.now, self.now + seconds
        while self._step(end):
            if until_joined and all(self.moves()):
                return self.now - start
        self.now = end
        return seconds

    def _step(self, end: float) -> bool:
        self._flush()
        times = [self.hard.get_timer(), self.easy.get_timer()]
        times += [self._flying[0][0]] if self._flying else []
        when = min(time for time in times if time is not None)
        if when > end:
            return False
        self.now = max(when, self.now)
        while self._flying and self._flying[0][0] <= self.now:
            _, _, data, source, base = heappop(self._flying)
            agent = self.easy if source[0] == HARD else self.hard
            agent.receive_on(base, data, source, self.now)
        for agent in (self.hard, self.easy):
            if (agent.get_timer() or end + 1) <= self.now:
                agent.handle_timer(self.now)
        self._flush()
        return True

    def _flush(self) -> None:
        for datagram in self.easy.datagrams_to_send(self.now):
            self.sent_easy.append((self.now, datagram))
            self._from_easy(datagram)
        for datagram in self.hard.datagrams_to_send(self.now):
            self.sent_hard.append((self.now, datagram))
            self._from_hard(datagram)
        for agent, told in ((self.easy, self.told_easy), (self.hard, self.told_hard)):
            while (event := agent.next_event()) is not None:
                told.append(event)

    def _from_easy(self, datagram: Datagram) -> None:
        self._opened.add(datagram.destination)
        if datagram.ttl is None:
            for base, port in self.ports.items():
                if datagram.destination == (HARD, port):
                    self._fly(datagram.data, EASY, base)

    def _from_hard(self, datagram: Datagram) -> None:
        if datagram.destination != EASY:
            return
        port = self.ports.setdefault(datagram.base, self._random.choice(PORTS))
        if datagram.ttl is None and (HARD, port) in self._opened:
            self._fly(datagram.data, (HARD, port), "")

    def _fly(self, data: bytes, source: Address, base: str) -> None:
        flight = (self.now + LATENCY, next(self._numbers), data, source, base)
        heappush(self._flying, flight)
