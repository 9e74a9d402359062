"""
Programs that are killed at random moments of a conversation, again and again, on disks that fill.

A few by default; a hundred kills in each world with ``P2PCHAT_SOAK=1``.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random

from twisted.internet.error import AlreadyCancelled
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import TooManyLines
from p2pchat.session.approval import AcceptPolicy
from tests import FIRST_WORLD
from tests.simulation import WHOLE
from tests.simulation.link import Link
from tests.simulation.state import State
from tests.simulation.world import Person, World

KILLS = 100 if WHOLE else 3
SEEDS = range(FIRST_WORLD, FIRST_WORLD + (10 if WHOLE else 1))
PEOPLE = ("alice", "bob")
EVERYTHING = (*PEOPLE, "registry")
COMMIT = 0.02  # seconds that one takes at most
LOOKS, SECOND_LOOK = 12, 5.0  # how often the disks are compared, and seconds in between
AWAY = 90.0  # seconds after which everybody is found by whom lines wait
LINK = Link(latency=(0.01, 0.05), loss=0.05)


class Pair:
    """Two contacts who write to each other, and whose programs end and begin."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.random = Random(seed)
        self.world = World(seed, LINK)
        self.states = {
            name: State(name, directory / name, lambda: self.random.uniform(0, COMMIT))
            for name in PEOPLE
        }
        directory.mkdir()
        self.people: dict[str, Person] = {}
        self.stored: set[str] = set()  # that were once on their author's disk
        self.shown: list[str] = []
        self._count = 0
        for name in self.states:
            self.start(name)
        self.world.settle(*self.people.values())
        for name, other in (PEOPLE, PEOPLE[::-1]):
            profile, peer_id = self.people[name].profile, self.people[other].node.peer_id
            profile.contacts.keep(peer_id, other)
        self.world.internet.run(1)  # a kill before they are written ends that

    def start(self, name: str) -> None:
        """Start somebody's program."""
        self.people[name] = self.states[name].start(self.world, accept=AcceptPolicy.CONTACTS)

    def kill(self, name: str) -> None:
        """End it."""
        self.shown += self.people[name].texts()
        self.states[name].kill(self.people[name])
        self.stored |= {text for _, text in self.states[name].history() if text.startswith(name)}

    def kill_and_start(self, name: str) -> None:
        """Kill somebody's program, or the registry, and start it again."""
        if name == "registry":
            self.world.host.kill()
            self.world.host.boot()
            self.world.boot_registry()
        else:
            self.kill(name)
            self.start(name)

    def fill_disk(self, name: str) -> None:
        """Leave somebody's database room for two pages at most."""
        writing = self.states[name].writing
        (pages,) = writing.connection.execute("PRAGMA page_count").fetchone()
        writing.allow_pages(pages + self.random.randint(0, 2))

    def empty_disks(self) -> None:
        """Make room everywhere."""
        for state in self.states.values():
            state.writing.allow_pages(0)

    def back_up(self, name: str) -> None:
        """Copy what somebody's program has, which is killed and started again for it."""
        self.kill(name)
        path = self.states[name].path
        shutil.copytree(path, f"{path}.old")
        self.start(name)

    def put_back(self, name: str) -> None:
        """Put the copy back; nobody expects any more what neither it nor the other side has."""
        path = self.states[name].path
        self.kill(name)
        shutil.rmtree(path)
        shutil.move(f"{path}.old", path)
        self.stored &= {text for one in self.states.values() for _, text in one.history()}
        self.start(name)

    def talk(self, seconds: float) -> None:
        """Let both write at random moments."""
        until = self.world.internet.clock.seconds() + seconds
        while self.world.internet.clock.seconds() < until:
            name, other = self.random.sample(sorted(self.people), 2)
            for _ in range(self.random.randint(1, 5)):
                self._count += 1
                try:
                    self.people[name].say(f"{name} {self._count}", self.people[other])
                except TooManyLines:
                    break
            self.world.internet.run(self.random.uniform(0, 0.2))

    def settle(self) -> None:
        """Let everything arrive."""
        people = list(self.people.values())
        self.world.wait(lambda: not any(self._waits(one) for one in people), 10 * AWAY, "receipts")
        self.world.internet.run(1)

    def finish(self) -> None:
        """Let a last line of each bring them together and everything arrive, and end both."""
        self.empty_disks()
        for name, other in (PEOPLE, PEOPLE[::-1]):
            self.people[name].say(f"{name} at last", self.people[other])
        self.settle()
        for _ in range(LOOKS):
            ours, theirs = (state.history() for state in self.states.values())
            if ours == theirs:
                break
            self.world.internet.run(SECOND_LOOK)
        for name in self.people:
            self.kill(name)

    def _waits(self, person: Person) -> bool:
        return any(one.undelivered for one in person.node.conversations())


