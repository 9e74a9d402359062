"""The store in Redis, with a real redis-server: the contract, two processes, and no Redis."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks

from p2pchat.registry.mailbox.redis_store import RedisMailboxes
from p2pchat.registry.refusals import Refused
from p2pchat.runtime import real_runtime
from p2pchat.wire.mailbox import DAY
from tests.registry.mailbox.store_contract import CAPACITY, TOKEN, MailboxContract
from tests.registry.store.redis_case import RedisCase
from tests.registry.store.store_contract import ALICE, Process


class RedisMailboxTests(RedisCase, MailboxContract):
    """The contract, by one process; and what there is with several."""

    timeout = 120

    @inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        yield super().setUp()
        self.store, self.streams = self.mailboxes(self.process), self.process.streams
        yield self.until(self.swept, self.store)

    def mailboxes(self, process: Process) -> RedisMailboxes:
        """Return the mailboxes of a process."""
        runtime = attrs.evolve(real_runtime(reactor), clock=self.moved_clock)
        return RedisMailboxes(runtime, process.store, CAPACITY)

    def swept(self, store: RedisMailboxes) -> bool:
        """Sweep; tell whether the key of permits is known."""
        store.sweep()
        return bool(store.permit_key)

    @inlineCallbacks
    def pass_time(self, seconds: float) -> Any:
        """Let time pass, here and in Redis."""
        yield super().pass_time(seconds)
        self.store.sweep()
        yield self.store.state(ALICE)  # Redis answers in turn

    @inlineCallbacks
    def listen(self) -> Any:
        """Open Alice's stream."""
        yield self.process.register(ALICE)
        yield self.process.listen(ALICE)

    @inlineCallbacks
    def test_two(self) -> Any:
        """What is left at one process is announced at another, and fetched there."""
        other = self.boot()
        yield self.connected(other)
        theirs = self.mailboxes(other)
        yield self.until(self.swept, theirs)
        self.assertEqual(theirs.permit_key, self.store.permit_key)
        yield other.register(ALICE)
        yield other.listen(ALICE)
        yield self.open_mailbox()
        octets = yield self.deposit()
        yield self.until(lambda: other.streams.announced)
        mail = yield theirs.fetch(ALICE)
        self.assertEqual(mail.envelopes, (octets,))

    @inlineCallbacks
    def test_nothing_left(self) -> Any:
        """When all has had its time, Redis has nothing of it any more."""
        yield self.open_mailbox()
        yield self.deposit()
        yield self.pass_time(60 * DAY)
        yield self.counted(mailboxes=0, bytes=0)
        left = self.server.ask("KEYS", "p2pchat:mailbox*").split()
        counters = {f"p2pchat:mailbox-{name}" for name in ("bytes", "serial", "permits")}
        self.assertEqual(set(left), counters)

    @inlineCallbacks
    def test_away(self) -> Any:
        """While Redis is away all is refused; when it is back the key of permits is the same."""
        key = self.store.permit_key
        yield self.open_mailbox()
        self.server.kill()
        yield self.refused(self.store.state(ALICE), Refused)
        yield self.until(lambda: not self.process.store.is_available())
        self.moved_clock.ahead += 60
        self.store.sweep()
        self.server.start()
        yield self.connected(self.process)
        self.moved_clock.ahead += 60
        self.store.sweep()
        self.assertIsNone((yield self.store.state(ALICE)))
        yield self.open_mailbox(TOKEN)
        yield self.deposit()
        self.assertEqual(self.store.permit_key, key)
