"""
Staying registered: the lease, the event stream, and the way back when the registry was away.

::

    idle ──start──▶ connecting ──subscribed──▶ registered
                        ▲  │                       │
                     retry failed               failed (stream ended, renewal refused)
                        │  ▼                       │
                      waiting ◀────────────────────┘          stop, from anywhere ──▶ stopped

    connecting, registered ──displaced──▶ displaced ──the other is gone, take over──▶ connecting

Refreshing is connecting anew, at once, from ``registered`` or ``waiting``: for the moment when
the network has changed, and an event stream over TCP may be dead without anybody knowing.  It is
the one thing that is done although the registry has asked for time: our address may be another.

Connecting is two requests: ``POST /register``, then the event stream.  A registry that asks for
work first gets it, and the registration again.  Waiting grows from
FIRST_WAIT to LONGEST_WAIT with jitter, so that a registry that comes back isn't met by everybody
at once.  The first wait is so short that whoever is told ``bye`` is at the next process behind
the same address within a second; the registry tells that to so many at a time as it can take.
A refusal's ``Retry-After`` (:mod:`p2pchat.wire.retry_after`) is waited for in any case.

The lease is renewed at a third of its length by a ``LoopingCall``: with the token that the
registration's answer gave, which costs the registry next to nothing; or by registering again,
with work if that is asked for, where the record is to say something else, the registry doesn't
know the token, or the registration is REGISTER_AGAIN old (half as long as relay credentials live
at most).  A renewal that finds the registry unable for the moment (429, 503) leaves everything as
it is; the next one is the first in the rhythm after the time that was asked for.

Another program with our identity takes the event stream over.  Two that fight for it help nobody:
the displaced one says so once and looks, after DISPLACED_WAIT and then less and less often, whether
the other is still online; it takes over when that is gone, or when its person wants something.
Its waits begin anew only after it had the stream for as long as the longest of them.

Whatever goes wrong in a try, be it what nobody thought of, is a failed try.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

import attrs
from automat import TypeMachineBuilder
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.errors import P2PChatError, RegistryError
from p2pchat.peer.event_stream import Event, EventStream
from p2pchat.peer.registry_client import RegistryClient, WorkRequired
from p2pchat.peer.work import do_work
from p2pchat.runtime import Runtime
from p2pchat.wire.documents import Registration
from p2pchat.wire.retry_after import Patience
from p2pchat.wire.strict_json import JsonObject, timestamp

FIRST_WAIT = 0.5  # seconds
LONGEST_WAIT = 8.0  # seconds
RENEWALS = 3  # in one lease
REGISTER_AGAIN = 600.0  # seconds; or half the time that relay credentials are good for
DISPLACED_WAIT = 120.0  # seconds; two programs that take turns shall do so rarely
DISPLACED_LONGEST = 1920.0  # seconds
MAX_LEASE = 3600.0  # seconds; one who tells of longer leases is asked again after a third of this
MAX_RENEWAL = 1024  # characters; ours has 43
_TOKEN = re.compile(r"[!-~]+")  # what may stand in a header
_FOR_THE_MOMENT = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}

_DISPLACED = "another program with the same identity took over"
_WHAT_TO_DO = (
    f"{_DISPLACED}: this one now and then looks whether that is gone, and comes back then; "
    "end one of the two, or give each a --state of its own"
)

_log = Logger()


@attrs.frozen
class Listener:
    """
    Whom a registration tells.

    :ivar registered: takes the registry's answer, each time we are registered anew.
    :ivar lost: takes the reason and the seconds until the next try.
    :ivar document: takes a compact JWS from the event stream.
    :ivar renewed: takes the registry's answer each time the lease is renewed.
    """

    registered: Callable[[JsonObject], object]
    lost: Callable[[str, float], None]
    document: Callable[[str], None]
    renewed: Callable[[JsonObject], object] = lambda _answer: None


@attrs.define(eq=False)
class _Core:
    """The data of the machine, and the effects of its transitions."""

    client: RegistryClient
    runtime: Runtime
    describe: Callable[[], Registration]
    listener: Listener
    patience: Patience
    wait: float = FIRST_WAIT
    displaced_wait: float = DISPLACED_WAIT
    registered_at: float | None = None
    is_displaced: bool = False
    said_displaced: bool = False
    unexpected: str = ""  # the last error that nobody thought of
    try_number: int = 0
    answer: JsonObject = attrs.Factory(dict)
    described: Registration | None = None
    token: str = ""
    until: float = 0.0  # when to register again rather than to renew
    stream: EventStream | None = None
    renewal: LoopingCall | None = None
    timer: IDelayedCall | None = None

    @inlineCallbacks
    def connect(self, inputs: _Inputs) -> Any:
        """Register and subscribe; results of a try that was given up are dropped."""
        self.try_number += 1
        number = self.try_number

        def ended(reason: str) -> None:
            if number == self.try_number:
                inputs.failed(reason)

        def received(event: Event) -> None:
            if number != self.try_number:
                return
            if event.name == "document":
                self.listener.document(event.data)
            elif event.name == "superseded":
                inputs.displaced()
            elif event.name == "bye":
                ended("the registry stops, or starts again")

        try:
            answer = yield self._register(number)
            stream = yield self.client.subscribe(received, ended)
        except Exception as error:
            self._heed(error)
            ended(self._reason(error))
            return
        if number == self.try_number:
            self.answer, self.stream = answer, stream
            inputs.subscribed()
        else:
            stream.stop("given up")

    def _reason(self, error: Exception) -> str:
        """Return why a try failed, for the person; what nobody thought of is logged, once."""
        if isinstance(error, P2PChatError):
            return str(error)
        if repr(error) != self.unexpected:
            self.unexpected = repr(error)
            _log.failure("registering failed")
        return f"the registry's answer can't be used ({type(error).__name__})"

    @inlineCallbacks
    def _register_as(self, described: Registration, number: int) -> Any:
        """Register, with work if it is asked for, unless the try is given up meanwhile."""
        try:
            return (yield self.client.register(described))
        except WorkRequired as error:
            required = error
        try:
            work = yield do_work(
                required.challenge,
                self.client.peer_id,
                self.runtime.clock,
                lambda: number == self.try_number,
            )
        except RegistryError as error:
            if number == self.try_number:  # it is ours to refuse, not idle
                error.retry_after = required.idle_wait
            raise
        return (yield self.client.register(attrs.evolve(described, work=work)))

    def _heed(self, error: Exception) -> None:
        """Leave the registry alone for as long as it asks."""
        if isinstance(error, RegistryError):
            self.patience.refused(error.retry_after, self.runtime.clock.seconds())

    def time_asked(self) -> float:
        """Return the seconds for which the registry is to be left alone."""
        now = self.runtime.clock.seconds()
        return self.patience.earliest(now) - now

    def begin_renewals(self, inputs: _Inputs) -> None:
        """Renew the lease at its rhythm."""
        self.renewal = LoopingCall(self.renew, inputs)
        self.renewal.clock = self.runtime.clock
        rhythm = max(1.0, min(self.answer["lease"], MAX_LEASE) / RENEWALS)
        self.renewal.start(rhythm, now=False).addErrback(_unexpected)

    @inlineCallbacks
    def renew(self, inputs: _Inputs) -> Any:
        """Renew the lease once, if the registry lets us ask."""
        if self.time_asked() > 0:
            return
        number = self.try_number
        try:
            if not (yield self._prolong()):
                answer = yield self._register(number)
                self.listener.renewed(answer)
        except Exception as error:
            self._heed(error)
            if isinstance(error, RegistryError) and error.status in _FOR_THE_MOMENT:
                return  # our stream may be fine; there is a lease's time for another renewal
            if number == self.try_number:
                inputs.failed(self._reason(error))

    @inlineCallbacks
    def _register(self, number: int) -> Any:
        """Register as we are now, and keep what a renewal needs."""
        described = self.describe()
        answer = yield self._register_as(described, number)
        timestamp(answer, "lease")
        self.described, self.token = described, _renewal(answer)
        self.until = self.runtime.clock.seconds() + _good_for(answer)
        return answer

    @inlineCallbacks
    def _prolong(self) -> Any:
        """Renew the record as it is, if that will do; tell whether it did."""
        stale = self.runtime.clock.seconds() >= self.until or self.describe() != self.described
        if stale or not self.token:
            return False
        try:
            yield self.client.renew(self.token)
        except RegistryError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def let_go(self) -> None:
        """Drop the stream, the renewals and the wait, whichever there are."""
        self.try_number += 1
        if self.renewal is not None and self.renewal.running:
            self.renewal.stop()
        if self.stream is not None:
            self.stream.stop("given up")
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.renewal, self.stream, self.timer = None, None, None
        self.is_displaced = False

    def begin_waiting(self, inputs: _Inputs, reason: str) -> None:
        """Try again later, each time later than the last, and no sooner than asked."""
        if self._had_it_for(LONGEST_WAIT):
            self.wait = FIRST_WAIT
        delay = max(self._scattered(self.wait), self.time_asked())
        self.wait = min(self.wait * 2, LONGEST_WAIT)
        self.timer = self.runtime.clock.callLater(delay, inputs.retry)
        self.listener.lost(reason, delay)

    def _had_it_for(self, seconds: float) -> bool:
        """Tell, once, whether we were registered for so long."""
        since, self.registered_at = self.registered_at, None
        return since is not None and self.runtime.clock.seconds() - since >= seconds

    def _scattered(self, wait: float) -> float:
        return wait * (0.5 + self.runtime.random_bytes(1)[0] / 255)

    # -- another program with our identity

    def begin_displaced(self, inputs: _Inputs) -> None:
        """Leave the stream to the other program; the person is told once what to do."""
        if self._had_it_for(DISPLACED_LONGEST):
            self.displaced_wait = DISPLACED_WAIT
        self.is_displaced = True
        delay = self.look_later(inputs)
        reason = _DISPLACED if self.said_displaced else _WHAT_TO_DO
        self.said_displaced = True
        self.listener.lost(reason, delay)

    def look_later(self, inputs: _Inputs) -> float:
        """Look after a while whether the other is gone; returns the seconds."""
        delay = max(self._scattered(self.displaced_wait), self.time_asked())
        self.displaced_wait = min(self.displaced_wait * 2, DISPLACED_LONGEST)
        self.timer = self.runtime.clock.callLater(delay, inputs.retry)
        return delay

    @inlineCallbacks
    def look(self, inputs: _Inputs) -> Any:
        """Take over if the other program is gone, as far as the registry knows."""
        number = self.try_number
        try:
            record = yield self.client.peer(self.client.peer_id)
            is_gone = record.get("online") is not True
        except RegistryError as error:
            self._heed(error)
            is_gone = error.status == HTTPStatus.NOT_FOUND
        if number != self.try_number:
            return
        if is_gone:
            inputs.refresh()
        else:
            self.look_later(inputs)


def _renewal(answer: JsonObject) -> str:
    """Return the token that prolongs the record, or "": then it is registered again."""
    token = answer.get("renewal")
    fits = isinstance(token, str) and len(token) <= MAX_RENEWAL and _TOKEN.fullmatch(token)
    return str(token) if fits else ""


def _good_for(answer: JsonObject) -> float:
    """Return for how many seconds an answer needn't be asked for again."""
    turn = answer.get("turn")
    ttl = turn.get("ttl") if isinstance(turn, dict) else None
    if type(ttl) is int and 0 <= ttl < 2 * REGISTER_AGAIN:
        return ttl / 2
    return REGISTER_AGAIN


