"""People whose machines disagree about the time."""

from __future__ import annotations

from random import Random
from typing import Any

import attrs
from twisted.protocols.portforward import ProxyClient, ProxyClientFactory, ProxyFactory, ProxyServer
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.peer.profile import load_profile
from p2pchat.peer.settings import NodeSettings
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.http.resource import RegistryResource
from p2pchat.session.approval import AcceptPolicy
from tests.cases import each
from tests.simulation.host import Host
from tests.simulation.world import HTTP_PORT, REGISTRY, Person, World, make_node, runtime_on


class DatelessClient(ProxyClient):
    """The side of a proxy towards the registry; takes the time out of results."""

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        super().dataReceived(data.replace(b"\r\nDate:", b"\r\nWhen:"))


class DatelessClientFactory(ProxyClientFactory):
    """Makes these."""

    noisy = False
    protocol = DatelessClient


class ClockCase(SynchronousTestCase):
    """A world where everybody's clock may be wrong."""

    def setUp(self) -> None:
        self.world = World(31)

    def person(self, name: str, error: float, **settings: Any) -> Person:
        """Start a peer whose clock is wrong by so many seconds."""
        host = self.world.internet.host()
        runtime = runtime_on(host, Random(name))
        right = runtime.wall_time
        runtime = attrs.evolve(runtime, wall_time=lambda: right() + error)
        profile = load_profile(None, runtime.random_bytes)
        settings = {"server": self.world.url, "accept": AcceptPolicy.ALL, **settings}
        node = make_node(runtime, NodeSettings(name, **settings), profile)
        person = Person(name, host, node, profile)
        person.node.listen(person.told.append)
        person.node.start()
        return person

    def troubles(self, person: Person, word: str) -> list[str]:
        """Return what a person was told that has this word."""
        reasons = [event.reason for event in person.events(events.Trouble)]
        return [reason for reason in reasons if word in reason]


class ApartTests(ClockCase):
    """Where the registry says what time it is."""

    @each((-50.0, 50.0), (-600.0, 600.0), (0.0, 80_000.0))
    def test_connected(self, left: float, right: float) -> None:
        """Whose clocks are minutes apart, or hours, can talk, and each is told whose is wrong."""
        alice, bob = self.person("alice", left), self.person("bob", right)
        self.world.settle(alice, bob)
        self.world.connect(alice, bob)
        for person, error in ((alice, left), (bob, right)):
            self.assertEqual(len(self.troubles(person, "clock")), 1 if error else 0)
        alice.say("what time is it?", bob)
        self.world.internet.run(1)
        self.assertEqual(bob.texts(), ["what time is it?"])

    def test_set_while_it_runs(self) -> None:
        """A clock that jumps while the program runs is noticed at the next answer."""
        error = [0.0]
        alice = self.world.person("alice")
        host = self.world.internet.host()
        bob = self.jumping("bob", host, error)
        self.world.settle(alice, bob)
        error[0] = 3000.0
        self.world.internet.run(25)
        self.world.connect(bob, alice)

    def jumping(self, name: str, host: Host, error: list[float]) -> Person:
        """Start a peer whose clock can be set."""
        runtime = runtime_on(host, Random(name))
        right = runtime.wall_time
        runtime = attrs.evolve(runtime, wall_time=lambda: right() + error[0])
        profile = load_profile(None, runtime.random_bytes)
        settings = NodeSettings(name, server=self.world.url, accept=AcceptPolicy.ALL)
        person = Person(name, host, make_node(runtime, settings, profile), profile)
        person.node.listen(person.told.append)
        person.node.start()
        return person


class DatelessTests(ClockCase):
    """Where nobody says what time it is."""

    def setUp(self) -> None:
        super().setUp()
        reactor: Any = self.world.host.reactor

        class Server(ProxyServer):
            clientProtocolFactory = DatelessClientFactory

        Server.reactor = reactor
        factory = ProxyFactory(REGISTRY[0], HTTP_PORT + 1)
        factory.protocol, factory.noisy = Server, False
        reactor.listenTCP(HTTP_PORT + 2, factory)
        self.url = f"http://{REGISTRY[0]}:{HTTP_PORT + 2}"
        registry = self.world.registry
        audiences = Audiences((self.url,))
        registry.settings = attrs.evolve(registry.settings, audiences=audiences)
        reactor.listenTCP(HTTP_PORT + 1, RegistryResource(registry).site())

    @each((-250.0, 250.0, "behind"), (250.0, -250.0, "ahead of"))
    def test_both_are_told(self, left: float, right: float, mine: str) -> None:
        """A call between clocks 500 seconds apart fails at once, and both read the reason."""
        alice = self.person("alice", left, server=self.url)
        bob = self.person("bob", right, server=self.url)
        self.world.settle(alice, bob)
        self.world.result(alice.node.connect(bob.node.peer_id))
        self.world.internet.run(2)
        (failed,) = alice.events(events.CallFailed)
        self.assertEqual((failed.reason, failed.ours), ("clock", False))
        self.assertRegex(failed.explanation, rf"yours is (499|500|501) seconds {mine} theirs")
        (trouble,) = self.troubles(bob, alice.node.peer_id)
        self.assertRegex(trouble, r"(499|500|501) seconds")
        self.assertEqual(self.troubles(alice, bob.node.peer_id), [])
