"""
The reactor of one simulated host, for one life of that host.

Provides time, UDP, TCP and name resolution, on the virtual clock; no thread, no signal, no
start or stop.  As in Twisted, an exception in a delayed call or in a transport is logged (so
trial fails the test), and everything else goes on.  After `end`, which is the kernel's side of
kill -9, nothing that was scheduled runs, and what is scheduled is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone, DNSLookupError
from twisted.internet.interfaces import (
    IConnector,
    IDelayedCall,
    IHostnameResolver,
    IListeningPort,
    IProtocolFactory,
    IReactorFDSet,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IReactorUDP,
    IReadDescriptor,
    IWriteDescriptor,
)
from twisted.internet.protocol import ClientFactory, DatagramProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.simulation.resolver import HostnameResolver
from tests.simulation.tcp import BindAddress, TCPConnector, TCPPort
from tests.simulation.udp import UDPPort

if TYPE_CHECKING:
    from tests.simulation.host import Host


class Pollable(Protocol):
    """What is needed of a socket to poll it."""

    def is_readable(self) -> bool:
        """Tell whether reading would not block."""

    def is_writable(self) -> bool:
        """Tell whether writing would not block."""


@implementer(IReactorTime, IReactorUDP, IReactorTCP, IReactorPluggableNameResolver, IReactorFDSet)
class HostReactor:
    """See the module; `nameResolver` may be replaced with `installNameResolver`."""

    _log = Logger()

    def __init__(self, host: Host) -> None:
        self.nameResolver: IHostnameResolver = HostnameResolver(host.lookup_all, self)
        self._host = host
        self._clock = host.internet.clock
        self._alive = True
        self._readers: dict[Any, None] = {}
        self._writers: dict[Any, None] = {}
        self._polling = False

    def end(self) -> None:
        """Run nothing any more."""
        self._alive = False
        self._readers.clear()
        self._writers.clear()
        for call in self.getDelayedCalls():
            call.cancel()

    # IReactorTime

    def seconds(self) -> float:
        """Return the virtual time."""
        return self._clock.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> IDelayedCall:
        """See `IReactorTime`."""
        if delay < 0:
            raise AssertionError(f"{delay} is not greater than or equal to 0 seconds")
        return self._clock.callLater(delay, self._run, callable, args, kwargs)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """Return the calls that this reactor has yet to make."""
        calls = self._clock.getDelayedCalls()
        return [call for call in calls if getattr(call, "func", None) == self._run]

    # IReactorUDP

    def listenUDP(
        self,
        port: int,
        protocol: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = 8192,
    ) -> IListeningPort:
        """See `IReactorUDP`; returns a `UDPPort`."""
        listening = UDPPort(self._host, port, protocol, interface, maxPacketSize)
        listening.startListening()
        return listening

    # IReactorTCP

    def listenTCP(
        self, port: int, factory: IProtocolFactory, backlog: int = 50, interface: str = ""
    ) -> IListeningPort:
        """See `IReactorTCP`."""
        listening = TCPPort(self._host, port, factory, interface)
        listening.startListening()
        return listening

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30.0,
        bindAddress: BindAddress = None,
    ) -> IConnector:
        """See `IReactorTCP`."""
        connector = TCPConnector(
            self._host, host, port, factory, timeout=timeout, bind_address=bindAddress
        )
        connector.connect()
        return connector

    # Names

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        """See `IReactorPluggableNameResolver`."""
        previous, self.nameResolver = self.nameResolver, resolver
        return previous

    def resolve(self, name: str, timeout: Sequence[int] = ()) -> Deferred[str]:
        """See `IReactorCore.resolve`, which `connectTCP` calls with a host name."""
        address = self._host.lookup(name)
        return fail(DNSLookupError(name)) if address is None else succeed(address)

    # IReactorFDSet

    def addReader(self, reader: IReadDescriptor) -> None:
        """See `IReactorFDSet`."""
        self._readers[reader] = None
        self.wake()

    def addWriter(self, writer: IWriteDescriptor) -> None:
        """See `IReactorFDSet`."""
        self._writers[writer] = None
        self.wake()

    def removeReader(self, reader: IReadDescriptor) -> None:
        """See `IReactorFDSet`."""
        self._readers.pop(reader, None)

    def removeWriter(self, writer: IWriteDescriptor) -> None:
        """See `IReactorFDSet`."""
        self._writers.pop(writer, None)

    def removeAll(self) -> list[Any]:
        """See `IReactorFDSet`."""
        removed = list(self._readers | self._writers)
        self._readers.clear()
        self._writers.clear()
        return removed

    def getReaders(self) -> list[IReadDescriptor]:
        """See `IReactorFDSet`."""
        return list(self._readers)

    def getWriters(self) -> list[IWriteDescriptor]:
        """See `IReactorFDSet`."""
        return list(self._writers)

    def wake(self) -> None:
        """Look at the sockets soon: one may have become ready."""
        if not self._polling and self._alive:
            self._polling = True
            self._clock.post(self._clock.rightNow, self._poll)

    def _poll(self) -> None:
        self._polling = False
        busy = False
        for reader in list(self._readers):
            if reader in self._readers and reader.socket.is_readable():
                busy = True
                self._attend(reader, reader.doRead)
        for writer in list(self._writers):
            if writer in self._writers and writer.socket.is_writable():
                busy = True
                self._attend(writer, writer.doWrite)
        if busy:
            self.wake()

    def _attend(self, descriptor: Any, method: Callable[[], object]) -> None:
        try:
            reason = method()
        except Exception as error:
            self._log.failure("a transport failed")
            reason = error
        if isinstance(reason, BaseException):
            self._disconnect(descriptor, reason, method == descriptor.doRead)

    def _disconnect(self, descriptor: Any, reason: BaseException, while_reading: bool) -> None:
        self.removeReader(descriptor)
        failure = Failure(reason)
        if while_reading and isinstance(reason, ConnectionDone):
            descriptor.readConnectionLost(failure)
        else:
            self.removeWriter(descriptor)
            descriptor.connectionLost(failure)

    def _run(
        self,
        callable: Callable[..., Any],
        args: tuple[object, ...],
        kwargs: dict[str, object],
    ) -> None:
        if not self._alive:
            return
        try:
            callable(*args, **kwargs)
        except Exception:
            self._log.failure("a delayed call failed")
