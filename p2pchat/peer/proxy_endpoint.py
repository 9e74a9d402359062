"""
The endpoint behind a proxy: a connection to the proxy, the handshake, then the connection beyond.

What is above hears of the connection when the handshake is over; the other end of it goes by the
name that the proxy was given.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IProtocol, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from p2pchat.errors import ProxyError
from p2pchat.peer.failures import in_words
from p2pchat.peer.proxy import GO_WITHOUT, Handshake, Proxy, handshake


@implementer(IStreamClientEndpoint)
@attrs.frozen
class ProxyEndpoint:
    """
    An endpoint behind a proxy.

    :param below: the proxy's own.
    :param timeout: seconds that the handshake may take.
    """

    _below: IStreamClientEndpoint
    _proxy: Proxy
    _host: str
    _port: int
    _clock: IReactorTime
    _timeout: float

    def connect(self, factory: Any) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`."""
        tunnels = WrappingFactory(factory)
        tunnels.noisy = False
        tunnels.protocol = self._tunnel
        connecting: Deferred[Any] = self._below.connect(tunnels)
        connecting.addCallbacks(self._opened, self._unreached)
        return connecting

    def _tunnel(self, factory: Any, wrapped: Any) -> _Tunnel:
        address = IPv4Address("TCP", self._host, self._port)
        return _Tunnel(factory, wrapped, handshake(self._proxy, self._host, self._port), address)

    def _opened(self, tunnel: _Tunnel) -> Deferred[Any]:
        return tunnel.opened.addTimeout(self._timeout, self._clock).addErrback(self._broken)

    def _unreached(self, failure: Failure) -> None:
        why = in_words(failure.value, "no connection")
        raise ProxyError(
            f"the proxy {self._proxy} can't be reached: {why}; --proxy {GO_WITHOUT} goes without"
        )

    def _broken(self, failure: Failure) -> None:
        failure.trap(Exception)
        if failure.check(ProxyError):
            failure.raiseException()
        raise ProxyError(f"the proxy {self._proxy}: {in_words(failure.value, 'it broke off')}")


class _Tunnel(ProtocolWrapper):
    """
    One connection to a proxy; what is above hears of it when the handshake is over.

    :ivar opened: fires with the protocol above.
    """

    def __init__(
        self, factory: Any, wrapped: Any, shaking_hands: Handshake, address: IAddress
    ) -> None:
        super().__init__(factory, wrapped)
        self.opened: Deferred[Any] = Deferred(lambda _opened: self._abort())
        self._handshake: Handshake | None = shaking_hands
        self._address = address

    def getPeer(self) -> IAddress:
        """Return the other end as we know it: by the name that the proxy was given."""
        return self._address

    def makeConnection(self, transport: Any) -> None:
        """Begin the handshake."""
        directlyProvides(self, providedBy(transport))
        self.factory.registerProtocol(self)
        Protocol.makeConnection(self, transport)
        assert self._handshake is not None
        transport.write(self._handshake.begin())

    def dataReceived(self, data: bytes) -> None:
        """Go on with the handshake, or hand bytes up."""
        shaking_hands = self._handshake
        if shaking_hands is None:
            super().dataReceived(data)
            return
        try:
            answer = shaking_hands.receive(data)
        except ProxyError:
            self._fail(Failure())
            return
        if answer:
            self._below.write(answer)
        if shaking_hands.rest is not None:
            self._handshake = None
            self.wrappedProtocol.makeConnection(self)  # type: ignore[arg-type]
            self.opened.callback(self.wrappedProtocol)
            if shaking_hands.rest:
                super().dataReceived(shaking_hands.rest)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell what is above, or whoever waits."""
        if self._handshake is None:
            super().connectionLost(reason)
        else:
            self.factory.unregisterProtocol(self)
            self._fail(reason)

    def _fail(self, failure: Failure) -> None:
        self._abort()
        if not self.opened.called:
            self.opened.errback(failure)

    def _abort(self) -> None:
        self._below.abortConnection()

    @property
    def _below(self) -> Any:
        return self.transport
