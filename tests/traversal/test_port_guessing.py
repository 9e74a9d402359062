"""Many sockets on one side, port probing on the other, and what both may cost."""

from __future__ import annotations

from itertools import pairwise
from math import comb
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal import port_guessing, send_budget
from p2pchat.traversal.agent import LinkDatagrams, SocketsReleased
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.nat import Filtering, Mapping, NatTraits
from p2pchat.traversal.path_hint import PathHint, PathMethod
from p2pchat.traversal.port_guessing import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    OVERTIME,
    PASSES,
    PORTS,
    PROBES,
    PROBES_A_TICK,
    RUN_LENGTH,
    SOCKETS_A_TICK,
    SOCKETS_OPENED,
    TICK,
    GuessingRun,
    RunBudget,
    random_ports,
    target,
)
from p2pchat.traversal.punching import FIRST_ROUND, LOW_TTL
from p2pchat.traversal.routes import CHAT_SOCKET, SOCKETS
from p2pchat.traversal.strategy import GUESSING_DELAY, OPEN_FILTER_DELAY
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate, CandidateType
from tests.pages import page
from tests.traversal.hard_wire import EASY, HARD, KEY, HardWire, easy_agent, hard_agent

CHECK = b"a check"
NOW = 100.0


def drained(run: GuessingRun) -> list[tuple[float, list[Address], list[str]]]:
    """Let it go on to its end; returns when how many went where, from which bases."""
    batches = []
    while (now := run.get_timer()) is not None:
        batch = run.take_due(now)
        batches.append((now, [one.destination for one in batch], [one.base for one in batch]))
    return batches


