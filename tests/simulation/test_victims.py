"""Peers who are told to send somewhere: what an offer or a registry that lies makes them send."""

from __future__ import annotations

from random import Random

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.identity.exchange import Exchange
from p2pchat.identity.keys import Identity
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.registry.relay_credentials import RelayCredentials
from p2pchat.traversal.nat import Mapping
from p2pchat.traversal.send_budget import RATE, STRANGERS, AmplificationLimit
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    Candidate,
    Candidates,
    CandidateType,
    Description,
    NatWords,
    Offer,
    PeerDocument,
    Registration,
)
from tests.identity.people import sealing_key
from tests.simulation.behaviour import PORT_RESTRICTED_CONE
from tests.simulation.world import SECRET, Person, World, runtime_on
from tests.traversal.attempt_ends import MAX_PACKET

FORBIDDEN = (
    *("127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.251"),
    *("239.255.255.250", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fec0::1"),
    *("ff02::1", "::ffff:127.0.0.1", "::ffff:224.0.0.1", "::ffff:169.254.169.254"),
    *("::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::e000:fb"),
    *("64:ff9b:1::7f00:1", "2002:7f00:1::1", "2002:e000:fb::1", "2002:a9fe:a9fe::1"),
)

MOST = AmplificationLimit().room("192.0.2.1", STRANGERS, 0.0)  # packets to one host at once


class Attacker:
    """Somebody with a key, who signs what they like and reads nothing."""

    def __init__(self, world: World, number: int = 0) -> None:
        self.world = world
        self.random = Random(number)
        identity = Identity.from_seed(self.random.randbytes(32))
        runtime = runtime_on(world.internet.host(), self.random)
        self.client = RegistryClient(world.url, identity, runtime)
        keys = (sealing_key(identity).record_key,)
        world.result(self.client.register(Registration(f"attacker{number}", keys=keys)))
        world.result(self.client.subscribe(lambda _event: None, lambda _reason: None))

    def offer(self, to: Person, addresses: list[Address], **words: str) -> str:
        """Sign and deliver an offer with these candidates; returns its session."""
        session = self.random.randbytes(8).hex()
        key = Exchange.from_seed(self.random.randbytes(32)).public_key
        told = tuple(Candidate(CandidateType.SERVER_REFLEXIVE, one) for one in addresses)
        described = Description("mallory", key, "ufrag", told, nat=NatWords(**words))
        self.deliver(to, Offer(session, described))
        return session

    def deliver(self, to: Person, body: PeerDocument) -> None:
        """Have the registry deliver a document, if it will."""
        key = to.profile.sealing_key.record_key
        self.client.deliver(to.node.peer_id, body, key).addErrback(lambda _refused: None)


class VictimCase(SynchronousTestCase):
    """Bob, who accepts everybody, and a host that never asked for anything."""

    def setUp(self) -> None:
        self.world = World(21)
        self.bob = self.world.person("bob", self.world.nat(PORT_RESTRICTED_CONE))
        self.world.wait(lambda: self.bob.events(events.Registered), awaited="the registration")
        self.victim = self.world.internet.host()
        self.world.internet.run(1)
        self.world.internet.trace = []
        self.started = self.world.internet.clock.seconds()

    def sizes(self, *hosts: str) -> list[int]:
        """Return the sizes of all datagrams to these hosts."""
        trace = self.world.internet.trace or []
        return [size for _, _, destination, size, _ in trace if destination[0] in hosts]

    def assert_bounded(self, least: int) -> None:
        """The victim got no more than the allowance; at least so many, so that there was danger."""
        elapsed = self.world.internet.clock.seconds() - self.started
        sizes = self.sizes(self.victim.address)
        self.assertGreaterEqual(len(sizes), least)
        self.assertLessEqual(len(sizes), MOST + RATE * elapsed)
        self.assertLessEqual(max(sizes), MAX_PACKET)


class ForbiddenTests(VictimCase):
    """Addresses that nobody may make us send to."""

    def test_offer(self) -> None:
        """An offer lists them, and candidates that follow: nothing goes there, checks go on."""
        attacker = Attacker(self.world)
        addresses = [(host, 4242) for host in FORBIDDEN]
        session = attacker.offer(self.bob, [*addresses, (self.victim.address, 4242)])
        self.world.internet.run(0.2)
        told = tuple(Candidate(CandidateType.HOST, (host, 4243)) for host in FORBIDDEN)
        attacker.deliver(self.bob, Candidates(session, told, True))
        self.world.internet.run(10)
        self.assertTrue(self.sizes(self.victim.address), "the offer was accepted")
        self.assertEqual(self.sizes(*FORBIDDEN), [])

    def test_servers(self) -> None:
        """A registry names them as STUN and TURN servers: nothing goes there."""
        literals = [host for host in FORBIDDEN if ":" not in host]
        for forbidden in literals:
            lie(self.world, forbidden)
            self.world.internet.run(20)
        self.assertGreater(len(self.bob.events(events.RegistryLost)), 1)
        self.assertEqual(self.sizes(*literals), [])

    def test_near(self) -> None:
        """By name, over TCP, it points at what is near us: nothing goes there either."""
        near = self.world.internet.host("192.168.7.7")
        reached: list[IAddress] = []
        factory = Noting(reached)
        for port in (5432, 6379):
            near.reactor.listenTCP(port, factory)
            self.bob.host.reactor.listenTCP(port, factory)
        self.world.internet.dns.update({"db.test": near.address, "here.test": "127.0.0.1"})
        self.world.internet.dns6["six.test"] = "::ffff:192.168.7.7"
        names = (near.address, "db.test", "here.test", "six.test", "localhost")
        urls = [f"turn:{name}:5432?transport=tcp" for name in names]
        carol = self.world.start_on(self.bob.host, "carol", relay_only=True)
        lie(self.world, near.address, *urls, f"turn:{near.address}:6379", "turn:db.test:6379")
        self.world.internet.run(20)
        carol.node.connect(self.bob.node.peer_id).addErrback(lambda _failure: None)
        self.world.internet.run(60)
        self.assertTrue(carol.events(events.CallFailed))
        self.assertEqual((reached, self.sizes(near.address)), ([], []))


class Noting(Factory):
    """Notes who connects."""

    noisy = False

    def __init__(self, reached: list[IAddress]) -> None:
        self._reached = reached

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """See `IProtocolFactory`."""
        self._reached += [addr] if addr is not None else []
        return Protocol()


class BoundTests(VictimCase):
    """One address that everybody points at."""

    def test_one_contact(self) -> None:
        """Offers again and again, as full as can be, with a NAT that asks to be probed."""
        attacker = Attacker(self.world)
        for number in range(300):
            ports = range(1024 + number, 1024 + number + MAX_CANDIDATES)
            addresses = [(self.victim.address, port) for port in ports]
            attacker.offer(self.bob, addresses, mapping=Mapping.DEPENDENT.value)
            self.world.internet.run(0.2)
        self.assert_bounded(MOST)

    def test_many_contacts(self) -> None:
        """So from many peers at once: the allowance is the address's, not the offer's."""
        attackers = [Attacker(self.world, number) for number in range(10)]
        for _ in range(5):
            for attacker in attackers:
                addresses = [(self.victim.address, 5000 + n) for n in range(MAX_CANDIDATES)]
                attacker.offer(self.bob, addresses)
            self.world.internet.run(6)
        self.assert_bounded(MOST)

    def test_others_are_served(self) -> None:
        """Meanwhile, whoever is called with good intent is reached as ever."""
        attacker = Attacker(self.world)
        for number in range(20):
            addresses = [(self.victim.address, 5000 + n) for n in range(MAX_CANDIDATES)]
            attacker.offer(self.bob, addresses, mapping=Mapping.DEPENDENT.value)
            self.world.internet.run(0.2 + number * 0.01)
        alice = self.world.person("alice", self.world.nat(PORT_RESTRICTED_CONE))
        self.world.wait(lambda: alice.events(events.Registered), awaited="the registration")
        self.assertLess(self.world.connect(alice, self.bob), 3.0)

    def test_lying_registry(self) -> None:
        """It names the victim as every server it has, and forgets everybody again and again."""
        hidden = self.world.person("carol", relay_only=True)
        for _ in range(20):
            lie(self.world, self.victim.address)
            self.world.internet.run(5)
            hidden.node.connect(self.bob.node.peer_id).addErrback(lambda _failure: None)
            self.world.internet.run(5)
        self.assert_bounded(100)


def lie(world: World, server: str, *relays: str) -> None:
    """Start the registry anew; it says that its servers are there, and its relays, if told so."""
    world.second_address = server
    urls = relays or tuple(f"turn:{server}:{4000 + number}" for number in range(8))
    world.relays = RelayCredentials(urls, 86400, SECRET, bytes(16))
    world.host.kill()
    world.host.boot()
    world.boot_registry()
