"""Files on their way to a contact, through a node that the test plays."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.tap.command import statuses
from p2pchat.tap.command.sending import run
from tests.tap.command.fake_node import PATIENCE, FakeNode


class SendingTests(SynchronousTestCase):
    """Alice sends to bob."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.addCleanup(self.node.close)
        self.output, self.errors = io.StringIO(), io.StringIO()
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.file = self.folder / "a file.txt"
        self.file.write_text("data")

    def offered(self, path: Path, state: str = "", **more: Any) -> None:
        """Let the node take an offer, and say what became of it."""
        transfer = {"id": str(path), "title": path.name}
        answer = {"event": "sending", "transfer": transfer}
        told = {"event": "transfer", "id": str(path), "title": path.name, "state": state, **more}
        self.node.answers[f'/send "{path}" bob'] = answer
        if state:
            self.node.afterwards[f'/send "{path}" bob'] = [told]

    def send(self, *words: str) -> int:
        """Run the command; returns its exit status."""
        outputs = contextlib.redirect_stdout(self.output), contextlib.redirect_stderr(self.errors)
        with outputs[0], outputs[1]:
            return run("send", [*words, "bob", "--state", self.node.directory])

    def test_done(self) -> None:
        """It waits until all is there."""
        self.offered(self.file, "done")
        self.assertEqual(self.send(str(self.file)), statuses.DONE)
        self.assertIn("a file.txt: done", self.output.getvalue())

    def test_refused(self) -> None:
        """A refusal is told, and has a status."""
        self.offered(self.file, "refused", explanation="bob doesn't want it")
        self.assertEqual(self.send(str(self.file)), statuses.FAILED)
        self.assertIn("refused: bob doesn't want it", self.output.getvalue())

    def test_no_wait(self) -> None:
        """It can leave the rest to the node."""
        self.offered(self.file)
        self.assertEqual(self.send(str(self.file), "--no-wait"), statuses.DONE)

    def test_stdin(self) -> None:
        """Stdin is kept in a file of the state directory until it is sent, under its name."""
        command = [sys.executable, "-m", "p2pchat", "send", "-", "bob", "--name", "log.txt"]
        command += ["--no-wait", "--state", self.node.directory]
        self.node.usual = {"event": "sending", "transfer": {"id": "x", "title": "log.txt"}}
        found = subprocess.run(
            command, input=b"from a pipe", capture_output=True, timeout=PATIENCE, check=False
        )
        self.assertEqual((found.returncode, found.stderr), (statuses.DONE, b""))
        (line,) = [one["command"] for one in self.node.requests]
        path = line.partition('"')[2].rpartition('"')[0]
        self.assertEqual(os.path.basename(path), "log.txt")
        self.assertEqual(Path(path).read_bytes(), b"from a pipe")

    def test_stdin_sent(self) -> None:
        """The copy is gone when it was sent."""
        told = {"event": "transfer", "id": "x", "title": "stdin", "state": "done"}
        self.node.usual = {"event": "sending", "transfer": {"id": "x", "title": "stdin"}}
        self.node.usually_afterwards = [{"event": "message", "text": "hi"}, told]
        command = [sys.executable, "-m", "p2pchat", "send", "-", "bob"]
        found = subprocess.run(
            [*command, "--state", self.node.directory],
            input=b"from a pipe",
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual((found.returncode, found.stderr), (statuses.DONE, b""))
        self.assertEqual(os.listdir(os.path.join(self.node.directory, "outgoing")), [])

    def test_names(self) -> None:
        """A name that would end the command's words isn't given on."""
        self.assertEqual(self.send('a" b'), statuses.MISTAKE)
        self.assertEqual(self.node.requests, [])
