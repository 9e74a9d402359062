"""Registries that share Redis, while the clock of its machine is set."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks

from p2pchat.errors import ReplayedDocument
from p2pchat.registry.store.directory import Delivery
from tests.cluster.deployment import reason_without_word
from tests.registry.store.redis_case import RedisCase
from tests.registry.store.redis_server import NO_REDIS, RedisServer
from tests.registry.store.store_contract import ALICE, BOB
from tests.set_clock import NO_SET_CLOCK, SetClock

NOT_ASKED = reason_without_word()
HARM = 5.0  # seconds that a clock may cost, whoever sets it


class SetClockTests(RedisCase):
    """The clock of Redis's machine is set, by an hour or by years, to and fro."""

    skip = NOT_ASKED or NO_REDIS or NO_SET_CLOCK or None

    @inlineCallbacks
    def setUp(self) -> Any:  # type: ignore[override]
        self.clock = SetClock(Path(os.path.abspath(self.mktemp())))
        self.server = RedisServer(environment=self.clock.environment)
        self.addCleanup(self.server.close)
        self.server.start()
        self.process, self.other = (self.boot(lease=60.0) for _ in range(2))
        for process in (self.process, self.other):
            yield self.connected(process)

    @inlineCallbacks
    def test_set(self) -> Any:
        """Nobody's lease ends, nonces stay used, and documents go through, within a beat."""
        for peer_id in (ALICE, BOB):
            yield self.process.register(peer_id)
            yield self.other.listen(peer_id)
        used = self.process.document(ALICE)
        yield self.process.deliver(used, BOB)
        for seconds in (3600, 0, -3600, 86_400 * 9000, 0, -86_400 * 9000):
            self.clock.set(seconds)
            began = reactor.seconds()
            for peer_id in (ALICE, BOB):
                self.assertIsNotNone((yield self.process.store.find(peer_id)))
            yield self.until(self.other.is_online, BOB)
            document = self.process.document(ALICE)
            self.assertIs((yield self.process.deliver(document, BOB)), Delivery.TAKEN)
            self.assertLess(reactor.seconds() - began, HARM)
            yield self.refused(self.process.deliver(used, BOB), ReplayedDocument)
            yield self.until(self.is_followed, seconds)

    def is_followed(self, seconds: int) -> bool:
        """Tell whether both processes go by the clock that was set."""
        wanted = time.time() + seconds
        return all(abs(one.store.wall_time() - wanted) < 1 for one in (self.process, self.other))
