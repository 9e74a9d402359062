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
COMMIT = 0.02  # seconds that one takes at most
AWAY = 90.0  # seconds after which everybody is found by whom lines wait
LINK = Link(latency=(0.01, 0.05), loss=0.05)


class Pair:
    """Two contacts who write to each other, and whose programs end and begin."""

    def __init__(self, seed: int, directory: Path) -> None:
        self.random = Random(seed)
        self.world = World(seed, LINK)
        self.states = {
            name: State(name, directory / name, lambda: self.random.uniform(0, COMMIT))
            for name in ("alice", "bob")
        }
        directory.mkdir()
        self.people: dict[str, Person] = {}
        self.stored: set[str] = set()  # that were once on their author's disk
        self.shown: list[str] = []
        self._count = 0
        for name in self.states:
            self.start(name)
        self.world.settle(*self.people.values())
        for name, other in (("alice", "bob"), ("bob", "alice")):
            profile, peer_id = self.people[name].profile, self.people[other].node.peer_id
            profile.contacts.keep(peer_id, other)

    def start(self, name: str) -> None:
        """Start somebody's program."""
        self.people[name] = self.states[name].start(self.world, accept=AcceptPolicy.CONTACTS)

    def kill(self, name: str) -> None:
        """End it."""
        self.shown += self.people[name].texts()
        self.states[name].kill(self.people[name])
        self.stored |= {text for _, text in self.states[name].history() if text.startswith(name)}

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
        """Let everything arrive, and end both."""
        self.settle()
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
                name = pair.random.choice(["alice", "bob", "registry"])
                if name == "registry":
                    pair.world.host.kill()
                    pair.world.host.boot()
                    pair.world.boot_registry()
                else:
                    pair.kill(name)
                    pair.start(name)
            self.check(pair)
            self.assertEqual(len(pair.shown), len(set(pair.shown)), "shown twice")

    def test_full_disks(self) -> None:
        """Disks that fill in between, and are emptied."""
        for seed in SEEDS:
            pair = self.pair(seed)
            for _ in range(KILLS):
                name = pair.random.choice(["alice", "bob"])
                writing = pair.states[name].writing
                (pages,) = writing.connection.execute("PRAGMA page_count").fetchone()
                writing.allow_pages(pages + pair.random.randint(0, 2))
                pair.talk(pair.random.uniform(0, 8))
                if pair.random.random() < 0.3:
                    pair.kill(name)
                    pair.start(name)
                else:
                    writing.allow_pages(0)
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
                name = pair.random.choice(["alice", "bob"])
                path = pair.states[name].path
                pair.kill(name)
                shutil.copytree(path, f"{path}.old")
                pair.start(name)
                pair.talk(pair.random.uniform(0, 10))
                pair.kill(name)
                shutil.rmtree(path)
                shutil.move(f"{path}.old", path)
                pair.start(name)
                pair.talk(pair.random.uniform(0, 3))
                pair.settle()
            pair.stored.clear()
            self.check(pair)
