"""
A TCP or TLS connection to a relay, which carries the frames of one TURN allocation.

Owns the connection's edges: how long it may take to be there (TLS has as many of the round trips
that connecting showed as it needs), the certificate check, and cutting what comes into frames.  It
decides nothing: whoever has the :class:`p2pchat.traversal.turn.Allocation` starts it when
``connected`` is called and ends it when ``lost`` is.  A relayed datagram is a datagram: while the
connection takes no more bytes, frames are dropped and counted, and what is above sends again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener, IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.errors import LocalProtocolError
from p2pchat.peer.connector import Connector
from p2pchat.peer.failures import in_words, is_of_tls
from p2pchat.peer.tls import ServerTls
from p2pchat.runtime import Runtime, cancel
from p2pchat.traversal.relays import CONNECT_TIMEOUT
from p2pchat.traversal.round_trips import CONNECTING, LONGEST, bounded
from p2pchat.wire.addresses import Address
from p2pchat.wire.channel_data import StreamFrames
from p2pchat.wire.servers import RelayServer, Transport

HANDSHAKE_TIMEOUT = 5.0  # seconds for TLS, where round trips are short

_log = Logger()


@implementer(IHandshakeListener, IPushProducer)
@attrs.define(eq=False, slots=False)
class RelayStream(Protocol):
    """
    One connection; it connects at once, and is done for good when ``lost`` is called.

    :ivar server: the relay; its transport is TCP or TLS.
    :ivar address: where it is; its name, which was resolved and judged before, isn't looked up,
        but for one that only a proxy can resolve.
    :ivar received: takes each frame, a STUN message or ChannelData.
    :param connected: called once, when frames may be written.
    :param patience: seconds for connecting.
    :ivar lost: called once, unless we closed it, with the reason, which goes on after the relay's
        name (as :meth:`p2pchat.traversal.turn.Allocation.fail` takes it).
    :ivar trust_root: who may have signed the relay's certificate, as
        :class:`p2pchat.peer.tls.ServerTls` takes it.
    :ivar unsent: frames that were dropped because the connection took no more.
    """

    runtime: Runtime
    server: RelayServer
    address: Address
    received: Callable[[bytes], None]
    _established: Callable[[], None] = attrs.field(alias="connected")
    lost: Callable[[str], None]
    trust_root: Any = None
    _patience: float = CONNECT_TIMEOUT
    unsent: int = 0
    _began: float = 0.0
    _frames: StreamFrames = attrs.Factory(StreamFrames)
    _connecting: Deferred[Any] = attrs.field(init=False)
    _timeout: IDelayedCall = attrs.field(init=False)
    _is_open: bool = False  # frames may be written
    _is_full: bool = False
    _ended: bool = False

    def __attrs_post_init__(self) -> None:
        if self.server.transport is Transport.UDP:
            raise LocalProtocolError(f"{self.server} is reached over UDP, not over a stream")
        clock = self.runtime.clock
        self._began, timed_out = clock.seconds(), "can't be reached: timed out"
        self._timeout = clock.callLater(self._patience, self._end, timed_out)
        connector = Connector(self.runtime, self._patience)
        endpoint = connector.endpoint("https", *self.address)
        self._connecting = endpoint.connect(self._factory())
        self._connecting.addErrback(self._unreached)

    def _factory(self) -> Any:
        factory = Factory.forProtocol(lambda: self)
        factory.noisy = False
        if self.server.transport is Transport.TCP:
            return factory
        tls = ServerTls(self.server.host, self.runtime.wall_time, self.trust_root)
        return TLSMemoryBIOFactory(tls, True, factory, clock=self.runtime.clock)

    @property
    def _connection(self) -> Any:
        return self.transport

    # -- what the connection says

    def connectionMade(self) -> None:
        """Say so at once over TCP; TLS has a handshake to come."""
        self._connection.setTcpNoDelay(True)
        self._connection.registerProducer(self, True)
        trip = self.runtime.clock.seconds() - self._began
        if self._timeout.active():
            self._timeout.reset(bounded(HANDSHAKE_TIMEOUT, CONNECTING * trip, LONGEST))
        if self.server.transport is Transport.TCP:
            self.handshakeCompleted()

    def handshakeCompleted(self) -> None:
        """Over TLS, too, frames may be written: the certificate is good."""
        if not self._ended:
            cancel(self._timeout)
            self._is_open = True
            self._established()

    def dataReceived(self, data: bytes) -> None:
        """Hand on whole frames."""
        for frame in self._frames.receive(data):
            self.received(frame)
        if self._frames.broken:
            self._end(self._frames.broken)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say why, to go on after the relay's name."""
        words = in_words(reason.value, "broken off")
        if is_of_tls(reason.value):
            self._end(f"can't be used: {words}")
        elif reason.check(ConnectionDone):
            self._end("closed the connection")
        else:
            self._end(f"lost the connection: {words}")

    def _unreached(self, failure: Failure) -> None:
        self._end(f"can't be reached: {in_words(failure.value, 'no connection')}")

    def pauseProducing(self) -> None:
        """The connection takes no more for now."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """It does again."""
        self._is_full = False

    def stopProducing(self) -> None:
        """It never will again; :meth:`connectionLost` follows."""
        self._is_full = True

    # -- what we want of it

    def write(self, frame: bytes) -> None:
        """Send a frame, or drop it."""
        if self._is_open and not self._is_full:
            self._connection.write(frame)
        else:
            self.unsent += 1

    def close(self) -> None:
        """Close the connection once what was written is sent; ``lost`` isn't called."""
        if self._ended:
            return  # a TLS connection that is gone can't even be aborted
        was_open = self._is_open
        self._finish()
        if was_open:
            self._connection.unregisterProducer()
            self._connection.loseConnection()
        else:
            self._abort()

    def _end(self, reason: str) -> None:
        if self._ended:
            return
        self._finish()
        self._abort()
        _log.debug("relay {relay}: {reason}", relay=str(self.server), reason=reason)
        self.lost(reason)

    def _finish(self) -> None:
        self._ended, self._is_open = True, False
        cancel(self._timeout)

    def _abort(self) -> None:
        if self.transport is None:
            self._connecting.cancel()
        else:
            self._connection.abortConnection()
