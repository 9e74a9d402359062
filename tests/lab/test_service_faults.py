"""
What breaks while a program's stream is open: the network, either node; and what its user is told.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from pathlib import Path

from tests.cases import each
from tests.lab.peers import PATIENCE
from tests.lab.services_case import ServicesTestCase

MEGABYTES = 100
NOTICE_LIMIT = 90.0  # seconds; to notice that a peer is gone without a word
BROKEN = 255  # exit status of ssh whose connection ended


class FaultTests(ServicesTestCase):
    """Bob uses Alice's sshd."""

    def test_copy(self) -> None:
        """A copy of a large file goes on while both NATs reboot, and is whole."""
        words = self.ssh()
        data = os.urandom(1_000_000) * MEGABYTES
        Path(self.bob.path("large")).write_bytes(data)
        copy = Path(self.alice.path("copy"))
        program = self.bob.begin(["scp", *words, self.bob.path("large"), f"alice:{copy}"])
        self.await_size(copy, len(data) // 10)
        self.lab.reboot_nats()
        self.assertLess(copy.stat().st_size, len(data))
        self.assertEqual(program.wait(2 * PATIENCE), 0)
        self.assertEqual(hashlib.sha256(copy.read_bytes()).digest(), hashlib.sha256(data).digest())

    @each(("alice",), ("bob",))
    def test_killed(self, name: str) -> None:
        """A session whose node is killed ends, on the other side too, with a sentence on why."""
        words = self.ssh()
        loop = "while sleep 0.1; do echo here; done"
        session = self.bob.begin(["sh", "-c", 'exec ssh "$@" 2>&1', "-", *words, "alice", loop])
        assert session.stdout is not None
        self.assertEqual(session.stdout.readline(), "here\n")
        self.nodes[name].kill()
        said, _ = session.communicate(timeout=NOTICE_LIMIT)
        self.assertRegex(said, "p2pchat pipe: alice:ssh: ")
        self.assertEqual(session.returncode, BROKEN)

    def await_size(self, path: Path, size: int) -> None:
        """Wait until a file has that many bytes."""
        wait = 'until [ "$(stat -c %s "$0" 2>/dev/null || echo 0)" -ge "$1" ]; do sleep 0.05; done'
        subprocess.run(["sh", "-c", wait, str(path), str(size)], check=True, timeout=PATIENCE)


class PathTests(ServicesTestCase):
    """There is a relay too."""

    has_relay = True

    def test_paths(self) -> None:
        """A stream takes the kind of path that it asks for, which no packet leaves."""
        words, bob = self.ssh(), self.nodes["bob"]
        for kind in ("direct", "relay"):
            proxy = ("-o", f"ProxyCommand=p2pchat pipe --path {kind} %h:ssh")
            self.assertEqual(self.bob.do("ssh", *proxy, *words, "alice", "echo x"), "x\n")
            self.assertEqual(bob.wait_for("service_closed")["path"], kind)
            bob.send("/disconnect alice")
            self.nodes["alice"].wait_for("disconnected")
            self.lab.left.nat[0].watch([self.lab.right.public_address])
        self.assertEqual(self.lab.left.nat[0].watched(), (0, 0))

    def test_path_changes(self) -> None:
        """A session goes over to the relay and back to a direct path; every line comes once."""
        words, left = self.ssh(), self.lab.left
        loop = "n=0; while [ ! -e enough ]; do n=$((n+1)); echo line $n; sleep 0.1; done"
        session = self.bob.begin(["ssh", *words, "alice", f"cd {self.alice.directory}; {loop}"])
        assert session.stdout is not None
        self.assertEqual(session.stdout.readline(), "line 1\n")
        self.await_path("direct")
        left.nat[0].keep_from(self.lab.right.public_address)
        self.await_path("relay")
        left.nat[0].keep_from("")
        self.await_path("direct")
        Path(self.alice.path("enough")).touch()
        said = session.stdout.readlines()
        self.assertEqual(said, [f"line {n}\n" for n in range(2, len(said) + 2)])
        self.assertEqual(session.wait(PATIENCE), 0)

    def await_path(self, kind: str) -> None:
        """Wait until Bob's stream goes over a path of this kind."""
        bob, deadline = self.nodes["bob"], time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            bob.send("/streams")
            streams = bob.wait_for("streams")["streams"]
            if [one["path"] for one in streams] == [kind]:
                return
            time.sleep(0.2)
        self.fail(f"the path isn't {kind}: {streams}")
