"""Programs whose database is put back to where it was, or that are killed at any moment."""

from __future__ import annotations

from pathlib import Path
from random import Random
from shutil import copyfile

from p2pchat import events
from p2pchat.peer.storage.database import DATABASE_FILE
from tests.simulation.state import State
from tests.simulation.test_restarts import RestartCase
from tests.simulation.world import Person

KILLS = 8


class BackupCase(RestartCase):
    """Alice and Bob with a database each."""

    def back_up(self, state: State) -> Path:
        """Copy somebody's database, as a backup does."""
        state.writing.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        target = state.path / f"backup {len(list(state.path.iterdir()))}"
        copyfile(state.path / DATABASE_FILE, target)
        return target

    def restart(self, state: State, one: Person, backup: Path | None = None) -> Person:
        """Kill a program and start it again, on a backup of its database."""
        state.kill(one)
        if backup is not None:
            for name in (f"{DATABASE_FILE}-wal", f"{DATABASE_FILE}-shm"):
                (state.path / name).unlink(missing_ok=True)
            copyfile(backup, state.path / DATABASE_FILE)
        return state.start(self.world)

    def meet_again(self) -> None:
        """Let both be there, and talk until nothing waits."""
        self.world.settle(self.alice, self.bob)
        self.world.connect(self.bob, self.alice)
        self.world.internet.run(3)

    def texts(self) -> list[str]:
        """Return what both disks have, which must be the same, in order."""
        ours = self.alices.history()
        self.assertEqual(ours, self.bobs.history())
        return [text for _, text in ours]


class BackupTests(BackupCase):
    """A database of an hour ago."""

    def test_author(self) -> None:
        """Who has lost lines of its own, and has written others since, has them all in the end."""
        self.alice.say("before", self.bob)
        self.delivered(self.alice, 1)
        backup = self.back_up(self.alices)
        for number in range(20):
            self.alice.say(f"line {number}", self.bob)
            self.bob.say(f"answer {number}", self.alice)
        self.delivered(self.alice, 21)
        self.delivered(self.bob, 20)
        self.alice = self.restart(self.alices, self.alice, backup)
        self.alice.profile.contacts.keep(self.bob.node.peer_id, "bob")
        self.alice.say("since", self.bob)
        self.meet_again()
        self.assertEqual(len(self.texts()), 42)
        self.assertEqual(self.bob.texts().count("since"), 1)
        self.assertEqual(len(self.bob.texts()), 22)
        self.assertEqual(self.bob.events(events.Disconnected)[1:], [])

    def test_said_again_and_put_back(self) -> None:
        """What was said again in another log is there once, even if that is forgotten later."""
        self.alice.say("one", self.bob)
        self.delivered(self.alice, 1)
        before = self.back_up(self.alices)
        self.alice.say("two", self.bob)
        self.delivered(self.alice, 2)
        self.alice = self.restart(self.alices, self.alice, before)
        self.alice.profile.contacts.keep(self.bob.node.peer_id, "bob")
        self.alice.say("three", self.bob)
        self.world.internet.run(0.1)
        unsaid = self.back_up(self.alices)
        for _ in range(3):  # each time it is said again, in one log more
            self.meet_again()
            self.delivered(self.alice, 1)
            self.alice = self.restart(self.alices, self.alice, unsaid)
        self.meet_again()
        self.assertEqual(sorted(self.texts()), ["one", "three", "two"])
        self.assertEqual(self.bob.texts(), ["one", "two", "three"])

    def test_both(self) -> None:
        """Two whose databases are both put back go on with what they have."""
        self.alice.say("one", self.bob)
        self.delivered(self.alice, 1)
        backups = self.back_up(self.alices), self.back_up(self.bobs)
        self.alice.say("lost", self.bob)
        self.bob.say("lost, too", self.alice)
        self.delivered(self.alice, 2)
        self.alice = self.restart(self.alices, self.alice, backups[0])
        self.bob = self.restart(self.bobs, self.bob, backups[1])
        self.meet_again()
        self.alice.say("two", self.bob)
        self.delivered(self.alice, 1)
        self.assertEqual(self.texts(), ["one", "two"])

    def test_kills(self) -> None:
        """However often either is killed, or put back, all that a disk kept is there, once."""
        random = Random(7)
        backups: dict[str, Path] = {}
        sides = {"alice": self.alices, "bob": self.bobs}
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            one.profile.contacts.keep(other.node.peer_id, other.name)
        said = 0
        for _ in range(KILLS):
            for _ in range(random.randrange(8)):
                speaker, hearer = random.choice([(self.alice, self.bob), (self.bob, self.alice)])
                speaker.say(f"{speaker.name} {said}", hearer)
                said += 1
            self.world.internet.run(random.choice((0.0, 0.01, 0.05, 1.0)))
            name = random.choice(list(sides))
            backup = backups.pop(name, None) if random.random() < 0.4 else None
            if random.random() < 0.4:
                backups[name] = self.back_up(sides[name])
            revived = self.restart(sides[name], getattr(self, name), backup)
            setattr(self, name, revived)
            other = self.bob if name == "alice" else self.alice
            revived.profile.contacts.keep(other.node.peer_id, other.name)
            self.meet_again()
        texts = self.texts()
        self.assertEqual(len(texts), len(set(texts)))
        self.assertGreater(len(texts), said // 2)
