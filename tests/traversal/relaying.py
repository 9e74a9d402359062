"""The relays of one peer, or its whole agent, on a simulated host with real streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.datagrams import PeerSockets
from p2pchat.peer.driver import Driver
from p2pchat.peer.relay_stream import RelayStream
from p2pchat.runtime import Runtime
from p2pchat.traversal.agent import Agent, AgentEvent
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.punching import Punching
from p2pchat.traversal.relays import NOWHERE, Relays, StreamChange
from p2pchat.traversal.routes import CHAT_SOCKET, STREAMS, Datagram, Route
from p2pchat.wire.addresses import Address, Family
from p2pchat.wire.documents import Candidate
from p2pchat.wire.servers import parse_turn_url
from tests.simulation.host import Host
from tests.simulation.internet import Internet
from tests.simulation.link import Link
from tests.simulation.recorder import Recorder
from tests.simulation.turn_server import TurnServer, rest_credentials
from tests.simulation.world import EPOCH, runtime_on
from tests.traversal.outboxes import take

SECRET = b"shared with the relay"
FIRST, SECOND = "203.0.113.7", "203.0.113.8"
LATENCY = 0.01  # seconds
KEY = b"k" * 32

_Event = TypeVar("_Event")


class _Socket(DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self._received(datagram, (addr[0], addr[1]))


@attrs.define(eq=False)
class RelaysEnd:
    """
    The relays of one peer, its chat socket, and the streams that they want.

    :ivar relays: the machine.
    :ivar received: relayed datagrams, with their routes.
    :ivar others: what came to the chat socket from somebody else.
    :ivar changes: streams opened and closed, with the time.
    """

    runtime: Runtime
    relays: Relays
    received: list[tuple[bytes, Route]] = attrs.Factory(list)
    others: list[bytes] = attrs.Factory(list)
    changes: list[tuple[float, StreamChange]] = attrs.Factory(list)
    streams: dict[str, RelayStream] = attrs.Factory(dict)
    _socket: _Socket = attrs.field(init=False)
    _timer: IDelayedCall | None = None

    def __attrs_post_init__(self) -> None:
        self._socket = _Socket(lambda data, source: self._take(CHAT_SOCKET, data, source))
        self.runtime.reactor.listenUDP(0, self._socket, maxPacketSize=65535)

    @property
    def now(self) -> float:
        """The time on this host."""
        return self.runtime.clock.seconds()

    def do(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of the relays, and do what follows from it."""
        result = action(*arguments)
        self.step()
        return result

    def want(self, blocked: bool = False) -> None:
        """Ask for an allocation."""
        self.do(self.relays.want, self.now, blocked, frozenset(Family))

    def release(self) -> None:
        """Let it go."""
        self.do(self.relays.release, self.now)

    def say(self, data: bytes, peer: Address) -> None:
        """Send a datagram from the one relay base."""
        (base,) = self.relays.bases
        self.do(self.relays.send, Datagram(data, peer, base=base), self.now)

    def _take(self, carrier: str, data: bytes, source: Address) -> None:
        got = self.relays.receive(carrier, data, source, self.now)
        if got is None:
            self.others.append(data)
        else:
            self.received += got
        self.step()

    def step(self) -> None:
        """Send what waits, open and close streams, and arm the timer."""
        for datagram in take(self.relays, Datagram):
            self._send(datagram)
        for change in take(self.relays, StreamChange):
            self.changes.append((self.now, change))
            self._change(change)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        wanted = self.relays.get_timer()
        if wanted is not None:
            delay = max(0.0001, wanted - self.now)
            self._timer = self.runtime.clock.callLater(delay, self._due, wanted)

    def _due(self, wanted: float) -> None:
        self._timer = None
        self.relays.handle_timer(max(wanted, self.now))
        self.step()

    def _send(self, datagram: Datagram) -> None:
        if datagram.base.startswith(STREAMS):
            if datagram.base in self.streams:
                self.streams[datagram.base].write(datagram.data)
        else:
            assert self._socket.transport is not None
            self._socket.transport.write(datagram.data, datagram.destination)

    def _change(self, change: StreamChange) -> None:
        base = change.base
        if change.server is None or change.address is None:
            self.streams.pop(base).close()
            return
        self.streams[base] = RelayStream(
            self.runtime,
            change.server,
            change.address,
            lambda frame: self._take(base, frame, NOWHERE),
            lambda: self.do(self.relays.stream_connected, base, self.now),
            lambda reason: self.do(self.relays.stream_lost, base, reason, self.now),
        )


