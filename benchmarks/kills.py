"""
What is left of a conversation whose programs are killed (``kill -9``) again and again.

Three real programs on loopback: a registry, and Alice and Bob with a state directory each.  Both
say lines all the time, and edit and delete some; at a random moment one of the three is killed and
started again, with the options of before.  In some rounds a peer's database is put back to a copy
of it that was made earlier, and in some a peer's disk is full until the next start.  In the end
both say a last line, and wait for it.  The two databases
must have the same lines in the same order, with the same changes, each once, and every line that
was delivered as its author was told and not changed; unless both databases were put back to where
it wasn't there.

Run ``python -m benchmarks.kills [--rounds N] [--seed N] [--backups] [--full]``; with ``--full`` as
root, for each state directory is a small file system then.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from shutil import copyfile

from benchmarks.programs import Peer, peer
from benchmarks.serving import registry, serving
from p2pchat.peer.storage.changes import EntryState
from p2pchat.peer.storage.database import DATABASE_FILE

PORT, STUN_PORT = 27200, 27210
AT_REST = 90.0  # seconds in which two who are there have found each other and said everything
LOOK_AGAIN = 0.5  # seconds
LAST = "the last one"
DISK = 16 * 1024 * 1024  # bytes of one that can be full
LINES = 5  # that each says in a round, at most
CHANGES = 0.5  # of rounds, in which each changes one of its lines
HISTORY = """
    SELECT text, lamport, hex(name), entry.number, state FROM entry JOIN log ON log.id = entry.log
    ORDER BY lamport, author, name, entry.number
"""


class SmallDisk:
    """A small file system at a place, which can be filled; only root may mount it."""

    def __init__(self, place: Path) -> None:
        self._place, self._ballast = place, place / "ballast"
        place.mkdir(mode=0o700)
        options = f"size={DISK},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)

    def fill(self) -> None:
        """Leave no room."""
        with suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def empty(self) -> None:
        """Make room."""
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Take it away."""
        subprocess.run(["umount", str(self._place)], check=True)


class Worlds:
    """The three programs; each can be killed and started again."""

    def __init__(self, home: Path, random: Random, fills: bool) -> None:
        self.home, self.random = home, random
        self.disks = [SmallDisk(home / name) for name in ("alice", "bob") if fills]
        self.peers: dict[str, Peer] = {}
        self.delivered: set[str] = set()  # texts
        self.changed: set[str] = set()  # texts of lines that were edited or deleted
        self._running: dict[str, ExitStack] = {}
        self._backups: dict[str, Path] = {}
        for name in ("registry", "alice", "bob"):
            self.start(name)

    def start(self, name: str) -> None:
        """Start a program."""
        stack = self._running[name] = ExitStack()
        if name == "registry":
            stack.enter_context(serving(registry(PORT, f"--stun={STUN_PORT}"), PORT))
            return
        state = f"--state={self.home / name}"
        program = peer(self.home, name, f"http://127.0.0.1:{PORT}", state, "--accept=contacts")
        self.peers[name] = stack.enter_context(program)
        self.peers[name].registered()

    def kill(self, name: str) -> None:
        """Kill a program."""
        if name != "registry":
            self.peers[name].process.kill()
            self.note(self.peers[name])
        self._running.pop(name).close()

    def note(self, one: Peer) -> None:
        """Keep what a program was told to be delivered."""
        told = list(one.told)
        texts = {event["id"]: event["text"] for event in told if event["event"] == "sent"}
        ids = [event["id"] for event in told if event["event"] == "delivered"]
        self.delivered.update(texts[name] for name in ids if name in texts)

    def others(self, name: str) -> Peer:
        """Return the peer that somebody talks to."""
        return self.peers["bob" if name == "alice" else "alice"]

    def say(self, number: int) -> None:
        """Let both say some lines."""
        for name, one in self.peers.items():
            for line in range(self.random.randrange(LINES)):
                text = f"{name} {number}.{line}"
                one.say(text, self.others(name).peer_id)
            if self.random.random() < CHANGES:
                self.change(one, f"{name} {number} instead")

    def change(self, one: Peer, text: str) -> None:
        """Let a peer edit or delete one of the lines that it said in this run."""
        said = [event for event in list(one.told) if event["event"] == "sent" and event["text"]]
        lines = [event for event in said if "edits" not in event and event["text"] != LAST]
        if lines:
            line = self.random.choice(lines)
            edit = self.random.random() < 0.6
            one.command(f"/edit {line['id']} {text}" if edit else f"/delete {line['id']}")
            self.changed |= {line["text"], text}

    def database(self, name: str) -> Path:
        """Return where somebody's messages are."""
        return self.home / name / DATABASE_FILE

    def back_up(self, name: str) -> None:
        """Copy a database while it is used."""
        self._backups[name] = target = self.home / f"{name}.backup"
        target.unlink(missing_ok=True)
        with sqlite3.connect(self.database(name)) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
        connection.close()

    def put_back(self, name: str) -> bool:
        """Put a database back whose program was killed, if there is a copy; tells whether."""
        backup = self._backups.pop(name, None)
        if backup is None:
            return False
        for more in ("-wal", "-shm"):
            self.database(name).with_name(DATABASE_FILE + more).unlink(missing_ok=True)
        copyfile(backup, self.database(name))
        return True

    def history(self, name: str) -> list[tuple[object, ...]]:
        """Return what somebody's database has, in order."""
        connection = sqlite3.connect(self.database(name))
        try:
            return connection.execute(HISTORY).fetchall()
        finally:
            connection.close()

    def at_rest(self) -> float:
        """Let both say a last line and wait until both have it; returns the seconds."""
        begin = time.monotonic()
        for name, one in self.peers.items():
            one.say(LAST, self.others(name).peer_id)
        while time.monotonic() - begin < AT_REST:
            ours = self.history("alice")
            if [text for text, *_ in ours].count(LAST) == 2 and ours == self.history("bob"):
                break
            time.sleep(LOOK_AGAIN)
        for one in self.peers.values():
            self.note(one)
        return time.monotonic() - begin

    def close(self) -> None:
        """End all programs."""
        for stack in self._running.values():
            stack.close()
        for disk in self.disks:
            disk.close()


