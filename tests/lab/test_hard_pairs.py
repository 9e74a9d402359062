"""
Two peers where plain punching is not enough: a NAT that maps every destination to a random port, or
a network without UDP; and what `--relay-only` keeps to itself.
"""

from __future__ import annotations

from tests.lab.case import PairTestCase
from tests.lab.conversation import DIRECT, RELAYED, await_path, connect, exchange
from tests.lab.peers import JsonPeer
from tests.lab.rulesets import NAT_KINDS
from tests.lab.topology import Lab

ALL = ("udp", "tcp", "tls")  # transports to the relay


class SymmetricTests(PairTestCase):
    """One side is random, the other is not: direct, though a relay is at hand."""

    spare_misses = 1  # 999 of 1,000 probing runs find a port: this one may be the other

    def test_open(self) -> None:
        """With a public address."""
        self.check("symmetric", "open", DIRECT, ALL)

    def test_full_cone(self) -> None:
        """With one that lets anyone in."""
        self.check("symmetric", "full-cone", DIRECT, ALL)

    def test_address_restricted(self) -> None:
        """With one that lets in whom it has contacted, from any port."""
        self.check("symmetric", "address-restricted", DIRECT, ALL)

    def test_port_restricted(self) -> None:
        """With the ordinary home: the one that must be probed for."""
        self.check("symmetric", "port-restricted", DIRECT, ALL)

    def test_port_restricted_without_relay(self) -> None:
        """The same, with no relay to fall back on."""
        self.check("symmetric", "port-restricted")

    def test_no_firewall(self) -> None:
        """With one whose mappings a stranger's probes would take."""
        self.check("symmetric", "no-firewall", DIRECT, ALL)

    def test_double(self) -> None:
        """With two boxes in a row, both of which filter by port."""
        self.check("symmetric", "double", DIRECT, ALL)


class RelayTests(PairTestCase):
    """No direct path is possible: the relay, at once."""

    def test_both_symmetric(self) -> None:
        """Both sides are random."""
        self.check("symmetric", "symmetric", RELAYED, ALL)

    def test_both_symmetric_over_udp(self) -> None:
        """The same with a relay that is reached over UDP alone."""
        self.check("symmetric", "symmetric", RELAYED, ("udp",))

    def test_udp_blocked(self) -> None:
        """One side has no UDP, the other any kind of NAT."""
        for kind in NAT_KINDS:
            self.check("udp-blocked", kind, RELAYED, ALL)

    def test_udp_blocked_over_tcp(self) -> None:
        """Neither has UDP, and the relay is reached over plain TCP alone."""
        self.check("udp-blocked", "udp-blocked", RELAYED, ("tcp",))

    def test_udp_blocked_over_tls(self) -> None:
        """Neither has UDP, and the relay is reached over TLS alone."""
        self.check("udp-blocked", "udp-blocked", RELAYED, ("tls",))


class RelayOnlyTests(PairTestCase):
    """Who hides behind the relay shows nobody but the relay and the registry an address."""

    def test_nothing_passes_directly(self) -> None:
        """Not one packet passes between the two networks, whoever calls and whoever hides."""
        for hider, called in (("left", "left"), ("left", "right"), ("right", "right")):
            lab = self.build_lab("full-cone", "full-cone")
            watch_both(lab)
            self.converse(lab, hider, called)
            for host in (lab.left, lab.right):
                self.assertEqual(host.nat[0].watched(), (0, 0), f"{hider} hides, {called} called")
            lab.close()

    def converse(self, lab: Lab, hider: str, called: str) -> None:
        """Let the two talk, one of them with `--relay-only`."""
        registry = self.start_registry(lab, self.start_relay(lab))
        peers = {
            side: self.start_peer(
                host, side, registry.url, *(["--relay-only"] if side == hider else [])
            )
            for side, host in (("left", lab.left), ("right", lab.right))
        }
        for peer in peers.values():
            peer.wait_for("registered")
        callee = peers.pop(called)
        (caller,) = peers.values()
        connect(caller, callee)
        exchange(caller, callee)
        for peer in (caller, callee):
            self.assertEqual(await_path(peer, RELAYED), RELAYED, peer.username)
        self.assert_hidden(lab, hider, caller if hider == called else callee)

    def assert_hidden(self, lab: Lab, hider: str, peer: JsonPeer) -> None:
        """Check that the other peer was told no address of the one who hides."""
        hidden = addresses_of(lab)[hider]
        told = [address for found in peer.named("checking") for address in found["addresses"]]
        for address in hidden:
            self.assertFalse([one for one in told if one.startswith(f"{address}:")], told)


def addresses_of(lab: Lab) -> dict[str, list[str]]:
    """Return the addresses of either side, its own and its public one."""
    sides = {"left": lab.left, "right": lab.right}
    return {side: [host.address, host.public_address] for side, host in sides.items()}


def watch_both(lab: Lab) -> None:
    """Let each side's NAT count every packet from and to the other side."""
    addresses = addresses_of(lab)
    lab.left.nat[0].watch(addresses["right"])
    lab.right.nat[0].watch(addresses["left"])
