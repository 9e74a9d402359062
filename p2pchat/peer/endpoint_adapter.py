"""
The endpoint on real sockets: UDP, the streams to relays, and this machine's addresses.

Owns every base that :mod:`p2pchat.traversal.routes` names, and the endpoint's driver.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater

from p2pchat.peer.datagrams import PeerSockets
from p2pchat.peer.driver import Driver
from p2pchat.peer.nat64 import Nat64Discovery
from p2pchat.peer.relay_stream import RelayStream
from p2pchat.peer.resolver import Resolver
from p2pchat.runtime import Runtime
from p2pchat.session.endpoint import Endpoint, EndpointEvent
from p2pchat.traversal.agent import SocketsReleased
from p2pchat.traversal.own_addresses import (
    ANYWHERE,
    MAX_WATCHED,
    Rerouting,
    RouteWatch,
    in_order,
)
from p2pchat.traversal.relays import NOWHERE, StreamChange
from p2pchat.traversal.routes import STREAMS, Datagram
from p2pchat.wire.addresses import Address, family

LINGER = 1.0  # seconds that relays have to confirm what is given back; most round trips take less
LOOK_AGAIN = 0.02  # seconds between looks at whether they have

BaseEvent = SocketsReleased | StreamChange  # what changes sockets and streams


@attrs.define(eq=False)
class EndpointAdapter:
    """
    One endpoint and its bases.

    :ivar react: takes the endpoint's events; those of BaseEvent are for :meth:`change`.
    :ivar translation_changed: called when it shows how this network leads to IPv4, with whether
        it did so in another way before.
    :ivar driver: to be entered by whoever has something for the endpoint.
    """

    _runtime: Runtime
    endpoint: Endpoint
    react: Callable[[EndpointEvent], None]
    translation_changed: Callable[[bool], None] = lambda _before: None
    driver: Driver[EndpointEvent] = attrs.field(init=False)
    _sockets: PeerSockets = attrs.field(init=False)
    _nat64: Nat64Discovery = attrs.field(init=False)
    _streams: dict[str, RelayStream] = attrs.Factory(dict)
    _routes: RouteWatch = attrs.Factory(RouteWatch)

    def __attrs_post_init__(self) -> None:
        self._sockets = PeerSockets(self._runtime.reactor, self._received, self._runtime.nat64)
        resolve = Resolver(self._runtime).addresses
        self._nat64 = Nat64Discovery(self._runtime, resolve, self.translation_changed)
        self.driver = Driver(self.endpoint, self._runtime.clock, self.send, self.react)

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

    def read_interfaces(self) -> Rerouting:
        """
        Take this machine's addresses and routes; tells what has changed of the routes.

        The driver is to be entered after it.
        """
        ports, gathering = self._sockets.ports, self.endpoint.agent.gathering
        found = self._runtime.interface_addresses()
        self._nat64.look(in_order(found, ()), gathering.is_ipv4_blocked)
        asked = [host for host, _ in gathering.servers]
        watched = dict.fromkeys([*asked, *ANYWHERE, *self.endpoint.hosts_in_use])
        sources = {host: self._source(host) for host in list(watched)[:MAX_WATCHED]}
        hosts = in_order(found, sources.values())
        ours = [(host, ports[family(host)]) for host in hosts if family(host) in ports]
        is_translated = self._runtime.nat64.prefix is not None
        gathering.set_host_addresses(ours, self._runtime.clock.seconds(), is_translated)
        return self._routes.look(found, sources)

    def look_for_translation(self) -> None:
        """Look at once whether this network leads to IPv4 by now, where it didn't."""
        if self._runtime.nat64.prefix is None:
            self._nat64.look_at_once()

    def _source(self, host: str) -> str:
        """Return the address of ours that what goes there leaves from."""
        outward, _ = self._runtime.nat64.outward((host, 0))
        return self._runtime.source_address(outward)

    def close(self) -> Deferred[None]:
        """
        Give relays back, and close everything.

        An allocation that a relay makes in this very moment can be given back only when its
        answer comes; LINGER bounds the wait for a relay that is gone.
        """
        with self.driver as now:
            self.endpoint.agent.relays.release(now)
        closed: Deferred[None] = self._close(now + LINGER)
        return closed

    @inlineCallbacks
    def _close(self, latest: float) -> Any:
        clock = self._runtime.clock
        while self.endpoint.agent.relays.owes_any and clock.seconds() < latest:
            yield deferLater(clock, LOOK_AGAIN)
        self.driver.stop()
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
        yield self._sockets.close()

    def _received(self, base: str, datagrams: list[bytes], address: Address) -> None:
        with self.driver as now:
            self.endpoint.receive_batch(base, datagrams, address, now)

    def send(self, datagrams: Sequence[Datagram]) -> None:
        """Send datagrams from the bases that they name; one that isn't there loses them."""
        if not self._streams:
            self._sockets.send(datagrams)
            return
        for base, group in groupby(datagrams, attrgetter("base")):
            if base in self._streams:
                for datagram in group:
                    self._streams[base].write(datagram.data)
            elif not base.startswith(STREAMS):
                self._sockets.send(list(group))

    def change(self, event: BaseEvent) -> None:
        """Open and close what the endpoint needs, or doesn't need any more."""
        match event:
            case SocketsReleased(ufrag, kept):
                self._sockets.release(ufrag, kept)
            case StreamChange():
                self._change_stream(event)

    def _change_stream(self, change: StreamChange) -> None:
        """Open or close a stream to a relay."""
        base, server, address = change.base, change.server, change.address
        if server is None or address is None:
            stream = self._streams.pop(base, None)
            if stream is not None:
                stream.close()
            return
        self._streams[base] = RelayStream(
            self._runtime,
            server,
            address,
            received=lambda frame: self._received(base, [frame], NOWHERE),
            connected=lambda: self._stream_connected(base),
            lost=lambda reason: self._stream_lost(base, reason),
            patience=change.patience,
        )

    def _stream_connected(self, base: str) -> None:
        with self.driver as now:
            self.endpoint.agent.relays.stream_connected(base, now)

    def _stream_lost(self, base: str, reason: str) -> None:
        with self.driver as now:
            self.endpoint.agent.relays.stream_lost(base, reason, now)