class _Inputs(Protocol):
    """What can happen to a registration."""

    def start(self) -> None:
        """Become registered."""

    def subscribed(self) -> None:
        """The event stream is live."""

    def failed(self, reason: str) -> None:
        """The registry refused, or can't be reached."""

    def displaced(self) -> None:
        """Another program with our identity took the event stream over."""

    def retry(self) -> None:
        """The wait is over."""

    def refresh(self) -> None:
        """The network may have changed: the event stream is not to be trusted."""

    def stop(self) -> None:
        """Never try again."""


def _unexpected(failure: Failure) -> None:
    _log.failure("the registration stopped", failure)


_builder = TypeMachineBuilder(_Inputs, _Core)
_idle = _builder.state("idle")
_connecting = _builder.state("connecting")
_registered = _builder.state("registered")
_waiting = _builder.state("waiting")
_displaced = _builder.state("displaced")
_stopped = _builder.state("stopped")


@_idle.upon(_Inputs.start).to(_connecting)
@_waiting.upon(_Inputs.retry).to(_connecting)
@_waiting.upon(_Inputs.refresh).to(_connecting)
@_registered.upon(_Inputs.refresh).to(_connecting)
@_displaced.upon(_Inputs.refresh).to(_connecting)
def _connect(inputs: _Inputs, core: _Core) -> None:
    core.let_go()
    core.connect(inputs).addErrback(_unexpected)


