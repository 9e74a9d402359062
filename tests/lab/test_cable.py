"""
Cables: what is impaired is impaired so, on real packets between real hosts, and while it changes.

How accurate a delay is depends on how busy the machine is; tests look at the middle one of many.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from typing import Any

from tests.lab.cable import Cable
from tests.lab.case import LabTestCase
from tests.lab.impairment import Impairment
from tests.lab.ipv6 import SERVER, Overlay, reason_without_ipv6
from tests.lab.machines import Host
from tests.lab.peers import fetch
from tests.lab.probe import Arrival, Flow, Probe
from tests.lab.topology import LEFT_CABLE

NAT_CABLE = "left-nat0:wan"
HEADERS = 28  # bytes; IPv4's and UDP's
ACCURACY = 0.02  # seconds; half of all packets are nearer than this, however busy the machine
FILE_SIZE = 300_000  # bytes
PORT = 8080

SERVE = f"""\
import http.server, io
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "{FILE_SIZE}")
        self.end_headers()
        self.wfile.write(b"x" * {FILE_SIZE})
class Server(http.server.HTTPServer):
    address_family = http.server.socket.AF_INET6
Server(("::", {PORT}), Page).serve_forever()
"""
#: Tries datagrams over IPv6 until the kernel has learnt that they are too large.
ASK_IPV6 = """\
import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9))
s.setsockopt(socket.IPPROTO_IPV6, 23, 2)  # IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DO
for _ in range(100):
    try:
        s.send(bytes(1400))
    except OSError:
        pass
    found = s.getsockopt(socket.IPPROTO_IPV6, 24)  # IPV6_MTU
    if found < 1500:
        break
    time.sleep(0.02)
print(found)
"""


class CableCase(LabTestCase):
    """A left host whose cable can be impaired, and a socket at either end of the way."""

    cables = (LEFT_CABLE,)

    def setUp(self) -> None:
        self.lab = self.build_lab("port-restricted", cables=self.cables)
        self.inside = Probe.open(self.lab.left, self.lab.left.address, 5000)
        self.outside = Probe.open(self.lab.server, self.lab.server.address, 5000)
        self.inside.stream(self.outside, Flow(silence=0.1))  # hardware addresses are known now

    @property
    def cable(self) -> Cable:
        """The cable in question."""
        return self.lab.cables[self.cables[0]]

    def flow(self, *, back: bool = False, silence: float = 0.1, **wanted: Any) -> list[Arrival]:
        """Send datagrams out, or back in; return what came."""
        flow = Flow(silence=silence, **wanted)
        if back:
            return self.outside.stream(self.inside, flow, (self.lab.left.public_address, 5000))
        return self.inside.stream(self.outside, flow)

    def route(self, host: Host, to: Host) -> str:
        """Return what a host's kernel knows of the way to another one."""
        return host.run(["ip", "route", "get", to.public_address], 10)


class TimeTests(CableCase):
    """Delay, jitter, rate and order."""

    def test_delay(self) -> None:
        """Each way has a delay of its own, accurate at hundreds of packets in a second."""
        self.cable.change(Impairment(delay=0.06), Impairment(delay=0.03))
        out = self.flow(count=200, interval=0.003)
        took = [arrival.took for arrival in out]
        self.assertEqual([arrival.number for arrival in out], list(range(200)))
        self.assertGreaterEqual(min(took), 0.06)
        self.assertLess(statistics.median(took), 0.06 + ACCURACY)
        back = [arrival.took for arrival in self.flow(back=True, count=50, interval=0.003)]
        self.assertGreaterEqual(min(back), 0.03)
        self.assertLess(statistics.median(back), 0.03 + ACCURACY)

    def test_bufferbloat(self) -> None:
        """A delay may grow and shrink at any time; nothing is lost and nothing overtakes."""
        numbers, longest = [], 0.0  # a last frame of the long delay may hold up those behind it
        for delay in (0.02, 0.3, 0.02):
            self.cable.change(Impairment(delay=delay))
            found = self.flow(count=10, interval=0.01, silence=0.5)
            numbers += [arrival.number for arrival in found]
            longest = max([longest, *(arrival.took for arrival in found)])
        self.assertEqual(numbers, [*range(10)] * 3)
        self.assertTrue(0.3 <= longest < 0.35, longest)

    def test_jitter(self) -> None:
        """It varies, in order."""
        self.cable.change(Impairment(jitter=0.03))
        found = self.flow(count=100, interval=0.004)
        took = [arrival.took for arrival in found]
        self.assertGreater(max(took) - min(took), 0.015)
        self.assertEqual([arrival.number for arrival in found], list(range(100)))

    def test_rate(self) -> None:
        """A burst comes at the rate, and as much of it as the buffer holds."""
        self.cable.change(Impairment(rate=1_000_000, buffer=20_000))
        found = self.flow(count=60, size=1000 - HEADERS - 14)  # with Ethernet's header, 1,000
        self.assertTrue(19 <= len(found) <= 23, len(found))
        took = found[-1].came - found[0].came
        self.assertGreater(took, (len(found) - 1) * 0.008 - ACCURACY)

    def test_reordering(self) -> None:
        """A share comes late."""
        self.cable.change(Impairment(reordering=0.2))
        numbers = [arrival.number for arrival in self.flow(count=100, interval=0.003)]
        self.assertEqual(sorted(numbers), list(range(100)))
        self.assertNotEqual(numbers, list(range(100)))


