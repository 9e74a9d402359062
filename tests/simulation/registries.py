"""Further registries of a world, each on a host of its own."""

from __future__ import annotations

from random import Random

import attrs

from p2pchat.registry.http.resource import RegistryResource
from p2pchat.registry.registry import Registry, Settings
from p2pchat.registry.stun.binding_server import BindingServer
from p2pchat.registry.stun.service import StunService
from tests.simulation.host import Host
from tests.simulation.world import HTTP_PORT, STUN_PORT, World, runtime_on


@attrs.define(eq=False)
class FurtherRegistry:
    """A registry, with STUN at one address."""

    host: Host
    registry: Registry = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.boot()

    @classmethod
    def of(cls, world: World, address: str) -> FurtherRegistry:
        """Start one at an address of its own."""
        return cls(world.internet.host(address))

    @property
    def url(self) -> str:
        """Its URL."""
        return f"http://{self.host.addresses[0]}:{HTTP_PORT}"

    def boot(self) -> None:
        """Start it, knowing nobody."""
        runtime = runtime_on(self.host, Random(self.url))
        self.registry = Registry(runtime, Settings(stun_port=STUN_PORT))
        runtime.reactor.listenTCP(HTTP_PORT, RegistryResource(self.registry).site())
        server = BindingServer((self.host.addresses[0],), STUN_PORT)
        StunService(runtime, server, self.registry.metrics.datagram).privilegedStartService()
        self.registry.start()

    def kill(self) -> None:
        """Let it vanish."""
        self.host.kill()

    def reboot(self) -> None:
        """Bring it back after :meth:`kill`."""
        self.host.boot()
        self.boot()

    def knows(self, peer_id: str) -> bool:
        """Tell whether it has a record of a peer."""
        found: list[object] = []
        self.registry.store.find(peer_id).addCallback(found.append)
        return found[0] is not None
