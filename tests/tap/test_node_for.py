"""Programs find the node of a directory, or become it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.attach.node_socket import NodeSocket
from p2pchat.errors import NoResidentNode
from tests.sources import ROOT

PATIENCE = 30.0  # seconds

PROGRAM = """
import sys
from pathlib import Path
from twisted.internet import reactor
from p2pchat.tap.node_for import node_for

def there(services):
    print("there", flush=True)

node_for(reactor, Path(sys.argv[1])).addCallbacks(there, lambda f: print(f.value, flush=True))
node_for(reactor, Path(sys.argv[1])).addCallbacks(there, lambda f: print(f.value, flush=True))
reactor.callLater(60, reactor.stop)
reactor.run()
"""


class NodeForTests(SynchronousTestCase):
    """Programs of their own, on a directory that nobody uses."""

    def start(self, path: str) -> subprocess.Popen[str]:
        """Start a program."""
        command = [sys.executable, "-c", PROGRAM, path]
        program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.addCleanup(program.wait, 30)
        self.addCleanup(program.terminate)
        assert program.stdout is not None
        self.addCleanup(program.stdout.close)
        self.assertEqual(program.stdout.readline(), "there\n")
        self.assertEqual(program.stdout.readline(), "there\n")
        return program

    def attach(self, path: str) -> NodeSocket:
        """Attach to the node, once there is one again."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return NodeSocket.attach(path, ["json"])
            except NoResidentNode:
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.02)

    def test_becomes(self) -> None:
        """The first one becomes the node, at which others are attached; the next one takes over."""
        path = os.path.join(os.path.realpath(tempfile.mkdtemp()), "state")
        first = self.start(path)
        second = self.start(path)
        node = NodeSocket.attach(path, ["json"])
        self.assertEqual(node.hello.pid, first.pid)
        node.close()
        first.kill()
        first.wait(30)
        node = self.attach(path)
        self.addCleanup(node.close)
        self.assertEqual(node.hello.pid, second.pid)
        self.assertTrue(Path(path, "identity.pem").exists())
