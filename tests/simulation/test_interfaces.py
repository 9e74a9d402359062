"""Machines with dozens of interfaces, and interfaces that come and go."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.host_addresses import HostAddress, Outlook
from p2pchat.session.endpoint import IMPROVE_INTERVAL, SETTLING
from tests.simulation.behaviour import PORT_RESTRICTED_CONE
from tests.simulation.world import Person, World

MANY = 100
PROMPT = 0.1  # seconds until two in one network are connected
BRIDGE = HostAddress("172.17.0.1", "docker0", Outlook.INWARD)
NETWORK = HostAddress("192.168.77.1", "usb0")


class ManyTests(SynchronousTestCase):
    """Two in one home, whose interfaces come after a hundred others."""

    def connect(self, *outlooks: Outlook) -> list[str]:
        """Let them connect; returns the addresses that are checked."""
        world = World(3)
        home = world.nat(PORT_RESTRICTED_CONE)
        hosts = [world.internet.host(behind=home) for _ in range(2)]
        for number, host in enumerate(hosts):
            host.others = [
                HostAddress(f"172.{16 + number}.{n}.1", f"br-{n}", outlook)
                for outlook in outlooks
                for n in range(MANY)
            ]
        alice, bob = (world.start_on(*one) for one in zip(hosts, ("alice", "bob"), strict=True))
        world.settle(alice, bob)
        self.assertLess(world.connect(alice, bob), PROMPT)
        path = alice.events(events.PathFound)[-1]
        self.assertEqual((path.local, path.remote), ("host", "host"))
        (checking,) = alice.events(events.Checking)
        return list(checking.addresses)

    def test_bridges(self) -> None:
        """What leads to containers, or to nobody, isn't even told."""
        self.assertEqual(len(self.connect(Outlook.INWARD, Outlook.NOWHERE)), 2)

    def test_unknown(self) -> None:
        """Where the system doesn't tell what an interface is, its routes tell enough."""
        self.assertLess(len(self.connect(Outlook.OUT)), 12)


def conversation() -> tuple[World, Person, Person]:
    """Return a world in which Alice and Bob have been talking for a while."""
    world = World(4)
    alice, bob = world.couple(*(world.nat(PORT_RESTRICTED_CONE) for _ in range(2)))
    world.connect(alice, bob)
    world.internet.run(3 * SETTLING)
    return world, alice, bob


def churn(world: World, who: Person, seconds: float, period: float, *others: HostAddress) -> None:
    """Let these addresses come and go all the while."""
    for _ in range(int(seconds / period / 2)):
        who.host.others += others
        world.internet.run(period)
        who.host.others.clear()
        world.internet.run(period)


def news(*others: HostAddress) -> tuple[int, int, int]:
    """Return how many packets and events there are while these addresses come and go."""
    world, alice, bob = conversation()
    world.internet.trace = []
    told = len(alice.told), len(bob.told)
    churn(world, alice, 32, 0.5, *others)
    packets = len(world.internet.trace)
    return packets, len(alice.told) - told[0], len(bob.told) - told[1]


class LinkLocalTests(SynchronousTestCase):
    """Two on one cable, with the addresses that they gave themselves."""

    def test_link_local(self) -> None:
        """They connect at those."""
        world = World(5)
        hosts = [world.internet.host(address) for address in ("169.254.3.4", "169.254.5.6")]
        alice, bob = (world.start_on(*one) for one in zip(hosts, ("alice", "bob"), strict=True))
        world.settle(alice, bob)
        world.connect(alice, bob)
        self.assertTrue(alice.events(events.PathFound)[-1].address.startswith("169.254.5.6:"))


class ChurnTests(SynchronousTestCase):
    """Alice and Bob in conversation while interfaces come and go on her machine."""

    def setUp(self) -> None:
        self.world, self.alice, self.bob = conversation()

    def test_containers(self) -> None:
        """A bridge that comes and goes costs not one packet, and nothing is told."""
        self.assertEqual(news(BRIDGE), news())

    def offers(self) -> int:
        """Return how many offers Alice has made."""
        return len(self.alice.events(events.Calling))

    def test_another_network(self) -> None:
        """An address that others may reach is offered once it stays; nothing is told as lost."""
        offers = self.offers()
        self.alice.host.others.append(NETWORK)
        self.world.internet.run(SETTLING - 1)
        self.assertEqual(self.offers(), offers)
        self.world.internet.run(4)
        self.assertEqual(self.offers(), offers + 1)
        told = self.bob.events(events.Checking)[-1].addresses
        self.assertTrue(any(one.startswith(NETWORK.host) for one in told))
        self.world.internet.run(3 * IMPROVE_INTERVAL)
        self.assertEqual(self.offers(), offers + 1)
        self.assert_unbroken()

    def test_another_network_flaps(self) -> None:
        """However often one comes and goes, it is offered rarely."""
        offers = self.offers()
        churn(self.world, self.alice, 3 * IMPROVE_INTERVAL, 0.7, NETWORK)
        self.assertLessEqual(self.offers() - offers, 4)
        self.assert_unbroken()

    def assert_unbroken(self) -> None:
        """Nothing was lost meanwhile, neither path nor registry."""
        for one in (self.alice, self.bob):
            self.assertFalse(one.events(events.PathLost))
            self.assertFalse(one.events(events.RegistryLost))
            self.assertEqual(len(one.events(events.Connected)), 1)
