"""What carries an allocation in tests: a UDP socket or a stream, on any reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import DatagramProtocol

from p2pchat.peer.relay_stream import RelayStream
from p2pchat.runtime import Runtime
from p2pchat.traversal.turn import Allocation
from p2pchat.wire.addresses import Address
from p2pchat.wire.servers import LongTermCredential, RelayServer


class Carrier:
    """
    Runs an allocation on a clock.

    :ivar received: the relayed datagrams, with their peers.
    """

    def __init__(self, allocation: Allocation, clock: IReactorTime) -> None:
        self.allocation = allocation
        self.received: list[tuple[bytes, Address]] = []
        self._clock = clock
        self._timer: IDelayedCall | None = None

    def do(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Call a method of the allocation, the time last, and do what follows from it."""
        result = action(*arguments, self._clock.seconds())
        self.step()
        return result

    def take(self, frame: bytes) -> None:
        """Hand in what the relay sent."""
        self.received += self.do(self.allocation.receive, frame)

    def step(self) -> None:
        """Arm the timer."""
        self.stop()
        wanted = self.allocation.get_timer()
        if wanted is not None:
            delay = max(0.0001, wanted - self._clock.seconds())
            self._timer = self._clock.callLater(delay, self._due, wanted)

    def _due(self, wanted: float) -> None:
        self._timer = None
        self.allocation.handle_timer(max(wanted, self._clock.seconds()))
        self.step()

    def stop(self) -> None:
        """Let no timer run any more."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


class _Socket(DatagramProtocol):
    def __init__(self, relay: Address) -> None:
        self.relay = relay
        self.carrier: Carrier

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if (addr[0], addr[1]) == self.relay:
            self.carrier.take(datagram)


class UdpCarrier(Carrier):
    """A socket of its own."""

    def __init__(
        self, runtime: Runtime, relay: Address, credentials: LongTermCredential, port: int = 0
    ) -> None:
        self.socket = _Socket(relay)
        self.socket.carrier = self
        allocation = Allocation(relay, credentials, False, runtime.random_bytes, self._send)
        super().__init__(allocation, runtime.clock)
        self.port = runtime.reactor.listenUDP(port, self.socket, maxPacketSize=65535)
        self.do(allocation.start)

    def _send(self, frame: bytes) -> None:
        assert self.socket.transport is not None
        self.socket.transport.write(frame, self.socket.relay)


class StreamCarrier(Carrier):
    """A TCP or TLS connection."""

    def __init__(
        self,
        runtime: Runtime,
        server: RelayServer,
        credentials: LongTermCredential,
        trust: Any = None,
    ) -> None:
        allocation = Allocation(str(server), credentials, True, runtime.random_bytes, self._send)
        super().__init__(allocation, runtime.clock)
        self.stream = RelayStream(
            runtime,
            server,
            (server.host, server.port),
            self.take,
            lambda: self.do(allocation.start),
            self._lost,
            trust,
        )

    def _lost(self, reason: str) -> None:
        self.allocation.fail(reason)
        self.step()

    def _send(self, frame: bytes) -> None:
        self.stream.write(frame)