class LossTests(CableCase):
    """Loss and what a loss of all is."""

    def test_loss(self) -> None:
        """A share is lost, of one direction only where it is said so."""
        self.cable.change(Impairment(loss=0.5), Impairment())
        found = self.flow(count=400, interval=0.0005)
        self.assertTrue(150 <= len(found) <= 250, len(found))

    def test_close(self) -> None:
        """A cable that was cut lets nothing pass."""
        self.cable.close()
        self.assertEqual(self.flow(count=5), [])


class SizeTests(CableCase):
    """The MTU: who may fragment, who is told, who isn't."""

    def test_fits(self) -> None:
        """What fits arrives, and so does what may be fragmented."""
        self.cable.change(Impairment(mtu=1280))
        self.assertEqual(len(self.flow(count=3, size=1280 - HEADERS, whole=True)), 3)
        self.assertEqual(self.cable.fragments(), 0)
        self.assertEqual(len(self.flow(count=3, size=3000)), 3)
        self.assertEqual(self.cable.fragments(), 15, "of three from the kernel two are cut")

    def test_told(self) -> None:
        """What may not is lost once; then the sender's kernel knows, and so do both ends."""
        self.cable.change(Impairment(mtu=1280))
        self.assertEqual(self.flow(count=2, size=1300, whole=True), [])
        self.assertIn("mtu 1280", self.route(self.lab.left, self.lab.server))
        self.cable.change(Impairment())
        self.assertEqual(len(self.flow(count=2, size=1300)), 2, "in fragments, by the kernel")

    def test_told_outside(self) -> None:
        """Someone outside is told through the NAT."""
        self.cable.change(Impairment(mtu=1280))
        self.assertEqual(self.flow(back=True, count=2, size=1300, whole=True), [])
        self.assertIn("mtu 1280", self.route(self.lab.server, self.lab.left))

    def test_silent(self) -> None:
        """A cable that tells nobody lets large packets vanish, again and again."""
        self.cable.change(Impairment(mtu=1280, icmp=False))
        self.assertEqual(self.flow(count=3, size=1300, whole=True), [])
        self.assertNotIn("mtu", self.route(self.lab.left, self.lab.server))
        self.assertEqual(len(self.flow(count=3, size=1000, whole=True)), 3)

    def test_tcp(self) -> None:
        """TCP, whose kernels like to send many packets as one, gets through; its size adapts."""
        self.lab.server.popen([sys.executable, "-c", SERVE], stderr=subprocess.DEVNULL)
        url = f"http://{self.lab.server.address}:{PORT}/"
        self.assertEqual(len(fetch(self.lab.left, url).strip()), FILE_SIZE)
        self.cable.change(Impairment(mtu=1280, delay=0.005))
        self.assertEqual(len(fetch(self.lab.left, url).strip()), FILE_SIZE)
        self.cable.change(Impairment(mtu=1280, icmp=False, loss=0.01))
        self.assertEqual(len(fetch(self.lab.left, url).strip()), FILE_SIZE)

    def test_ipv6(self) -> None:
        """IPv6 is never cut; its sender is told."""
        if reason := reason_without_ipv6():
            self.skipTest(reason)
        lab = self.build_lab("port-restricted", "port-restricted", cables=self.cables)
        Overlay(lab).build()
        lab.cables[LEFT_CABLE].change(Impairment(mtu=1280))
        self.assertEqual(lab.left.run([sys.executable, "-c", ASK_IPV6, SERVER], 10).strip(), "1280")


class NatCableTests(CableCase):
    """The cable before a NAT, which all behind it share."""

    cables = (NAT_CABLE,)

    def test_as_a_host(self) -> None:
        """It is impaired as a host's is, outward from the NAT; hosts behind the NAT are told."""
        self.cable.change(Impairment(delay=0.05, mtu=1280), Impairment())
        took = [arrival.took for arrival in self.flow(count=20, interval=0.005)]
        self.assertGreaterEqual(min(took), 0.05)
        self.assertLess(statistics.median(took), 0.05 + ACCURACY)
        self.assertEqual(self.flow(count=2, size=1300, whole=True), [])
        self.assertIn("mtu 1280", self.route(self.lab.left, self.lab.server))