class KillTests(SynchronousTestCase):
    """Both histories end complete, equal and in the same order, with nothing in them twice."""

    def pair(self, seed: int) -> Pair:
        """Let two begin."""
        return Pair(seed, Path(self.mktemp()))

    def check(self, pair: Pair) -> None:
        """Check what is on the disks when all is over."""
        pair.finish()
        # A request of a killed program may fail after its timers have gone; nobody sees that.
        self.flushLoggedErrors(AlreadyCancelled)
        ours, theirs = (state.history() for state in pair.states.values())
        self.assertEqual(ours, theirs)
        texts = [text for _, text in ours]
        self.assertEqual(len(texts), len(set(texts)))
        self.assertEqual(pair.stored - set(texts), set())

    def test_kills(self) -> None:
        """``kill -9`` of either side, or of the registry."""
        for seed in SEEDS:
            pair = self.pair(seed)
            for _ in range(KILLS):
                pair.talk(pair.random.uniform(0, 3))
                pair.kill_and_start(pair.random.choice(EVERYTHING))
            self.check(pair)
            self.assertEqual(len(pair.shown), len(set(pair.shown)), "shown twice")

    def test_full_disks(self) -> None:
        """Disks that fill in between, and are emptied."""
        for seed in SEEDS:
            pair = self.pair(seed)
            for _ in range(KILLS):
                name = pair.random.choice(PEOPLE)
                pair.fill_disk(name)
                pair.talk(pair.random.uniform(0, 8))
                if pair.random.random() < 0.3:
                    pair.kill_and_start(name)
                pair.empty_disks()
            self.check(pair)

    def test_older_databases(self) -> None:
        """
        A database that is put back to an earlier time; what nobody else had is lost.

        What is said again is confirmed before the next time: put back once more before that, it
        may be said, and stored, once more.
        """
        for seed in SEEDS:
            pair = self.pair(seed)
            for _ in range(KILLS // 2):
                name = pair.random.choice(PEOPLE)
                pair.back_up(name)
                pair.talk(pair.random.uniform(0, 10))
                pair.put_back(name)
                pair.talk(pair.random.uniform(0, 3))
                pair.settle()
            self.check(pair)

    def test_all_at_once(self) -> None:
        """Kills, full disks, and a database of some rounds ago on either side, in one loop."""
        for seed in SEEDS[:3]:
            pair, copied = self.pair(seed), ""
            for _ in range(KILLS):
                pair.talk(pair.random.uniform(0, 3))
                if pair.random.random() < 0.4:
                    pair.fill_disk(pair.random.choice(PEOPLE))
                    pair.talk(pair.random.uniform(0, 3))
                pair.kill_and_start(pair.random.choice(EVERYTHING))
                if pair.random.random() < 0.5:
                    pair.empty_disks()
                if copied and pair.random.random() < 0.2:
                    pair.put_back(copied)
                    pair.empty_disks()
                    pair.talk(pair.random.uniform(0, 3))
                    pair.settle()
                    copied = ""
                elif not copied and pair.random.random() < 0.5:
                    copied = pair.random.choice(PEOPLE)
                    pair.back_up(copied)
            self.check(pair)
