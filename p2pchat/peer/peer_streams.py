"""
Streams of services between this node and others, for programs of Twisted.

::

    open ──▶ Endpoint.open_stream ── answered ──▶ StreamTransport, the protocol begins
    a peer opens ──▶ decide(peer id, service) ── protocol ──▶ accepted, the same
                                               └─ None ──▶ refused, at once in either case

Owns the transports.  What they ask of their streams is done in the reactor's next turn, together.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from p2pchat.errors import LinkLost, NotGranted, P2PChatError, TooManyStreams
from p2pchat.interfaces.streams import IPeerStreams, StreamInfo
from p2pchat.peer.driver import Driver
from p2pchat.peer.peer_address import PeerAddress
from p2pchat.peer.stream_transport import StreamTransport
from p2pchat.session.endpoint import Endpoint, EndpointEvent
from p2pchat.session.service_stream import ServiceStream, StreamEnd, StreamState

_log = Logger()


@attrs.frozen(eq=False)
class _Question:
    """A stream of ours that wasn't answered yet."""

    protocol: IProtocol
    answered: Deferred[None]


def _refusal(end: StreamEnd | None) -> P2PChatError:
    """Return why a stream wasn't opened."""
    match end:
        case StreamEnd.NOT_GRANTED | StreamEnd.UNKNOWN_KIND:
            return NotGranted()
        case StreamEnd.TOO_MANY:
            return TooManyStreams()
        case StreamEnd.UNANSWERED:
            return LinkLost("their program gave no answer")
    return LinkLost()


@implementer(IPeerStreams)
@attrs.define(eq=False)
class PeerStreams:
    """The streams of one node."""

    _peer_id: str
    _endpoint: Endpoint
    _driver: Driver[EndpointEvent]
    _clock: IReactorTime
    _decide: Callable[[str, str], IProtocol | None] = lambda _peer_id, _service: None
    _watchers: list[Callable[[StreamInfo, bool], None]] = attrs.Factory(list)
    _asked: dict[ServiceStream, _Question] = attrs.Factory(dict)
    _transports: dict[ServiceStream, StreamTransport] = attrs.Factory(dict)
    _count: int = 0
    _step: IDelayedCall | None = None

    # -- IPeerStreams

    def open(self, peer_id: str, service: str, protocol: IProtocol) -> Deferred[None]:
        """Open a stream on the link that is open to a peer."""
        try:
            stream = self._endpoint.open_stream(peer_id, service)
        except (LinkLost, TooManyStreams) as error:
            return fail(error)
        answered: Deferred[None] = Deferred(lambda _: self._give_up(stream))
        self._asked[stream] = _Question(protocol, answered)
        self._wake()
        return answered

    def _give_up(self, stream: ServiceStream) -> None:
        if self._asked.pop(stream, None) is not None:
            stream.abort()
            self._wake()

    def accept(self, decide: Callable[[str, str], IProtocol | None]) -> None:
        """Let this decide on streams that peers open."""
        self._decide = decide

    def watch(self, changed: Callable[[StreamInfo, bool], None]) -> None:
        """Let this know of each stream that is open, and that has ended."""
        self._watchers.append(changed)

    def close(self, peer_id: str, service: str = "") -> None:
        """End open streams of a peer at once, those of one service or all."""
        for stream, transport in list(self._transports.items()):
            if stream.peer_id == peer_id and service in {"", stream.service}:
                transport.abortConnection()

    def open_streams(self) -> list[StreamInfo]:
        """Return what is open now."""
        return [one.info for one in self._transports.values()]

    # -- what streams do

    def stirred(self, stream: ServiceStream) -> None:
        """Look at a stream on which something happened."""
        if (transport := self._transports.get(stream)) is not None:
            transport.look()
        elif stream.state is StreamState.ASKED:
            self._take(stream)
        elif stream.state is not StreamState.ASKING:
            self._answered(stream)

    def _take(self, stream: ServiceStream) -> None:
        """Decide on a stream that a peer asks for."""
        try:
            protocol = self._decide(stream.peer_id, stream.service)
        except Exception:
            _log.failure("deciding on {service}", service=stream.service)
            protocol = None
        if protocol is None:
            stream.refuse()
        else:
            stream.accept()
            self._begin(stream, protocol)

    def _answered(self, stream: ServiceStream) -> None:
        asked = self._asked.pop(stream, None)
        if asked is None:
            return
        if stream.state is StreamState.OPEN or stream.end is StreamEnd.DONE:  # at once
            self._begin(stream, asked.protocol)
            asked.answered.callback(None)
        else:
            asked.answered.errback(_refusal(stream.end))

    def _begin(self, stream: ServiceStream, protocol: IProtocol) -> None:
        self._count += 1
        service = stream.service
        at_us, at_them = ("", service) if stream.is_ours else (service, "")
        transport = StreamTransport(
            *(stream, protocol),
            *(PeerAddress(self._peer_id, at_us), PeerAddress(stream.peer_id, at_them)),
            *(self._clock.seconds(), self._count),
            *(self._wake, self._ended),
        )
        self._transports[stream] = transport
        self._tell(transport, True)
        transport.begin()

    def _ended(self, transport: StreamTransport) -> None:
        del self._transports[transport.stream]
        self._tell(transport, False)

    def _tell(self, transport: StreamTransport, is_open: bool) -> None:
        for changed in self._watchers:
            changed(transport.info, is_open)

    # -- the driver's turn

    def _wake(self) -> None:
        """Let what was asked be done soon."""
        if self._step is None:
            self._step = self._clock.callLater(0, self._do)

    def _do(self) -> None:
        self._step = None
        self._driver.step()
