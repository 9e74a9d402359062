"""
Whole peers and a whole registry in the simulated internet.

The programs are the real ones, from the Klein routes to QUIC; only sockets, time and
randomness are simulated.  A :class:`Person` is a node and the list of what it told its user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred

from p2pchat import events
from p2pchat.host_addresses import HostAddress
from p2pchat.interfaces import IMessageStore
from p2pchat.peer.node import Node
from p2pchat.peer.profile import Profile, load_profile
from p2pchat.peer.registry_signaling import RegistrySignaling
from p2pchat.peer.settings import NodeSettings
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.http.resource import RegistryResource
from p2pchat.registry.registry import MailboxMaker, Registry, Settings
from p2pchat.registry.relay_credentials import RelayCredentials
from p2pchat.registry.stun.binding_server import BindingServer
from p2pchat.registry.stun.service import StunService
from p2pchat.runtime import Runtime
from p2pchat.session.approval import AcceptPolicy
from p2pchat.wire.addresses import ANY_IPV6
from p2pchat.wire.origins import origin
from tests.simulation.behaviour import NatKind
from tests.simulation.host import Host
from tests.simulation.internet import Internet
from tests.simulation.link import Link
from tests.simulation.nat import Nat
from tests.simulation.turn_server import TurnServer

EPOCH = 1_800_000_000.0  # wall time when a world's clock stands at 0
REGISTRY = ("203.0.113.1", "203.0.113.2")
RELAY = "203.0.113.3"
REGISTRY6, RELAY6 = "2001:db8::1", "2001:db8::3"
NAMES = ("registry.test", "relay.test")  # in a world with IPv6
GATHERING = 0.5  # seconds that people have been there before they call somebody
SECRET = b"shared by registry and relay"
HTTP_PORT = 8000
STUN_PORT = 3478

_Event = TypeVar("_Event")


def runtime_on(host: Host, random: Random) -> Runtime:
    """Return what a program on this simulated host gets from its surroundings."""
    reactor = host.reactor
    return Runtime(
        reactor=reactor,
        clock=reactor,
        wall_time=lambda: EPOCH + reactor.seconds() + host.clock_error,
        random_bytes=random.randbytes,
        interface_addresses=lambda: [
            *host.others,
            *(HostAddress(one) for one in (*host.addresses, "127.0.0.1", *host.ipv6)),
        ],
        source_address=lambda destination: host.source(destination) or "",
    )


def make_node(
    runtime: Runtime,
    settings: NodeSettings,
    profile: Profile,
    store: IMessageStore | None = None,
    further: Sequence[str] = (),
) -> Node:
    """
    Return a node whose peers are found at a registry, and that isn't started.

    :param further: URLs of other registries where it is to be, too.
    """
    urls = (settings.server, *further)
    ways = [RegistrySignaling(one, profile.identity, runtime) for one in urls]
    return Node(
        *(runtime, settings, profile, ways, store),
        another=lambda url, nearest: RegistrySignaling(url, profile.identity, runtime, nearest),
    )


@attrs.define(eq=False)
class Person:
    """Somebody with a peer, and all that the peer told them."""

    name: str
    host: Host
    node: Node
    profile: Profile
    told: list[events.NodeEvent] = attrs.Factory(list)

    def events(self, kind: type[_Event]) -> list[_Event]:
        """Return what was told of this kind, in order."""
        return [event for event in self.told if isinstance(event, kind)]

    def texts(self) -> list[str]:
        """Return the lines that were shown."""
        return [event.text for event in self.events(events.MessageReceived)]

    def is_connected_to(self, other: Person) -> bool:
        """Tell whether a conversation with somebody is open."""
        return any(
            one.peer_id == other.node.peer_id and one.state == "open"
            for one in self.node.conversations()
        )

    def say(self, text: str, to: Person) -> str:
        """Send a line."""
        return self.node.send(to.node.peer_id, text)


class World:
    """A registry with two STUN addresses, and people who come to it."""

    def __init__(
        self, seed: int, link: Link | None = None, relay: bool = False, ipv6: bool = False
    ) -> None:
        """
        Make a world.

        :param relay: whether the registry has a relay to offer, over UDP and TCP.
        :param ipv6: whether registry and relay have IPv6 addresses too; they then go by names.
        """
        self.internet = Internet(seed, link=link)
        self.random = Random(seed)
        self.host = self.internet.host(REGISTRY[0], also=REGISTRY[1:])
        self.ipv6 = ipv6
        if ipv6:
            self._name(self.host, NAMES[0], REGISTRY6)
        self.registry: Registry
        self.relay: TurnServer | None = None
        self.relays: RelayCredentials | None = None
        if relay:
            self.start_relay()
        self.second_address = REGISTRY[1]  # what peers are told of
        self.mailboxes: MailboxMaker | None = None  # of a registry that is booted from now on
        self.names: tuple[str, ...] = ()  # URLs that the registry knows for its own, if given
        self.boot_registry()

    def start_relay(self) -> None:
        """Start a relay on a host of its own."""
        host = self.internet.host(RELAY)
        if self.ipv6:
            self._name(host, NAMES[1], RELAY6)
        self.relay = TurnServer.on(host, SECRET, lambda: EPOCH + self.internet.clock.seconds())
        name = NAMES[1] if self.ipv6 else RELAY
        urls = (f"turn:{name}", f"turn:{name}?transport=tcp")
        self.relays = RelayCredentials(urls, 86400, SECRET, bytes(16))

    def _name(self, host: Host, name: str, ipv6: str) -> None:
        host.give_ipv6(ipv6)
        self.internet.dns[name], self.internet.dns6[name] = host.addresses[0], ipv6

    @property
    def url(self) -> str:
        """The registry's URL."""
        return f"http://{NAMES[0] if self.ipv6 else REGISTRY[0]}:{HTTP_PORT}"

    def boot_registry(self) -> None:
        """Start a registry that knows nobody; after :meth:`Host.kill`, on a booted host."""
        runtime = runtime_on(self.host, self.random)
        urls = (self.url, f"http://[{REGISTRY6}]:{HTTP_PORT}")
        settings = Settings(
            audiences=Audiences(tuple(map(origin, self.names or (urls if self.ipv6 else ())))),
            stun_port=STUN_PORT,
            second_address=self.second_address,
            relays=self.relays,
        )
        self.registry = Registry(runtime, settings, make_mailboxes=self.mailboxes)
        site = RegistryResource(self.registry).site()
        runtime.reactor.listenTCP(HTTP_PORT, site)
        count = self.registry.metrics.datagram
        StunService(runtime, BindingServer(REGISTRY, STUN_PORT), count).privilegedStartService()
        if self.ipv6:
            runtime.reactor.listenTCP(HTTP_PORT, site, interface=ANY_IPV6)
            server = BindingServer((ANY_IPV6,), STUN_PORT)
            StunService(runtime, server, count).privilegedStartService()
        self.registry.start()

    @property
    def registered(self) -> int:
        """How many records the registry has."""
        return int(self.result(self.registry.store.count()))

    def nat(self, kind: NatKind | None, **options: Any) -> Nat | None:
        """Return a new NAT of this kind, or none for a public host."""
        return None if kind is None else self.internet.nat(kind=kind, **options)

    def person(
        self, name: str, nat: Nat | None = None, profile: Profile | None = None, **settings: Any
    ) -> Person:
        """Start a peer; by default it accepts everybody."""
        return self.start_on(self.internet.host(behind=nat), name, profile, **settings)

    def start_on(
        self,
        host: Host,
        name: str,
        profile: Profile | None = None,
        *,
        store: IMessageStore | None = None,
        further: Sequence[str] = (),
        **settings: Any,
    ) -> Person:
        """Start a peer on a host, as after a reboot."""
        runtime = runtime_on(host, Random(self.random.random()))
        profile = profile or load_profile(None, runtime.random_bytes)
        settings = {"accept": AcceptPolicy.ALL, "server": self.url, **settings}
        node = make_node(runtime, NodeSettings(name, **settings), profile, store, further)
        person = Person(name, host, node, profile)
        node.listen(person.told.append)
        node.start()
        return person

    def couple(
        self, left: Nat | None = None, right: Nat | None = None, **settings: Any
    ) -> tuple[Person, Person]:
        """Start Alice and Bob, and wait until the registry has them."""
        people = self.person("alice", left, **settings), self.person("bob", right, **settings)
        self.settle(*people)
        return people

    def settle(self, *people: Person) -> None:
        """Wait until the registry has them, and they have looked around."""
        self.wait(
            lambda: all(one.events(events.Registered) for one in people), awaited="registrations"
        )
        self.internet.run(GATHERING)

    def wait(
        self, happened: Callable[[], object], within: float = 60.0, awaited: str = ""
    ) -> float:
        """Let virtual time pass until something has happened; returns the seconds."""
        return self.internet.run_until(happened, within, awaited)

    def result(self, deferred: Deferred[Any], within: float = 60.0) -> Any:
        """Let virtual time pass until a Deferred has fired; returns its result or raises."""
        outcome: list[Any] = []
        deferred.addBoth(outcome.append)
        self.wait(lambda: bool(outcome), within, "a result")
        if hasattr(outcome[0], "raiseException"):
            outcome[0].raiseException()
        return outcome[0]

    def connect(self, caller: Person, called: Person, within: float = 30.0) -> float:
        """Let one call the other and wait until both are connected; returns the seconds."""
        start = self.internet.clock.seconds()
        self.result(caller.node.connect(called.node.peer_id))
        self.wait(
            lambda: caller.is_connected_to(called) and called.is_connected_to(caller),
            within,
            f"{caller.name} and {called.name} connected",
        )
        return self.internet.clock.seconds() - start
