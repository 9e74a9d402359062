"""
Wall clocks that somebody sets, back and forth, while peers and the registry run.

Limits are far above what it takes on a quiet machine: a busy one isn't a fault.
"""

from __future__ import annotations

import time

from tests.lab.case import LabTestCase
from tests.lab.conversation import Traffic, connect, hear, say
from tests.lab.peers import JsonPeer, Registry
from tests.lab.wall_clock import WallClock, reason_without_clocks

HOUR, YEAR = 3600, 365 * 24 * 3600  # seconds
HARM = 5.0  # seconds; no clock may keep two from connecting for longer
CALL_LIMIT = 20.0  # seconds
BACK_LIMIT = 30.0  # seconds


class SetClockTests(LabTestCase):
    """Two peers and a registry, each of which may have a clock of its own."""

    if reason_without_clocks():
        skip = reason_without_clocks()

    def setUp(self) -> None:
        self.clock = WallClock()
        self.addCleanup(self.clock.close)
        self.lab = self.build_lab("port-restricted", "port-restricted")

    def begin(self, registry: Registry) -> tuple[JsonPeer, JsonPeer]:
        """Start the peers, the second one on the clock that will be set."""
        environment = {} if registry.environment else self.clock.environment
        alice = self.start_peer(self.lab.left, "alice", registry.url)
        bob = self.start_peer(self.lab.right, "bob", registry.url, environment=environment)
        for peer in (alice, bob):
            peer.wait_for("registered")
        return alice, bob

    def call_after(self, offset: int, alice: JsonPeer, bob: JsonPeer) -> None:
        """Set the clock; after as much harm as may be, either side can call the other."""
        self.clock.set(offset)
        time.sleep(HARM)
        for caller, callee in ((alice, bob), (bob, alice)):
            self.assertLess(connect(caller, callee)["milliseconds"], CALL_LIMIT * 1000)
            text = f"{offset} {caller.username}"
            say(caller, [text])
            hear(caller, callee, [text])
            caller.send(f"/disconnect {callee.username}")
            for peer in (alice, bob):
                peer.wait_for("disconnected", CALL_LIMIT)

    def test_idle_peer(self) -> None:
        """A peer whose clock was set calls, and is called, as before."""
        alice, bob = self.begin(self.start_registry(self.lab))
        for offset in (-HOUR, HOUR, -YEAR):
            self.call_after(offset, alice, bob)

    def test_registry(self) -> None:
        """So do peers of a registry whose clock was set, with documents that are fresh by it."""
        registry = Registry(self.lab.server, environment=self.clock.environment)
        self.addCleanup(registry.close)
        registry.start()
        alice, bob = self.begin(registry)
        for offset in (-HOUR, YEAR):
            self.call_after(offset, alice, bob)

    def test_conversation(self) -> None:
        """Timers stand by no wall: a NAT that forgets after the clock was set back is noticed."""
        alice, bob = self.begin(self.start_registry(self.lab))
        connect(alice, bob)
        self.clock.set(-HOUR)
        traffic = Traffic(alice, bob, "after")
        time.sleep(1.0)
        self.lab.right.nat[0].reboot()
        print(f"back {traffic.back_after(time.monotonic(), BACK_LIMIT):.2f} s after the reboot")
        traffic.stop()