class BurstTests(SynchronousTestCase):
    """What goes out, and how fast."""

    def test_probes(self) -> None:
        """PROBES distinct ports of one host, from the chat socket, all with the same bytes."""
        run = GuessingRun.port_probing(CHECK, HARD, Random(1).randbytes, NOW)
        datagrams = [one for _ in range(2 * PROBES) for one in run.take_due(NOW + TICK * _)]
        self.assertEqual((len(datagrams), run.sent, run.get_timer()), (PROBES, PROBES, None))
        self.assertEqual(len({one.destination for one in datagrams}), PROBES)
        self.assertEqual({one.destination[0] for one in datagrams}, {HARD})
        self.assertTrue(all(one.destination[1] in PORTS for one in datagrams))
        self.assertEqual({(one.data, one.ttl, one.base) for one in datagrams}, {(CHECK, None, "")})

    def test_pace(self) -> None:
        """No more than PROBES_A_TICK in a tick: 1,000 a second."""
        batches = drained(GuessingRun.port_probing(CHECK, HARD, Random(1).randbytes, NOW))
        self.assertEqual({len(where) for _, where, _ in batches}, {PROBES_A_TICK})
        for (earlier, *_), (later, *_) in pairwise(batches):
            self.assertAlmostEqual(later - earlier, TICK)
        self.assertAlmostEqual(batches[-1][0] - NOW, (PROBES / PROBES_A_TICK - 1) * TICK)
        self.assertAlmostEqual(PROBES_A_TICK / TICK, 1000)

    def test_late_timer(self) -> None:
        """A timer that comes late makes up for nothing: nothing is sent at once."""
        run = GuessingRun.port_probing(CHECK, HARD, Random(1).randbytes, NOW)
        self.assertEqual(run.take_due(NOW - 0.001), [])
        self.assertEqual(len(run.take_due(NOW + 3)), PROBES_A_TICK)
        self.assertEqual(run.take_due(NOW + 3), [])
        self.assertEqual(len(run.take_due(NOW + 3 + TICK)), PROBES_A_TICK)

    def test_held_back(self) -> None:
        """What budgets hold back for long is let go, and the next run finds them full."""
        run = GuessingRun.many_sockets("frag", CHECK, EASY, LOW_TTL, NOW)
        length = PASSES * SOCKETS_OPENED / SOCKETS_A_TICK * TICK
        budget = iter(range(100))
        now = NOW
        while (due := run.get_timer()) is not None:
            now = due
            run.take_due(now, lambda _one: next(budget, None) is not None)
        self.assertEqual(run.sent, 100)
        self.assertLess(abs(now - NOW - OVERTIME * length), 2 * TICK)

    def test_many_sockets(self) -> None:
        """Each of SOCKETS_OPENED sockets sends to the one address, PASSES times, low."""
        batches = drained(GuessingRun.many_sockets("frag", CHECK, EASY, LOW_TTL, NOW))
        bases = [base for *_, some in batches for base in some]
        expected = [f"{SOCKETS}frag/{number}" for number in range(SOCKETS_OPENED)]
        self.assertEqual(bases, expected * PASSES)
        self.assertEqual({to for _, where, _ in batches for to in where}, {EASY})
        self.assertLessEqual(max(len(where) for _, where, _ in batches), SOCKETS_A_TICK)
        first_pass = batches[SOCKETS_OPENED // SOCKETS_A_TICK - 1]
        self.assertLess(first_pass[0] - NOW, 0.08)
        run = GuessingRun.many_sockets("frag", CHECK, EASY, LOW_TTL, NOW)
        self.assertEqual({one.ttl for one in run.take_due(NOW)}, {LOW_TTL})

    @settings(max_examples=30)
    @given(st.integers(0, 2**32), st.integers(0, 3000))
    def test_random_ports(self, seed: int, count: int) -> None:
        """As many ports as are wanted, distinct, none of them a well-known one."""
        ports = random_ports(count, Random(seed).randbytes)
        self.assertEqual((len(ports), len(set(ports))), (count, count))
        self.assertTrue(all(port in PORTS for port in ports))

    def test_uniform(self) -> None:
        """No part of the range is preferred: quarters get their share within five sigma."""
        random = Random(3)
        ports = [port for _ in range(40) for port in random_ports(1000, random.randbytes)]
        sigma = (len(ports) * 0.25 * 0.75) ** 0.5
        for quarter in range(4):
            low = PORTS.start + quarter * len(PORTS) // 4
            hits = sum(low <= port < low + len(PORTS) // 4 for port in ports)
            self.assertLess(abs(hits - len(ports) / 4), 5 * sigma)


class ClaimTests(SynchronousTestCase):
    """What the module says of its chances, by the exact formula."""

    @staticmethod
    def chance(probes: int) -> float:
        """Return the probability that so many probes find an open port."""
        ports, opened = len(PORTS), SOCKETS_OPENED
        return 1 - comb(ports - probes, opened) / comb(ports, opened)

    def test_chances(self) -> None:
        """1,024 probes find one in 98.3 % of runs, 1,750 in 99.9 %, and so says the module."""
        self.assertEqual((len(PORTS), SOCKETS_OPENED, PROBES), (64_512, 256, 1750))
        shares = [f"{self.chance(probes) * 100:.1f} %" for probes in (1024, 1750)]
        self.assertEqual(shares, ["98.3 %", "99.9 %"])
        said = " ".join((port_guessing.__doc__ or "").split())
        self.assertIn(f"1,024 probes find one in {shares[0]} of runs, 1,750 in {shares[1]}", said)

    def test_formula(self) -> None:
        """The formula agrees with drawing, within five sigma."""
        random, runs, found = Random(5), 400, 0
        for _ in range(runs):
            opened = set(random.sample(PORTS, SOCKETS_OPENED))
            found += not opened.isdisjoint(random_ports(200, random.randbytes))
        expected = self.chance(200)
        sigma = (expected * (1 - expected) / runs) ** 0.5
        self.assertLess(abs(found / runs - expected), 5 * sigma)

    def test_protocol(self) -> None:
        """The protocol page has the numbers of the code, and those of what may go to a host."""
        text = " ".join(page("protocol").split())
        for sentence in (
            f"opens {port_guessing.SOCKETS_OPENED} sockets",
            f"to {port_guessing.PROBES:,} random ports from {port_guessing.PORTS.start}",
            f"next one waits {port_guessing.FIRST_PAUSE:g} seconds",
            f"and so on up to {port_guessing.LONGEST_PAUSE:g}",
            f"and so on up to {port_guessing.STRANGERS_PAUSES[1]:g}",
            f"have at most {send_budget.BURST - send_budget.KEPT_BURST:,} at once",
            f"leaves others {send_budget.OTHERS} of what it has used",
            f"Port guessing leaves {port_guessing.KEPT_FOR_CHECKS} to checks",
            f"fewer than {port_guessing.LEAST} doesn't begin",
            f"no more than {send_budget.BURST:,} packets at once, "
            f"and {send_budget.RATE:g} a second",
        ):
            self.assertIn(sentence, text)

    def test_run_length(self) -> None:
        """A whole run, and the triggered check after it, fits a round of checks."""
        self.assertAlmostEqual(RUN_LENGTH, GUESSING_DELAY + PROBES / 1000)
        self.assertLess(OPEN_FILTER_DELAY + PROBES / 1000 + 1, FIRST_ROUND)


class TargetTests(SynchronousTestCase):
    """Whom port guessing may meet."""

    def test_target(self) -> None:
        """A public address, reflexive before host, never a relay's or a private one."""
        reflexive = Candidate(CandidateType.SERVER_REFLEXIVE, (HARD, 1))
        host = Candidate(CandidateType.HOST, ("198.51.100.9", 2))
        relayed = Candidate(CandidateType.RELAYED, ("198.51.100.8", 3))
        private = Candidate(CandidateType.HOST, ("10.0.0.1", 4))
        odd = [
            Candidate(CandidateType.SERVER_REFLEXIVE, (ip, 5))
            for ip in ("192.168.1.1", "127.0.0.1", "224.0.0.1", "0.0.0.0", "169.254.1.1")
        ]
        self.assertEqual(target([private, *odd, relayed, host, reflexive]), (HARD, 1))
        self.assertEqual(target([relayed, private, host]), host.address)
        self.assertIsNone(target([relayed, private, *odd]))
        self.assertIsNone(target([]))


class BudgetTests(SynchronousTestCase):
    """One run at a time, fewer the more of them failed."""

    def test_one_at_a_time(self) -> None:
        """While one runs no other begins, nor the same once more."""
        budget = RunBudget(RUN_LENGTH)
        self.assertTrue(budget.take("a", NOW))
        for ufrag in ("a", "b"):
            self.assertFalse(budget.take(ufrag, NOW + 1000))

    def test_success(self) -> None:
        """One that succeeded lets the next begin at once."""
        budget = RunBudget(RUN_LENGTH)
        for ufrag in ("a", "b", "c"):
            self.assertTrue(budget.take(ufrag, NOW))
            budget.give_back(ufrag, True)

    def test_back_off(self) -> None:
        """The pause after a run that failed doubles each time, up to LONGEST_PAUSE."""
        budget, now = RunBudget(RUN_LENGTH), NOW
        for failures in range(12):
            self.assertTrue(budget.take("a", now))
            budget.give_back("a", False)
            pause = min(FIRST_PAUSE * 2**failures, LONGEST_PAUSE)
            self.assertFalse(budget.take("a", now + RUN_LENGTH + pause - 0.01))
            now += RUN_LENGTH + pause + 0.01

    def test_success_forgives(self) -> None:
        """After a success the pauses begin anew."""
        budget = RunBudget(RUN_LENGTH)
        for number in range(6):
            budget.take("x", NOW + number * 1e4)
            budget.give_back("x", False)
        budget.take("x", NOW + 1e6)
        budget.give_back("x", True)
        self.assertTrue(budget.take("y", NOW + 1e6))
        budget.give_back("y", False)
        self.assertFalse(budget.take("z", NOW + 1e6 + RUN_LENGTH + FIRST_PAUSE - 0.01))
        self.assertTrue(budget.take("z", NOW + 1e6 + RUN_LENGTH + FIRST_PAUSE))

    def test_not_theirs(self) -> None:
        """Only the one that runs can end its run, and only once."""
        budget = RunBudget(RUN_LENGTH)
        budget.take("a", NOW)
        budget.give_back("b", True)
        self.assertFalse(budget.take("b", NOW))
        budget.give_back("a", False)
        budget.give_back("a", True)
        self.assertFalse(budget.take("b", NOW))


class JoinTests(SynchronousTestCase):
    """Both sides on a wire where 256 ports of 64,512 answer."""

    def joined(self, seed: int, hard_offers: bool) -> HardWire:
        """Let them find each other."""
        wire = HardWire(seed)
        wire.punch(hard_offers)
        spent = wire.run(FIRST_ROUND, until_joined=True)
        self.assertLess(spent, RUN_LENGTH + 0.3, f"seed {seed}")
        return wire

    def test_readings(self) -> None:
        """The two sides of these tests are what they are said to be."""
        self.assertTrue(hard_agent(1).gathering.traits().is_symmetric)
        self.assertTrue(easy_agent(1).gathering.traits().is_endpoint_independent)

    def test_joins(self) -> None:
        """They meet within a run, whoever made the offer, and on the same pair."""
        for seed in range(12):
            wire = self.joined(seed, bool(seed % 2))
            wire.run(1)
            hard, easy = (attempt.path for attempt in wire.attempts)
            assert hard is not None and easy is not None
            self.assertTrue(hard.base.startswith(SOCKETS))
            self.assertEqual((hard.address, easy.base), (EASY, CHAT_SOCKET))
            self.assertEqual(easy.address, (HARD, wire.ports[hard.base]))

    def test_plain_checks_alone(self) -> None:
        """Without it they would never meet: the test's NATs are as hard as they come."""
        for seed in range(3):
            wire = HardWire(seed)
            wire.punch(True, NatTraits())  # the hard side knows nothing, and opens no sockets
            wire.run(FIRST_ROUND)
            self.assertEqual(wire.moves(), ([], []))

    def test_stops(self) -> None:
        """Once they have met, no probe more goes out, and the sockets not needed close."""
        wire = self.joined(2, True)
        before = len(wire.sent_easy)
        wire.run(0.5)
        self.assertLess(len(wire.sent_easy) - before, 30)
        wire.run(20)
        (path,) = {one.path.base for one in wire.moves()[0]}
        released = [one for one in wire.told_hard if isinstance(one, SocketsReleased)]
        self.assertTrue(released)
        for event in released:
            self.assertEqual(event.ufrag, "hard")
            self.assertIn(path, event.kept)
            self.assertLess(len(event.kept), 10)
        self.assertFalse([one for one in wire.told_easy if isinstance(one, SocketsReleased)])

    def test_link_datagrams(self) -> None:
        """QUIC comes over the socket that was hit, and over no other of the many."""
        wire = self.joined(3, True)
        wire.run(1)
        path = wire.attempts[0].path
        assert path is not None
        wire.told_hard.clear()
        bases = [f"{SOCKETS}hard/{number}" for number in range(SOCKETS_OPENED)]
        for base in bases:  # each says where it came in
            wire.hard.receive_on(base, b"\x40" + base.encode(), EASY, wire.now)
        wire.run(0.01)
        told = [one for one in wire.told_hard if isinstance(one, LinkDatagrams)]
        heard = {data[1:].decode() for one in told for data in one.datagrams}
        self.assertIn(path.base, heard)
        self.assertLessEqual(heard, {one.base for one in wire.attempts[0].routes})

    def test_forgotten(self) -> None:
        """An attempt that ends closes all its sockets, and the next run may begin."""
        wire = self.joined(4, True)
        wire.hard.forget("hard")
        wire.easy.forget("easy")
        wire.run(0.01)
        self.assertEqual(wire.told_hard[-1], SocketsReleased("hard", frozenset()))
        wire.punch(True)
        self.assertTrue(wire.attempts[1].guessing)

    def test_budget(self) -> None:
        """Whom nobody answers gets PROBES probes, at the pace, at one host, and no more."""
        wire = HardWire(5)
        wire.punch(True, NatTraits())
        wire.run(60)
        probes = [one for one in wire.sent_easy if one[1].destination[0] == HARD]
        plain = len(probes) - PROBES
        self.assertLess(plain, 40)
        self.assertGreaterEqual(plain, 0)
        self.assertEqual({one.destination[0] for _, one in probes}, {HARD})
        for index in range(len(probes) - 1010):
            self.assertGreater(probes[index + 1010][0] - probes[index][0], 0.9)

    def test_size(self) -> None:
        """A probe has 100 bytes: 0.8 Mbit/s."""
        easy = easy_agent(1)
        credentials = CheckCredentials(easy.new_ufrag(), easy.new_ufrag(), KEY)
        self.assertEqual(len(credentials.request(bytes(12))), 100)

    def test_one_run(self) -> None:
        """A second hard peer at the same time is checked, and not probed."""
        easy = easy_agent(1)
        random = NatTraits(Mapping.DEPENDENT)
        began = []
        for number in range(3):
            where = (Candidate(CandidateType.SERVER_REFLEXIVE, (f"198.51.100.{number}", 9)),)
            credentials = CheckCredentials(f"ours{number}", "theirs", KEY)
            attempt = easy.punch(credentials, where, random, NOW, False)
            began.append(attempt.guessing is not None)
        self.assertEqual(began, [True, False, False])

    def test_delay(self) -> None:
        """Plain checks have GUESSING_DELAY alone, OPEN_FILTER_DELAY where they should do."""
        for filtering, delay in (
            (Filtering.UNKNOWN, GUESSING_DELAY),
            (Filtering.ADDRESS_AND_PORT_DEPENDENT, GUESSING_DELAY),
            (Filtering.PORT_INDEPENDENT, OPEN_FILTER_DELAY),
        ):
            wire = HardWire(6)
            wire.punch(True, NatTraits(Mapping.ENDPOINT_INDEPENDENT, 0, filtering))
            wire.run(delay + 0.2)
            opened = [one for one in wire.sent_hard if one[1].base.startswith(SOCKETS)]
            self.assertAlmostEqual(opened[0][0] - NOW, delay)
            self.assertEqual({one.ttl for _, one in opened[:SOCKETS_OPENED]}, {LOW_TTL})

    def test_remembered(self) -> None:
        """Neither delay where many sockets did it the last time, behind NATs that read the same."""
        easy, hard = Mapping.ENDPOINT_INDEPENDENT, Mapping.DEPENDENT
        for means, ours, theirs, delay in (
            (PathMethod.MANY_SOCKETS, hard, easy, 0.0),
            (PathMethod.PLAIN, hard, easy, OPEN_FILTER_DELAY),
            (PathMethod.RELAY, hard, easy, OPEN_FILTER_DELAY),
            (PathMethod.MANY_SOCKETS, easy, easy, OPEN_FILTER_DELAY),
            (PathMethod.MANY_SOCKETS, hard, hard, OPEN_FILTER_DELAY),
        ):
            wire = HardWire(6)
            told = NatTraits(easy, 0, Filtering.PORT_INDEPENDENT)
            wire.punch(True, told, PathHint(means, ours, theirs, 0.0))
            wire.run(delay + 0.2)
            opened = [one for one in wire.sent_hard if one[1].base.startswith(SOCKETS)]
            self.assertAlmostEqual(opened[0][0] - NOW, delay)
            plain = [one for one in wire.sent_hard if one[1].base == CHAT_SOCKET]
            self.assertAlmostEqual(plain[0][0] - NOW, 0.0)

    def test_means(self) -> None:
        """Each side knows that port guessing made the path, and what it took."""
        wire = self.joined(9, True)
        wire.run(1)
        hard, easy = wire.attempts
        self.assertEqual(
            (hard.method, easy.method), (PathMethod.MANY_SOCKETS, PathMethod.PORT_PROBING)
        )
        for attempt in (hard, easy):
            told = attempt.guessing_report(NOW)
            assert told is not None
            self.assertEqual(told.began_ms, GUESSING_DELAY * 1000)
            self.assertGreater(told.packets_sent, 0)
        assert easy.guessing is not None and easy.path is not None
        self.assertTrue(easy.guessing.has_probed(easy.path.address))
        self.assertFalse(easy.guessing.has_probed((HARD, 80)))

    def test_learned_later(self) -> None:
        """Where the other side's NAT shows only after the answer, port guessing begins then."""
        wire = HardWire(7)
        wire.punch(True, NatTraits())
        wire.run(0.3)
        self.assertFalse(wire.attempts[0].guessing)
        wire.hard.learn("hard", wire.easy.gathering.traits(), wire.now)
        self.assertTrue(wire.attempts[0].guessing)
        self.assertLess(wire.run(3, until_joined=True), RUN_LENGTH + 0.3)

    def test_hopeless(self) -> None:
        """Both random: not one probe, not one socket."""
        hard = hard_agent(1)
        theirs = hard_agent(2)
        credentials = CheckCredentials("ours", "theirs", KEY)
        attempt = hard.punch(
            credentials, theirs.candidates(), theirs.gathering.traits(), NOW, False
        )
        self.assertFalse(attempt.guessing)
        sent = hard.datagrams_to_send(NOW)
        self.assertEqual({one.base for one in sent}, {CHAT_SOCKET})
        self.assertEqual(len(sent), len(theirs.candidates()))
