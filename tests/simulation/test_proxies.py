"""Whole peers whose connections over TCP go through a proxy, which alone resolves names."""

from __future__ import annotations

from random import Random

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.peer.profile import load_profile
from p2pchat.peer.proxy import choose_proxies
from p2pchat.peer.settings import NodeSettings
from p2pchat.session.approval import AcceptPolicy
from tests.cases import each
from tests.peer.proxies import HttpProxy, ProxyProtocol, ProxyServer, SocksProxy
from tests.simulation.host import Host
from tests.simulation.link import Link
from tests.simulation.resolver import HostnameResolver
from tests.simulation.world import NAMES, Person, World, make_node, runtime_on

PROXY, PORT = "198.51.100.9", 3128
URLS = {HttpProxy: f"http://{PROXY}:{PORT}", SocksProxy: f"socks5://{PROXY}:{PORT}"}


class ProxyTests(SynchronousTestCase):
    """A network that has a proxy, and no names."""

    def setUp(self) -> None:
        self.world = World(7, Link(latency=0.02), relay=True, ipv6=True)
        self.world.internet.dns6.clear()
        self.proxies: dict[str, ProxyServer] = {}

    def proxy(self, kind: type[ProxyProtocol], secret: str = "") -> ProxyServer:
        """Start the proxy."""
        host = self.world.internet.host(PROXY)
        server = ProxyServer(host.reactor, kind, secret)
        host.reactor.listenTCP(PORT, server)
        return server

    def host(self, udp: bool = True) -> Host:
        """Return a host behind a NAT whose name servers know no name."""
        nat = self.world.internet.nat(udp=udp)
        host = self.world.internet.host(behind=nat)
        host.reactor.installNameResolver(HostnameResolver(lambda _name: [], host.reactor))
        return host

    def start(
        self, host: Host, name: str, environment: dict[str, str], option: str | None = None
    ) -> Person:
        """Start somebody with this environment."""
        runtime = attrs.evolve(
            runtime_on(host, Random(3)), proxy_for=choose_proxies(environment, option)
        )
        profile = load_profile(None, runtime.random_bytes)
        settings = NodeSettings(name, self.world.url, accept=AcceptPolicy.ALL)
        node = make_node(runtime, settings, profile)
        person = Person(name, host, node, profile)
        node.listen(person.told.append)
        node.start()
        return person

    def registered(self, person: Person) -> None:
        """Await the registration."""
        self.world.wait(lambda: person.events(events.Registered), 10, "registered")
        self.world.internet.run(2.0)

    def lost(self, person: Person) -> str:
        """Return why the registry can't be reached."""
        self.world.wait(lambda: person.events(events.RegistryLost), 10, "a reason")
        return person.events(events.RegistryLost)[-1].reason

    @each(HttpProxy, SocksProxy)
    def test_registry_and_relay(self, kind: type[ProxyProtocol]) -> None:
        """Registry and relay are asked for by name, and a call without UDP goes over the relay."""
        proxy = self.proxy(kind)
        alice = self.start(self.host(udp=False), "alice", {"ALL_PROXY": URLS[kind]})
        bob = self.world.start_on(self.world.internet.host(behind=self.world.nat(None)), "bob")
        self.registered(alice)
        self.world.connect(alice, bob)
        alice.say("out of the office", bob)
        bob.say("and back", alice)
        self.world.wait(lambda: alice.texts() and bob.texts(), 10, "lines")
        self.assertEqual({host for host, _ in proxy.asked}, set(NAMES))

    @each((HttpProxy, True), (SocksProxy, True), (HttpProxy, False), (SocksProxy, False))
    def test_secret(self, kind: type[ProxyProtocol], is_right: bool) -> None:
        """A proxy that wants a name and password gets them; wrong ones are told."""
        proxy = self.proxy(kind, "alice:pass word")
        proxy.is_whole = False
        scheme, _, rest = URLS[kind].partition("://")
        word = "pass%20word" if is_right else "guess"
        person = self.start(self.host(), "alice", {"http_proxy": f"{scheme}://alice:{word}@{rest}"})
        if is_right:
            self.registered(person)
        else:
            self.assertIn(URLS[kind], self.lost(person))
            self.assertIn("password", self.lost(person))
            self.assertNotIn("guess", self.lost(person))

    @each(HttpProxy, SocksProxy)
    def test_forbidden(self, kind: type[ProxyProtocol]) -> None:
        """A proxy that lets nobody through is named, with what it says."""
        self.proxy(kind).forbids = True
        person = self.start(self.host(), "alice", {}, option=URLS[kind])
        said = "403 Filtered" if kind is HttpProxy else "not allowed by ruleset"
        self.assertIn(said, self.lost(person))
        self.assertIn(f"{NAMES[0]}, port 8000", self.lost(person))

    def test_away(self) -> None:
        """A proxy that isn't there is named, and how to go without."""
        self.world.internet.host(PROXY)
        person = self.start(self.host(), "alice", {"HTTP_PROXY": URLS[HttpProxy]})
        self.assertIn(f"{URLS[HttpProxy]} can't be reached: nothing listens", self.lost(person))
        self.assertIn("--proxy none", self.lost(person))

    @each(HttpProxy, SocksProxy)
    def test_other_protocol(self, kind: type[ProxyProtocol]) -> None:
        """What speaks another protocol than the proxy should is told of."""
        self.proxy(kind)
        other = SocksProxy if kind is HttpProxy else HttpProxy
        person = self.start(self.host(), "alice", {"ALL_PROXY": URLS[other]})
        self.assertIn(URLS[other], self.lost(person))
