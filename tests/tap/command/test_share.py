"""A page that is shared and opened, by real programs on loopback."""

from __future__ import annotations

import http.server
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.attach.node_socket import NodeSocket
from p2pchat.tap.command import statuses
from p2pchat.tap.command.opening import host_label
from tests.cases import each
from tests.sources import ROOT

PATIENCE = 30.0  # seconds
PAGE = b"<h1>from a laptop</h1>"


class Page(http.server.BaseHTTPRequestHandler):
    """A service with one page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """Return a port that nobody has."""
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class ShareTests(SynchronousTestCase):
    """A registry and two nodes; Alice shares a port with Bob."""

    def setUp(self) -> None:
        self.place = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(self.place.cleanup)
        url = f"http://127.0.0.1:{(port := free_port())}"
        stun = free_port(socket.SOCK_DGRAM)
        listen = f"tcp:{port}:interface=127.0.0.1"
        self.twistd("p2psignal", "--listen", listen, "--stun", str(stun))
        for name in ("alice", "bob"):
            state = self.state(name)
            self.twistd("p2pnode", "--state", state, "--username", name, "--server", url)
        self.nodes = {name: self.node(name) for name in ("alice", "bob")}
        self.meet()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.port = str(server.server_port)

    def state(self, name: str) -> str:
        """Return a state directory."""
        return os.path.join(os.path.realpath(self.place.name), name)

    def twistd(self, *words: str) -> None:
        """Start a program of ours for as long as the test lasts."""
        twistd = "from twisted.scripts.twistd import run; run()"
        self.start("-c", twistd, "-n", "--pidfile=", *words)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a program for as long as the test lasts."""
        log = open(self.state("log"), "a")  # noqa: SIM115 - as long as the program
        self.addCleanup(log.close)
        program = subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
        self.addCleanup(program.wait, PATIENCE)
        self.addCleanup(program.terminate)
        assert program.stdout is not None
        self.addCleanup(program.stdout.close)
        return program

    def command(self, name: str, *words: str) -> subprocess.Popen[str]:
        """Start a command beside somebody's node."""
        return self.start("-m", "p2pchat", *words, "--state", self.state(name))

    def node(self, name: str) -> NodeSocket:
        """Return a connection to somebody's node that is registered."""
        end = time.monotonic() + PATIENCE
        while not Path(self.state(name), "node.sock").exists():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        found = NodeSocket.attach(self.state(name), ["json"])
        self.addCleanup(found.close)
        registered = found.receive(PATIENCE, lambda one: one["event"] == "registered")
        self.assertIsNotNone(registered)
        return found

    def meet(self) -> None:
        """Let both be contacts, by an invitation."""
        invitation = self.nodes["alice"].command("/invite bob")
        self.nodes["bob"].command(f"/join {invitation['line']}")
        for node in self.nodes.values():
            self.assertIsNotNone(node.receive(PATIENCE, lambda one: one["event"] == "paired"))

    def line(self, program: subprocess.Popen[str], wanted: str) -> re.Match[str]:
        """Return the next line of a program that has something."""
        assert program.stdout is not None
        for line in program.stdout:
            if (found := re.search(wanted, line)) is not None:
                return found
        raise AssertionError(Path(self.state("log")).read_text())

    def get(self, host: str, path: str, cookie: str = "") -> tuple[int, bytes, str]:
        """Ask for a page; returns status, body and cookie."""
        connection = HTTPConnection("127.0.0.1", int(host.rpartition(":")[2]), timeout=PATIENCE)
        headers = {"Host": host, **({"Cookie": cookie} if cookie else {})}
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        body, given = answer.read(), answer.getheader("Set-Cookie", "")
        connection.close()
        return answer.status, body, given.partition(";")[0]

    def test_page(self) -> None:
        """What Alice shares Bob opens in a browser; nobody else does."""
        shared = self.command("alice", "share", self.port, "--as", "web", "--with", "bob")
        self.line(shared, "for bob")
        opened = self.command("bob", "open", "alice:web")
        host, path = self.line(opened, r"http://([^/]+)(/\S+)").groups()
        self.assertTrue(host.startswith("alice-web.localhost:"), host)
        self.assertEqual(self.get(host, "/")[0], 403)
        status, _, cookie = self.get(host, path)
        self.assertEqual(status, 200)
        self.assertEqual(self.get(host, "/", cookie)[:2], (200, PAGE))

    def test_port(self) -> None:
        """A plain port carries the same; what isn't offered ends with its status."""
        shared = self.command("alice", "share", self.port, "--with", "bob", "--for", "1h")
        self.line(shared, "for bob")
        opened = self.command("bob", "open", "alice:web", "--tcp", "0")
        port = self.line(opened, r"127\.0\.0\.1:(\d+)")[1]
        self.assertEqual(self.get(f"x:{port}", "/")[:2], (200, PAGE))
        nothing = self.command("bob", "open", "alice:ssh")
        self.assertEqual(nothing.wait(PATIENCE), statuses.NOT_GRANTED)

    def test_invitation(self) -> None:
        """Without a name it makes an invitation that carries the grant."""
        shared = self.command("alice", "share", self.port)
        self.line(shared, r"p2pchat:join/\S+")


class LabelTests(SynchronousTestCase):
    """The names of pages."""

    @each(
        ("bob", "web", "bob-web"),
        ("Bob Müller", "git.1_2", "bob-m-ller-git-1-2"),
        ("Ω", "web", "peer-web"),
        ("x" * 80, "web", "x" * 40 + "-web"),
    )
    def test_label(self, who: str, service: str, label: str) -> None:
        """A contact's name becomes a label of a host's name."""
        self.assertEqual(host_label(who, service), label)
