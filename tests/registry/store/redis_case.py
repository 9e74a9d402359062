"""A test case with a real redis-server, and processes of the registry that share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from p2pchat.registry.admission.rates import Rate
from p2pchat.registry.refusals import Refused
from p2pchat.registry.store.redis import RedisStore
from p2pchat.registry.store.redis_url import parse_redis_url
from p2pchat.runtime import real_runtime
from tests.registry.store.redis_server import NO_REDIS, RedisServer
from tests.registry.store.store_contract import (
    CAPACITY,
    LEASE,
    UNKNOWN,
    UNSOLICITED,
    FakeStreams,
    Process,
)

PATIENCE = 10.0  # seconds
TICK = 0.02  # seconds


def sleep(seconds: float) -> Deferred[None]:
    """Wait."""
    return deferLater(reactor, seconds)


@implementer(IReactorTime)
@attrs.define(eq=False)
class MovedClock:
    """
    The reactor's clock, which a test moves on.

    :ivar ahead: seconds that it was moved.
    """

    ahead: float = 0.0

    def seconds(self) -> float:
        """Return the time in seconds."""
        now: float = reactor.seconds()
        return now + self.ahead

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: object, **kwargs: object
    ) -> IDelayedCall:
        """Call something after so many real seconds."""
        later: IDelayedCall = reactor.callLater(delay, callable, *args, **kwargs)
        return later

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        """Return what is going to be called."""
        calls: Sequence[IDelayedCall] = reactor.getDelayedCalls()
        return calls


class RedisCase(TestCase):
    """A server, and a process that is connected to it."""

    skip = NO_REDIS or None
    timeout = 60

    def __init__(self, methodName: str) -> None:
        super().__init__(methodName)
        self.moved_clock = MovedClock()

    @inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        self.server = RedisServer()
        self.addCleanup(self.server.close)
        self.server.start()
        self.process = self.boot()
        yield self.connected(self.process)

    def boot(self, url: str = "", lease: float = LEASE, unsolicited: Rate = UNSOLICITED) -> Process:
        """Start a process of the registry."""
        streams = FakeStreams()
        runtime = attrs.evolve(real_runtime(reactor), clock=self.moved_clock)
        url_ = parse_redis_url(url or self.server.url)
        store = RedisStore(url_, runtime, lease, streams, unsolicited, capacity=CAPACITY)
        store.start()
        sweeping = LoopingCall(store.sweep)
        sweeping.start(0.1)
        self.addCleanup(store.stop)
        self.addCleanup(sweeping.stop)
        return Process(store, streams)

    def pass_time(self, seconds: float) -> Deferred[Any]:
        """Let time pass, here and in Redis; what is due then is done."""
        self.moved_clock.ahead += seconds
        self.server.ask("HINCRBY", "p2pchat:clock", "steady", str(round(seconds * 1000)))
        self.process.store.sweep()
        asked: Deferred[Any] = self.process.store.find(UNKNOWN)  # Redis answers in turn
        return asked

    @inlineCallbacks
    def refused(self, deferred: Deferred[Any], kind: type[Exception]) -> Any:
        """Wait for the exception of this kind."""
        return (yield self.assertFailure(deferred, kind))

    @inlineCallbacks
    def until(self, question: Any, *arguments: Any) -> Any:
        """Ask until the answer is yes; a store that isn't there says no."""
        for _ in range(int(PATIENCE / TICK)):
            try:
                if (yield question(*arguments)):
                    return
            except Refused as refusal:
                self.assertEqual(refusal.problem.reason, "store-unavailable")
            yield sleep(TICK)
        self.fail(f"{question} {arguments}: never")

    def connected(self, process: Process) -> Deferred[Any]:
        """Wait until a process is connected."""
        return self.until(process.store.is_available)
