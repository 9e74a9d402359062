"""People whose machines disagree about the time."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.protocols.portforward import ProxyClient, ProxyClientFactory, ProxyFactory, ProxyServer
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.http.resource import RegistryResource
from p2pchat.session.approval import AcceptPolicy
from tests.cases import each
from tests.simulation.host import Host
from tests.simulation.world import HTTP_PORT, REGISTRY, Person, World


class DatelessClient(ProxyClient):
    """The side of a proxy towards the registry; takes the time out of results."""

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        super().dataReceived(data.replace(b"\r\nDate:", b"\r\nWhen:"))


class DatelessClientFactory(ProxyClientFactory):
    """Makes these."""

    noisy = False
    protocol = DatelessClient


DAY = 86_400.0
HARM = 5.0  # seconds that a clock may cost, whoever sets it


class ClockCase(SynchronousTestCase):
    """A world where everybody's clock may be wrong."""

    def setUp(self) -> None:
        self.world = World(31)

    def person(self, name: str, error: float = 0.0, **settings: Any) -> Person:
        """Start a peer whose clock is wrong by so many seconds."""
        host = self.world.internet.host()
        host.clock_error = error
        return self.world.start_on(host, name, **settings)

    def troubles(self, person: Person, word: str) -> list[str]:
        """Return what a person was told that has this word."""
        reasons = [event.reason for event in person.events(events.Trouble)]
        return [reason for reason in reasons if word in reason]


class ApartTests(ClockCase):
    """Where the registry says what time it is."""

    @each((-50.0, 50.0), (-600.0, 600.0), (0.0, 80_000.0), (-3 * DAY, 5 * DAY), (-9e8, 9e8))
    def test_connected(self, left: float, right: float) -> None:
        """Whose clocks are minutes apart, or years, can talk, and each is told whose is wrong."""
        alice, bob = self.person("alice", left), self.person("bob", right)
        self.world.settle(alice, bob)
        self.world.connect(alice, bob)
        for person, error in ((alice, left), (bob, right)):
            self.assertEqual(len(self.troubles(person, "clock")), 1 if error else 0)
        alice.say("what time is it?", bob)
        self.world.internet.run(1)
        self.assertEqual(bob.texts(), ["what time is it?"])

    def test_set_before(self) -> None:
        """A clock that is set while the peer waits for its registry delays nothing."""
        host = self.world.internet.host()
        host.online = False
        bob = self.world.start_on(host, "bob")
        self.world.internet.run(20)
        host.online, host.clock_error = True, -DAY
        self.world.wait(lambda: bob.events(events.Registered), 15)


STEPS = (-3600.0, 3600.0, -10 * DAY, 10 * DAY)


class SetTests(ClockCase):
    """Alice and Bob are registered; then somebody's clock is set."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.bob = self.person("alice"), self.person("bob", accept=AcceptPolicy.ASK)
        self.world.settle(self.alice, self.bob)

    def hosts(self) -> tuple[Host, Host, Host]:
        """Return whose clocks may be set."""
        return self.alice.host, self.bob.host, self.world.host

    def call(self, host: Host | None = None, step: float = 0.0) -> None:
        """Let Alice call, and Bob accept; the host's clock is set while it rings."""
        self.world.result(self.alice.node.connect(self.bob.node.peer_id))
        self.world.wait(lambda: self.bob.events(events.OfferReceived), HARM)
        if host is not None:
            host.clock_error += step
        self.bob.node.accept(self.alice.node.peer_id)
        self.world.wait(lambda: self.alice.is_connected_to(self.bob), HARM)

    @each(*((place, step) for place in range(3) for step in STEPS))
    def test_idle(self, place: int, step: float) -> None:
        """The next call goes through at once."""
        self.world.internet.run(7)
        self.hosts()[place].clock_error = step
        self.call()

    @each(*((place, step) for place in range(3) for step in STEPS))
    def test_ringing(self, place: int, step: float) -> None:
        """So does the one that rings."""
        self.call(self.hosts()[place], step)

    @each(*((place, step) for place in range(3) for step in STEPS))
    def test_talking(self, place: int, step: float) -> None:
        """Conversations and leases go on, and lines arrive."""
        self.call()
        self.hosts()[place].clock_error = step
        self.world.internet.run(130)  # two leases
        self.alice.say("still there?", self.bob)
        self.world.wait(self.bob.texts, HARM)
        for person in (self.alice, self.bob):
            self.assertEqual(person.events(events.RegistryLost), [])
            self.assertEqual(person.events(events.PathLost), [])

    def test_again_and_again(self) -> None:
        """A clock that somebody sets to and fro harms nobody, either."""
        for step in STEPS * 3:
            for host in self.hosts():
                host.clock_error += step
            self.world.internet.run(1)
        self.call()


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