@_connecting.upon(_Inputs.subscribed).to(_registered)
def _settle(inputs: _Inputs, core: _Core) -> None:
    core.registered_at = core.runtime.clock.seconds()
    core.begin_renewals(inputs)
    core.listener.registered(core.answer)


@_connecting.upon(_Inputs.failed).to(_waiting)
@_registered.upon(_Inputs.failed).to(_waiting)
def _wait(inputs: _Inputs, core: _Core, reason: str) -> None:
    core.let_go()
    core.begin_waiting(inputs, reason)


@_connecting.upon(_Inputs.displaced).to(_displaced)
@_registered.upon(_Inputs.displaced).to(_displaced)
def _give_way(inputs: _Inputs, core: _Core) -> None:
    core.let_go()
    core.begin_displaced(inputs)


@_displaced.upon(_Inputs.retry).loop()
def _look(inputs: _Inputs, core: _Core) -> None:
    core.look(inputs).addErrback(_unexpected)


@_idle.upon(_Inputs.stop).to(_stopped)
@_connecting.upon(_Inputs.stop).to(_stopped)
@_registered.upon(_Inputs.stop).to(_stopped)
@_waiting.upon(_Inputs.stop).to(_stopped)
@_displaced.upon(_Inputs.stop).to(_stopped)
@_stopped.upon(_Inputs.stop).loop()
def _stop(_inputs: _Inputs, core: _Core) -> None:
    core.let_go()