@attrs.define(eq=False)
class AgentEnd:
    """
    A whole agent with its sockets and streams.

    :ivar told: its events, with the time.
    """

    runtime: Runtime
    agent: Agent
    told: list[tuple[float, AgentEvent]] = attrs.Factory(list)
    sockets: PeerSockets = attrs.field(init=False)
    driver: Driver[AgentEvent] = attrs.field(init=False)
    streams: dict[str, RelayStream] = attrs.Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.sockets = PeerSockets(self.runtime.reactor, self._take)
        self.sockets.bind(0)
        self.driver = Driver(self.agent, self.runtime.clock, self._send, self._note)
        port = self.sockets.ports[Family.IPV4]
        hosts = [(host, port) for host in self.runtime.host_addresses()]
        self.agent.gathering.set_host_addresses(hosts, self.now)

    @property
    def now(self) -> float:
        """The time on this host."""
        return self.runtime.clock.seconds()

    @property
    def address(self) -> Address:
        """The first host address."""
        return self.agent.gathering.host_addresses[0]

    def punch(self, ours: str, theirs: str, low_ttl: bool, *remote: Candidate) -> Punching:
        """Begin an attempt with somebody who is said to be there."""
        credentials = CheckCredentials(ours, theirs, KEY)
        attempt = self.agent.punch(credentials, remote, NatTraits(), self.now, low_ttl)
        self.driver.step()
        return attempt

    def events(self, kind: type[_Event]) -> list[_Event]:
        """Return the events of one kind."""
        return [event for _, event in self.told if isinstance(event, kind)]

    def _take(self, base: str, datagrams: list[bytes], source: Address) -> None:
        self.agent.receive_batch(base, datagrams, source, self.now)
        self.driver.step()

    def _send(self, datagrams: Sequence[Datagram]) -> None:
        for datagram in datagrams:
            if datagram.base in self.streams:
                self.streams[datagram.base].write(datagram.data)
            else:
                self.sockets.send([datagram])

    def _note(self, event: AgentEvent) -> None:
        self.told.append((self.now, event))


def configured(relays: Relays, *urls: str, wall: float) -> Relays:
    """Let relays know these servers, by their literal addresses."""
    servers = [(server, (server.host, server.port)) for server in map(parse_turn_url, urls)]
    relays.configure(servers, rest_credentials(SECRET, wall + 86_400))
    return relays


class RelaysCase(SynchronousTestCase):
    """Two relays, each over UDP and TCP, and a peer on the simulated internet."""

    def setUp(self) -> None:
        self.internet = Internet(7, link=Link(latency=LATENCY))
        self.first = self.relay(FIRST)
        self.second = self.relay(SECOND)
        self.peer = Recorder.on(self.internet.host("203.0.113.50"))

    def relay(self, address: str) -> TurnServer:
        """Start a relay."""
        return TurnServer.on(self.internet.host(address), SECRET, self.wall_time)

    def wall_time(self) -> float:
        """Return seconds since 1970."""
        return EPOCH + self.internet.clock.seconds()

    def end(self, *urls: str, host: Host | None = None) -> RelaysEnd:
        """Start a peer who knows these relays."""
        runtime = runtime_on(host or self.internet.host(), Random(7))
        relays = configured(Relays(runtime.random_bytes), *urls, wall=self.wall_time())
        return RelaysEnd(runtime, relays)

    def allocated(self, end: RelaysEnd, within: float = 20.0) -> float:
        """Wait until there is a relay base; returns the seconds."""
        return self.internet.run_until(lambda: end.relays.bases, within, "an allocation")

    def agent(self, *urls: str, relay_only: bool = False, host: Host | None = None) -> AgentEnd:
        """Start an agent that knows these relays."""
        runtime = runtime_on(host or self.internet.host(), Random(len(self.internet.hosts)))
        relays = configured(Relays(runtime.random_bytes), *urls, wall=self.wall_time())
        gathering = DualGathering((), runtime.random_bytes)
        return AgentEnd(runtime, Agent(gathering, relays, relay_only, runtime.random_bytes))

    @property
    def peer_address(self) -> Address:
        """Where the peer is."""
        return ("203.0.113.50", self.peer.port)
