"""
The registry without its HTTP: what each signed document does.

::

    registration   holds a record of its author for one lease
                   until another registration replaces it, its renewal token prolongs it
    removal        ends the author's record
    subscription   opens the author's event stream; the author must be registered
    sealed         goes to the stream of the peer that it is for; the author must be registered;
                   what it says is for that peer alone
    claim, completion, release      of nameplates (p2pchat.registry.nameplates)
    prekeys, mailbox, fetch, acknowledgement
                                    of mailboxes (p2pchat.registry.mailbox), where there are any

Owns the order of the checks: what the document is, then whom it names, then whether it is fresh;
then the store says whether it can be done, and whether it is new.  A document refused for what
could change (its peer is offline) isn't remembered as used, so that it may be sent again.

What is remembered is in the store (:class:`p2pchat.interfaces.IRegistryStore`), which may be
another process; the event streams are in this one.

Nothing here waits for a peer: a document whose peer has no live stream is refused at once, and
its author, who knows how urgent it is, tries again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from functools import lru_cache
from typing import Any, TypeVar, cast

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.web.server import Request

from p2pchat.errors import DocumentTooLong
from p2pchat.identity.signed_documents import check_envelope, open_document
from p2pchat.interfaces import IMailboxStore, IRegistryStore
from p2pchat.registry.admission.control import AdmissionControl
from p2pchat.registry.admission.load import STRANGERS
from p2pchat.registry.admission.proof_of_work import KEY
from p2pchat.registry.admission.rates import Limits, Rate, Rates, source_of
from p2pchat.registry.audiences import Audiences
from p2pchat.registry.event_streams import KEEPALIVE, STREAMS, EventStreams
from p2pchat.registry.mailbox.mailboxes import Mailboxes
from p2pchat.registry.metrics import Metrics
from p2pchat.registry.nameplates import Nameplates
from p2pchat.registry.presence import PresenceQueries
from p2pchat.registry.refusals import Refused, refused
from p2pchat.registry.relay_credentials import RelayCredentials
from p2pchat.registry.store.directory import (
    MAX_NAMED,
    MAX_REGISTRATION,
    Delivery,
    Page,
    PublicRecord,
    Record,
)
from p2pchat.registry.store.memory import MemoryStore
from p2pchat.runtime import Runtime
from p2pchat.wire.documents import (
    Body,
    Document,
    Registration,
    Removal,
    Sealed,
    Subscription,
)
from p2pchat.wire.origins import host
from p2pchat.wire.strict_json import JsonObject

SWEEP = 1.0  # seconds; how late a lease may end, and how finely keepalives are spread
RETRY_AFTER = 4  # seconds, for the author of what was dropped; a caller waits as long
METRICS_AGE = 1.0  # seconds for which the metrics serve whoever asks; Prometheus asks every 15

_host = lru_cache(maxsize=256)(host)  # registrations name the same few
_T = TypeVar("_T")
_Steps = Generator[Deferred[Any], Any, _T]
_log = Logger()


@attrs.frozen
class Settings:
    """
    Settings of the registry, as the operator chose them; those of HTTP are its own.

    :ivar lease: seconds.
    :ivar audiences: the origins under which the registry is addressed.
    :ivar stun_port: the first of two UDP ports, or 0: no STUN.
    :ivar second_address: the second IP address of STUN, or empty.
    :ivar relays: credentials for relays, which registered peers are given, or None.
    :ivar stun_host: where clients reach STUN, or empty: where they reached the registry.
    :ivar rates: how often one source may ask.
    :ivar work_from: strangers a second from which on they must work; 0: never.
    :ivar work_key: the key of the challenges, the same in all processes that share a store;
        empty: one of our own.
    :ivar streams: how many event streams there may be.
    """

    lease: float = 60.0
    audiences: Audiences = attrs.field(factory=Audiences)
    stun_port: int = 0
    second_address: str = ""
    relays: RelayCredentials | None = None
    stun_host: str = ""
    rates: Rates = attrs.field(factory=Rates)
    work_from: float = STRANGERS
    work_key: bytes = attrs.field(default=b"", repr=False)
    streams: Limits = STREAMS

    def stun_urls(self, origin: str) -> list[str]:
        """Return where STUN is, for a client that reached the registry at this origin."""
        if not self.stun_port:
            return []
        second = self.second_address
        hosts = [self.stun_host or _host(origin), f"[{second}]" if ":" in second else second]
        ports = (self.stun_port, self.stun_port + 1)
        return [f"stun:{name}:{port}" for name in hosts if name for port in ports]


StoreMaker = Callable[[Runtime, float, EventStreams, Rate], IRegistryStore]
MailboxMaker = Callable[[Runtime, EventStreams, IRegistryStore], IMailboxStore]


@attrs.define(eq=False)
class Registry:
    """
    One process of the registry.

    Call :meth:`start` for leases to end and streams to be kept alive, and :meth:`stop` after.

    :ivar streams: the event streams that are attached to this process.
    :ivar wall_time: returns seconds since 1970: when documents are judged, and answers written.
    :ivar sweeps: what else is done every SWEEP seconds, each called with the time.
    """

    runtime: Runtime
    settings: Settings
    make_store: StoreMaker = MemoryStore
    make_mailboxes: MailboxMaker | None = None
    metrics: Metrics = attrs.field(init=False, factory=Metrics)
    streams: EventStreams = attrs.field(init=False, factory=EventStreams)
    sweeps: list[Callable[[float], None]] = attrs.field(init=False, factory=list)
    store: IRegistryStore = attrs.field(init=False)
    wall_time: Callable[[], float] = attrs.field(init=False)
    admission: AdmissionControl = attrs.field(init=False)
    nameplates: Nameplates = attrs.field(init=False)
    presence: PresenceQueries = attrs.field(init=False)
    mailboxes: Mailboxes | None = attrs.field(init=False, default=None)
    _sweeping: LoopingCall = attrs.field(init=False)
    stopping: bool = attrs.field(init=False, default=False)
    _registered: float = attrs.field(init=False, default=math.nan)  # as of the last metrics
    _written: tuple[float, bytes] | None = attrs.field(init=False, default=None)  # when, and what
    _started: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        chosen = self.settings
        unsolicited = chosen.rates.unsolicited
        self.store = self.make_store(self.runtime, chosen.lease, self.streams, unsolicited)
        self.streams.gone, self.wall_time = self.store.unsubscribe, self.store.wall_time
        key = chosen.work_key or self.runtime.random_bytes(KEY)
        self.admission = AdmissionControl(self.runtime.clock, chosen.rates, chosen.work_from, key)
        self.nameplates = Nameplates(self.store, self.admission, self.metrics, self._read)
        self.presence = PresenceQueries(self.store, self.admission, self.metrics)
        if self.make_mailboxes is not None:
            kept = self.make_mailboxes(self.runtime, self.streams, self.store)
            self.mailboxes = self._mailboxes(kept)
        self._sweeping = LoopingCall(self.sweep)
        self._sweeping.clock = self.runtime.clock
        self._started = self.now()
        self._show_gauges()

    def _mailboxes(self, kept: IMailboxStore) -> Mailboxes:
        self.sweeps.append(lambda _now: kept.sweep())
        return Mailboxes(
            self.runtime,
            kept,
            self.store,
            self.metrics,
            self._read,
            self.admission.count_key,
            self.settings.rates,
        )

    def _show_gauges(self) -> None:
        gauge, work, lag = self.metrics.gauge, self.admission.proof_of_work, self.admission.lag
        gauge("peers_registered", "Records in the store.", lambda: self._registered)
        gauge("event_streams", "Live event streams here.", lambda: len(self.streams))
        gauge("work_bits", "Work asked of strangers.", lambda: work.load.difficulty)
        gauge("reactor_lag_seconds", "How late the last timer was.", lambda: lag.seconds)

    def now(self) -> float:
        """Return seconds on the clock of leases and streams."""
        return self.runtime.clock.seconds()

    def start(self) -> None:
        """
        Begin to end leases and to keep streams alive.

        :raises ConfigurationError: the file of the mailboxes can't be used.
        """
        if self.mailboxes is not None:
            self.mailboxes.store.start()
        self.store.start()
        self.admission.lag.start()
        sweeping = self._sweeping.start(SWEEP, now=False)
        sweeping.addErrback(lambda failure: _log.failure("leases end no more", failure))

    def stop(self) -> Deferred[None]:
        """End every stream with ``bye``, then leave the store."""
        self.admission.lag.stop()
        if self._sweeping.running:
            self._sweeping.stop()
        self.streams.end_all("bye")
        stopped = succeed(None) if self.mailboxes is None else self.mailboxes.store.stop()
        return stopped.addCallback(lambda _: self.store.stop())

    def check_health(self) -> None:
        """
        Do nothing while the registry can serve.

        :raises Refused: it can't; says why.
        """
        self._refuse_late()
        if not self.store.is_available():
            detail = "the registry can't reach its store at the moment: try again soon"
            raise refused(503, "store-unavailable", detail, retry_after=1)

    def _refuse_late(self) -> None:
        if self.stopping:
            detail = "this registry is about to stop: ask again, another may answer"
            raise refused(503, "stopping", detail, retry_after=1)

    def sweep(self) -> None:
        """End the leases that are over; write the keepalives that are due."""
        self.store.sweep()
        self.streams.keep_alive(self.now())
        for sweep in self.sweeps:
            sweep(self.now())
        share = self.store.share()
        if share is not None:
            self.admission.measure(share)

    def register(self, token: str, origin: str, ip: str) -> Deferred[JsonObject]:
        """
        Hold a record of the author.

        :param origin: under which the registry was addressed.
        :param ip: where the request came from.
        """
        document = self._read(token, Registration, self.settings.audiences.accepted(origin))
        if len(token) > MAX_REGISTRATION:
            raise DocumentTooLong(f"a registration longer than {MAX_REGISTRATION} bytes")
        wall, renewal = self.wall_time(), self.runtime.random_name()
        described = cast(Registration, document.body)
        record = Record.of(document.issuer, described, ip, wall, renewal, registration=token)
        # No generator: most of what a registry does is this.
        if not self.admission.proof_of_work.is_required(record.peer_id, self.now()):
            return self._hold(record, document, origin)
        found = self.store.find(record.peer_id).addCallback(self._verify_work, document)
        return found.addCallback(lambda _: self._hold(record, document, origin))

    def _verify_work(self, found: PublicRecord | None, document: Document) -> None:
        """Check the work of one whom no other process knows, either."""
        if found is None:
            work, wall = cast(Registration, document.body).work, self.wall_time()
            self.admission.proof_of_work.verify(document.issuer, work, wall)

    def _hold(self, record: Record, document: Document, origin: str) -> Deferred[JsonObject]:
        held = self.store.register(record, document).addCallback(self._held, record, origin)
        if self.mailboxes is not None:
            held.addCallback(self.mailboxes.tell, record.peer_id)
        return held

    def _held(self, online: bool, record: Record, origin: str) -> JsonObject:
        """Return the answer to a registration."""
        peer_id, relays = record.peer_id, self.settings.relays
        self.admission.count_key(peer_id)
        self.admission.proof_of_work.record(peer_id, self.now())
        return {
            **PublicRecord(record, online).to_json(),
            "lease": self.settings.lease,
            "renewal": record.renewal,
            "stun": self.settings.stun_urls(origin),
            "your_ip": record.ip,
            **({"turn": relays.show(peer_id, self.wall_time())} if relays else {}),
        }

    def renew(self, peer_id: str, renewal: str, ip: str) -> Deferred[bool]:
        """
        Hold a record for one more lease, as it is.

        :param renewal: what the answer to its registration gave.
        :param ip: where the request came from; it must be where the registration came from.
        """
        return self.store.renew(peer_id, renewal, ip).addCallback(_refuse_unknown_lease)

    def remove(self, token: str, origin: str, peer_id: str) -> Deferred[None]:
        """End the author's record, and its stream."""
        audiences = self.settings.audiences.accepted(origin)
        document = self._read(token, Removal, audiences, peer_id)
        removed = self.store.remove(peer_id, document).addCallback(_refuse_unknown, peer_id)
        return removed.addCallback(lambda _found: self.admission.count_key(peer_id))

    @inlineCallbacks
    def subscribe(
        self,
        token: str,
        origin: str,
        peer_id: str,
        ip: str,
        request: Request,
        *,
        keepalive: float = KEEPALIVE,
        padding: int = 0,
        after: int | None = None,
    ) -> _Steps[None]:
        """
        Open the author's event stream as the response to this request, which came from ip.

        :param keepalive: seconds after which its author wants something to come at the latest.
        :param padding: bytes that its author wants behind whatever is written.
        :param after: the number of the last document on the author's last stream, if it had one.
        """
        self._refuse_late()
        source = source_of(ip)
        self.streams.refuse_growth(peer_id, source, self.settings.streams)
        audiences = self.settings.audiences.accepted(origin)
        document = self._read(token, Subscription, audiences, peer_id)
        if not (yield self.store.subscribe(peer_id, document, after)):
            raise refused(404, "not-registered", "register first, then subscribe")
        self.admission.count_key(peer_id)
        yield self.streams.open(
            peer_id,
            request,
            source,
            self.now(),
            keepalive=keepalive,
            padding=padding,
            after=after,
        )

    @inlineCallbacks
    def deliver(self, token: str, peer_id: str) -> _Steps[None]:
        """Pass a document on to the peer that it is for."""
        document = self._read(token, Sealed, frozenset({peer_id}))
        delivery = yield self.store.deliver(peer_id, document, token)
        if delivery is Delivery.UNKNOWN_AUTHOR:
            raise refused(403, "not-registered", "register first, then send documents")
        _refuse_unknown(delivery is not Delivery.UNKNOWN_PEER, peer_id)
        taken = delivery is Delivery.TAKEN
        self.metrics.passed(taken)
        if not taken:
            raise _undelivered(delivery, peer_id)
        self.admission.count_key(document.issuer)

    def find(self, peer_id: str) -> Deferred[PublicRecord]:
        """Return what anybody may see of a peer; fails with Refused where it isn't registered."""
        return self.store.find(peer_id).addCallback(_refuse_unknown, peer_id)

    def page(self, after: str, limit: int, username: str | None) -> Deferred[Page]:
        """Return a page of records, in the order of ids; those of a name have registrations."""
        most = limit if username is None else min(limit, MAX_NAMED)
        return self.store.page(after, most, username)

    def status(self) -> Deferred[JsonObject]:
        """Return counts, without addresses and ids; those of streams are of this process."""
        return self.store.count().addCallback(self._status)

    def exposition(self) -> Deferred[bytes]:
        """Return the same counts and more, in the text format of Prometheus."""
        return self.store.count().addCallback(self._expose)

    def _expose(self, registered: int | None) -> bytes:
        """Return what was written within METRICS_AGE, or write it: that takes milliseconds."""
        now = self.now()
        if self._written is None or now >= self._written[0] + METRICS_AGE:
            self._registered = math.nan if registered is None else registered
            self._written = now, self.metrics.text()
        return self._written[1]

    def _status(self, registered: int | None) -> JsonObject:
        return {
            "uptime": round(self.now() - self._started, 3),
            "peers_registered": registered,
            "peers_online": len(self.streams),
            "deliveries": self.metrics.delivered,
            "errors": {str(status): n for status, n in sorted(self.metrics.errors.items())},
            "refusals": dict(sorted(self.metrics.refusals.items())),
            "stun": dict(sorted(self.metrics.stun.items())),
        }

    def _read(
        self, token: str, kind: type[Body], audiences: frozenset[str], about: str = ""
    ) -> Document:
        """
        Read a document, and check all that needs no store.

        :param about: whose document it must be, if not just anybody's.
        """
        document = open_document(token)
        if not isinstance(document.body, kind):
            raise refused(400, "wrong-type", f"a {document.body.TYPE} has no business here")
        if about and document.issuer != about:
            raise refused(403, "not-yours", f"signed by {document.issuer}, about {about}")
        check_envelope(document, audiences, self.wall_time())
        self.admission.admit_key(document.issuer)
        return document


def _undelivered(delivery: Delivery, peer_id: str) -> Refused:
    match delivery:
        case Delivery.FULL:
            detail = f"{peer_id} takes nothing at the moment, and no more can wait for it"
            return refused(503, "stream-full", detail, RETRY_AFTER)
        case Delivery.UNSOLICITED:
            detail = (
                f"{peer_id} never called or answered you, and has been sent too much by you, or by "
                "all such peers together: try again soon"
            )
            return refused(429, "too-many-strangers", detail, RETRY_AFTER)
    detail = f"{peer_id} is registered, but has no event stream: try again soon"
    return refused(404, "peer-offline", detail)


def _refuse_unknown_lease(found: bool) -> bool:
    if not found:
        detail = "that lease has ended, or is another's, or began elsewhere: register again"
        raise refused(404, "unknown-lease", detail)
    return found


def _refuse_unknown(found: Any, peer_id: str) -> Any:
    if not found:
        raise refused(404, "unknown-peer", f"no peer {peer_id} is registered here")
    return found
