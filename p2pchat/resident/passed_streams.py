"""
Streams of an attached program: each is joined to a pair of sockets, of which the program gets one.

::

    peer ═══ stream ═══ BridgeEnd ══ BridgeEnd ─── our socket ┄ pair ┄ the program's socket

Bytes, backpressure and half closing are the bridge's (:mod:`p2pchat.forwarding.bridge`).  How a
stream ended is said beside, for a socket of this kind can't tell a reset from an end.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.attach.refusals import word_of
from p2pchat.errors import LinkLost, NodeRefused, P2PChatError, TooManyStreams
from p2pchat.forwarding.bridge import BridgeEnd
from p2pchat.interfaces import IAttachedPart, IServices
from p2pchat.resident.program import AttachedProgram, number_of, text_of
from p2pchat.wire.strict_json import JsonObject

MAX_STREAMS = 256  # of one program, those that are being opened among them; each is two descriptors
MAX_SERVED = 64  # services of one program
MAX_ALLOWED = 1000  # names in a list of who may
MAX_TIMEOUT = 3600.0  # seconds for an opening
USUAL_TIMEOUT = 30.0  # seconds
RESET = "reset"  # word of a stream that one side gave up

_numbers = itertools.count(1)  # of streams, whoever's they are: none means another later


@attrs.define(eq=False)
class PassedStreams:
    """The streams of one program that are open, or being opened."""

    _program: AttachedProgram
    _reactor: Any
    _numbers: Iterator[int] = _numbers
    _open: dict[int, BridgeEnd] = attrs.Factory(dict)
    _opening: set[Deferred[Any]] = attrs.Factory(set)

    def make_room(self) -> None:
        """
        See that there may be one more.

        :raises TooManyStreams: there mayn't.
        """
        if self.is_full:
            raise TooManyStreams(f"a program has at most {MAX_STREAMS} streams: end some")

    @property
    def is_full(self) -> bool:
        """Whether there may be no more."""
        return len(self._open) + len(self._opening) >= MAX_STREAMS

    def await_opening(self, opening: Deferred[Any]) -> None:
        """Give up what is being opened when the program goes."""
        self._opening.add(opening)

        def opened(result: Any) -> Any:
            self._opening.discard(opening)
            return result

        opening.addBoth(opened)

    def pass_on(self, far: BridgeEnd, announce: Callable[[int, socket.socket], None]) -> None:
        """
        Join a stream to a pair of sockets.

        :param far: the stream's end.
        :param announce: passes the program its number and its socket.
        """
        number = next(self._numbers)
        ours, theirs = socket.socketpair()
        near = BridgeEnd()
        self._open[number] = far
        far.ended = partial(self._ended, number)
        with ours:
            ours.setblocking(False)
            factory: Any = Factory.forProtocol(lambda: near)
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)
        announce(number, theirs)
        far.join(near)

    def _ended(self, number: int, _end: BridgeEnd, reason: BaseException | None) -> None:
        if self._open.pop(number, None) is None:
            return
        word = "" if reason is None else RESET
        if isinstance(reason, LinkLost):
            word = word_of(reason)
        sentence = str(reason) if isinstance(reason, P2PChatError) else ""
        event = {"event": "stream_ended", "stream": number, "word": word, "reason": sentence}
        self._program.send(event)

    def end(self) -> None:
        """End all: the program has gone."""
        for opening in list(self._opening):
            opening.cancel()
        streams, self._open = self._open, {}
        for far in streams.values():
            far.abort()


@implementer(IAttachedPart)
class StreamPart:
    """The streams that a program opens to services of peers."""

    def __init__(self, program: AttachedProgram, services: IServices, reactor: Any) -> None:
        self._program, self._services = program, services
        self._streams = PassedStreams(program, reactor)
        self._has_ended = False

    def requests(self) -> Mapping[str, Callable[[JsonObject], None]]:
        """Return what it is asked for."""
        return {"open": self._open}

    def take(self, line: bytes) -> bool:
        """Take no other lines."""
        return False

    def _open(self, request: JsonObject) -> None:
        self._streams.make_room()
        who, service = text_of(request, "peer"), text_of(request, "service")
        path = text_of(request, "path", "any")
        timeout = number_of(request, "timeout", 0.001, MAX_TIMEOUT, USUAL_TIMEOUT)
        far = BridgeEnd()
        endpoint = self._services.connector_for(who, service, path, timeout)
        factory: Any = Factory.forProtocol(lambda: far)
        opening: Deferred[Any] = endpoint.connect(factory)
        self._streams.await_opening(opening)
        opening.addCallback(lambda _: self._opened(request, far))
        opening.addErrback(partial(self._failed, request))

    def _opened(self, request: JsonObject, far: BridgeEnd) -> None:
        if self._has_ended:
            far.abort()
            return
        event = {"event": "opened", "peer_id": cast(Any, far.transport).getPeer().peer_id}
        self._streams.pass_on(
            far,
            lambda number, theirs: self._program.answer(
                request, {**event, "stream": number}, theirs
            ),
        )

    def _failed(self, request: JsonObject, failure: Failure) -> None:
        self._program.fail(request, cast(Exception, failure.value))

    def end(self) -> None:
        """The program has gone."""
        self._has_ended = True
        self._streams.end()


class _IncomingFactory(Factory):
    """The streams that peers open to one service of a program."""

    noisy = False

    def __init__(self, part: ServicePart, service: str) -> None:
        self._part, self._service = part, service

    def buildProtocol(self, address: IAddress | None) -> BridgeEnd | None:
        """Take a stream, unless the program has too many."""
        return self._part.incoming(self._service, address)


@implementer(IAttachedPart)
class ServicePart:
    """The services that a program serves."""

    def __init__(self, program: AttachedProgram, services: IServices, reactor: Any) -> None:
        self._program, self._services = program, services
        self._streams = PassedStreams(program, reactor)
        self._ports: dict[str, IListeningPort | None] = {}  # None: it is about to listen
        self._has_ended = False

    def requests(self) -> Mapping[str, Callable[[JsonObject], None]]:
        """Return what it is asked for."""
        return {"serve": self._serve, "stop": self._stop}

    def take(self, line: bytes) -> bool:
        """Take no other lines."""
        return False

    def _serve(self, request: JsonObject) -> None:
        service = text_of(request, "service")
        if service in self._ports:
            raise NodeRefused(f"this program serves {service} already", "served")
        if len(self._ports) >= MAX_SERVED:
            raise NodeRefused(f"a program serves at most {MAX_SERVED} services", "too-many")
        endpoint = self._services.listener_for(service, _allowed(request))
        self._ports[service] = None
        listening: Deferred[IListeningPort] = endpoint.listen(_IncomingFactory(self, service))
        listening.addCallbacks(
            partial(self._serving, request, service), partial(self._failed, request, service)
        )

    def _serving(self, request: JsonObject, service: str, port: IListeningPort) -> None:
        if self._has_ended:
            port.stopListening()
            return
        self._ports[service] = port
        self._program.answer(request, {"event": "serving", "service": service})

    def _failed(self, request: JsonObject, service: str, failure: Failure) -> None:
        self._ports.pop(service, None)
        error = cast(Exception, failure.value)
        if isinstance(error, CannotListenError):
            error = NodeRefused(str(error.socketError), "served")
        self._program.fail(request, error)

    def _stop(self, request: JsonObject) -> None:
        service = text_of(request, "service")
        port = self._ports.get(service)
        if port is None:
            raise NodeRefused(f"this program doesn't serve {service}", "not-served")
        del self._ports[service]
        port.stopListening()
        self._program.answer(request, {"event": "stopped", "service": service})

    def incoming(self, service: str, address: Any) -> BridgeEnd | None:
        """Take a stream that a peer opens; ``None``: there are too many."""
        if self._streams.is_full or self._has_ended:
            return None
        return BridgeEnd(made=partial(self._made, service, address.peer_id))

    def _made(self, service: str, peer_id: str, far: BridgeEnd) -> None:
        event = {"event": "incoming", "service": service, "peer_id": peer_id}
        self._streams.pass_on(
            far, lambda number, theirs: self._program.send({**event, "stream": number}, theirs)
        )

    def end(self) -> None:
        """The program has gone, and with it what it serves."""
        self._has_ended = True
        ports, self._ports = self._ports, {}
        for port in ports.values():
            if port is not None:
                port.stopListening()
        self._streams.end()


def _allowed(request: JsonObject) -> Collection[str]:
    value = request.get("allow", [])
    is_list = isinstance(value, list) and len(value) <= MAX_ALLOWED
    if not is_list or not all(isinstance(one, str) for one in value):
        raise NodeRefused(
            f'the member "allow" of the request must be a list of at most {MAX_ALLOWED} texts',
            "broken",
        )
    return tuple(value)
