"""
The lab itself: each kind of NAT is truly that, and the internet between them is long enough.
"""

from __future__ import annotations

from tests.lab.blueprint import run_command
from tests.lab.case import LabTestCase
from tests.lab.machines import Host
from tests.lab.peers import fetch
from tests.lab.probe import Endpoint, Probe, lets_in, mapping
from tests.lab.rulesets import UDP_KINDS
from tests.lab.topology import SHORT_TTL, Lab

LONG, SHORT = "\u00c0", "@"  # as UTF-8, first bytes of QUIC's long and short headers
CONTACTED, OTHER_PORT, OTHER_ADDRESS = (True, False, False), (True, True, False), (True, True, True)

#: Who of (the contacted endpoint, another port of it, another address) may answer.
FILTERING = {
    "open": OTHER_ADDRESS,
    "full-cone": OTHER_ADDRESS,
    "address-restricted": OTHER_PORT,
    "port-restricted": CONTACTED,
    "no-firewall": CONTACTED,
    "symmetric": CONTACTED,
    "double": CONTACTED,
}


class ServerProbes:
    """Three sockets of the public server: two ports of one address, and another address."""

    def __init__(self, server: Host) -> None:
        first, second = server.addresses
        self.contacted = Probe.open(server, first, 7000)
        self.other_port = Probe.open(server, first, 7001)
        self.other_address = Probe.open(server, second, 7000)

    def all(self) -> tuple[Probe, Probe, Probe]:
        """Return them in the order of `FILTERING`."""
        return self.contacted, self.other_port, self.other_address


class KindTests(LabTestCase):
    """Each NAT kind, by the two behaviours of RFC 4787, on either side."""

    def mappings(self, host: Host, server: ServerProbes) -> set[Endpoint]:
        """Return the mappings of one inside socket towards three destinations."""
        inside = Probe.open(host, port=4000)
        found = {mapping(inside, outside) for outside in server.all()}
        inside.close()
        return found

    def filtering(self, host: Host, server: ServerProbes) -> tuple[bool, ...]:
        """Return which of the server's sockets reach an inside one that contacted the first."""
        inside = Probe.open(host, port=4001)
        mapped = mapping(inside, server.contacted)
        found = tuple(lets_in(outside, mapped, inside) for outside in server.all())
        inside.close()
        return found

    def test_mapping(self) -> None:
        """A symmetric NAT maps each destination to another port; all others to one, the same."""
        for kind in UDP_KINDS:
            lab = self.build_lab(kind, kind)
            server = ServerProbes(lab.server)
            for host in (lab.left, lab.right):
                found = self.mappings(host, server)
                self.assertEqual({address for address, _ in found}, {host.public_address}, kind)
                self.assertEqual(len(found), 3 if kind == "symmetric" else 1, kind)
            lab.close()

    def test_filtering(self) -> None:
        """Each kind lets in exactly the senders that its name says."""
        for kind in UDP_KINDS:
            lab = self.build_lab(kind, kind)
            server = ServerProbes(lab.server)
            for host in (lab.left, lab.right):
                self.assertEqual(self.filtering(host, server), FILTERING[kind], kind)
            lab.close()

    def port_after_a_stranger(self, kind: str) -> int:
        """Return the mapped port for inside port 4002 when the destination has knocked first."""
        lab = self.build_lab(kind)
        stranger = Probe.open(lab.server, lab.server.address, 7000)
        stranger.send((lab.left.public_address, 4002))
        inside = Probe.open(lab.left, port=4002)
        inside.receive()
        _, port = mapping(inside, stranger)
        lab.close()
        return port

    def test_stranger_takes_the_mapping(self) -> None:
        """Without a firewall an early datagram from outside takes the port; with one it cannot."""
        for kind in ("open", "full-cone", "address-restricted", "port-restricted", "double"):
            self.assertEqual(self.port_after_a_stranger(kind), 4002, kind)
        self.assertNotEqual(self.port_after_a_stranger("no-firewall"), 4002)

    def test_short_ttl_keeps_the_mapping(self) -> None:
        """When the inside sends first with a short TTL, a later stranger takes nothing."""
        lab = self.build_lab("no-firewall")
        stranger = Probe.open(lab.server, lab.server.address, 7000)
        inside = Probe.open(lab.left, port=4003)
        inside.send((stranger.address, stranger.port), ttl=2)
        self.assertIsNone(stranger.receive())
        self.assertTrue(lets_in(stranger, (lab.left.public_address, 4003), inside))
        self.assertEqual(mapping(inside, stranger)[1], 4003)


