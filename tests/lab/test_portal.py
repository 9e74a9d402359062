"""A captive portal: what is asked before the log-in, after it, and on a connection kept over it."""

from __future__ import annotations

import sys

from tests.lab.case import LabTestCase
from tests.lab.portal import Portal
from tests.lab.probe import Probe
from tests.lab.topology import Lab

PORT = 8000
REGISTERED_LIMIT = 15.0  # seconds after the log-in; the longest wait is 4.5
SERVE = f"""\
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"real")
    def log_message(self, *words):
        pass
server = http.server.HTTPServer(("", {PORT}), Page)
print("ready", flush=True)
server.serve_forever()
"""
#: At each line asks once on a connection that it keeps; "new" leaves that one first.
ASK = """\
import http.client, sys
connection = None
for line in sys.stdin:
    if line == "new\\n" or connection is None:
        connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=3)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read().decode()
        print(answer.status, body or answer.getheader("Location"), answer.will_close, flush=True)
    except OSError as problem:
        print(type(problem).__name__, flush=True)
"""


class PortalTests(LabTestCase):
    """A left host behind a portal, and a page outside."""

    def start(self, portal: Portal) -> Portal:
        """Start a portal that ends with the test."""
        self.addCleanup(portal.close)
        portal.start()
        return portal

    def lab_with_page(self) -> Lab:
        """Build a lab, with a page on the server."""
        lab = self.build_lab("port-restricted")
        server = lab.server.popen([sys.executable, "-c", SERVE], stdout=-1, text=True)
        assert server.stdout is not None
        self.addCleanup(server.stdout.close)
        self.assertEqual(server.stdout.readline(), "ready\n")
        return lab

    def test_kept_connection(self) -> None:
        """A connection that leads to the portal leads there after the log-in; a new one doesn't."""
        lab = self.lab_with_page()
        portal = self.start(Portal(lab.left.nat[0].machine()))
        visitor = Visitor(lab)
        self.assertIn("Please log in", visitor.ask("kept"))
        portal.log_in()
        self.assertIn("Please log in", visitor.ask("kept"))
        self.assertEqual(visitor.ask("new"), "200 real False")
        portal.log_out()
        self.assertEqual(visitor.ask("kept"), "ConnectionResetError")
        self.assertIn("Please log in", visitor.ask("new"))

    def test_udp(self) -> None:
        """Before the log-in no UDP passes; after it it does."""
        lab = self.lab_with_page()
        portal = self.start(Portal(lab.left.nat[0].machine(), "json"))
        inside, outside = Probe.open(lab.left), Probe.open(lab.server, lab.server.address)
        for passes in (False, True):
            inside.send((outside.address, outside.port))
            self.assertEqual(outside.receive() is not None, passes)
            portal.log_in()

    def test_peer(self) -> None:
        """A peer that met a portal says so, and is registered soon after the log-in."""
        lab = self.build_lab("port-restricted")
        registry = self.start_registry(lab)
        for kind in ("html", "redirect", "empty", "json", "required"):
            portal = self.start(Portal(lab.left.nat[0].machine(), kind))
            peer = self.start_peer(lab.left, f"alice-{kind}", registry.url)
            for _ in range(4):  # until waits have grown
                lost = peer.wait_for("registry_lost")
            self.assertIn("log in", lost["reason"])
            portal.log_in()
            peer.wait_for("registered", REGISTERED_LIMIT)
            peer.close()
            portal.close()

    def test_kinds(self) -> None:
        """Each kind answers in its way; one keeps no connections."""
        lab = self.lab_with_page()
        visitor = Visitor(lab)
        for kind, keeps, expected in (
            ("redirect", True, "302 http://portal.example/login False"),
            ("empty", True, "200 None False"),
            ("json", False, "200 {} True"),
            ("required", True, "511 <html><body>Welcome! Please log in.</body></html> False"),
        ):
            portal = self.start(Portal(lab.left.nat[0].machine(), kind, keeps))
            self.assertEqual(visitor.ask("new"), expected)
            portal.close()


class Visitor:
    """A browser on the left host."""

    def __init__(self, lab: Lab) -> None:
        argv = [sys.executable, "-c", ASK, lab.server.address, str(PORT)]
        self.process = lab.left.popen(argv, stdin=-1, stdout=-1, text=True, bufsize=1)

    def ask(self, connection: str) -> str:
        """Ask for the page on the connection that is kept, or on a "new" one."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{connection}\n")
        return str(self.process.stdout.readline().strip())
