"""
What a signed document may do at this registry.

::

    registration   holds a record of its author for one lease
    removal        ends the author's record
    subscription   opens the author's event stream; the author must be registered
    offer, answer, candidates, ringing, refusal
                   go to the stream of the peer that they are for; the author must be registered

Owns the order of the checks: what the document is, then whom it names, then whether it is fresh;
then the store says whether it can be done, and whether it is new.  A document refused for what
could change (its peer is offline) isn't remembered as used, so that it may be sent again.

What is remembered is the store's (:class:`p2pchat.interfaces.IRegistryStore`), which may be
another process; the event streams are this one's.

Nothing here waits for a peer: a document whose peer has no live stream is refused at once, and
its author, who knows how urgent it is, tries again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from types import UnionType
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.server import Request

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.documents import check_meant, open_document
from p2pchat.interfaces import IRegistryStore
from p2pchat.runtime import Runtime
from p2pchat.signaling.client_address import TrustedProxies
from p2pchat.signaling.directory import Delivery, Listing, Page, Record
from p2pchat.signaling.memory_store import MemoryStore
from p2pchat.signaling.rates import TokenBuckets
from p2pchat.signaling.refusals import refused
from p2pchat.signaling.relay_credentials import RelayCredentials
from p2pchat.signaling.streams import EventStreams
from p2pchat.wire.documents import (
    Body,
    Delivered,
    Document,
    Offer,
    Registration,
    Removal,
    Subscription,
)
from p2pchat.wire.origins import host
from p2pchat.wire.strict_json import JsonObject

SWEEP = 1.0  # seconds; how late a lease may end, and how finely keepalives are spread

# The compact form goes into an event stream verbatim, and base64 decoders skip what isn't
# base64: a line break in it would let its author write events.
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

_log = Logger()


@attrs.frozen
class Settings:
    """
    What the operator chose.

    :ivar lease: seconds.
    :ivar public_origin: the only origin under which the registry is addressed, or None: any
        that a request names.
    :ivar stun_port: the first of two UDP ports, or 0: no STUN.
    :ivar second_address: the second IP address of STUN, or empty.
    :ivar relays: what registered peers are told of relays, or None.
    :ivar stun_host: where clients reach STUN, or empty: where they reached the registry.
    :ivar proxies: who is believed about the address of a client.
    """

    lease: float = 60.0
    public_origin: str | None = None
    stun_port: int = 0
    second_address: str = ""
    relays: RelayCredentials | None = None
    proxies: TrustedProxies = attrs.field(factory=TrustedProxies)
    stun_host: str = ""

    def stun_urls(self, origin: str) -> list[str]:
        """Return where STUN is, for a client that reached the registry at this origin."""
        if not self.stun_port:
            return []
        second = self.second_address
        hosts = [self.stun_host or host(origin), f"[{second}]" if ":" in second else second]
        ports = (self.stun_port, self.stun_port + 1)
        return [f"stun:{name}:{port}" for name in hosts if name for port in ports]


@attrs.define
class Counts:
    """What happened since the start; no addresses and no ids."""

    offers: int = 0
    deliveries: int = 0
    errors: Counter[int] = attrs.field(factory=Counter)
    stun: Counter[str] = attrs.field(factory=Counter)


StoreMaker = Callable[[Runtime, float, EventStreams], IRegistryStore]


@attrs.define(eq=False)
class Registry:
    """
    The registry without its HTTP.

    Call :meth:`start` for leases to end and streams to be kept alive, and :meth:`stop` after.

    :ivar streams: the event streams that hang on this process.
    """

    runtime: Runtime
    settings: Settings
    make_store: StoreMaker = MemoryStore
    counts: Counts = attrs.field(factory=Counts)
    buckets: TokenBuckets = attrs.field(factory=TokenBuckets)
    streams: EventStreams = attrs.field(init=False, factory=EventStreams)
    store: IRegistryStore = attrs.field(init=False)
    _sweeping: LoopingCall = attrs.field(init=False)
    _started: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = self.make_store(self.runtime, self.settings.lease, self.streams)
        self.streams.gone = self.store.unsubscribe
        self._sweeping = LoopingCall(self.sweep)
        self._sweeping.clock = self.runtime.clock
        self._started = self.now()

    def now(self) -> float:
        """Return seconds on the clock of leases and streams."""
        return self.runtime.clock.seconds()

    def start(self) -> None:
        """Begin to end leases and to keep streams alive."""
        self.store.start()
        sweeping = self._sweeping.start(SWEEP, now=False)
        sweeping.addErrback(lambda failure: _log.failure("leases end no more", failure))

    def stop(self) -> Deferred[None]:
        """End every stream with ``bye``, then leave the store."""
        if self._sweeping.running:
            self._sweeping.stop()
        self.streams.end_all("bye")
        return self.store.stop()

    def sweep(self) -> None:
        """End the leases that are over; write the keepalives that are due."""
        self.store.sweep()
        self.streams.keep_alive(self.now())

    def admit(self, source: str) -> None:
        """
        Count a request that costs work.

        :raises Refused: this source sends too many.
        """
        wait = self.buckets.take(source, self.now())
        if wait > 0:
            detail = "too many requests from your address: slow down"
            raise refused(429, "too-many-requests", detail, retry_after=int(wait) + 1)

    def register(self, token: str, audience: str, ip: str) -> Deferred[JsonObject]:
        """
        Hold a record of the author.

        :param audience: the origin under which the registry was addressed.
        :param ip: where the request came from.
        """
        document = self._read(token, Registration)
        self._check_meant(document, audience)
        assert isinstance(document.body, Registration)  # _read saw to it
        wall = self.runtime.wall_time()
        record = Record.of(document.issuer, document.body, ip, wall)
        relays = self.settings.relays
        answer = {
            "lease": self.settings.lease,
            "stun": self.settings.stun_urls(audience),
            "your_ip": ip,
            **({"turn": relays.show(document.issuer, wall)} if relays else {}),
        }
        online = self.store.register(record, document)
        return online.addCallback(lambda online: {**record.to_json(online), **answer})

    def remove(self, token: str, audience: str, peer_id: str) -> Deferred[None]:
        """End the author's record, and its stream."""
        document = self._read(token, Removal)
        self._refuse_others(document, peer_id)
        self._check_meant(document, audience)
        return self.store.remove(peer_id, document).addCallback(_refuse_unknown, peer_id)

    def subscribe(
        self, token: str, audience: str, peer_id: str, request: Request
    ) -> Deferred[None]:
        """Open the author's event stream as the response to this request."""
        document = self._read(token, Subscription)
        self._refuse_others(document, peer_id)
        self._check_meant(document, audience)
        return self.store.subscribe(peer_id, document).addCallback(self._open, peer_id, request)

    def _open(self, registered: bool, peer_id: str, request: Request) -> Deferred[None]:
        if not registered:
            raise refused(404, "not-registered", "register first, then subscribe")
        return self.streams.open(peer_id, request, self.now())

    def deliver(self, token: str, peer_id: str) -> Deferred[None]:
        """Pass a document on to the peer that it is for."""
        document = self._read(token, Delivered)
        self._check_meant(document, peer_id)
        delivered = self.store.deliver(peer_id, document, token)
        return delivered.addCallback(self._count_delivery, document, peer_id)

    def _count_delivery(self, delivery: Delivery, document: Document, peer_id: str) -> None:
        if delivery is Delivery.UNKNOWN_AUTHOR:
            raise refused(403, "not-registered", "register first, then send documents")
        _refuse_unknown(delivery is not Delivery.UNKNOWN_PEER, peer_id)
        if delivery is Delivery.OFFLINE:
            detail = f"{peer_id} is registered, but has no event stream: try again soon"
            raise refused(404, "peer-offline", detail)
        self.counts.deliveries += 1
        self.counts.offers += type(document.body) is Offer

    def find(self, peer_id: str) -> Deferred[Listing]:
        """Return a peer's listing; fails with Refused if nobody of that id is registered."""
        return self.store.find(peer_id).addCallback(_refuse_unknown, peer_id)

    def page(self, after: str, limit: int, username: str | None) -> Deferred[Page]:
        """Return a page of listings, in the order of ids."""
        return self.store.page(after, limit, username)

    def status(self) -> Deferred[JsonObject]:
        """Return counts, without addresses and ids; those of streams are of this process."""
        return self.store.count().addCallback(self._status)

    def _status(self, registered: int | None) -> JsonObject:
        return {
            "uptime": round(self.now() - self._started, 3),
            "peers_registered": registered,
            "peers_online": len(self.streams),
            "offers": self.counts.offers,
            "deliveries": self.counts.deliveries,
            "errors": {str(status): n for status, n in sorted(self.counts.errors.items())},
            "stun": dict(sorted(self.counts.stun.items())),
        }

    def _read(self, token: str, kinds: type[Body] | UnionType) -> Document:
        if not _COMPACT.fullmatch(token):
            raise RemoteProtocolError("a JWS in compact serialization is expected")
        document = open_document(token)
        if not isinstance(document.body, kinds):
            raise refused(400, "wrong-type", f"a {document.body.TYPE} has no business here")
        return document

    def _check_meant(self, document: Document, audience: str) -> None:
        check_meant(document, frozenset({audience}), self.runtime.wall_time())

    @staticmethod
    def _refuse_others(document: Document, peer_id: str) -> None:
        if document.issuer != peer_id:
            raise refused(403, "not-yours", f"signed by {document.issuer}, about {peer_id}")


def _refuse_unknown(found: Any, peer_id: str) -> Any:
    if not found:
        raise refused(404, "unknown-peer", f"no peer {peer_id} is registered here")
    return found
