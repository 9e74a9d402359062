"""
Services of a node that is another program, for a program of Twisted that is attached to it.

::

    connect ─▶ open ──▶ node ── opened, with a socket ─▶ the protocol
    listen  ─▶ serve ─▶ node ── incoming, with a socket ─▶ factory ─▶ a protocol
                             └─ stream_ended ─▶ the reason of connectionLost

A socket of a pair can't tell a reset from an end; so the end of a stream is told when the node has
said how it came, or LAST_WORD later.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.iweb import IAgent
from zope.interface import implementer

from p2pchat.attach.messages import decode
from p2pchat.attach.node_socket import MAX_LINE
from p2pchat.attach.refusals import error_of
from p2pchat.errors import LinkLost, NodeEnded, RemoteProtocolError
from p2pchat.interfaces.services import IServices
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.peer.service_endpoints import (
    ServiceCall,
    ServiceEndpoints,
    ServicePort,
)
from p2pchat.peer.stream_lost import StreamLost
from p2pchat.peer.web_agent import web_agent
from p2pchat.resident.node_link import NodeLink
from p2pchat.runtime import Runtime, cancel
from p2pchat.wire.strict_json import JsonObject

LAST_WORD = 1.0  # seconds

_log = Logger()


@implementer(IHalfCloseableProtocol)
class PassedConnection(ProtocolWrapper):
    """A protocol on a socket that a node has passed."""

    host = peer = PeerAddress("", "")
    closed: Callable[[], None]

    def __init__(self, factory: Any, wrapped: IProtocol) -> None:
        super().__init__(factory, wrapped)
        self._reason: Failure | None = None  # the node's
        self._is_lost = self._is_over = False

    def getHost(self) -> PeerAddress:
        """Return our end."""
        return self.host

    def getPeer(self) -> PeerAddress:
        """Return the other end, whose id is proved."""
        return self.peer

    def abortConnection(self) -> None:
        """End both halves at once."""
        cast(Any, self.transport).abortConnection()

    def loseWriteConnection(self) -> None:
        """End our half."""
        cast(Any, self.transport).loseWriteConnection()

    def readConnectionLost(self) -> None:
        """Hand on that nothing more comes, unless all has ended."""
        transport = cast(Any, self.transport)
        if _is_hung_up(transport.getHandle()):
            transport.loseConnection()
        elif IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            IHalfCloseableProtocol(self.wrappedProtocol).readConnectionLost()
        else:
            transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Hand on that our half has ended."""
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            IHalfCloseableProtocol(self.wrappedProtocol).writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Wait for the node's word on it."""
        self._is_lost = True
        if self._reason is None and reason.check(ConnectionDone, ConnectionLost):
            self.closed()
        else:
            self._tell(self._reason or reason)

    def ended(self, reason: Failure) -> None:
        """Take the node's word on how it ended."""
        if self._reason is None:
            self._reason = reason
            if self._is_lost:
                self._tell(reason)

    def _tell(self, reason: Failure) -> None:
        if not self._is_over:
            self._is_over = True
            super().connectionLost(reason)


def _is_hung_up(handle: socket.socket) -> bool:
    """Tell whether the other end of a pair is closed, and not by half."""
    poll = select.poll()
    poll.register(handle, 0)
    return bool(poll.poll(0))


def _reason_of(event: JsonObject) -> Failure:
    word, sentence = str(event.get("word", "")), str(event.get("reason", ""))
    if not word:
        return Failure(ConnectionDone())
    error = error_of(word, sentence)
    if isinstance(error, (LinkLost, NodeEnded)):
        return Failure(StreamLost(sentence or str(error)))
    return Failure(ConnectionLost(sentence))


@attrs.define
class _Stream:
    """One stream that is open, or whose end is awaited."""

    connection: PassedConnection
    patience: IDelayedCall | None = None


