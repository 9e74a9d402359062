"""Tests of :mod:`p2pchat.attach.node_socket`, with a node that has said all it says beforehand."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.attach.messages import FEATURES, NodeHello, encode, encode_hello
from p2pchat.attach.node_socket import NodeSocket, connect
from p2pchat.errors import (
    ConfigurationError,
    NodeEnded,
    NodeRefused,
    NoResidentNode,
    NotGranted,
    RemoteProtocolError,
)
from tests.sources import ROOT

HELLO = NodeHello("0.1.0", FEATURES, 123, "an id", "alice")


class SocketCase(SynchronousTestCase):
    """Both ends of a connection."""

    def setUp(self) -> None:
        self.node, self.program = socket.socketpair()
        self.addCleanup(self.node.close)
        self.addCleanup(self.program.close)

    def says(self, *events: Mapping[str, Any], hello: NodeHello = HELLO) -> NodeSocket:
        """Let the node say this; return the program's end."""
        self.node.sendall(encode_hello(hello) + b"".join(map(encode, events)))
        return NodeSocket(self.program, ["json", "stream"])

    def asked(self) -> list[dict[str, Any]]:
        """Return what the program has said."""
        return [json.loads(line) for line in self.node.recv(65536).splitlines()]

    def pass_stream(self, event: Mapping[str, Any]) -> socket.socket:
        """Let the node pass one end of a stream; return the other."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        with theirs:
            socket.send_fds(self.node, [encode(event)], [theirs.fileno()])
        return ours


class RequestTests(SocketCase):
    """What is asked and answered."""

    def test_hello(self) -> None:
        """Each side says who it is; the program what it wants."""
        self.assertEqual(self.says().hello, HELLO)
        self.assertEqual(self.asked()[0]["wants"], ["json", "stream"])

    def test_command(self) -> None:
        """A command is answered by the first event that repeats its id; the others wait."""
        other = {"event": "message", "text": "hi"}
        found = self.says(other, {"event": "contacts", "request": 1})
        self.assertEqual(found.command("/contacts"), {"event": "contacts", "request": 1})
        self.assertEqual(self.asked()[1], {"command": "/contacts", "id": 1})
        self.assertEqual(found.receive(), other)

    def test_error(self) -> None:
        """A refusal raises the error that it is."""
        error = {"event": "error", "request": 1, "word": "not-granted", "reason": "no"}
        self.assertRaises(NotGranted, self.says(error).open, "bob", "ssh")

    def test_open(self) -> None:
        """A stream is a socket, which no child process inherits."""
        found = self.says()
        far = self.pass_stream({"event": "opened", "request": 1, "stream": 7, "fds": 1})
        number, near = found.open("bob", "ssh", "direct", 5)
        self.addCleanup(near.close)
        far.sendall(b"bytes")
        self.assertEqual((number, near.recv(100)), (7, b"bytes"))
        self.assertFalse(os.get_inheritable(near.fileno()))
        expected = {"do": "open", "peer": "bob", "service": "ssh", "path": "direct", "timeout": 5}
        self.assertEqual(self.asked()[1], {**expected, "id": 1})

    def test_incoming(self) -> None:
        """Who serves gets each stream with who opened it."""
        found = self.says({"event": "serving", "request": 1, "service": "web"})
        found.serve("web", ["contacts"])
        incoming = {"event": "incoming", "service": "web", "stream": 8, "peer_id": "b", "fds": 1}
        far = self.pass_stream(incoming)
        one = found.incoming(5)
        assert one is not None
        self.addCleanup(one.connection.close)
        one.connection.sendall(b"page")
        self.assertEqual((far.recv(10), one[:3]), (b"page", ("web", 8, "b")))

    def test_why_ended(self) -> None:
        """How a stream ended is known by its number."""
        ended = {"event": "stream_ended", "stream": 7, "word": "link-lost", "reason": "lost"}
        found = self.says({**ended, "stream": 6}, ended)
        self.assertEqual(found.why_ended(7), ("link-lost", "lost"))
        self.assertEqual(found.why_ended(9, 0.01), ("", ""))
        self.node.close()
        self.assertEqual(found.why_ended(9)[0], "node-ended")

    def test_nothing_in_time(self) -> None:
        """Nobody waits for ever."""
        found = self.says()
        self.assertIsNone(found.receive(0.01))
        self.assertIsNone(found.incoming(0.01))
        self.assertRaises(NodeRefused, found.ask, {"do": "x"}, 0.01)

    def test_no_descriptor(self) -> None:
        """A node that passes nothing has broken the rules."""
        found = self.says({"event": "opened", "request": 1, "stream": 7, "fds": 1})
        self.assertRaises(RemoteProtocolError, found.open, "bob", "ssh")


class EndTests(SocketCase):
    """How it ends."""

    def test_refused(self) -> None:
        """A node that takes us not says why."""
        refusing = NodeHello("0.1.0", FEATURES, 123, error="restart-node", reason="restart it")
        error = self.assertRaises(NodeRefused, self.says, hello=refusing)
        self.assertEqual((error.word, str(error)), ("restart-node", "restart it"))

    def test_dropped(self) -> None:
        """Whoever reads too slowly is dropped with a reason."""
        dropped = {"event": "dropped", "word": "slow", "reason": "you don't read"}
        error = self.assertRaises(NodeRefused, self.says(dropped).receive)
        self.assertEqual((error.word, str(error)), ("slow", "you don't read"))

    def test_node_ended(self) -> None:
        """A node that ends leaves an error, not silence."""
        found = self.says()
        self.node.close()
        self.assertRaises(NodeEnded, found.receive)
        self.assertRaises(NodeEnded, found.send, {"do": "x"})

    def test_closed(self) -> None:
        """What was passed and never taken is closed."""
        found = self.says()
        far = self.pass_stream({"event": "incoming", "fds": 1})
        found.receive()
        found.close()
        self.assertEqual(far.recv(1), b"")


class AttachTests(SynchronousTestCase):
    """The way to the node of a directory."""

    def setUp(self) -> None:
        self.directory = os.path.abspath(self.mktemp())
        os.mkdir(self.directory, 0o700)
        self.runtime = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, self.runtime)

    def attach(self) -> NodeSocket:
        """Attach, at once or not at all."""
        return NodeSocket.attach(self.directory, ["json"], {"XDG_RUNTIME_DIR": self.runtime}, 0.01)

    def test_nobody(self) -> None:
        """Nobody serves: never, no more (its file is left), or not yet."""
        self.assertRaises(NoResidentNode, self.attach)
        for process in (str(os.getpid()), "999999999", "x" * 50):
            with open(os.path.join(self.directory, "lock"), "w") as lock:
                lock.write(process)
            self.assertRaises(NoResidentNode, self.attach)

    def test_stale(self) -> None:
        """A socket that a killed node has left means nothing."""
        path = os.path.join(self.runtime, "node.sock")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(path)
        self.addCleanup(os.unlink, path)
        self.assertRaises(NoResidentNode, NodeSocket.attach, self.runtime, ["json"], {}, 0.01)

    def test_not_ours(self) -> None:
        """Nothing is said to a node that another user runs."""
        path = os.path.join(self.runtime, "node.sock")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            self.addCleanup(os.unlink, path)
            listening.listen(1)
            os.chmod(self.runtime, 0o777)
            self.assertRaises(ConfigurationError, connect, path)
            os.chmod(self.runtime, 0o700)
            connect(path).close()
            if hasattr(socket, "SO_PEERCRED"):
                real = os.lstat
                self.patch(os, "lstat", lambda path: _owned(real(path), 12345))
                self.patch(os, "geteuid", lambda: 12345)
                self.assertRaises(NodeRefused, connect, path)


def _owned(status: os.stat_result, user: int) -> os.stat_result:
    fields = list(status)
    fields[4] = user
    return os.stat_result(fields)


class ImportTests(SynchronousTestCase):
    """The price of a program that only asks something."""

    def test_standard_library(self) -> None:
        """Neither Twisted nor attrs is loaded."""
        code = (
            "import sys, p2pchat.attach.node_socket\n"
            "print(sorted({n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names)"
            " - {'__main__', 'p2pchat'}))"
        )
        path = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        found = subprocess.run(
            [sys.executable, "-I", "-S", "-c", path + code], capture_output=True, check=False
        )
        self.assertEqual((found.stdout, found.stderr), (b"[]\n", b""))