class DistanceTests(LabTestCase):
    """How far a datagram with a short TTL goes."""

    def reach(self, sender: Host, target: Host, ttl: int) -> tuple[bool, bool]:
        """Tell whether a datagram leaves its own NAT, and whether it reaches the other's."""
        before = target.nat[0].arrivals()
        inside = Probe.open(sender, port=4100)
        inside.send((target.public_address, 4100), ttl=ttl)
        inside.close()
        return self.left_its_nat(sender), target.nat[0].arrivals() > before

    def left_its_nat(self, sender: Host) -> bool:
        """Tell whether the sender's outermost NAT has a mapping for port 4100."""
        box = sender.nat[0]
        table = run_command(["ip", "netns", "exec", box.namespace, "conntrack", "-L", "-p", "udp"])
        return "sport=4100" in table

    def test_short_ttl(self) -> None:
        """A TTL of SHORT_TTL opens one's own NAT, double too, and never reaches the other's."""
        for left, right in (("port-restricted", "no-firewall"), ("double", "double")):
            lab = self.build_lab(left, right)
            for sender, target in ((lab.left, lab.right), (lab.right, lab.left)):
                self.assertEqual(self.reach(sender, target, SHORT_TTL), (True, False), left)
                self.assertEqual(self.reach(sender, target, 64), (True, True), left)
            lab.close()

    def test_hops(self) -> None:
        """The other's NAT box is five hops away, six from behind a double NAT."""
        for kind, hops in (("open", 5), ("port-restricted", 5), ("double", 6)):
            lab = self.build_lab(kind, "port-restricted")
            probe = Probe.open(lab.left)
            for ttl in range(1, hops):
                probe.send((lab.right.public_address, 9), ttl=ttl)
            self.assertEqual(lab.right.nat[0].arrivals(), 0, kind)
            probe.send((lab.right.public_address, 9), ttl=hops)
            self.assertEqual(lab.right.nat[0].arrivals(), 1, kind)
            lab.close()


class TroubleTests(LabTestCase):
    """What can be done to a NAT box while a test runs."""

    def test_reboot(self) -> None:
        """A rebooted NAT has forgotten whom its hosts contacted."""
        for kind in ("address-restricted", "port-restricted", "no-firewall", "symmetric", "double"):
            lab = self.build_lab(kind)
            server = Probe.open(lab.server, lab.server.address, 7000)
            inside = Probe.open(lab.left, port=4200)
            mapped = mapping(inside, server)
            self.assertTrue(lets_in(server, mapped, inside), kind)
            lab.reboot_nats()
            self.assertFalse(lets_in(server, mapped, inside), kind)
            lab.close()

    def test_block(self) -> None:
        """A cut uplink passes nothing either way, in silence; joined again it passes all."""
        lab = self.build_lab("port-restricted")
        server = Probe.open(lab.server, lab.server.address, 7000)
        inside = Probe.open(lab.left, port=4300)
        mapped = mapping(inside, server)
        lab.left.nat[0].block()
        self.assertEqual(inside.send((server.address, server.port)), "sent")
        self.assertIsNone(server.receive())
        self.assertFalse(lets_in(server, mapped, inside))
        lab.left.nat[0].unblock()
        self.assertTrue(lets_in(server, mapped, inside))
        self.assertEqual(mapping(inside, server), mapped)

    def test_loss(self) -> None:
        """About the asked-for fraction is lost."""
        lab = self.build_lab("port-restricted")
        box = lab.left.nat[0]
        box.set_loss(0.3)
        server = Probe.open(lab.server)
        for _ in range(1000):
            server.send((box.address, 9))
        self.assertTrue(600 < box.arrivals() < 800, box.arrivals())
        box.set_loss(0.0)
        before = box.arrivals()
        for _ in range(100):
            server.send((box.address, 9))
        self.assertEqual(box.arrivals() - before, 100)


class NeighbourTests(LabTestCase):
    """More than one host behind a NAT, and addresses that lead nowhere."""

    def test_two_hosts(self) -> None:
        """Two hosts behind one NAT share its public address and reach each other directly."""
        lab = self.build_lab("port-restricted", hosts=2)
        one, two = lab.left_site.hosts
        server = Probe.open(lab.server, lab.server.address, 7000)
        first = Probe.open(one, one.address, 4400)
        second = Probe.open(two, two.address, 4401)
        self.assertEqual(mapping(first, server), (one.public_address, 4400))
        self.assertEqual(mapping(second, server), (one.public_address, 4401))
        self.assertEqual(mapping(first, second), (one.address, 4400))

    def test_private_addresses(self) -> None:
        """A stranger's private address swallows datagrams in silence, from host and server."""
        lab = self.build_lab("port-restricted", "no-firewall")
        listener = Probe.open(lab.right, port=4500)
        for host in (lab.left, lab.server):
            probe = Probe.open(host)
            self.assertEqual(probe.send((lab.right.address, 4500)), "sent")
            self.assertIsNone(probe.receive(), "no refusal either")
            self.assertEqual(probe.send((lab.right.address, 4500)), "sent")
        self.assertIsNone(listener.receive())
        self.assertEqual(lab.right.nat[0].arrivals(), 0)


