"""
Random worlds: two people, whatever NATs, a bad network, and changes in the middle of it all.

A world follows from its seed alone.  The oracle says whether its people can be joined at all; if
they can, everything that they say must arrive, once and in order, when the changes are over.

A world that fails says how to see it again::

    python -m tests.simulation.soak SEED
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from random import Random

import attrs

from p2pchat import events
from tests.simulation.allocation import SequentialAllocation
from tests.simulation.behaviour import NAT_KINDS, Behaviour, NatKind
from tests.simulation.clock import EventClock
from tests.simulation.host import Host
from tests.simulation.link import Link
from tests.simulation.nat import Nat
from tests.simulation.oracle import hard_path_possible, in_a_row
from tests.simulation.world import Person, World

CHANGES = 3  # at most, in one world
LINES = 12  # of each person
PATIENCE = 240.0  # seconds that a conversation has to be complete after the last change


class SoakFailed(AssertionError):
    """A world in which something was lost, doubled, turned round, or never came about."""


@attrs.frozen
class Plan:
    """What a seed makes."""

    seed: int
    kinds: tuple[NatKind | None, NatKind | None]
    nested: bool  # the first person's NAT is behind another one
    blocked: bool  # the first person's network lets no UDP through
    steps: bool  # the second person's NAT hands out neighbouring ports
    relay: bool
    link: Link
    changes: tuple[str, ...]
    ipv6: tuple[bool, bool]  # who has it, behind a firewall, at first

    @classmethod
    def of(cls, seed: int) -> Plan:
        """Draw a plan."""
        random = Random(seed)
        kinds = (None, *NAT_KINDS)
        link = Link(
            latency=(0.005, random.uniform(0.006, 0.08)),
            loss=random.choice((0.0, 0.0, 0.02, 0.1)),
            duplicate=random.choice((0.0, 0.05)),
        )
        changes = ("reboot", "cut", "move", "renumber", "pause", "both reboot", "ipv6")
        return cls(
            seed,
            (random.choice(kinds), random.choice(kinds)),
            nested=random.random() < 0.2,
            blocked=random.random() < 0.15,
            steps=random.random() < 0.15,
            relay=random.random() < 0.8,
            link=link,
            changes=tuple(random.choices(changes, k=random.randint(0, CHANGES))),
            ipv6=(random.random() < 0.2, random.random() < 0.4),
        )

    @property
    def is_joinable(self) -> bool:
        """What the oracle says; stepping ports are easier than it knows, so they may surprise."""
        return all(self.ipv6) or self.is_joinable_in_ipv4

    @property
    def is_joinable_in_ipv4(self) -> bool:
        """The same, where IPv6 is nobody's or has gone."""
        return self.relay or (not self.blocked and hard_path_possible(self.first, self.kinds[1]))

    @property
    def first(self) -> NatKind | None:
        """What the first person's NATs come to together: the outer one is the default kind."""
        outer = NatKind(Behaviour.ENDPOINT_INDEPENDENT, Behaviour.ADDRESS_AND_PORT_DEPENDENT)
        return in_a_row(self.kinds[0], outer) if self.nested else self.kinds[0]

    @property
    def is_certain(self) -> bool:
        """Whether the oracle's no is a no."""
        return not self.steps


