"""What a node tells of its NAT, in simulated worlds, and what ``/nat`` says of it."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.events import NatRead
from p2pchat.natcheck.reading import nat_rows
from p2pchat.traversal.nat import Filtering, Mapping, NatTraits, Preservation
from tests.simulation.allocation import SequentialAllocation
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC, NatKind
from tests.simulation.world import RELAY, World

SETTLED = 12.0  # seconds; a network that answers nothing is known as such
NAT = NatRead("endpoint-independent", "203.0.113.7:4242", "one mapping for all")


class NatReadingTests(SynchronousTestCase):
    """One person behind one NAT."""

    def read(self, kind: NatKind | None, relay: bool = False, **options: Any) -> NatRead:
        """Return what her node knows after a while."""
        world = World(4, relay=relay)
        alice = world.person("alice", world.nat(kind, **options))
        world.internet.run(SETTLED)
        return alice.node.nat()

    def test_cone(self) -> None:
        """A NAT with one mapping, a strict filter, and ports of its own choice."""
        nat = self.read(PORT_RESTRICTED_CONE)
        self.assertEqual((nat.mapping, nat.allocation), ("endpoint-independent", "one"))
        self.assertEqual(nat.filtering, "address-and-port-dependent")
        self.assertEqual((nat.port_preservation, nat.udp_blocked), ("changed", False))
        self.assertEqual((nat.relays, nat.keepalive), ((), 0.0))

    def test_preserving(self) -> None:
        """A NAT that keeps the port says so, and the address shows it."""
        nat = self.read(PORT_RESTRICTED_CONE, port_preservation=True)
        self.assertEqual(nat.port_preservation, "preserved")

    def test_symmetric(self) -> None:
        """Random ports, or a step that is told with its size."""
        nat = self.read(SYMMETRIC)
        self.assertEqual((nat.allocation, nat.step, nat.address.count(", ")), ("random", 0, 2))
        nat = self.read(SYMMETRIC, allocation=SequentialAllocation())
        self.assertEqual(nat.allocation, "step")
        self.assertNotEqual(nat.step, 0)

    def test_blocked(self) -> None:
        """A network without UDP leaves everything unknown but that."""
        nat = self.read(PORT_RESTRICTED_CONE, udp=False)
        self.assertTrue(nat.udp_blocked)
        unknown = attrs.evolve(NatRead("unknown", "", nat.detail), udp_blocked=True)
        self.assertEqual(nat, unknown)

    def test_before(self) -> None:
        """Before a registry has named a STUN service, nobody is said not to have answered."""
        world = World(4)
        rows = nat_rows(world.person("alice", world.nat(PORT_RESTRICTED_CONE)).node.nat())
        self.assertEqual([name for name, _ in rows], ["mapping"])
        self.assertIn("no registry has said so far where a STUN service is", rows[0][1])

    def test_relays(self) -> None:
        """The relays that the registry names are told by their URLs."""
        nat = self.read(None, relay=True)
        self.assertEqual(nat.mapping, "none")
        self.assertEqual(nat.relays, (f"turn:{RELAY}:3478", f"turn:{RELAY}:3478?transport=tcp"))


class NatWordsTests(SynchronousTestCase):
    """Each reading has its row, and its meaning in plain words."""

    def rows(self, **known: Any) -> dict[str, str]:
        """Return the rows for a NAT of which this is known."""
        return dict(nat_rows(attrs.evolve(NAT, **known)))

    def test_every_word(self) -> None:
        """No word stands alone, whatever is read."""
        allocations = {
            NatTraits(mapping, step).allocation for mapping in Mapping for step in (0, 2)
        }
        self.assertEqual(allocations, {"one", "step", "random", "unknown"})
        for name, row, words in (
            ("filtering", "filtering", {one.value for one in Filtering}),
            ("port_preservation", "port", {one.value for one in Preservation}),
            ("allocation", "next port", allocations),
        ):
            for word in words:
                said = self.rows(**{name: word})[row]
                self.assertTrue(said.startswith(f"{word}: "), said)

    def test_step(self) -> None:
        """A step is told with its size and direction."""
        self.assertIn("-2 further", self.rows(allocation="step", step=-2)["next port"])

    def test_only_where_it_matters(self) -> None:
        """A blocked network and a NAT that forgets are told of; else there is no such row."""
        self.assertFalse({"UDP", "keepalive"} & set(self.rows()))
        self.assertIn("blocked", self.rows(udp_blocked=True)["UDP"])
        self.assertIn("every 7.5 seconds", self.rows(keepalive=7.5)["keepalive"])
        self.assertNotIn("next port", self.rows(mapping="none"))

    def test_relays(self) -> None:
        """The known relays are named, and where there is none, what follows."""
        self.assertEqual(self.rows(relays=("turn:a", "turns:b"))["relays"], "turn:a, turns:b")
        self.assertIn("named none", self.rows()["relays"])
