"""Tests of :mod:`p2pchat.traversal.size_probe`, alone and in an attempt on a wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.attempt_events import SizeProbed
from p2pchat.traversal.punching import AttemptPhase
from p2pchat.traversal.routes import Route
from p2pchat.traversal.size_probe import (
    BASE_SIZE,
    CONTROLS,
    DOUBT,
    GRAIN,
    INTERVAL,
    LEAST,
    LONGEST,
    MAX_SENT,
    ProbeState,
    SizeProbe,
    SizeSearch,
)
from tests.cases import each
from tests.traversal.attempt_ends import B1, PunchingCase
from tests.traversal.fake_wire import Link
from tests.traversal.outboxes import take

NOW, RTT = 100.0, 0.1


class ProbeTests(SynchronousTestCase):
    """When padded checks go out, and what their answers say."""

    def setUp(self) -> None:
        self.probe = SizeProbe(BASE_SIZE, RTT, True, NOW)

    def send(self) -> float:
        """Send the next padded check when it is due; returns that time."""
        due = self.probe.due
        assert due is not None
        self.assertTrue(self.probe.is_on(due))
        self.probe.check_sent(due)
        return due

    def take(self, asked: int, octets: int, now: float = NOW + 1, fragments: bool = False) -> None:
        """Take an answer."""
        before = self.probe.state
        decides = self.probe.take(asked, octets, fragments, now)
        self.assertIs(decides, self.probe.state is not before)

    def test_times(self) -> None:
        """One at once, the next when the first could have been answered, and then one after one."""
        times = [round(self.send() - NOW, 6) for _ in range(4)]
        self.assertEqual(times, [0.0, 0.125, 0.175, 0.225])

    def test_controls(self) -> None:
        """The first goes out alone, each later one with a small one beside it."""
        self.assertFalse(self.probe.has_control)
        self.send()
        self.assertTrue(self.probe.has_control)

    def test_carried(self) -> None:
        """An answer of the size decides it, whatever became of others."""
        self.send()
        for _ in range(CONTROLS - 1):
            self.take(0, 76)
        self.take(BASE_SIZE, BASE_SIZE, NOW + 1)
        self.assertEqual((self.probe.state, self.probe.due), (ProbeState.CARRIED, None))
        self.take(0, 76)
        self.assertIs(self.probe.state, ProbeState.CARRIED)

    def test_lost(self) -> None:
        """So do CONTROLS small answers without one; a late one says that it was wrong."""
        self.send()
        for _ in range(CONTROLS):
            self.assertIs(self.probe.state, ProbeState.PROBING)
            self.take(0, 76)
        self.assertEqual((self.probe.state, self.probe.due), (ProbeState.LOST, None))
        self.take(BASE_SIZE, BASE_SIZE, NOW + 9)
        self.assertIs(self.probe.state, ProbeState.CARRIED)

    def test_fragmented(self) -> None:
        """From the DOUBT on it tries fragments; if only those pass, that is how the size does."""
        self.send()
        for number in range(CONTROLS - 1):
            self.assertIs(self.probe.tries_fragments, number >= DOUBT)
            self.take(0, 76)
        self.take(BASE_SIZE, BASE_SIZE, fragments=True)
        self.assertIs(self.probe.state, ProbeState.PROBING)
        self.take(0, 76)
        self.assertIs(self.probe.state, ProbeState.FRAGMENTED)

    def test_short(self) -> None:
        """A short answer says nothing; after the first one the next padded check is due at once."""
        self.send()
        self.take(BASE_SIZE, 76, NOW + 0.1)
        self.assertEqual(self.probe.due, NOW + 0.1)
        self.send()
        self.take(BASE_SIZE, 76, NOW + 0.12)
        self.assertEqual(self.probe.due, NOW + 0.1 + INTERVAL)

    def test_ends(self) -> None:
        """Without any answer it ends after LONGEST, with MAX_SENT sent at most."""
        sent = 0
        while (due := self.probe.due) is not None:
            if self.probe.is_on(due):
                self.probe.check_sent(due)
                sent += 1
            self.assertLess(due, NOW + LONGEST + 1)
        self.assertIs(self.probe.state, ProbeState.UNDECIDED)
        self.assertLessEqual(sent, MAX_SENT)

    def test_held_back(self) -> None:
        """What the limits hold back for ever ends, too."""
        while (due := self.probe.due) is not None:
            if self.probe.is_on(due):
                self.probe.held_back(0.05, due)
        self.assertIs(self.probe.state, ProbeState.UNDECIDED)


class SearchTests(SynchronousTestCase):
    """The search for the largest size that passes whole."""

    def found(self, most: int) -> tuple[int, int]:
        """Search on a path that carries so much; returns what is found, by how many probes."""
        search, probes = SizeSearch(), 0
        while (probe := search.next_probe(RTT, NOW)) is not None:
            probe.check_sent(NOW)
            if probe.size <= most:
                probe.take(probe.size, probe.size, False, NOW)
            else:
                for _ in range(DOUBT):
                    probe.take(0, 76, False, NOW)
            search.take(probe)
            probes += 1
        return search.carried, probes

    def test_found(self) -> None:
        """It is found to the grain of padded checks, with nine probes at most; or nothing is."""
        for most in (*range(0, BASE_SIZE, 7), LEAST, LEAST + GRAIN, BASE_SIZE - 1):
            found, probes = self.found(most)
            right = most // GRAIN * GRAIN
            self.assertEqual(found, right if right > LEAST else 0)
            self.assertLessEqual(probes, 9)


class WireCase(PunchingCase):
    """Alice probes the path to Bob."""

    def probed(self) -> list[SizeProbed]:
        """Take what was found out."""
        return take(self.alice.punching, SizeProbed)

    def probe(self, size: int = BASE_SIZE) -> tuple[list[bool], float]:
        """Probe a size, and return what was found out, and in what time."""
        start = self.wire.now
        self.alice.punching.probe_size(size, start)
        outbox = self.alice.punching.outbox
        self.wire.run_until(
            lambda: SizeProbed in map(type, outbox) or self.alice.get_timer() is None
        )
        return [one.is_carried for one in self.probed()], self.wire.now - start


class WireTests(WireCase):
    """What is found out of a real exchange."""

    @each(100, BASE_SIZE, 1452, 9000)
    def test_carried(self, size: int) -> None:
        """A path that carries the size is found to within three round trips; who asks is told."""
        self.joined()
        self.wire.run(1)
        self.alice.punching.probe_size(size, self.wire.now)
        self.wire.run(0.061)
        self.assertEqual(self.probed(), [SizeProbed("aaaa", Route(B1), size, True)])
        self.assertEqual(self.path(self.alice), B1)

    def test_in_a_round(self) -> None:
        """While checks are on anyway it is probed at once."""
        self.joined()
        self.assertIs(self.alice.punching.phase, AttemptPhase.CHECKING)
        self.alice.punching.probe_size(BASE_SIZE, self.wire.now)
        self.wire.run(0.061)
        (found,) = self.probed()
        self.assertTrue(found.is_carried)

    def test_lost(self) -> None:
        """A path that loses the size is found out in little more than half a second."""
        link = self.joined()
        self.wire.run(1)
        link.most = BASE_SIZE - 1
        found, took = self.probe()
        self.assertEqual(found, [False])
        self.assertLess(took, 0.65)

    @each(*range(8))
    def test_loss(self, seed: int) -> None:
        """A path that loses 40 % each way, whatever the size, carries it."""
        self.lay(seed)
        self.joined(Link(loss=0.4, jitter=0.02))
        self.wire.run(6)
        found, took = self.probe()
        self.assertEqual(found, [True])
        self.assertLess(took, 3)

    def test_loss_lost(self) -> None:
        """One that loses 40 % each way and all of the size is found out, too."""
        link = self.joined(Link(loss=0.4))
        self.wire.run(6)
        link.most = BASE_SIZE - 1
        found, took = self.probe()
        self.assertEqual(found, [False])
        self.assertLess(took, 3)

    def test_long_queue(self) -> None:
        """Nor is a path taken for a small one whose round trip grows to 3 seconds meanwhile."""
        link = self.joined()
        self.wire.run(1)
        link.latency = 1.5
        found, _ = self.probe()
        self.assertNotIn(False, found)

    def test_dead(self) -> None:
        """Of a path that answers nothing nothing is found out, and the probe ends."""
        link = self.joined()
        self.wire.run(1)
        link.loss = 1.0
        self.alice.punching.probe_size(BASE_SIZE, self.wire.now)
        self.wire.run(10)
        self.assertEqual(self.probed(), [])
        self.assertIsNone(self.alice.get_timer())

    def test_small_answers(self) -> None:
        """Who answers small checks only makes us send a few padded ones."""
        link = self.joined()
        self.wire.run(1)
        link.most = BASE_SIZE - 1
        self.alice.sent.clear()
        self.probe()
        padded = [one for one in self.alice.sent if len(one.data) >= BASE_SIZE]
        self.assertLessEqual(len(padded), 2 * CONTROLS)
