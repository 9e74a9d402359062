"""A real registry in a simulated internet, and clients of it on hosts of their own."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.python.components import proxyForInterface
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.identity.keys import Identity
from p2pchat.interfaces import IRegistryStore
from p2pchat.peer.lease import Lease
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.peer.registry_connection import Callbacks, RegistryConnection
from p2pchat.registry.refusals import refused
from p2pchat.runtime import Runtime
from p2pchat.wire.documents import Registration
from tests.identity.people import ALICE, sealing_key
from tests.simulation.host import Host
from tests.simulation.world import World, runtime_on


def registration(of: Identity, username: str) -> Registration:
    """Return somebody's registration, with the key that others seal to."""
    return Registration(username, keys=(sealing_key(of).record_key,))


@attrs.define(eq=False)
class Told:
    """What a connection to a registry told."""

    registered: list[Lease] = attrs.Factory(list)
    lost: list[tuple[str, float]] = attrs.Factory(list)
    documents: list[str] = attrs.Factory(list)

    def callbacks(self) -> Callbacks:
        """Return the callbacks that keep it."""
        return Callbacks(
            self.registered.append,
            lambda reason, wait: self.lost.append((reason, wait)),
            self.documents.append,
        )


class BusyStore(proxyForInterface(IRegistryStore)):  # type: ignore[misc]
    """
    The store of a world's registry while it can do nothing new, and asks for so many seconds, or
    doesn't say for how many.

    :ivar asked: when somebody wanted something of it.
    """

    def __init__(self, world: World, seconds: int | None, status: int = 503) -> None:
        super().__init__(world.registry.store)
        self.asked: list[float] = []
        self._clock = world.internet.clock
        self._refusal = status, "store-unavailable", "the store is busy", seconds

    def _refuse(self, *_: Any) -> Deferred[Any]:
        self.asked.append(self._clock.seconds())
        return fail(refused(*self._refusal))

    register = renew = subscribe = deliver = page = _refuse


class RegistryCase(SynchronousTestCase):
    """Alice's client, and whatever else a test starts."""

    def setUp(self) -> None:
        self.world = World(5)
        self.host = self.world.internet.host()
        self.client = self.make_client(ALICE, self.host)

    def runtime(self, host: Host, clock_error: float = 0.0, **changes: Any) -> Runtime:
        """Return the runtime of a host whose wall clock is wrong by so many seconds."""
        runtime = runtime_on(host, Random(self.world.random.random()))
        right = runtime.wall_time
        return attrs.evolve(runtime, wall_time=lambda: right() + clock_error, **changes)

    def make_client(
        self, identity: Identity, host: Host | None = None, url: str = "", error: float = 0.0
    ) -> RegistryClient:
        """Return somebody's client, on a host of its own unless one is given."""
        runtime = self.runtime(host or self.world.internet.host(), error)
        return RegistryClient(url or self.world.url, identity, runtime)

    def make_connection(
        self, client: RegistryClient, host: Host | None = None, told: Told | None = None
    ) -> tuple[RegistryConnection, Told]:
        """Return a connection that isn't begun, and what it tells."""
        told, runtime = told or Told(), self.runtime(host or self.host)
        connection = RegistryConnection(
            client, runtime, lambda: Registration("alice"), told.callbacks()
        )
        return connection, told

    def run_for(self, seconds: float) -> None:
        """Let virtual time pass."""
        self.world.internet.run(seconds)

    def result(self, deferred: Deferred[Any], within: float = 30.0) -> Any:
        """Let time pass until a Deferred has fired; returns its result or raises."""
        return self.world.result(deferred, within)

    def refused(self, deferred: Deferred[Any], kind: type[Exception]) -> Any:
        """Return the exception of this kind with which a request fails."""
        with self.assertRaises(kind) as caught:
            self.result(deferred)
        return caught.exception
