"""
Our connection to a registry: the record, the event stream, and the way back when it was away.

::

    idle ──start──▶ connecting ──ready──▶ registered
                        ▲  │                  │
                      retry failed         failed (stream ended, renewal refused)
                        │  ▼                  │
                      waiting ◀───────────────┘          stop, from anywhere ──▶ stopped

    connecting, registered ──displaced──▶ displaced ──refresh (the other is gone)──▶ connecting

Refreshing is connecting anew, at once, from ``registered``, ``waiting`` or ``displaced``: the
network may have changed, and an event stream over TCP may be dead without anybody knowing.  One on
which nothing comes any more, though the registry writes something every few seconds, is dead
(:mod:`p2pchat.peer.stream_health`): that is refreshed too, and nobody reads of it.  Refreshing
alone ignores ``Retry-After``, because our address may have changed.

Connecting is two requests: ``POST /register``, then the event stream, which is heard when its first
event, ``ready``, is there: there are antiviruses, proxies and firewalls that hold a body back until
it ends, and then nobody's answer would arrive.  A registry that asks for work first gets it, and
the registration again.  Waiting grows from FIRST_WAIT to LONGEST_WAIT with
jitter, so that a registry that comes back isn't met by everybody at once.  The first wait is so
short that whoever is told ``bye`` is at the next process behind the same address within a second;
the registry sends ``bye`` in batches that it can absorb.  A refusal's ``Retry-After``
(:mod:`p2pchat.wire.problems`) is waited for in any case.  While somebody else answers, as a captive
portal does until its person has logged in, no wait grows beyond PORTAL_WAIT, for PORTAL_PATIENCE:
it isn't the registry that is asked then.

The lease is renewed at a third of its length by a ``LoopingCall``: with the token that the
registration's answer gave, which costs the registry next to nothing; or by registering again, with
work if that is asked for, where the record is to say something else, the registry doesn't know the
token, its clock was set, or the registration is as old as :class:`p2pchat.peer.lease.Lease` says.
Where the answer says that the registry has no event stream of ours, it is another one, as after a
move, or the stream is dead; then we connect anew.  A renewal that finds the registry unable for
the moment (429, 503) leaves everything as it is; the next one is the first in the rhythm after the
time that was asked for.

Another program with our identity takes the event stream over.  Two that fight for it help nobody:
the displaced one says so once and looks, after DISPLACED_WAIT and then less and less often, whether
the other is still online; it takes over when that is gone, or when its person wants something.
Its waits begin anew only after it had the stream for as long as the longest of them.

Every error in a try is a failed try, unforeseen ones too.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from http import HTTPStatus
from typing import Any

import attrs
from twisted.internet.defer import inlineCallbacks, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.errors import P2PChatError, RegistryError, RegistryUnreachable
from p2pchat.peer.event_stream import CLOSED, KEEPALIVE, SILENT, Event, EventStream
from p2pchat.peer.foreign_answers import ForeignAnswer
from p2pchat.peer.http_client import NO_ANSWER
from p2pchat.peer.lease import Lease
from p2pchat.peer.proof_of_work import solve
from p2pchat.peer.registry_client import RegistryClient, WorkRequired
from p2pchat.peer.stream_health import StreamHealth
from p2pchat.runtime import Runtime, cancel
from p2pchat.session.retry_after import RetryAfter
from p2pchat.wire.documents import Registration
from p2pchat.wire.mailbox import EVENT as MAIL

FIRST_WAIT = 0.5  # seconds
LONGEST_WAIT = 8.0  # seconds
PORTAL_WAIT = 3.0  # seconds; scattered by half, and a person who has logged in waits for it
PORTAL_PATIENCE = 900.0  # seconds; a wrong address isn't asked so often for longer
RENEWALS = 3  # in one lease
DISPLACED_WAIT = 120.0  # seconds; two programs that take turns shall do so rarely
DISPLACED_LONGEST = 1920.0  # seconds
READY_TIMEOUT = 5.0  # seconds from the head of the event stream to its first event, at least
LATEST_READY = 20.0  # the same, once it was waited for in vain: what comes late is better than none
MAX_LEASE = 3600.0  # seconds; one who tells of longer leases is asked again after a third of this
CLOCK_SET = 60.0  # seconds of the registry's clock; what was dated by it before is too old
_FOR_THE_MOMENT = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}

_DISPLACED = "another program with the same identity took over"
_WHAT_TO_DO = (
    f"{_DISPLACED}: this one now and then looks whether that is gone, and comes back then; "
    "end one of the two, or give each a --state of its own"
)

_HELD_BACK = (
    "the registry takes our registration, and nothing of its event stream arrives: something on "
    "the way holds it back (an antivirus, a proxy, a firewall that reads along), so no call and "
    "no answer can arrive"
)

_log = Logger()


@attrs.frozen
class Callbacks:
    """
    Callbacks of a connection.

    :ivar registered: takes the :class:`Lease`, each time we are registered anew; may return a
        Deferred, as ``renewed`` may.
    :ivar lost: takes the reason and the seconds until the next try.
    :ivar document: takes a compact JWS from the event stream.
    :ivar nameplate: takes the name of one of ours at which somebody left something.
    :ivar mail: called when something waits in our mailbox.
    :ivar renewed: takes the lease each time that renewing it meant to register again.
    """

    registered: Callable[[Lease], object]
    lost: Callable[[str, float], None]
    document: Callable[[str], None]
    renewed: Callable[[Lease], object] = lambda _lease: None
    nameplate: Callable[[str], None] = lambda _name: None
    mail: Callable[[], None] = lambda: None


class ConnectionStage(Enum):
    """Stages of a connection."""

    IDLE = "idle"
    CONNECTING = "connecting"
    REGISTERED = "registered"
    WAITING = "waiting"  # for the next try
    DISPLACED = "displaced"  # by another program with our identity
    STOPPED = "stopped"


class Input(Enum):
    """Inputs of a connection."""

    START = "start"
    READY = "ready"  # the event stream is live, and heard
    FAILED = "failed"  # the registry refused, or can't be reached
    DISPLACED = "displaced"  # another program took the event stream over
    RETRY = "retry"  # the wait is over
    REFRESH = "refresh"  # the network may have changed
    STOP = "stop"


# What isn't listed changes nothing: news of a request that was given up, or a refresh too early.
_TRANSITIONS = {
    (ConnectionStage.IDLE, Input.START): ConnectionStage.CONNECTING,
    (ConnectionStage.CONNECTING, Input.READY): ConnectionStage.REGISTERED,
    (ConnectionStage.CONNECTING, Input.FAILED): ConnectionStage.WAITING,
    (ConnectionStage.CONNECTING, Input.DISPLACED): ConnectionStage.DISPLACED,
    (ConnectionStage.REGISTERED, Input.FAILED): ConnectionStage.WAITING,
    (ConnectionStage.REGISTERED, Input.DISPLACED): ConnectionStage.DISPLACED,
    (ConnectionStage.REGISTERED, Input.REFRESH): ConnectionStage.CONNECTING,
    (ConnectionStage.WAITING, Input.RETRY): ConnectionStage.CONNECTING,
    (ConnectionStage.WAITING, Input.REFRESH): ConnectionStage.CONNECTING,
    (ConnectionStage.DISPLACED, Input.REFRESH): ConnectionStage.CONNECTING,
    **{(stage, Input.STOP): ConnectionStage.STOPPED for stage in ConnectionStage},
}


@attrs.define(eq=False)
class RegistryConnection:
    """
    Our record and event stream at one registry, kept alive.

    :ivar describe: returns what the record is to say.
    """

    _client: RegistryClient
    _runtime: Runtime
    describe: Callable[[], Registration]
    _callbacks: Callbacks
    stage: ConnectionStage = ConnectionStage.IDLE
    _clock: IReactorTime = attrs.Factory(lambda self: self._runtime.clock, takes_self=True)
    _retry_after: RetryAfter = attrs.Factory(
        lambda self: RetryAfter(self._runtime.random_bytes), takes_self=True
    )
    _wait: float = FIRST_WAIT
    _foreign_since: float | None = None  # since when somebody else answers
    _displaced_wait: float = DISPLACED_WAIT
    _registered_at: float | None = None
    _said_displaced: bool = False
    _unexpected: str = ""  # the last unforeseen error, logged already
    _try_number: int = 0
    _lease: Lease = attrs.Factory(lambda: Lease(0.0))
    _described: Registration | None = None
    _until: float = 0.0  # when to register again rather than to renew
    _registrys_clock: float = 0.0  # seconds that it was ahead of ours when we registered
    _stream: EventStream | None = None
    _health: StreamHealth = attrs.Factory(
        lambda self: StreamHealth(self._client.warn), takes_self=True
    )
    _last: str = ""  # the id of the last document, "0" after a stream without any
    _ready_wait: float = READY_TIMEOUT
    _round_trip: float = 0.0  # to the registry, when we registered last
    _renewal: LoopingCall | None = None
    _timer: IDelayedCall | None = None

    # -- inputs

    def start(self) -> None:
        """Register, and stay registered."""
        self._take(Input.START)

    def refresh(self) -> None:
        """Register and subscribe anew, at once; from another program it is taken over."""
        self._take(Input.REFRESH)

    def stop(self) -> None:
        """Let the lease run out."""
        self._take(Input.STOP)

    def _take(self, event: Input, reason: str = "") -> None:
        """Take what happened, and begin the stage that follows."""
        stage = _TRANSITIONS.get((self.stage, event))
        if stage is None:
            return
        if stage is not ConnectionStage.REGISTERED:
            self._let_go()
        self.stage = stage
        match stage:
            case ConnectionStage.CONNECTING:
                self._connect().addErrback(_unexpected)
            case ConnectionStage.REGISTERED:
                self._settle()
            case ConnectionStage.WAITING:
                self._begin_waiting(reason)
            case ConnectionStage.DISPLACED:
                self._begin_displaced()

    def _let_go(self) -> None:
        """Drop the stream, the renewals and the wait, whichever there are."""
        self._try_number += 1
        if self._renewal is not None and self._renewal.running:
            self._renewal.stop()
        if self._stream is not None:
            self._stream.stop("given up")
        cancel(self._timer)
        self._renewal, self._stream, self._timer = None, None, None

    # -- registering

    @inlineCallbacks
    def _connect(self) -> Any:
        """Register and subscribe; results of a try that was given up are dropped."""
        number = self._try_number

        def ended(reason: str) -> None:
            if number != self._try_number:
                return
            if self.stage is ConnectionStage.REGISTERED:
                if reason == SILENT:
                    self._client.close()  # what is kept went by the same way
                    self._take(Input.REFRESH)
                    return
                if reason == CLOSED:
                    self._health.ended(self._clock.seconds())
            self._take(Input.FAILED, reason)

        def received(event: Event) -> None:
            if number != self._try_number:
                return
            if event.name == "document":
                self._last = event.id or self._last
                self._callbacks.document(event.data)
            elif event.name == "nameplate":
                self._callbacks.nameplate(event.data)
            elif event.name == MAIL:
                self._callbacks.mail()
            elif event.name == "ready":
                self._health.ready(self._clock.seconds())
                self._last = self._last or "0"
                self._take(Input.READY)
            elif event.name == KEEPALIVE:
                self._health.alive(float(event.data), self._clock.seconds())
                if self._stream is not None:
                    self._stream.expect(self._health.patience(self._client.rtt))
            elif event.name == "superseded":
                self._take(Input.DISPLACED)
            elif event.name == "bye":
                ended("the registry is stopping or restarting")

        try:
            yield self._register(number)
            stream = yield self._subscribe(received, ended)
        except Exception as error:
            self._heed(error)
            ended(self._reason(error))
            return
        if number != self._try_number:
            stream.stop("given up")
            return
        self._stream = stream
        if self.stage is ConnectionStage.CONNECTING:
            ready_wait = self._client.trips.limit(self._ready_wait)
            self._timer = self._clock.callLater(ready_wait, self._give_up_waiting)
            self._ready_wait = LATEST_READY

    def _give_up_waiting(self) -> None:
        """Count as not registered: the stream is open, and nothing of it is heard."""
        self._health.held_back()
        self._take(Input.FAILED, _HELD_BACK)

    @inlineCallbacks
    def _subscribe(self, received: Callable[[Event], None], ended: Callable[[str], None]) -> Any:
        """Open the event stream of whoever has just registered."""
        try:
            self._health.asked(self._clock.seconds(), self._round_trip)
            return (yield self._client.subscribe(received, ended, self._health.wanted, self._last))
        except RegistryError as error:
            if error.reason != NO_ANSWER:
                raise
        self._health.held_back()
        raise RegistryUnreachable(_HELD_BACK, reason=NO_ANSWER)

    def _settle(self) -> None:
        cancel(self._timer)
        self._ready_wait = READY_TIMEOUT
        if self._health.renew_after is not None:
            self._timer = self._clock.callLater(self._health.renew_after, self._take, Input.REFRESH)
        self._registered_at, self._foreign_since = self._clock.seconds(), None
        self._renewal = LoopingCall(self.renew)
        self._renewal.clock = self._clock
        rhythm = max(1.0, min(self._lease.seconds, MAX_LEASE) / RENEWALS)
        self._renewal.start(rhythm, now=False).addErrback(_unexpected)
        self._call(self._callbacks.registered, self._lease)

    def _call(self, callback: Callable[[Lease], object], lease: Lease) -> None:
        maybeDeferred(callback, lease).addErrback(_unexpected)

    @inlineCallbacks
    def _register(self, number: int) -> Any:
        """Register as we are now, and keep what a renewal needs."""
        described = self.describe()
        lease = Lease.from_json((yield self._register_as(described, number)))
        self._described, self._lease = described, lease
        self._until = self._clock.seconds() + lease.good_for
        self._registrys_clock = self._registrys_lead()
        return lease

    @inlineCallbacks
    def _register_as(self, described: Registration, number: int) -> Any:
        """Register, with work if it is asked for, unless the try is given up meanwhile."""
        asked_at = self._clock.seconds()
        try:
            answer = yield self._client.register(described)
            self._round_trip = self._clock.seconds() - asked_at
            return answer
        except WorkRequired as error:
            self._round_trip = self._clock.seconds() - asked_at
            required = error
        try:
            work = yield solve(
                required.challenge,
                self._client.peer_id,
                self._clock,
                lambda: number == self._try_number,
            )
        except RegistryError as error:
            if number == self._try_number:  # it is ours to refuse, not idle
                error.retry_after = required.idle_wait
            raise
        return (yield self._client.register(attrs.evolve(described, work=work)))

    def _reason(self, error: Exception) -> str:
        """Return why a try failed, for the person; an unforeseen error is logged, once."""
        if isinstance(error, P2PChatError):
            return str(error)
        if repr(error) != self._unexpected:
            self._unexpected = repr(error)
            _log.failure("registering failed")
        return f"the registry's answer can't be used ({type(error).__name__})"

    def _heed(self, error: Exception) -> None:
        """Leave the registry alone for as long as it asks; note who answers in its place."""
        if not (isinstance(error, ForeignAnswer) and error.may_pass):
            self._foreign_since = None
        elif self._foreign_since is None:
            self._foreign_since = self._clock.seconds()
        if isinstance(error, RegistryError):
            self._retry_after.refused(error.retry_after, self._clock.seconds())

    def _time_asked(self) -> float:
        """Return the seconds for which the registry is to be left alone."""
        now = self._clock.seconds()
        return self._retry_after.earliest(now) - now

    # -- renewing

    @inlineCallbacks
    def renew(self) -> Any:
        """Tell the registry now what the record is to say, if it lets us ask."""
        if self._time_asked() > 0:
            return
        number = self._try_number
        try:
            if not (yield self._prolong()):
                lease = yield self._register(number)
                self._call(self._callbacks.renewed, lease)
                if lease.has_stream is False and number == self._try_number:
                    self._take(Input.REFRESH)
        except Exception as error:
            self._heed(error)
            if isinstance(error, RegistryError) and error.status in _FOR_THE_MOMENT:
                return  # our stream may be fine; there is a lease's time for another renewal
            if number == self._try_number:
                self._take(Input.FAILED, self._reason(error))

    @inlineCallbacks
    def _prolong(self) -> Any:
        """Renew the record as it is, if that will do; tell whether it did."""
        stale = self._clock.seconds() >= self._until or self.describe() != self._described
        if stale or not self._lease.token:
            return False
        try:
            yield self._client.renew(self._lease.token)
        except RegistryError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        # Credentials end by the wall clock of the relay, on whose machine the registry may be.
        return abs(self._registrys_lead() - self._registrys_clock) < CLOCK_SET

    def _registrys_lead(self) -> float:
        return self._client.now() - self._clock.seconds()

    # -- waiting

    def _begin_waiting(self, reason: str) -> None:
        """Try again later, each time later than the last, and no sooner than asked."""
        if self._had_it_for(LONGEST_WAIT):
            self._wait = FIRST_WAIT
        longest = PORTAL_WAIT if self._is_portal() else LONGEST_WAIT
        delay = max(self._scattered(min(self._wait, longest)), self._time_asked())
        self._wait = min(self._wait * 2, LONGEST_WAIT)
        self._timer = self._clock.callLater(delay, self._take, Input.RETRY)
        self._callbacks.lost(reason, delay)

    def _is_portal(self) -> bool:
        since = self._foreign_since
        return since is not None and self._clock.seconds() - since < PORTAL_PATIENCE

    def _had_it_for(self, seconds: float) -> bool:
        """Tell, once, whether we were registered for so long."""
        since, self._registered_at = self._registered_at, None
        return since is not None and self._clock.seconds() - since >= seconds

    def _scattered(self, wait: float) -> float:
        return wait * (0.5 + self._runtime.random_bytes(1)[0] / 255)

    # -- another program with our identity

    def _begin_displaced(self) -> None:
        """Leave the stream to the other program; the person is told once what to do."""
        self._last = ""  # what comes now is for the other program
        if self._had_it_for(DISPLACED_LONGEST):
            self._displaced_wait = DISPLACED_WAIT
        delay = self._look_later()
        reason = _DISPLACED if self._said_displaced else _WHAT_TO_DO
        self._said_displaced = True
        self._callbacks.lost(reason, delay)

    def _look_later(self) -> float:
        """Look after a while whether the other is gone; returns the seconds."""
        delay = max(self._scattered(self._displaced_wait), self._time_asked())
        self._displaced_wait = min(self._displaced_wait * 2, DISPLACED_LONGEST)
        self._timer = self._clock.callLater(delay, lambda: self._look().addErrback(_unexpected))
        return delay

    @inlineCallbacks
    def _look(self) -> Any:
        """Take over if the other program is gone, as far as the registry knows."""
        number = self._try_number
        try:
            record = yield self._client.peer(self._client.peer_id)
            is_gone = record.get("online") is not True
        except RegistryError as error:
            self._heed(error)
            is_gone = error.status == HTTPStatus.NOT_FOUND
        if number != self._try_number:
            return
        if is_gone:
            self.refresh()
        else:
            self._look_later()


def _unexpected(failure: Failure) -> None:
    _log.failure("an unforeseen error around the registration", failure)
