"""The store in memory keeps the contract, on a clock that the test turns."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from p2pchat.errors import ReplayedDocument
from p2pchat.registry.admission.solicited import span
from p2pchat.registry.store.memory import MemoryStore
from p2pchat.runtime import Runtime
from tests.registry.store.store_contract import (
    ALICE,
    BOB,
    CAPACITY,
    LEASE,
    UNSOLICITED,
    FakeStreams,
    Process,
    StoreContract,
)


class MemoryStoreTests(StoreContract, TestCase):
    """The default."""

    def setUp(self) -> None:
        self.clock = Clock()
        streams = FakeStreams()
        self.set_by = 0.0
        runtime = Runtime(None, self.clock, self.wall_time, bytes, list)
        store = MemoryStore(runtime, LEASE, streams, UNSOLICITED)
        store.directory.capacity = CAPACITY
        self.process = Process(store, streams)
        store.start()
        self.addCleanup(store.stop)

    def wall_time(self) -> float:
        """Return what the machine's clock shows, which may be set."""
        return self.clock.seconds() + self.set_by

    def pass_time(self, seconds: float) -> Deferred[None]:
        """Turn the clock."""
        self.clock.advance(seconds)
        self.process.store.sweep()
        return succeed(None)

    def eventually(self, happened: Any) -> Deferred[None]:
        """Nothing to wait for: what happens has happened."""
        self.assertTrue(happened())
        return succeed(None)

    @inlineCallbacks
    def test_begins_anew(self) -> Any:
        """Some time after its first document a stranger may send as much again."""
        self.process.store.directory.lease = 10 * span(UNSOLICITED)
        for peer_id in (ALICE, BOB):
            yield self.process.register(peer_id)
            yield self.process.listen(peer_id)
        first = yield self.process.fill(ALICE, BOB)
        yield self.pass_time(span(UNSOLICITED) - 1)
        between = yield self.process.fill(ALICE, BOB)
        self.assertLess(len(between), 3)
        yield self.pass_time(1)
        self.assertEqual((yield self.process.fill(ALICE, BOB)), first)

    @inlineCallbacks
    def test_expired(self) -> Any:
        """With the lease ends the stream."""
        yield self.process.register(ALICE)
        yield self.process.listen(ALICE)
        yield self.pass_time(LEASE)
        self.assertEqual(self.process.streams.ended, [(ALICE, "expired")])

    @inlineCallbacks
    def test_set(self) -> Any:
        """A clock that is set ends no lease, and a nonce stays used when it is set back."""
        yield self.process.register(ALICE)
        used = self.process.document(ALICE)
        yield self.process.store.subscribe(ALICE, used)
        for seconds in (86_400.0, -86_400.0, 0.0):
            self.set_by = seconds
            yield self.pass_time(0.0)
            self.assertIsNotNone((yield self.process.store.find(ALICE)))
            yield self.process.store.subscribe(ALICE, self.process.document(ALICE))
        yield self.refused(self.process.store.subscribe(ALICE, used), ReplayedDocument)