# News that come too late, from a request that was under way.
_waiting.upon(_Inputs.failed).loop().returns(None)
_displaced.upon(_Inputs.failed).loop().returns(None)
_idle.upon(_Inputs.refresh).loop().returns(None)
_connecting.upon(_Inputs.refresh).loop().returns(None)
_stopped.upon(_Inputs.refresh).loop().returns(None)
_stopped.upon(_Inputs.failed).loop().returns(None)
_stopped.upon(_Inputs.subscribed).loop().returns(None)

_machine = _builder.build()


def keep_registered(
    client: RegistryClient,
    runtime: Runtime,
    describe: Callable[[], Registration],
    listener: Listener,
) -> Lease:
    """Return a lease that isn't begun yet; ``describe`` gives what the record is to say."""
    patience = Patience(runtime.random_bytes)
    return Lease(_Core(client, runtime, describe, listener, patience))


class Lease:
    """Our record at the registry, kept alive."""

    def __init__(self, core: _Core) -> None:
        self._core = core
        self._inputs = _machine(core)

    def start(self) -> None:
        """Register, and stay registered."""
        self._inputs.start()

    def renew(self) -> Deferred[None]:
        """Tell the registry now what the record is to say."""
        done: Deferred[None] = self._core.renew(self._inputs)
        return done.addErrback(_unexpected)

    @property
    def is_displaced(self) -> bool:
        """Whether another program with our identity has the event stream."""
        return self._core.is_displaced

    def refresh(self) -> None:
        """Register and subscribe anew, at once; from another program it is taken over."""
        self._inputs.refresh()

    def stop(self) -> None:
        """Let the lease run out."""
        self._inputs.stop()
