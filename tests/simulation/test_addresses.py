"""Names with several addresses, some of them dead: of a registry, its STUN and its relay."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from tests.cases import each
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC
from tests.simulation.resolver import HostnameResolver
from tests.simulation.world import HTTP_PORT, REGISTRY, RELAY, Person, World

NAME = "registry.test"
DEAD = ("192.0.2.10", "192.0.2.11", "192.0.2.12", "2001:db8:dead::1", "2001:db8:dead::2")


class SeveralCase(SynchronousTestCase):
    """Alice and Bob, whose name servers give out dead addresses first."""

    def build(self, *dead: str, relay: bool = False, second: str = "") -> None:
        """Make a world whose registry has one address, or two."""
        self.world = World(5, relay=relay)
        self.world.names = (f"http://{NAME}:{HTTP_PORT}",)
        self.world.second_address = second
        self.world.host.kill()
        self.world.host.boot()
        self.dead = dead
        if self.world.relays is not None:
            urls = ("turn:relay.test", "turn:relay.test?transport=tcp")
            self.world.relays = attrs.evolve(self.world.relays, urls=urls)
        self.world.boot_registry()

    def lookup(self, name: str) -> list[str]:
        """Return the addresses of a name, the dead ones first."""
        return [*self.dead, RELAY if name.startswith("relay") else REGISTRY[0]]

    def person(self, name: str, kind: Any, **nat: Any) -> Person:
        """Start somebody behind a NAT."""
        host = self.world.internet.host(behind=self.world.nat(kind, **nat))
        host.reactor.installNameResolver(HostnameResolver(self.lookup, host.reactor))
        return self.world.start_on(host, name, server=self.world.names[0])

    def couple(self, kind: Any = PORT_RESTRICTED_CONE, **nat: Any) -> tuple[Person, Person]:
        """Start Alice and Bob, and wait until they are registered."""
        people = self.person("alice", kind, **nat), self.person("bob", kind, **nat)
        self.world.settle(*people)
        return people


class SeveralAddressesTests(SeveralCase):
    """Conversations all the same."""

    @each(1, 2, 3, 5)
    def test_direct(self, count: int) -> None:
        """With dead addresses before the living one they meet as fast as without."""
        self.build(*DEAD[:count])
        alice, bob = self.couple()
        for one in (alice, bob):
            self.assertFalse(any(nat.udp_blocked for nat in one.events(events.NatRead)))
        self.assertLess(self.world.connect(alice, bob), 2)
        found = alice.events(events.PathFound)[-1]
        self.assertNotIn("relay", (found.local, found.remote))

    def test_mapping(self) -> None:
        """The mapping is told by two living addresses, though others are dead."""
        for kind, mapping in (
            (PORT_RESTRICTED_CONE, "endpoint-independent"),
            (SYMMETRIC, "address-or-port-dependent"),
        ):
            self.build(*DEAD[:2])
            alice = self.person("alice", kind)
            self.world.settle(alice)
            self.world.internet.run(30)
            nat = alice.node.nat()
            self.assertEqual(nat.mapping, mapping)
            self.assertNotIn("hasn't answered", nat.detail)

    @each({"udp": True}, {"udp": False})
    def test_relay(self, nat: dict[str, bool]) -> None:
        """So is a relay found, over UDP and TCP, though its first addresses are dead."""
        self.build(*DEAD[:2], relay=True)
        alice, bob = self.couple(SYMMETRIC, **nat)
        self.assertLess(self.world.connect(alice, bob), 10)