@implementer(IServices)
@attrs.define(eq=False)
class AttachedServices(ServiceEndpoints):
    """Services of the node at the other end of a link."""

    _runtime: Runtime
    _link: NodeLink
    _last_id: int = 0
    _asked: dict[int, Deferred[JsonObject]] = attrs.Factory(dict)
    _factories: dict[str, IProtocolFactory] = attrs.Factory(dict)
    _streams: dict[int, _Stream] = attrs.Factory(dict)

    @property
    def own_id(self) -> str:
        """The node's peer id."""
        return "" if self._link.hello is None else self._link.hello.peer_id

    # -- IServices

    def web_agent(self) -> IAgent:
        """See :class:`p2pchat.interfaces.IServices`."""
        return web_agent(self._runtime.clock, self, lambda name: "." not in name)

    def _connect(self, call: ServiceCall, factory: IProtocolFactory) -> Deferred[IProtocol]:
        request = {"do": "open", "peer": call.peer, "service": call.service, "path": call.path}
        asked = self._ask({**request, "timeout": call.timeout})
        host = PeerAddress(self.own_id, "")

        def opened(event: JsonObject) -> IProtocol:
            peer = PeerAddress(str(event.get("peer_id", call.peer)), call.service)
            return self._adopt(event, factory, host, peer)

        return asked.addCallback(opened)

    def _offer(
        self, service: str, allow: tuple[str, ...], factory: IProtocolFactory
    ) -> Deferred[IListeningPort]:
        self._factories.setdefault(service, factory)

        def serving(_event: JsonObject) -> IListeningPort:
            factory.doStart()
            address = PeerAddress(self.own_id, service)
            return ServicePort(address, factory, partial(self._withdraw, service))

        def refused(failure: Failure) -> Failure:
            if self._factories.get(service) is factory:
                del self._factories[service]
            return failure

        asked = self._ask({"do": "serve", "service": service, "allow": list(allow)})
        return asked.addCallbacks(serving, refused)

    def _withdraw(self, service: str) -> None:
        self._factories.pop(service, None)
        self._ask({"do": "stop", "service": service}).addErrback(lambda _: None)

    # -- lines

    def _ask(self, request: JsonObject) -> Deferred[JsonObject]:
        if self._link.is_over:
            return fail(NodeEnded())
        self._last_id += 1
        number = self._last_id
        answered: Deferred[JsonObject] = Deferred(lambda _: self._give_up(number))
        self._asked[number] = answered
        self._link.send({**request, "id": number})
        return answered

    def _give_up(self, number: int) -> None:
        self._asked.pop(number, None)

    def take(self, line: bytes) -> None:
        """Take a line of the node's."""
        try:
            event = decode(line, MAX_LINE)
            self._take(event)
        except RemoteProtocolError as error:
            _log.error("the node sends what can't be read: {error}", error=error)

    def _take(self, event: JsonObject) -> None:
        answered = self._asked.pop(cast(Any, event.get("request")), None)
        match event.get("event"):
            case "incoming":
                self._incoming(event)
            case "stream_ended":
                self._ended(cast(Any, event.get("stream")), _reason_of(event))
            case "error" if answered is not None:
                words = str(event.get("word", "")), str(event.get("reason", ""))
                answered.errback(error_of(*words))
            case "opened" if answered is None:
                self._link.take_socket().close()  # nobody waits for it any more
            case _ if answered is not None:
                answered.callback(event)

    def _incoming(self, event: JsonObject) -> None:
        factory = self._factories.get(str(event.get("service")))
        if factory is None:
            self._link.take_socket().close()
            return
        host = PeerAddress(self.own_id, str(event.get("service")))
        self._adopt(event, factory, host, PeerAddress(str(event.get("peer_id")), ""))

    def _adopt(
        self, event: JsonObject, factory: IProtocolFactory, host: PeerAddress, peer: PeerAddress
    ) -> IProtocol:
        """Let the factory's protocol have the socket that came with an event."""
        number = cast(int, event.get("stream"))
        made: list[PassedConnection] = []

        def build(_address: object) -> PassedConnection | None:
            wrapped = factory.buildProtocol(PeerAddress(peer.peer_id, host.service or peer.service))
            if wrapped is None:
                return None
            connection = PassedConnection(WrappingFactory(cast(Any, factory)), wrapped)
            connection.host, connection.peer = host, peer
            connection.closed = partial(self._closed, number)
            self._streams[number] = _Stream(connection)
            made.append(connection)
            return connection

        outer = Factory()
        outer.noisy = False
        outer.buildProtocol = build  # type: ignore[method-assign,assignment]
        with self._link.take_socket() as passed:
            passed.setblocking(False)
            self._runtime.reactor.adoptStreamConnection(passed.fileno(), socket.AF_UNIX, outer)
        if not made:
            raise RemoteProtocolError("the program has no protocol for it")
        return made[0].wrappedProtocol

    # -- ends

    def _closed(self, number: int) -> None:
        """The socket of a stream is closed: the node is about to say why."""
        stream = self._streams.get(number)
        if stream is not None:
            done = Failure(ConnectionDone())
            stream.patience = self._runtime.clock.callLater(LAST_WORD, self._ended, number, done)

    def _ended(self, number: int, reason: Failure) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None:
            cancel(stream.patience)
            stream.connection.ended(reason)

    def node_ended(self) -> None:
        """The node has gone, and all that is open with it."""
        for answered in list(self._asked.values()):
            answered.errback(NodeEnded())
        self._asked.clear()
        for number in list(self._streams):
            self._ended(number, Failure(StreamLost("the program that was attached to has ended")))