def run(rounds: int, seed: int, puts_back: bool, fills: bool) -> None:
    """Kill and start, and print what is left."""
    random = Random(seed)
    with tempfile.TemporaryDirectory() as home:
        world = Worlds(Path(home), random, fills)
        try:
            alice, bob = world.peers["alice"], world.peers["bob"]
            alice.command(f"/connect {bob.peer_id}")
            bob.expect("offer")
            bob.command(f"/accept {alice.peer_id}")  # so that each is a contact of the other
            alice.expect("connected")
            killed, put_back, filled = Counter[str](), 0, 0
            for number in range(rounds):
                if world.disks and random.random() < 0.3:
                    random.choice(world.disks).fill()
                    filled += 1
                world.say(number)
                time.sleep(random.uniform(0.0, 1.0))
                name = random.choice(("alice", "bob", "registry"))
                if puts_back and name != "registry" and random.random() < 0.3:
                    world.back_up(name)
                world.kill(name)
                killed[name] += 1
                for disk in world.disks:
                    disk.empty()
                if puts_back and name != "registry" and random.random() < 0.3:
                    put_back += world.put_back(name)
                world.start(name)
            print(f"disks filled: {filled}")
            report(world, killed, put_back, world.at_rest())
        finally:
            world.close()


def report(world: Worlds, killed: Counter[str], put_back: int, seconds: float) -> None:
    """Print what the two databases have."""
    ours, theirs = world.history("alice"), world.history("bob")
    texts = Counter(text for text, *_ in ours if text not in {"", LAST})
    times = ", ".join(f"{name} {count}" for name, count in sorted(killed.items()))
    print(f"killed: {times}; databases put back: {put_back}")
    changed = Counter(state for *_, state in ours if state)
    changes = {EntryState(int(str(state))).name.lower(): n for state, n in changed.items()}
    print(f"lines: {len(ours)}, logs: {len({log for _, _, log, *_ in ours})}; {changes}")
    print(f"the same on both sides: {ours == theirs}, {seconds:.1f} s after the last start")
    print(f"lines that are there twice: {sum(count > 1 for count in texts.values())}")
    missing = world.delivered - set(texts) - {LAST, ""} - world.changed
    print(f"delivered: {len(world.delivered)}, missing of them: {len(missing)}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--backups", action="store_true")
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    run(options.rounds, options.seed, options.backups, options.full)


if __name__ == "__main__":
    main()
