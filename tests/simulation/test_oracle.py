"""The oracle against brute force: a toy exchange between all pairs of NATs."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.behaviour import (
    NAT_KINDS,
    PORT_RESTRICTED_CONE,
    SYMMETRIC,
    NatKind,
)
from tests.simulation.host import Host
from tests.simulation.internet import Internet
from tests.simulation.link import Link
from tests.simulation.nat import Nat
from tests.simulation.network import Address
from tests.simulation.oracle import carrier_path_possible, direct_path_possible
from tests.simulation.recorder import Recorder

ROUNDS = 12
INTERVAL = 0.1  # seconds
STUN_SERVER = ("203.0.113.10", 3478)
KINDS = (None, *NAT_KINDS)


class Reflector(Recorder):
    """A STUN server: tells each sender its address."""

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        self.send(f"mapped {addr[0]} {addr[1]}".encode(), addr)


class Puncher(Recorder):
    """
    Checks every candidate in each round, learns candidates from checks, answers checks.

    A check names the address it is sent to, its answer repeats that, and counts only if it
    comes from there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mapped: Address | None = None
        self.candidates: dict[Address, None] = {}
        self.valid: set[Address] = set()

    def check(self) -> None:
        """Check every candidate."""
        for address, port in list(self.candidates):
            self.send(f"check {address} {port}".encode(), (address, port))

    def datagramReceived(self, datagram: bytes, addr: Address) -> None:
        word, address, port = datagram.decode().split()
        if word == "mapped":
            self.mapped = (address, int(port))
        elif word == "check":
            self.candidates[addr] = None
            self.send(f"answer {address} {port}".encode(), addr)
        elif addr == (address, int(port)):
            self.valid.add(addr)


def exchange(internet: Internet, a: Host, b: Host) -> tuple[bool, bool]:
    """
    Punch between two hosts, and tell which of them has a valid path.

    Candidates are what the STUN server sees, and the hosts' own addresses.
    """
    Reflector.on(internet.host(STUN_SERVER[0]), STUN_SERVER[1])
    punchers = [Puncher(), Puncher()]
    for host, puncher in zip((a, b), punchers, strict=True):
        host.reactor.listenUDP(0, puncher)
        puncher.send(b"hello", STUN_SERVER)
    internet.run_until(lambda: all(puncher.mapped for puncher in punchers))
    for puncher, other, there in zip(punchers, punchers[::-1], (b, a), strict=True):
        assert other.mapped is not None
        puncher.candidates = {other.mapped: None, (there.address, other.port): None}
    for _ in range(ROUNDS):
        for puncher in punchers:
            puncher.check()
        internet.run(INTERVAL)
    return bool(punchers[0].valid), bool(punchers[1].valid)


def build(internet: Internet, kind: NatKind | None, behind: Nat | None = None) -> Host:
    """Make a host behind a NAT of this kind, which may be behind another one."""
    if kind is None:
        return internet.host(behind=behind)
    return internet.host(behind=internet.nat(kind=kind, behind=behind))


class OracleTests(SynchronousTestCase):
    """What the theory says is what happens."""

    def test_agrees_with_brute_force(self) -> None:
        """For all pairs of kinds the toy exchange joins both sides, or none, as predicted."""
        for number, (a, b) in enumerate((a, b) for a in KINDS for b in KINDS):
            internet = Internet(seed=number, link=Link(latency=(0.01, 0.04)))
            joined = exchange(internet, build(internet, a), build(internet, b))
            expected = direct_path_possible(a, b)
            self.assertEqual((expected, expected), joined, f"{a} / {b}\n{internet.describe()}")

    def test_carrier_agrees_with_brute_force(self) -> None:
        """So for all homes behind one carrier of each kind, with and without hairpinning."""
        wrong = []
        for number, (carrier, hairpinning, a, b) in enumerate(
            product(NAT_KINDS, (True, False), KINDS, KINDS)
        ):
            internet = Internet(seed=number, link=Link(latency=(0.01, 0.04)))
            shared = internet.nat(kind=carrier, hairpinning=hairpinning, inside="100.64")
            homes = (build(internet, kind, behind=shared) for kind in (a, b))
            expected = carrier_path_possible(a, b, carrier, hairpinning)
            if exchange(internet, *homes) != (expected, expected):
                wrong.append(f"{a} / {b} behind {carrier}, hairpinning {hairpinning}")
        self.assertEqual(wrong, [])

    def test_symmetric(self) -> None:
        """It does not matter who is who."""
        for a in KINDS:
            for b in KINDS:
                self.assertEqual(direct_path_possible(a, b), direct_path_possible(b, a))

    def test_known_cases(self) -> None:
        """The folklore: two symmetric NATs fail; port-restricted against symmetric too."""
        self.assertFalse(direct_path_possible(SYMMETRIC, SYMMETRIC))
        self.assertFalse(direct_path_possible(PORT_RESTRICTED_CONE, SYMMETRIC))
        self.assertTrue(direct_path_possible(PORT_RESTRICTED_CONE, PORT_RESTRICTED_CONE))
        self.assertTrue(direct_path_possible(None, SYMMETRIC))
