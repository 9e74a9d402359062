"""
A TCP or TLS connection to a relay, which carries the frames of one TURN allocation.

Owns the connection's edges: CONNECT_TIMEOUT (the TLS handshake included), the
certificate check, and cutting what comes into frames.  It decides nothing: whoever has the
:class:`p2pchat.traversal.turn.Allocation` starts it when ``connected`` is called and ends it when
``lost`` is.  A relayed datagram is a datagram: while the connection takes no more bytes, frames
are dropped and counted, and what is above sends again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS, platformTrust
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.errors import LocalProtocolError
from p2pchat.peer.failures import in_words
from p2pchat.runtime import Runtime, cancel
from p2pchat.wire.addresses import Address
from p2pchat.wire.channel_data import StreamFrames
from p2pchat.wire.servers import RelayServer, Transport

CONNECT_TIMEOUT = 5.0  # seconds, to the end of the TLS handshake

_log = Logger()


@implementer(IHandshakeListener, IPushProducer)
class _RelayProtocol(Protocol):
    """Our end of the connection."""

    def __init__(self, stream: RelayStream) -> None:
        self._stream = stream
        self._frames = StreamFrames()
        self.paused = False

    def connectionMade(self) -> None:
        """Say so at once over TCP; TLS has a handshake to come."""
        transport = cast(Any, self.transport)
        transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        if self._stream.server.transport is Transport.TCP:
            self._stream._established(self)

    def handshakeCompleted(self) -> None:
        """TLS is there, and the certificate is good."""
        self._stream._established(self)

    def dataReceived(self, data: bytes) -> None:
        """Hand on whole frames."""
        for frame in self._frames.receive(data):
            self._stream.received(frame)
        if self._frames.broken:
            self._stream._end(self._frames.broken)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say why."""
        self._stream._end(_ending(reason))

    def pauseProducing(self) -> None:
        """The connection takes no more for now."""
        self.paused = True

    def resumeProducing(self) -> None:
        """It does again."""
        self.paused = False

    def stopProducing(self) -> None:
        """It never will again; :meth:`connectionLost` follows."""
        self.paused = True


@attrs.define(eq=False)
class RelayStream:
    """
    One connection; it connects at once, and is done for good when ``lost`` is called.

    :ivar server: the relay; its transport is TCP or TLS.
    :ivar address: where it is; its name, which was resolved and judged before, isn't looked up.
    :ivar received: takes each frame, a STUN message or ChannelData.
    :ivar connected: called once, when frames may be written.
    :ivar lost: called once, unless we closed it, with the reason, which goes on after the relay's
        name (as :meth:`p2pchat.traversal.turn.Allocation.fail` takes it).
    :ivar trust_root: who may have signed the relay's certificate, as ``optionsForClientTLS``
        takes it (a ``twisted.internet.ssl.Certificate``); by default whom the platform trusts.
    :ivar unsent: frames that were dropped because the connection took no more.
    """

    runtime: Runtime
    server: RelayServer
    address: Address
    received: Callable[[bytes], None]
    connected: Callable[[], None]
    lost: Callable[[str], None]
    trust_root: Any = None
    unsent: int = 0
    _protocol: _RelayProtocol | None = None  # once frames may be written
    _connecting: Deferred[Any] | None = None
    _transport: ITCPTransport | None = None
    _timeout: IDelayedCall | None = None
    _ended: bool = False

    def __attrs_post_init__(self) -> None:
        if self.server.transport is Transport.UDP:
            raise LocalProtocolError(f"{self.server} is reached over UDP, not over a stream")
        clock = self.runtime.clock
        self._timeout = clock.callLater(CONNECT_TIMEOUT, self._end, "can't be reached: timed out")
        connect = TCP6ClientEndpoint if ":" in self.address[0] else TCP4ClientEndpoint
        endpoint = connect(self.runtime.reactor, *self.address, timeout=CONNECT_TIMEOUT)
        self._connecting = endpoint.connect(self._factory())
        self._connecting.addCallbacks(self._reached, self._unreached)

    def _factory(self) -> Any:
        factory = Factory.forProtocol(lambda: _RelayProtocol(self))
        factory.noisy = False
        if self.server.transport is Transport.TCP:
            return factory
        options = optionsForClientTLS(
            self.server.host, trustRoot=self.trust_root or platformTrust()
        )
        return TLSMemoryBIOFactory(options, True, factory, clock=self.runtime.clock)

    def _reached(self, protocol: Any) -> None:
        self._connecting = None
        self._transport = protocol.transport
        if self._ended:
            protocol.transport.abortConnection()

    def _unreached(self, failure: Failure) -> None:
        self._connecting = None
        self._end(f"can't be reached: {in_words(failure.value, 'no connection')}")

    def _established(self, protocol: _RelayProtocol) -> None:
        if not self._ended:
            cancel(self._timeout)
            self._protocol = protocol
            self.connected()

    def write(self, frame: bytes) -> None:
        """Send a frame, or drop it."""
        if self._protocol is None or self._protocol.paused or self._protocol.transport is None:
            self.unsent += 1
        else:
            self._protocol.transport.write(frame)

    def close(self) -> None:
        """Close the connection once what was written is sent; ``lost`` isn't called."""
        self._ended = True
        self._release(at_once=False)

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._ended = True
        self._release(at_once=True)
        _log.debug("relay {relay}: {reason}", relay=str(self.server), reason=reason)
        self.lost(reason)

    def _release(self, at_once: bool) -> None:
        cancel(self._timeout)
        protocol, self._protocol = self._protocol, None
        if self._connecting is not None:
            self._connecting.cancel()
        elif protocol is not None and not at_once:
            cast(Any, protocol.transport).unregisterProducer()
            cast(Any, protocol.transport).loseConnection()
        elif self._transport is not None:
            self._transport.abortConnection()


def _ending(failure: Failure) -> str:
    """Return how a connection ended, to go on after the relay's name."""
    error = failure.value
    if isinstance(error, SSL.Error):
        details = error.args[0] if error.args else ()
        return f"failed in TLS: {details[0][-1] if details else 'broken off'}"
    if isinstance(error, ConnectionDone):
        return "closed the connection"
    return f"lost the connection: {in_words(error, 'broken off')}"
