"""What a node tells of its NAT, in simulated worlds."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.events import NatRead
from tests.simulation.allocation import SequentialAllocation
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC, NatKind
from tests.simulation.world import RELAY, World

SETTLED = 12.0  # seconds; a network that answers nothing is known as such


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

    def test_relays(self) -> None:
        """The relays that the registry names are told by their URLs."""
        nat = self.read(None, relay=True)
        self.assertEqual(nat.mapping, "none")
        self.assertEqual(nat.relays, (f"turn:{RELAY}:3478", f"turn:{RELAY}:3478?transport=tcp"))
