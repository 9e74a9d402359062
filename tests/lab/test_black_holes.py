"""A path to the registry that loses large TCP segments, and tells nobody."""

from __future__ import annotations

import subprocess
import sys

from tests.lab.case import LabTestCase
from tests.lab.conversation import RELAYED, await_path, connect, exchange
from tests.lab.impairment import Impairment
from tests.lab.topology import Lab

CABLE = "left-host0:eth0"
BLACK_HOLE = Impairment(mtu=1200, icmp=False)
PORT = 8080
SIZE = 20_000  # bytes of a page
LIMIT = 4  # seconds for it, which takes milliseconds
SERVE = f"""\
import http.server
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bytes({SIZE}))
http.server.HTTPServer(("", {PORT}), Page).serve_forever()
"""
FETCH = """\
import sys, time, urllib.request
for _ in range(50):
    try:
        print(len(urllib.request.urlopen(sys.argv[1], timeout=float(sys.argv[2])).read()))
        break
    except OSError as error:
        if "refused" not in str(error):  # it hasn't started yet
            sys.exit(str(error))
        time.sleep(0.1)
"""


class BlackHoleTests(LabTestCase):
    """Alice's cable takes no more than 1,200 bytes of IP."""

    def lab(self, left: str) -> Lab:
        """Build a lab with such a cable, behind a NAT of this kind."""
        lab = self.build_lab(left, "port-restricted", cables=(CABLE,))
        lab.cables[CABLE].change(BLACK_HOLE)
        return lab

    def test_others(self) -> None:
        """What doesn't care stands still: the hole is one."""
        lab = self.lab("port-restricted")
        lab.server.popen([sys.executable, "-c", SERVE], stderr=subprocess.DEVNULL)
        url = f"http://{lab.server.address}:{PORT}/"
        fetch = [sys.executable, "-I", "-S", "-c", FETCH, url, str(LIMIT)]
        self.assertIn("timed out", lab.left.run(fetch, 60))

    def test_without_udp(self) -> None:
        """Registration, offer and answer arrive, and so does what goes over the relay's TCP."""
        lab = self.lab("udp-blocked")
        for transport in ("tcp", "tls"):
            relay = self.start_relay(lab, (transport,))
            registry = self.start_registry(lab, relay)
            alice = self.start_peer(lab.left, "alice", registry.url)
            bob = self.start_peer(lab.right, "bob", registry.url)
            for peer in (alice, bob):
                peer.wait_for("registered")
            connect(alice, bob)
            self.assertEqual(await_path(alice, RELAYED), RELAYED)
            exchange(alice, bob, "x" * 3000)
            for service in (alice, bob, registry, relay):
                service.close()
