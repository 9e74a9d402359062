"""
What streams of services cost beside each other and beside chat.

Two whole endpoints in one process, on sockets of their own: lines of chat, alone and beside eight
streams of bulk; a reader that is paused, and what it holds; and short streams, one after another,
each opened, answered and closed.  How fast one stream is, is in ``benchmarks.link``.

Run ``python -m benchmarks.service_streams [--lines N] [--seconds N]``.
"""

from __future__ import annotations

import argparse
import time
from statistics import median, quantiles
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater, react
from twisted.python.failure import Failure

from benchmarks.bulk import Tally
from benchmarks.bulk_streams import SERVICE, Source, StreamsCarrier
from p2pchat import events
from p2pchat.session.conversation_events import EntriesWaiting
from p2pchat.session.stages import StoreRequest

BULK = 8  # streams
ENDLESS = 1 << 50  # bytes
PACE = 0.02  # seconds between lines
SETTLING = 2.0  # seconds in which longer datagrams are tried
AT_A_TIME = 32  # short streams
PAUSED, SHORT = "paused", "short"  # services


class Deaf(Protocol):
    """Reads nothing."""

    def connectionMade(self) -> None:
        """Pause for ever."""
        transport: Any = self.transport
        transport.pauseProducing()


class Brief(Protocol):
    """Closes at once."""

    def connectionMade(self) -> None:
        """Close it."""
        assert self.transport is not None
        self.transport.loseConnection()


class Asker(Protocol):
    """Waits for the end."""

    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()

    def connectionLost(self, _reason: Failure = connectionDone) -> None:
        """It has come."""
        self.over.callback(None)


class End(StreamsCarrier):
    """
    One of the two, who also says lines and takes them.

    :ivar said: when each line that wasn't read yet was said, by its id.
    :ivar took: seconds that each line took.
    """

    said: dict[str, float] = {}
    took: list[float] = []

    def __init__(self) -> None:
        super().__init__()
        self.deaf: list[Deaf] = []
        self._streams.accept(self._decide)

    def _decide(self, _peer_id: str, service: str) -> Protocol:
        if service == PAUSED:
            self.deaf.append(Deaf())
            return self.deaf[-1]
        return Brief() if service == SHORT else self._sink()

    def open(self, service: str, protocol: Protocol) -> Deferred[Any]:
        """Reach a service of the other one."""
        return self._streams.open(self._other, service, protocol)

    def say(self, text: str) -> None:
        """Say a line."""
        with self._adapter.driver as now:
            session = self._adapter.endpoint.ensure_session(self._other)
            self.said[session.say(text, time.time(), now)] = time.perf_counter()

    def _react(self, event: object) -> None:
        endpoint = self._adapter.endpoint
        if isinstance(event, StoreRequest) and isinstance(event.event, EntriesWaiting):
            session = endpoint.ensure_session(self._other)
            batch = session.conversation.next_unstored(event.event.are_ours)
            if batch.entries:
                with self._adapter.driver as now:
                    endpoint.stored(self._other, batch, now)
        elif isinstance(event, events.MessageReceived):
            self.took.append(time.perf_counter() - self.said.pop(event.id))
            with self._adapter.driver as now:
                endpoint.read(self._other, event.id, now)
        else:
            super()._react(event)


@inlineCallbacks
def chat(reactor: Any, ours: End, count: int, name: str) -> Any:
    """Say lines now and then; print how long they took."""
    ours.took.clear()
    for number in range(count):
        ours.say(str(number))
        yield deferLater(reactor, PACE, int)
    yield deferLater(reactor, 1.0, int)
    middle, high = median(ours.took), quantiles(ours.took, n=100)[98]
    print(f"{name}: {len(ours.took)} lines, median {1e3 * middle:.2f} ms, 99 % {1e3 * high:.2f} ms")


@inlineCallbacks
def short(ours: End, seconds: float) -> Any:
    """Open streams and close them; print how many a second."""

    @inlineCallbacks
    def again() -> Any:
        count = 0
        while time.perf_counter() < end:
            asker = Asker()
            yield ours.open(SHORT, asker)
            yield asker.over
            count += 1
        return count

    end = time.perf_counter() + seconds
    count = 0
    for one in [again() for _ in range(AT_A_TIME)]:
        count += yield one
    print(f"short streams: {count / seconds:.0f} a second, {AT_A_TIME} at a time")


@inlineCallbacks
def measure(reactor: Any, lines: int, seconds: float) -> Any:
    """Do all of it."""
    ours, theirs = End(), End()
    tally = Tally(ENDLESS, print)
    where = yield theirs.receive(tally)
    yield ours.reach(where)
    yield short(ours, seconds)
    yield chat(reactor, ours, lines, "chat alone")
    paused = Source()
    yield ours.open(PAUSED, paused)
    paused.pour(ENDLESS)
    for _ in range(BULK):
        source = Source()
        yield ours.open(SERVICE, source)
        source.pour(ENDLESS)
    yield deferLater(reactor, SETTLING, int)
    before, start = tally.arrived, time.perf_counter()
    yield chat(reactor, ours, lines, f"chat beside {BULK} streams and a paused reader")
    rate = (tally.arrived - before) / (time.perf_counter() - start)
    held: Any = theirs.deaf[0].transport
    waiting = held.stream.waiting
    print(f"bulk meanwhile: {rate / 1e6:.0f} MB/s; the paused reader holds {waiting} bytes")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="what streams cost beside each other and chat")
    parser.add_argument("--lines", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    react(measure, (options.lines, options.seconds))


if __name__ == "__main__":
    main()
