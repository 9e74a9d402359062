"""
A simulated internet: deterministic, seeded, on virtual time.

`Internet` owns the clock, the one source of randomness, the public network, DNS, and the list
of all hosts and NATs.  Whole peers and whole web servers run on the reactors of its hosts,
unmodified.  The same seed and the same calls give the same trace, byte for byte.

Between any two public nodes are `hops` routers and one `link`; hosts and NATs may have an access
`link` of their own on top.  The clock starts far from 0, which some protocols take for "never".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from p2pchat.wire.nat64 import WELL_KNOWN_ADDRESSES, WELL_KNOWN_NAME
from tests.simulation.behaviour import NatKind
from tests.simulation.clock import EventClock
from tests.simulation.host import Host
from tests.simulation.link import Link
from tests.simulation.nat import Nat
from tests.simulation.network import Address, Network

START = 1000.0  # seconds
HOPS = 3
DESCRIBED_DATAGRAMS = 30

Record = tuple[float, Address, Address, int, str]


class NeverHappened(AssertionError):
    """What a test awaited did not come about in time."""


class Internet:
    """
    See the module.

    :ivar dns: IPv4 addresses by host name.
    :ivar dns6: IPv6 addresses by host name.
    :ivar public: the public network; its `link` and `hops` may be changed.
    :ivar trace: set it to a list to collect ``(time, source, destination, size, fate)`` of every
        datagram, once it is known.
    :ivar fates: how many datagrams had which fate.
    """

    def __init__(
        self,
        seed: int,
        clock: EventClock | None = None,
        link: Link | None = None,
        hops: int = HOPS,
    ) -> None:
        self.seed = seed
        self.clock = clock or EventClock(START)
        self.random = Random(seed)
        self.dns: dict[str, str] = {WELL_KNOWN_NAME: str(WELL_KNOWN_ADDRESSES[0])}
        self.dns6: dict[str, str] = {}
        self.hosts: list[Host] = []
        self.nats: list[Nat] = []
        self.public = Network(self, "198.18", link or Link(), hops)
        self.trace: list[Record] | None = None
        self.fates: Counter[str] = Counter()
        self.literals: set[Address] = set()  # destinations known to be well-formed

    @property
    def link(self) -> Link:
        """Between any two public nodes."""
        return self.public.link

    @link.setter
    def link(self, link: Link) -> None:
        self.public.link = link

    def host(
        self, address: str | None = None, behind: Nat | None = None, also: Sequence[str] = ()
    ) -> Host:
        """Make a host, with a free address unless one is given; `also` are further ones."""
        network = behind.inside if behind else self.public
        return Host(self, network, [address or network.free_address(), *also])

    def nat(self, address: str | None = None, kind: NatKind | None = None, **options: Any) -> Nat:
        """Make a NAT of a kind; the other options are those of `Nat`."""
        if kind is not None:
            options.update(mapping=kind.mapping, filtering=kind.filtering)
        return Nat(self, address, **options)

    def run(self, seconds: float) -> None:
        """Let so much time pass, from event to event."""
        self.clock.advance(seconds)

    def run_until(
        self, predicate: Callable[[], object], timeout: float = 60.0, awaited: str = ""
    ) -> float:
        """
        Let time pass until the predicate holds, and return how many seconds that took.

        :raises NeverHappened: it still didn't after `timeout` seconds; says what was awaited.
        """
        clock = self.clock
        started = clock.seconds()
        while not predicate():
            if not clock.step(started + timeout):
                clock.rightNow = max(clock.rightNow, started + timeout)
                break
        if not predicate():
            name = awaited or getattr(predicate, "__qualname__", repr(predicate))
            raise NeverHappened(
                f"not within {timeout} s, from {started:.3f} to {clock.seconds():.3f}: {name}\n"
                f"{self.describe()}"
            )
        return clock.seconds() - started

    def note(self, source: Address, destination: Address, size: int, fate: str) -> None:
        """Record the fate of a datagram."""
        self.fates[fate] += 1
        if self.trace is not None:
            self.trace.append((self.clock.rightNow, source, destination, size, fate))

    def describe(self) -> str:
        """Return the state of everything, for a person who looks for a mistake."""
        fates = ", ".join(f"{fate} {count}" for fate, count in sorted(self.fates.items()))
        lines = [
            f"internet, seed {self.seed}, at {self.clock.seconds():.6f}: {fates or 'no datagram'}",
            *(line for host in self.hosts for line in host.describe()),
            *(line for nat in self.nats for line in nat.describe()),
        ]
        for when, source, destination, size, fate in (self.trace or [])[-DESCRIBED_DATAGRAMS:]:
            lines.append(
                f"{when:.6f} {source[0]}:{source[1]} > {destination[0]}:{destination[1]} "
                f"{size} bytes, {fate}"
            )
        return "\n".join(lines)