class BlockedTests(LabTestCase):
    """A network that drops UDP."""

    def test_nothing_passes(self) -> None:
        """No datagram passes either way, and nobody is told; TCP passes."""
        lab = self.build_lab("udp-blocked", "udp-blocked")
        server = Probe.open(lab.server, lab.server.address, 7000)
        for host in (lab.left, lab.right):
            inside = Probe.open(host, port=4700)
            for _ in range(2):
                self.assertEqual(inside.send((server.address, server.port)), "sent")
                self.assertIsNone(server.receive())
            self.assertFalse(lets_in(server, (host.public_address, 4700), inside))
        registry = self.start_registry(lab)
        for host in (lab.left, lab.right):
            self.assertIn("[]", fetch(host, f"{registry.url}/peers"))


class MovingTests(LabTestCase):
    """A host that leaves one network for another, and comes back."""

    def test_change_address(self) -> None:
        """Each network shows its own public address, and sockets bound to none move along."""
        lab = self.build_lab("port-restricted", "open", spare="symmetric")
        server = Probe.open(lab.server, lab.server.address, 7000)
        for host, site in ((lab.left, lab.left_site), (lab.right, lab.right_site)):
            inside = Probe.open(host, port=4800)
            home = (host.address, host.public_address)
            self.assertEqual(mapping(inside, server), (host.public_address, 4800))
            host.change_address()
            self.assertEqual(host.public_address, site.spare[0].address)
            self.assertEqual(mapping(inside, server)[0], host.public_address)
            self.assertFalse(lets_in(server, (home[1], 4800), inside))
            host.change_address()
            self.assertEqual((host.address, host.public_address), home)
            self.assertEqual(mapping(inside, server), (host.public_address, 4800))


class QuicTests(LabTestCase):
    """A firewall that recognises QUIC."""

    def test_drop_quic(self) -> None:
        """Long headers are dropped, both ways, and nothing else is; until it lets them pass."""
        lab = self.build_lab("port-restricted")
        inside = Probe.open(lab.left, port=4000)
        outside = Probe.open(lab.server, lab.server.address, 7000)
        mapped, server = mapping(inside, outside), (outside.address, outside.port)
        box = lab.left.nat[0]
        self.assertEqual((LONG.encode()[0] & 0x80, SHORT.encode()[0] & 0x80), (0x80, 0))
        for dropped in (True, False):
            box.drop_quic(dropped)
            for text in (LONG, SHORT):
                passes = text == SHORT or not dropped
                inside.send(server, text)
                self.assertEqual(outside.receive() is not None, passes, (text, dropped))
                outside.send(mapped, text)
                self.assertEqual(inside.receive() is not None, passes, (text, dropped))


class WatchTests(LabTestCase):
    """A NAT box counts what passes it from and to addresses that a test names."""

    def test_watch(self) -> None:
        """Every datagram counts, even one that its short TTL ends here or that leads nowhere."""
        lab = self.build_lab("port-restricted", "port-restricted")
        here, there = lab.left.nat[0], lab.right.nat[0]
        here.watch([lab.right.public_address, lab.right.address])
        there.watch([lab.left.public_address])
        probe = Probe.open(lab.left)
        for address, ttl in ((lab.right.address, 64), (there.address, 1), (there.address, 64)):
            probe.send((address, 9), ttl=ttl)
        probe.send((lab.server.address, 9))
        self.assertEqual(here.watched(), (0, 3))
        self.assertEqual(there.watched(), (1, 0))
        here.watch([lab.server.address])
        self.assertEqual(here.watched(), (0, 0), "watching anew begins at nothing")


class LifetimeTests(LabTestCase):
    """Labs come and go without a trace."""

    def test_side_by_side(self) -> None:
        """Two labs never meet, and closing one leaves the other as it was."""
        one, two = self.build_lab("open"), self.build_lab("open")
        listener, sender = Probe.open(two.server, port=7000), Probe.open(one.left)
        sender.send((one.server.address, 7000))
        self.assertIsNone(listener.receive())
        one.close()
        self.assertEqual(mapping(Probe.open(two.left, port=4600), self.server_of(two))[1], 4600)

    def server_of(self, lab: Lab) -> Probe:
        """Open a socket on the server's first address."""
        return Probe.open(lab.server, lab.server.address, 7001)

    def test_close(self) -> None:
        """Closing ends every process and removes every namespace, once or twice."""
        lab = self.build_lab("double", "symmetric", hosts=2)
        process = lab.left.popen(["sleep", "60"])
        prefix = lab.server.namespace.removesuffix("server")
        self.assertIn(prefix, run_command(["ip", "netns", "list"]))
        lab.close()
        lab.close()
        self.assertNotIn(prefix, run_command(["ip", "netns", "list"]))
        self.assertIsNotNone(process.poll())

    def test_failure(self) -> None:
        """A lab that cannot be built leaves nothing behind and says why."""
        lab = Lab()
        self.assertRaises(KeyError, lab.build, "no such kind")
        broken = Lab()
        broken.blueprint.room("extra").commands.append("no such command")
        self.assertRaises(RuntimeError, broken.build, "open")
        self.assertNotIn(broken.blueprint.prefix, run_command(["ip", "netns", "list"]))