@attrs.define(eq=False)
class Soak:
    """One world, run to its end."""

    plan: Plan
    world: World = attrs.field(init=False)
    random: Random = attrs.field(init=False)
    people: tuple[Person, Person] = attrs.field(init=False)
    nats: list[Nat | None] = attrs.field(init=False)
    said: dict[str, int] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        plan = self.plan
        self.random = Random(plan.seed + 1)
        self.world = World(plan.seed, plan.link, plan.relay, ipv6=True)
        outer = self.world.internet.nat() if plan.nested else None
        left = self._nat(plan.kinds[0], behind=outer, udp=not plan.blocked)
        right = self._nat(plan.kinds[1])
        if plan.steps and right is not None:
            right.mappings.allocation = SequentialAllocation()
        self.nats = [left, right]
        hosts = [self.world.internet.host(behind=nat) for nat in self.nats]
        for side, host in enumerate(hosts):
            if plan.ipv6[side]:
                self._give_ipv6(host)
        alice, bob = (
            self.world.start_on(host, name)
            for host, name in zip(hosts, ("alice", "bob"), strict=True)
        )
        self.people = alice, bob
        self.world.settle(*self.people)

    def _give_ipv6(self, host: Host) -> None:
        number = self.world.internet.hosts.index(host)
        host.give_ipv6(f"2001:db8:1::{number}", firewall=True)

    def _nat(self, kind: NatKind | None, udp: bool = True, behind: Nat | None = None) -> Nat | None:
        if kind is None and udp and behind is None:
            return None
        known = kind or NAT_KINDS[0]
        return self.world.internet.nat(kind=known, udp=udp, behind=behind)

    def run(self) -> str:
        """Run the world; returns ``joined`` or ``apart``, or raises :class:`SoakFailed`."""
        if not self._joined():
            if self.plan.is_joinable:
                raise self._failure("never joined")
            return "apart"
        if not self.plan.is_joinable and self.plan.is_certain:
            raise self._failure("joined although the oracle says no")
        for change in self.plan.changes:
            self._talk()
            self._change(change)
            self._talk()
        self._talk()
        self._check()
        return "joined"

    def _joined(self) -> bool:
        alice, bob = self.people
        alice.node.connect(bob.node.peer_id)
        over = (
            (lambda: alice.is_connected_to(bob) and bob.is_connected_to(alice)),
            (lambda: bool(alice.events(events.CallFailed))),
        )
        self._await(lambda: over[0]() or over[1](), 90, "an outcome of the call")
        return over[0]()

    def _talk(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            for one, other in (self.people, self.people[::-1]):
                if self.said.get(one.name, 0) < LINES and other.node.peer_id in _known(one):
                    number = self.said.get(one.name, 0)
                    self.said[one.name] = number + 1
                    one.say(f"{one.name} {number}", other)
            self.world.internet.run(self.random.uniform(0, 0.5))

    def _change(self, change: str) -> None:
        side = self.random.randrange(2)
        nat, person = self.nats[side], self.people[side]
        if change == "reboot" and nat is not None:
            nat.reboot()
        elif change == "both reboot":
            for one in self.nats:
                if one is not None:
                    one.reboot()
        elif change == "renumber" and nat is not None:
            nat.address = nat.network.free_address()
        elif change == "cut":
            person.host.online = False
            self.world.internet.run(self.random.uniform(0.5, 40))
            person.host.online = True
        elif change == "ipv6" and not person.host.ipv6:
            self._give_ipv6(person.host)
        elif change == "ipv6" and self.plan.is_joinable_in_ipv4:
            person.host.take_ipv6()
        elif change == "move" and nat is not None:
            spare = self._nat(nat.kind, udp=nat.udp)
            self.nats[side] = spare
            person.host.move(behind=spare)
        else:
            self.world.internet.run(self.random.uniform(5, 60))

    def _check(self) -> None:
        alice, bob = self.people
        self._await(lambda: self._heard(alice, bob) and self._heard(bob, alice), PATIENCE, "lines")
        for one, other in ((alice, bob), (bob, alice)):
            wanted = [f"{one.name} {number}" for number in range(self.said.get(one.name, 0))]
            if other.texts() != wanted:
                raise self._failure(f"{one.name} said {wanted}, {other.name} read {other.texts()}")

    def _heard(self, reader: Person, writer: Person) -> bool:
        return len(reader.texts()) >= self.said.get(writer.name, 0)

    def _await(self, happened: Callable[[], object], within: float, what: str) -> None:
        try:
            self.world.wait(happened, within, what)
        except AssertionError as error:
            raise self._failure(str(error)) from None

    def _failure(self, what: str) -> SoakFailed:
        return SoakFailed(
            f"{self.plan}\n{what[:400]}\nto see it again: "
            f"python -m tests.simulation.soak {self.plan.seed}"
        )


def _known(person: Person) -> set[str]:
    return {one.peer_id for one in person.node.conversations()}


def outcome(seed: int) -> str:
    """Run one world; returns ``joined`` or ``apart``, or what went wrong."""
    try:
        return Soak(Plan.of(seed)).run()
    except SoakFailed as failure:
        return str(failure)


def show(seed: int) -> None:
    """Run one world and print what its people are told."""
    soak = Soak(Plan.of(seed))
    clock = soak.world.internet.clock
    write = sys.stdout.write
    write(f"{soak.plan}\n")
    for one in soak.people:
        one.node.listen(partial(_show, one.name, clock))
    write(soak.run() + "\n")


def _show(name: str, clock: EventClock, event: object) -> None:
    sys.stdout.write(f"{clock.seconds():9.3f} {name} {event}\n")


if __name__ == "__main__":
    show(int(sys.argv[1]))
