"""Bulk over TCP: TLS 1.3 in Twisted, and the transit connection of magic-wormhole."""

from __future__ import annotations

import io
import json
import os
import time
from typing import Any

from twisted.internet import reactor as installed_reactor
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.protocols.basic import FileSender
from zope.interface import implementer

from benchmarks.bulk import CHUNK, Tally
from p2pchat.identity.proof import make_certificate

try:
    import wormhole.transit
except ModuleNotFoundError:  # link.py says so
    HAS_WORMHOLE = False
else:
    HAS_WORMHOLE = True

LOOPBACK = "127.0.0.1"
KEY = bytes(32)  # of the transit connection; two people would have agreed on it by their code
WORD = b"x"  # that all has come
_ZEROS = bytes(CHUNK)

reactor: Any = installed_reactor


@implementer(IPushProducer)
class Zeros:
    """So many bytes, written to a consumer in chunks as long as it takes them."""

    def __init__(self, consumer: Any, size: int) -> None:
        self._consumer, self._left = consumer, size
        self._paused = True
        consumer.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        """Write no more for now."""
        self._paused = True

    def stopProducing(self) -> None:
        """Write no more."""
        self._left = 0

    def resumeProducing(self) -> None:
        """Write on."""
        self._paused = False
        while self._left and not self._paused:
            chunk = _ZEROS[: self._left]
            self._left -= len(chunk)
            self._consumer.write(chunk)
        if not self._left:
            self._consumer.unregisterProducer()


class TLSEnd(Protocol):
    """A TLS connection; bytes that come go to whoever asked."""

    def __init__(self, carrier: TLSCarrier) -> None:
        self._carrier = carrier

    def dataReceived(self, data: bytes) -> None:
        """Take bytes."""
        if self._carrier.tally is None:
            self._carrier.done.callback(None)
        elif self._carrier.tally.add(len(data)):
            self.transport.write(WORD)  # type: ignore[union-attr]


class TLSCarrier:
    """A TLS connection in Twisted, as ``ssl:`` endpoints make it."""

    def __init__(self) -> None:
        self.tally: Tally | None = None
        self.done: Deferred[object] = Deferred()
        self._end: Any = None

    def _factory(self) -> Factory:
        return Factory.forProtocol(lambda: TLSEnd(self))

    def receive(self, tally: Tally) -> Deferred[str]:
        """Listen."""
        self.tally = tally
        made = make_certificate(os.urandom(32), time.time())
        options = PrivateCertificate.loadPEM(made.certificate + made.private_key).options()
        port = reactor.listenSSL(0, self._factory(), options, interface=LOOPBACK)
        return succeed(str(port.getHost().port))

    @inlineCallbacks
    def reach(self, where: str) -> Any:
        """Connect."""
        plain = TCP4ClientEndpoint(reactor, LOOPBACK, int(where))
        self._end = yield wrapClientTLS(CertificateOptions(verify=False), plain).connect(
            self._factory()
        )

    def pour(self, size: int) -> Deferred[object]:
        """Write, as fast as the connection takes it."""
        Zeros(self._end.transport, size)
        return self.done


class WormholeCarrier:
    """
    The connection over which magic-wormhole sends files, without mailbox, code and hash.

    What it writes are records of 16 KiB, as ``wormhole send`` does.
    """

    def __init__(self) -> None:
        self._pipe: Any = None

    @inlineCallbacks
    def receive(self, tally: Tally) -> Any:
        """Listen, and take what comes as ``wormhole receive`` does."""
        end = wormhole.transit.TransitReceiver(None, reactor=reactor)
        end.set_transit_key(KEY)
        hints = yield end.get_connection_hints()
        end.connect().addCallback(self._take, tally)
        return json.dumps(hints)

    @inlineCallbacks
    def _take(self, pipe: Any, tally: Tally) -> Any:
        with open(os.devnull, "wb") as nowhere:
            yield pipe.writeToFile(nowhere, tally.expected, tally.add)
        pipe.send_record(WORD)

    @inlineCallbacks
    def reach(self, where: str) -> Any:
        """Connect."""
        end = wormhole.transit.TransitSender(None, reactor=reactor)
        end.set_transit_key(KEY)
        yield end.get_connection_hints()
        end.add_connection_hints(json.loads(where))
        self._pipe = yield end.connect()

    @inlineCallbacks
    def pour(self, size: int) -> Any:
        """Write a file of zeros."""
        yield FileSender().beginFileTransfer(io.BytesIO(bytes(size)), self._pipe)
        yield self._pipe.receive_record()
