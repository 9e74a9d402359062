"""
The traversal agent on real sockets: UDP, the streams to relays, and this machine's addresses.

Owns every base that :mod:`p2pchat.traversal.datagrams` names, and the agent's driver.  Events of
the agent that concern nobody here are handed on to the node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater

from p2pchat.peer.datagrams import PeerSockets
from p2pchat.peer.driver import Driver
from p2pchat.peer.relay_stream import RelayStream
from p2pchat.runtime import Runtime
from p2pchat.traversal.agent import Agent, AgentEvent, SocketsReleased
from p2pchat.traversal.datagrams import RELAYS, STREAMS, Datagram
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.relays import NOWHERE, Relays, StreamChange
from p2pchat.wire.addresses import Address, family

LINGER = 1.0  # seconds that relays have to confirm what is given back; most round trips take less
LOOK_AGAIN = 0.02  # seconds between looks at whether they have


@attrs.define(eq=False)
class AgentAdapter:
    """
    One agent and its bases.

    :ivar agent: the machine.
    :ivar is_local: whether the registry is on this machine, and so may the peers be.
    :ivar react: takes the agent's events, but for those that change sockets and streams.
    """

    _runtime: Runtime
    relay_only: bool
    is_local: bool
    react: Callable[[AgentEvent], None]
    agent: Agent = attrs.field(init=False)
    _sockets: PeerSockets = attrs.field(init=False)
    _driver: Driver = attrs.field(init=False)
    _streams: dict[str, RelayStream] = attrs.Factory(dict)
    _closing: bool = False

    def __attrs_post_init__(self) -> None:
        random_bytes = self._runtime.random_bytes
        gathering = DualGathering((), random_bytes, self.is_local)
        self.agent = Agent(gathering, Relays(random_bytes), self.relay_only, random_bytes)
        self._sockets = PeerSockets(self._runtime.reactor, self._received)
        self._driver = Driver(self.agent, self._runtime.clock, self.send, self._said)

    @property
    def is_bound(self) -> bool:
        """Whether the chat socket is there."""
        return bool(self._sockets.ports)

    def bind(self, port: int) -> None:
        """
        Bind the chat socket.

        :raises CannotListenError: the port is taken.
        """
        self._sockets.bind(port)
        self.read_interfaces()

    def read_interfaces(self) -> bool:
        """Take this machine's addresses; tells whether they changed."""
        ports, now = self._sockets.ports, self._runtime.clock.seconds()
        hosts = self._runtime.host_addresses()
        found = [(host, ports[family(host)]) for host in hosts if family(host) in ports]
        return self.agent.gathering.set_host_addresses(found, now)

    def refresh(self) -> None:
        """The network may have changed: ask STUN service and relays how they see us."""
        now = self._runtime.clock.seconds()
        self.agent.gathering.refresh(now)
        self.agent.relays.refresh(now)
        self.step()

    def step(self) -> None:
        """Let the agent's output out."""
        self._driver.step()

    def send(self, datagram: Datagram) -> None:
        """Send a datagram of the agent or of a link from the base that it names."""
        if datagram.base.startswith(RELAYS):
            self.agent.send_relayed(datagram, self._runtime.clock.seconds())
            self.step()
        elif datagram.base in self._streams:
            self._streams[datagram.base].write(datagram.data)
        elif not datagram.base.startswith(STREAMS):
            self._sockets.send(datagram)

    def close(self) -> Deferred[None]:
        """
        Give relays back, and close everything.

        An allocation that a relay makes in this very moment can be given back only when its
        answer comes; LINGER bounds the wait for a relay that is gone.
        """
        clock = self._runtime.clock
        self._closing = True
        self.agent.relays.release(clock.seconds())
        self.step()
        closed: Deferred[None] = self._close(clock.seconds() + LINGER)
        return closed

    @inlineCallbacks
    def _close(self, latest: float) -> Any:
        clock = self._runtime.clock
        while self.agent.relays.owes_any and clock.seconds() < latest:
            yield deferLater(clock, LOOK_AGAIN)
        self._driver.stop()
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
        yield self._sockets.close()

    def _received(self, base: str, data: bytes, address: Address) -> None:
        self.agent.receive_on(base, data, address, self._runtime.clock.seconds())
        self.step()

    def _said(self, event: AgentEvent) -> None:
        match event:
            case SocketsReleased(ufrag, kept):
                self._sockets.release(ufrag, kept)
            case StreamChange():
                self._change_stream(event)
            case _ if not self._closing:
                self.react(event)

    def _change_stream(self, change: StreamChange) -> None:
        """Open or close a stream to a relay."""
        base, server, address = change.base, change.server, change.address
        if server is None or address is None:
            stream = self._streams.pop(base, None)
            if stream is not None:
                stream.close()
            return
        relays = self.agent.relays
        self._streams[base] = RelayStream(
            self._runtime,
            server,
            address,
            received=lambda frame: self._received(base, frame, NOWHERE),
            connected=lambda: self._stream_told(relays.stream_connected, base),
            lost=lambda reason: self._stream_told(relays.stream_lost, base, reason),
        )

    def _stream_told(self, news: Callable[..., None], *arguments: str) -> None:
        news(*arguments, self._runtime.clock.seconds())
        self.step()
