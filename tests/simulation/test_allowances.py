"""Calls that port guessing joins, again and again: what they cost, and what is said of that."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.connection_report import Advice, Reason
from p2pchat.traversal.port_guessing import PROBES
from p2pchat.traversal.send_budget import BURST, RATE
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, Behaviour
from tests.simulation.nat import Nat
from tests.simulation.network import Address
from tests.simulation.world import Person, World


class DeafNat(Nat):
    """
    A NAT with random ports.

    :ivar deaf_to: hosts outside that nothing is let in from.
    :ivar mute: hosts inside that nothing is let out of.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, mapping=Behaviour.ADDRESS_AND_PORT_DEPENDENT, **options)
        self.deaf_to: set[str] = set()
        self.mute: set[str] = set()

    def receive(self, data: bytes, source: Address, destination: Address, ttl: int) -> None:
        """See `Node`."""
        if source[0] in self.deaf_to:
            self.internet.note(source, destination, len(data), "filtered")
        else:
            super().receive(data, source, destination, ttl)

    def forward(
        self, data: bytes, source: Address, destination: Address, ttl: int, delay: float
    ) -> None:
        """See `Nat`."""
        if source[0] not in self.mute:
            super().forward(data, source, destination, ttl, delay)


class AllowanceCase(SynchronousTestCase):
    """Alice is behind an easy NAT, Bob behind one with random ports; there is no relay."""

    def setUp(self) -> None:
        self.world = World(10)
        self.easy = self.world.internet.nat(kind=PORT_RESTRICTED_CONE)
        self.hard = DeafNat(self.world.internet)
        self.alice, self.bob = self.world.couple(self.easy, self.hard)

    def call(self, caller: Person, called: Person) -> bool:
        """Let one call the other, wait for the outcome and hang up; tells whether they talked."""
        failures = len(caller.events(events.CallFailed))
        self.world.result(caller.node.connect(called.node.peer_id))
        self.world.wait(
            lambda: (
                caller.is_connected_to(called) or len(caller.events(events.CallFailed)) > failures
            )
        )
        talked = caller.is_connected_to(called)
        if talked:
            caller.node.disconnect(called.node.peer_id)
        self.world.internet.run(0.5)
        return talked


class RepeatedCallTests(AllowanceCase):
    """Calls in a row."""

    def test_again_and_again(self) -> None:
        """
        Of 30 calls in a row, from either side, far more join than the allowance has room for.

        Without what is given back there is room for two or three; what was in vain isn't.
        """
        for caller, called in ((self.bob, self.alice), (self.alice, self.bob)):
            talked = [self.call(caller, called) for _ in range(30)]
            self.assertGreaterEqual(talked.count(True), 20)

    def test_bound(self) -> None:
        """Where none leads to a path, however often one calls, no more goes there than may."""
        self.hard.deaf_to.add(self.easy.address)
        self.world.internet.trace, start = [], self.world.internet.clock.seconds()
        for _ in range(8):
            self.call(self.alice, self.bob)
        elapsed = self.world.internet.clock.seconds() - start
        trace = self.world.internet.trace
        sent = sum(1 for _, _, to, _, _ in trace if to[0] == self.hard.address)
        self.assertGreater(sent, PROBES)
        self.assertLessEqual(sent, BURST + RATE * elapsed)

    def test_friends_behind_one_address(self) -> None:
        """A friend whose calls fail takes no path from another behind the same carrier's NAT."""
        carol = self.world.person("carol", self.hard)
        self.world.settle(carol)
        self.hard.mute.update(carol.host.addresses)
        self.assertFalse(self.call(self.alice, carol))
        self.assertTrue(self.call(self.alice, self.bob))


class AdviceTests(AllowanceCase):
    """What ``/why`` says of a call that failed for want of packets."""

    def setUp(self) -> None:
        super().setUp()
        for caller, called in ((self.alice, self.bob), (self.bob, self.alice)):
            self.assertTrue(self.call(caller, called))  # they are each other's contacts from now on
        self.hard.deaf_to.add(self.easy.address)
        self.assertFalse(self.call(self.alice, self.bob))

    def test_counts(self) -> None:
        """What it says was sent was sent."""
        self.world.internet.trace = []
        self.world.internet.run(100)
        before = len(self.world.internet.trace)
        self.assertFalse(self.call(self.alice, self.bob))
        report = self.alice.node.why(self.bob.node.peer_id)
        told = sum(
            attempt.checks_sent + (attempt.volley.packets_sent if attempt.volley else 0)
            for attempt in report.attempts
        )
        sent = [row for row in self.world.internet.trace[before:] if row[2][0] == self.hard.address]
        from_easy = [row for row in sent if row[1][0] == self.easy.address]
        self.assertGreaterEqual(told, len(from_easy))
        self.assertLess(told - len(from_easy), 200)  # checks of private addresses among them

    def test_wait(self) -> None:
        """It says for how long to wait; a call after that finds a path, and waiting isn't said."""
        (failed,) = self.alice.events(events.CallFailed)
        verdict = self.alice.node.why(self.bob.node.peer_id).verdict
        self.assertEqual(verdict.reason, Reason.HELD_BACK.value)
        self.assertEqual(verdict.advice[0], Advice.WAIT.value)
        self.assertIn("too little may go there to meet one", failed.explanation)
        self.assertIn("what helps: wait", failed.explanation)
        self.assertGreater(verdict.wait_s, 30)
        self.world.internet.run(verdict.wait_s)
        verdict = self.alice.node.why(self.bob.node.peer_id).verdict
        self.assertEqual((verdict.advice[0], verdict.wait_s), (Advice.CALL_AGAIN.value, 0))
        self.hard.deaf_to.clear()
        self.assertTrue(self.call(self.alice, self.bob))

    def test_no_wait(self) -> None:
        """Who calls again at once, and again, is connected, too."""
        self.hard.deaf_to.clear()
        start = self.world.internet.clock.seconds()
        while not self.call(self.alice, self.bob):
            self.assertLess(self.world.internet.clock.seconds() - start, 120)
