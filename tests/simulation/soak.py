"""
Random worlds: two people, whatever NATs, a bad network, and changes in the middle of it all.

A world follows from its seed alone.  The oracle says whether its people can be joined at all; if
they can, everything that they say must arrive, once and in order, when the changes are over.

In some worlds the two are contacts and keep what is said.  Their programs are killed in
mid-conversation and started again, and nobody calls anybody any more: in the end both disks must
have the same in the same order, all that either of them had at a kill, and nothing twice.

A world that fails says how to see it again::

    python -m tests.simulation.soak SEED
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import attrs

from p2pchat import events
from tests.simulation.allocation import SequentialAllocation
from tests.simulation.behaviour import NAT_KINDS, Behaviour, NatKind
from tests.simulation.host import Host
from tests.simulation.link import Link
from tests.simulation.nat import Nat
from tests.simulation.oracle import direct_path_possible, hard_path_possible, in_a_row
from tests.simulation.state import State
from tests.simulation.world import Person, World

NAMES = ("alice", "bob")
CHANGES = 3  # at most, in one world
MOST_AT_ONCE = 300  # lines
FAR = (0.3, 0.6)  # seconds of one way, in a world where a round trip takes one
COMMIT = 0.02  # seconds that one takes at most
PATIENCE = 240.0  # seconds that a conversation has to be complete after the last change
FOUND = 600.0  # the same, where both find each other by themselves, or have to guess ports
MISFORTUNES = (
    "reboot",
    "cut",
    "move",
    "renumber",
    "pause",
    "both reboot",
    "ipv6",
    "registry",
    "many lines",
)


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
    lasting: bool  # they are contacts, and keep what is said

    @classmethod
    def of(cls, seed: int) -> Plan:
        """Draw a plan."""
        random = Random(seed)
        kinds = (None, *NAT_KINDS)
        link = Link(
            latency=FAR if random.random() < 0.05 else (0.005, random.uniform(0.006, 0.08)),
            loss=random.choice((0.0, 0.0, 0.02, 0.1)),
            duplicate=random.choice((0.0, 0.05)),
        )
        lasting = random.random() < 0.3
        changes = (*MISFORTUNES, *["kill", "kill", "kill both"] * 2 * lasting)
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
            lasting=lasting,
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
    def needs_guesses(self) -> bool:
        """Whether ports must be guessed, with budgets that changes may use up."""
        guesses = not direct_path_possible(self.first, self.kinds[1])
        return guesses and not self.relay and not all(self.ipv6)

    @property
    def needs_far_guesses(self) -> bool:
        """Whether they must be over round trips of a second: the budget may end first."""
        return self.needs_guesses and self.link.latency == FAR

    @property
    def patience(self) -> float:
        """The seconds that a conversation has to be complete after the last change."""
        return FOUND if self.needs_guesses else PATIENCE

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
    """
    One world, run to its end.

    :ivar home: a directory that is empty.
    :ivar watch: gets the time, and whom what was told.
    :ivar said: how many lines each has said.
    :ivar shown: what programs that were killed had shown to each.
    :ivar kept: lines that their author's disk had at a kill.
    """

    plan: Plan
    home: Path
    watch: Callable[[float, str, object], None] | None = None
    world: World = attrs.field(init=False)
    random: Random = attrs.field(init=False)
    people: list[Person] = attrs.field(init=False)
    states: list[State] = attrs.field(init=False)
    nats: list[Nat | None] = attrs.field(init=False)
    said: list[int] = attrs.Factory(lambda: [0, 0])
    shown: tuple[list[str], list[str]] = attrs.Factory(lambda: ([], []))
    kept: set[str] = attrs.Factory(set)

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
        self.states = [State(name, self.home / name, self._commit_time) for name in NAMES]
        self.people = [self._start(side, host) for side, host in enumerate(hosts)]
        self.world.settle(*self.people)

    def _commit_time(self) -> float:
        return self.random.uniform(0, COMMIT)

    def _start(self, side: int, host: Host) -> Person:
        if self.plan.lasting:
            person = self.states[side].start(self.world, host)
        else:
            person = self.world.start_on(host, NAMES[side])
        if self.watch is not None:
            person.node.listen(partial(self._watched, person.name))
        return person

    def _watched(self, name: str, event: object) -> None:
        assert self.watch is not None
        self.watch(self.world.internet.clock.seconds(), name, event)

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
            if self.plan.is_joinable and not self.plan.needs_far_guesses:
                raise self._failure("never joined")
            return "apart"
        if not self.plan.is_joinable and self.plan.is_certain:
            raise self._failure("joined although the oracle says no")
        if self.plan.lasting:
            for one, other in (self.people, self.people[::-1]):
                one.profile.contacts.keep(other.node.peer_id, other.name)
            self.world.internet.run(1)  # until that is stored
        for change in self.plan.changes:
            self._talk()
            self._change(change)
            self._talk()
        self._talk()
        if self.plan.lasting:
            self._check_disks()
        else:
            self._check_screens()
        return "joined"

    def _joined(self) -> bool:
        """Call, and once more where that was a matter of luck, after the time that is advised."""
        if self._calls():
            return True
        alice, bob = self.people
        wait = alice.node.why(bob.node.peer_id).verdict.wait_s
        if not wait:
            return False
        self.world.internet.run(wait)
        return self._calls()

    def _calls(self) -> bool:
        """Let Alice call; tells whether both are connected."""
        alice, bob = self.people
        failures = len(alice.events(events.CallFailed))
        alice.node.connect(bob.node.peer_id)

        def are_connected() -> bool:
            return alice.is_connected_to(bob) and bob.is_connected_to(alice)

        def is_over() -> bool:
            return are_connected() or len(alice.events(events.CallFailed)) > failures

        self._await(is_over, 90, "an outcome of the call")
        return are_connected()

    def _talk(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            for side in (0, 1):
                self._say(side)
            self.world.internet.run(self.random.uniform(0, 0.5))

    def _say(self, side: int, count: int = 1) -> None:
        one, other = self.people[side], self.people[1 - side]
        known = {open_one.peer_id for open_one in one.node.conversations()}
        if not self.plan.lasting and other.node.peer_id not in known:
            return
        for _ in range(count):
            one.say(f"{one.name} {self.said[side]}", other)
            self.said[side] += 1

    def _change(self, change: str) -> None:
        side = self.random.randrange(2)
        person = self.people[side]
        match change:
            case "cut":
                person.host.online = False
                self._wait(0.5, 40)
                person.host.online = True
            case "ipv6" if not person.host.ipv6:
                self._give_ipv6(person.host)
            case "ipv6" if self.plan.is_joinable_in_ipv4:
                person.host.take_ipv6()
            case "registry":
                self.world.host.kill()
                self.world.host.boot()
                self.world.boot_registry()
            case "many lines":
                self._say(side, self.random.randint(1, MOST_AT_ONCE))
            case "kill":
                self._kill(side)
            case "kill both":
                self._kill(0, 1)
            case _ if not self._change_nat(change, side):
                self._wait(5, 60)

    def _change_nat(self, change: str, side: int) -> bool:
        """Let something happen to a NAT; tells whether there was one to which it can happen."""
        nat = self.nats[side]
        if change == "both reboot":
            for one in self.nats:
                if one is not None:
                    one.reboot()
        elif nat is None:
            return False
        elif change == "reboot":
            nat.reboot()
        elif change == "renumber":
            nat.address = nat.network.free_address()
        elif change == "move":
            self.nats[side] = spare = self._nat(nat.kind, udp=nat.udp)
            self.people[side].host.move(behind=spare)
        return change != "pause"

    def _wait(self, least: float, most: float) -> None:
        self.world.internet.run(self.random.uniform(least, most))

    def _end(self, side: int) -> None:
        person = self.people[side]
        self.shown[side].extend(person.texts())
        self.states[side].kill(person)
        self.kept |= {text for text in self._disk(side) if text.startswith(person.name)}

    def _disk(self, side: int) -> list[str]:
        return [text for _, text in self.states[side].history()]

    def _kill(self, *sides: int) -> None:
        for side in sides:
            self._end(side)
            self._wait(0, 1)
        for side in sides:
            self._wait(0, 20)
            host = self.people[side].host
            host.boot()
            self.people[side] = self._start(side, host)

    def _check_screens(self) -> None:
        self._await(self._all_are_shown, self.plan.patience, "lines")
        for reader, count, writer in zip(self.people, self.said[::-1], NAMES[::-1], strict=True):
            wanted = [f"{writer} {number}" for number in range(count)]
            if reader.texts() != wanted:
                raise self._failure(f"{writer} said {wanted}, read was {reader.texts()}")

    def _all_are_shown(self) -> bool:
        shown = [len(reader.texts()) for reader in self.people]
        return all(one >= other for one, other in zip(shown, self.said[::-1], strict=True))

    def _check_disks(self) -> None:
        self._say(0)
        self._say(1)
        self._await(lambda: not any(map(_waits, self.people)), FOUND, "receipts")
        self.world.internet.run(1)
        for side in (0, 1):
            self._end(side)
        if self.states[0].history() != self.states[1].history():
            raise self._failure(f"{self._disk(0)} here, {self._disk(1)} there")
        if lost := self.kept - set(self._disk(0)):
            raise self._failure(f"lost: {lost}")
        for writer, shown in ((0, self.shown[1]), (1, self.shown[0])):
            kept = [text for text in self._disk(0) if text.startswith(NAMES[writer])]
            self._check_order(writer, kept)
            self._check_order(writer, shown)

    def _check_order(self, writer: int, lines: list[str]) -> None:
        """Check that these are lines of somebody's, in order, none of them twice."""
        numbers = [int(line.removeprefix(NAMES[writer])) for line in lines]
        if numbers != sorted(set(numbers)):
            raise self._failure(f"out of order, or twice: {numbers}")

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


def _waits(person: Person) -> bool:
    return any(one.undelivered for one in person.node.conversations())


def outcome(seed: int) -> str:
    """Run one world; returns ``joined`` or ``apart``, or what went wrong."""
    try:
        with TemporaryDirectory(prefix="soak-") as home:
            return Soak(Plan.of(seed), Path(home)).run()
    except SoakFailed as failure:
        return str(failure)


def show(seed: int) -> None:
    """Run one world and print what its people are told."""
    with TemporaryDirectory(prefix="soak-") as home:
        soak = Soak(Plan.of(seed), Path(home), _show)
        sys.stdout.write(f"{soak.plan}\n")
        sys.stdout.write(soak.run() + "\n")


def _show(now: float, name: str, event: object) -> None:
    sys.stdout.write(f"{now:9.3f} {name} {event}\n")


if __name__ == "__main__":
    show(int(sys.argv[1]))
