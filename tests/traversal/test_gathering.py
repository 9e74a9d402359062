"""Our candidates, from Binding requests to a STUN service that the test plays."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.gathering import (
    BLOCKED_AFTER,
    MAX_HOST_CANDIDATES,
    MAX_SERVERS,
    MAX_SPARES,
    MAX_STEP,
    PREDICTED,
    REFRESH_INTERVAL,
    RETRANSMIT_AFTER,
    UNREACHED_INTERVAL,
    CandidatesChanged,
    Gathering,
    NetworkReturned,
)
from p2pchat.traversal.keepalive import SHORTEST
from p2pchat.traversal.nat import Mapping, NatTraits, Preservation
from p2pchat.traversal.round_trips import RoundTrips
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import MAX_CANDIDATES, Candidate, CandidateType
from tests.cases import each
from tests.traversal.outboxes import take

FIRST, SECOND = ("203.0.113.1", 3478), ("203.0.113.1", 3479)
OURS = ("10.0.0.2", 5000)
MAPPED, OTHER = ("198.51.100.7", 4242), ("198.51.100.7", 4243)
NOW = 100.0


class GatheringCase(SynchronousTestCase):
    """One host address, and STUN addresses that answer when the test says so."""

    def setUp(self) -> None:
        self.gathering = Gathering((OURS,), Random(1).randbytes)

    def requests(self) -> list[tuple[Address, stun.Message]]:
        """Return what was asked since the last time, and of whom."""
        sent = take(self.gathering, Datagram)
        return [(one.destination, stun.decode(one.data)) for one in sent]

    def answer(
        self, request: stun.Message, mapped: Address, source: Address = FIRST, now: float = NOW
    ) -> bool:
        """Answer a request; returns whether the answer was taken."""
        response = stun.encode(stun.success(request, XOR_MAPPED_ADDRESS=mapped))
        return self.gathering.receive_response(stun.decode(response), source, now)

    def ask(self, *servers: Address, now: float = NOW) -> dict[Address, stun.Message]:
        """Begin to ask these servers; returns the request that each got."""
        self.gathering.set_servers(servers, now)
        return dict(self.requests())

    def learn(self, **mapped: Address) -> None:
        """Let the first and the second server answer with these mapped addresses."""
        requests = self.ask(FIRST, SECOND)
        servers = {"first": FIRST, "second": SECOND}
        for name, address in mapped.items():
            self.assertTrue(self.answer(requests[servers[name]], address, servers[name]))


class AskingTests(GatheringCase):
    """What goes out, and when."""

    def test_all_at_once(self) -> None:
        """Every server is asked at once, with a fingerprint and a transaction of its own."""
        requests = self.ask(FIRST, SECOND)
        self.assertEqual(set(requests), {FIRST, SECOND})
        self.assertNotEqual(requests[FIRST].transaction_id, requests[SECOND].transaction_id)
        for request in requests.values():
            self.assertIs(request.message_class, stun.MessageClass.REQUEST)
            self.assertEqual(list(request.attributes), ["FINGERPRINT"])

    def test_retransmission(self) -> None:
        """A silent server is asked again after 100, 200, 400, 800 and 1600 ms, then given up."""
        (request,) = self.ask(FIRST).values()
        waits, now = [], NOW
        while not self.gathering.is_complete:
            due = self.gathering.get_timer()
            assert due is not None
            self.gathering.handle_timer(due)
            again = [one.transaction_id for _, one in self.requests()]
            self.assertIn(again, ([request.transaction_id], []))
            if again or self.gathering.is_complete:
                waits.append(round(due - now, 6))
                now = due
        self.assertEqual(waits, [*RETRANSMIT_AFTER, RETRANSMIT_AFTER[-1]])
        self.assertTrue(take(self.gathering, CandidatesChanged))
        self.assertEqual(self.gathering.reflexive_addresses, ())

    def test_early_timer(self) -> None:
        """A timer that comes too early, or twice, sends nothing."""
        self.ask(FIRST)
        for now in (NOW, NOW + 0.05, NOW + 0.099):
            self.gathering.handle_timer(now)
            self.assertEqual(self.requests(), [])

    def test_refresh(self) -> None:
        """All are asked again every REFRESH_INTERVAL, in transactions of their own."""
        requests = self.ask(FIRST)
        self.answer(requests[FIRST], MAPPED)
        self.assertEqual(self.gathering.get_timer(), NOW + REFRESH_INTERVAL)
        self.gathering.handle_timer(NOW + REFRESH_INTERVAL)
        ((_, again),) = self.requests()
        self.assertNotEqual(again.transaction_id, requests[FIRST].transaction_id)
        take(self.gathering, CandidatesChanged)
        self.assertTrue(self.answer(again, OTHER))
        self.assertTrue(take(self.gathering, CandidatesChanged))
        self.assertEqual(self.gathering.reflexive_addresses, (OTHER,))

    def test_refresh_now(self) -> None:
        """Asked to, it asks at once, and keeps what it knows until it knows better."""
        self.learn(first=MAPPED, second=MAPPED)
        self.gathering.refresh(NOW + 1)
        self.assertEqual(len(self.requests()), 2)
        self.assertEqual(self.gathering.reflexive_addresses, (MAPPED,))

    def test_servers_change(self) -> None:
        """Answers of a server that stays are kept, those of one that went are not."""
        self.learn(first=MAPPED, second=OTHER)
        self.ask(SECOND, ("203.0.113.9", 1), now=NOW + 1)
        self.assertEqual(self.gathering.reflexive_addresses, (OTHER,))
        self.ask(now=NOW + 2)
        self.assertEqual(self.gathering.reflexive_addresses, ())
        self.assertIsNone(self.gathering.get_timer())

    def test_many_servers(self) -> None:
        """A registry that names a hundred servers, or one a hundred times, makes no flood."""
        hundred = [("203.0.113.1", port) for port in range(1, 101)]
        self.assertEqual(MAX_SERVERS, 3)
        self.assertEqual(len(self.ask(*hundred)), MAX_SERVERS)
        self.gathering.set_servers([FIRST] * 100, NOW)
        self.assertEqual(len(self.requests()), 1)


class SpareTests(GatheringCase):
    """More addresses than are asked, of which some are dead."""

    now = NOW
    SERVERS = tuple((f"203.0.113.{n}", 3478) for n in range(1, 13))

    def until(self, seconds: float, alive: set[Address]) -> set[Address]:
        """Let time pass while those that are alive answer; returns who was asked."""
        asked: set[Address] = set()
        end = self.now + seconds
        while True:
            for server, request in self.requests():
                asked.add(server)
                if server in alive:
                    self.answer(request, MAPPED, server, self.now)
            due = self.gathering.get_timer()
            if due is None or due > end:
                self.now = end
                return asked
            self.now = max(self.now, due)
            self.gathering.handle_timer(self.now)

    def setUp(self) -> None:
        super().setUp()
        self.now = NOW
        self.gathering.set_servers(self.SERVERS, NOW)

    def test_not_needed(self) -> None:
        """Where those that are asked answer, no other is."""
        asked = self.until(300, set(self.SERVERS))
        self.assertEqual(asked, set(self.SERVERS[:MAX_SERVERS]))

    def test_dead(self) -> None:
        """Where they don't, a few more are, so soon that nothing counts as blocked."""
        alive = set(self.SERVERS[3:5])
        asked = self.until(BLOCKED_AFTER - 0.1, alive)
        self.assertEqual(asked, set(self.SERVERS[: MAX_SERVERS + MAX_SPARES]))
        self.assertFalse(self.gathering.is_blocked)
        self.assertEqual(self.gathering.reflexive_addresses, (MAPPED,))
        self.until(60, alive)
        self.assertFalse(self.gathering.is_blocked)

    def test_preferred(self) -> None:
        """Those that answer are the ones to be asked from then on; the same list is no news."""
        alive = set(self.SERVERS[4:8])
        self.until(10, alive)
        self.gathering.set_servers(self.SERVERS[: MAX_SERVERS + MAX_SPARES], self.now)
        self.gathering.set_servers(self.SERVERS[: MAX_SERVERS + MAX_SPARES], self.now)
        self.assertEqual(self.until(100, alive), set(self.SERVERS[4:7]))

    def test_replaced(self) -> None:
        """When those die, others that live are found again."""
        self.until(60, set(self.SERVERS[4:7]))
        later = set(self.SERVERS[:2])
        self.until(60, later)
        self.assertFalse(self.gathering.is_blocked)
        self.assertEqual(self.until(60, later), later)

    def test_none_answers(self) -> None:
        """Where none answers, it is blocked, and few requests go out; the first answer is heard."""
        self.until(60, set())
        self.assertTrue(self.gathering.is_blocked)
        sent = 0
        for _ in range(10):
            self.until(1, set())
            sent += len(self.requests())
        self.assertLessEqual(sent, 10 * (MAX_SERVERS + MAX_SPARES))
        self.until(3, {self.SERVERS[6]})
        self.assertFalse(self.gathering.is_blocked)


class AnswerTests(GatheringCase):
    """What is believed."""

    def test_change_is_told_once(self) -> None:
        """A new mapped address is told once; so is it that all have answered."""
        requests = self.ask(FIRST, SECOND)
        self.answer(requests[FIRST], MAPPED)
        self.assertEqual(take(self.gathering, CandidatesChanged), [CandidatesChanged()])
        self.assertFalse(self.gathering.is_complete)
        self.answer(requests[SECOND], MAPPED, SECOND)
        self.assertTrue(self.gathering.is_complete)
        self.assertTrue(take(self.gathering, CandidatesChanged))

    def test_strangers(self) -> None:
        """An answer from another address or to another question is nobody's."""
        requests = self.ask(FIRST, SECOND)
        self.assertFalse(self.answer(requests[FIRST], OTHER, SECOND))
        self.assertFalse(self.answer(requests[FIRST], OTHER, ("198.51.100.66", 3478)))
        self.assertFalse(self.answer(stun.request(b"x" * 12), OTHER))
        self.assertEqual(self.gathering.reflexive_addresses, ())
        self.assertFalse(take(self.gathering, CandidatesChanged))

    def test_late(self) -> None:
        """The answer to an older question is not taken for one to the last."""
        old = self.ask(FIRST)[FIRST]
        self.gathering.refresh(NOW + 1)
        self.assertFalse(self.answer(old, OTHER))

    def test_twice(self) -> None:
        """The first answer counts: a second one to the same question changes nothing."""
        request = self.ask(FIRST)[FIRST]
        self.answer(request, MAPPED)
        self.assertTrue(self.answer(request, OTHER))
        self.assertEqual(self.gathering.reflexive_addresses, (MAPPED,))

    def test_refusal(self) -> None:
        """A server that answers with an error isn't asked again before the next refresh."""
        request = self.ask(FIRST)[FIRST]
        error = stun.decode(stun.encode(stun.failure(request, 500, "Server Error")))
        self.assertTrue(self.gathering.receive_response(error, FIRST, NOW))
        self.assertTrue(self.gathering.is_complete)
        self.assertEqual(self.gathering.get_timer(), NOW + REFRESH_INTERVAL)
        self.assertEqual(self.gathering.reflexive_addresses, ())

    def test_words(self) -> None:
        """What isn't known is said to be unknown."""
        self.assertEqual(self.gathering.traits(), NatTraits())

    def test_mapping(self) -> None:
        """The mapping behaviour is what two answers together show, and no more."""
        self.assertIs(self.gathering.traits().mapping, Mapping.UNKNOWN)
        for expected, mapped in (
            (Mapping.UNKNOWN, {"first": MAPPED}),
            (Mapping.ENDPOINT_INDEPENDENT, {"first": MAPPED, "second": MAPPED}),
            (Mapping.DEPENDENT, {"first": MAPPED, "second": OTHER}),
            (Mapping.NONE, {"first": OURS, "second": OURS}),
            (Mapping.NONE, {"first": OURS}),
            (Mapping.DEPENDENT, {"first": OURS, "second": OTHER}),
        ):
            with self.subTest(mapped=mapped):
                self.gathering = Gathering((OURS,), Random(2).randbytes)
                self.learn(**mapped)
                self.assertIs(self.gathering.traits().mapping, expected)


class CandidateTests(GatheringCase):
    """What peers are told."""

    def told(self) -> list[Address]:
        """Return the addresses of our candidates."""
        return [candidate.address for candidate in self.gathering.candidates()]

    def test_both_kinds(self) -> None:
        """Host and server-reflexive candidates, each once."""
        self.learn(first=MAPPED, second=MAPPED)
        self.assertEqual(
            self.gathering.candidates(),
            (
                Candidate(CandidateType.HOST, OURS),
                Candidate(CandidateType.SERVER_REFLEXIVE, MAPPED),
            ),
        )

    def test_no_nat(self) -> None:
        """A reflexive address that is a host address isn't told twice."""
        self.learn(first=OURS, second=OURS)
        self.assertEqual(self.told(), [OURS])

    def test_unusable_hosts(self) -> None:
        """Addresses that mean nothing elsewhere aren't told."""
        self.gathering.host_addresses = (
            *(("169.254.3.4", 5000), ("0.0.0.0", 5000), ("127.0.0.1", 5000)),
            *(("fe80::1", 5000), OURS),
        )
        self.assertEqual(self.told(), [OURS])

    def test_loopback(self) -> None:
        """Loopback is told where our person chose a registry there, whatever STUN says of us."""
        ours = ("127.0.0.1", 5000)
        self.gathering.host_addresses = (OURS, ours)
        self.learn(first=MAPPED)
        self.assertNotIn(ours, self.told())
        self.learn(first=ours, second=ours)
        self.assertEqual(self.told(), [OURS])
        self.ask(("127.0.0.1", 3478))
        self.assertEqual(self.told(), [OURS])
        self.gathering = Gathering((OURS, ours), Random(1).randbytes, is_local=True)
        self.assertEqual(self.told(), [OURS, ours])

    def test_limits(self) -> None:
        """However many addresses a host has, reflexive candidates find their place."""
        self.gathering.host_addresses = tuple((f"10.0.{n}.1", 5000) for n in range(100))
        self.learn(first=MAPPED, second=MAPPED)
        told = self.told()
        self.assertEqual(len(told), MAX_HOST_CANDIDATES + 1)
        self.assertLessEqual(len(told), MAX_CANDIDATES)
        self.assertEqual(told[:2], [("10.0.0.1", 5000), MAPPED])

    def test_random_mapping(self) -> None:
        """Where no port says anything of the next, one tells the host, and the others nothing."""
        self.learn(first=MAPPED, second=OTHER)
        self.assertEqual(self.told(), [OURS, MAPPED])


class PredictionTests(GatheringCase):
    """Mappings whose ports go up by a fixed step."""

    def learn_ports(self, *ports: int) -> None:
        """Let the servers answer, in their order, with these mapped ports."""
        self.gathering = Gathering((OURS,), Random(2).randbytes)
        servers = [("203.0.113.1", 3478 + number) for number in range(len(ports))]
        requests = self.ask(*servers)
        for server, port in zip(servers, ports, strict=True):
            self.assertTrue(self.answer(requests[server], (MAPPED[0], port), server))

    def predicted(self) -> list[int]:
        """Return the ports of our reflexive candidates that no server saw."""
        seen = self.gathering.reflexive_addresses
        told = [candidate.address for candidate in self.gathering.candidates()]
        return [port for host, port in told if host == MAPPED[0] and (host, port) not in seen]

    def test_step(self) -> None:
        """Three ports in equal steps tell the next ones, the likeliest first."""
        for step in (1, 2, -1, MAX_STEP):
            self.learn_ports(5000, 5000 + step, 5000 + 2 * step)
            traits = self.gathering.traits()
            self.assertEqual((traits.mapping, traits.step), (Mapping.DEPENDENT, step))
            self.assertEqual(traits.allocation, "step")
            ahead = [5000 + step * number for number in range(3, 3 + PREDICTED)]
            self.assertEqual(self.predicted(), ahead)
            first = self.gathering.candidates()[0]
            self.assertEqual(first.address, (MAPPED[0], 5000 + 3 * step))

    def test_no_rule(self) -> None:
        """Two ports, unequal steps, or steps too long, tell nothing."""
        for ports in ((5000, 5001), (5000, 5001, 5003), (5000, 5017, 5034), (5001, 5001, 5002)):
            self.learn_ports(*ports)
            self.assertEqual(self.gathering.traits().step, 0)
            self.assertEqual(self.predicted(), [])

    def test_end_of_the_range(self) -> None:
        """No port beyond the last one is told."""
        self.learn_ports(65530, 65532, 65534)
        self.assertEqual(self.predicted(), [])


class UnreachedTests(GatheringCase):
    """A network through which nothing comes, and its return."""

    def silence(self) -> float:
        """Let both servers be silent until they are given up; returns the time."""
        self.learn(first=MAPPED, second=MAPPED)
        self.gathering.refresh(NOW + 1)
        while self.gathering.reflexive_addresses:
            now = self.gathering.get_timer() or 0.0
            self.gathering.handle_timer(now)
        self.requests()
        return now

    def doubt(self) -> dict[Address, stun.Message]:
        """Ask both servers, and let BLOCKED_AFTER pass; returns the first requests."""
        requests = self.ask(FIRST, SECOND)
        while not self.gathering.is_blocked:
            self.gathering.handle_timer(self.gathering.get_timer() or 0.0)
        self.requests()
        return requests

    def test_noticed_within_a_second(self) -> None:
        """Silence of all for BLOCKED_AFTER counts as blocked, is told, and they are asked on."""
        self.assertLess(BLOCKED_AFTER, 1.0)
        self.ask(FIRST, SECOND)
        while (now := self.gathering.get_timer() or 0.0) < NOW + BLOCKED_AFTER:
            self.gathering.handle_timer(now)
            self.assertFalse(self.gathering.is_blocked)
        self.assertEqual(now, NOW + BLOCKED_AFTER)
        take(self.gathering, CandidatesChanged)
        self.gathering.handle_timer(now)
        self.assertTrue(self.gathering.is_blocked and take(self.gathering, CandidatesChanged))
        self.assertFalse(self.gathering.is_complete)

    def test_far_registry(self) -> None:
        """Where the registry is far, silence counts for nothing before an answer may be there."""
        self.gathering = Gathering((OURS,), Random(1).randbytes, trips=RoundTrips(lambda: 4.0))
        self.ask(FIRST, SECOND)
        while not self.gathering.is_blocked:
            now = self.gathering.get_timer() or 0.0
            self.gathering.handle_timer(now)
        self.assertEqual(now, NOW + 3 * 4.0)

    def test_far_server(self) -> None:
        """A server whose answers take longer than it is waited for is waited for longer, once."""
        requests, silent = self.ask(FIRST), NOW
        while silent < NOW + 5:
            silent = self.gathering.get_timer() or 0.0
            self.gathering.handle_timer(silent)
        self.gathering.handle_timer(NOW + 6)
        self.requests()
        self.answer(requests[FIRST], MAPPED, now=NOW + 6)
        self.gathering.handle_timer(NOW + 6)
        (again,) = dict(self.requests()).values()
        while (now := self.gathering.get_timer() or 0.0) < NOW + 12:
            self.gathering.handle_timer(now)
        self.assertEqual(self.gathering.reflexive_addresses, (MAPPED,))
        self.answer(again, MAPPED, now=NOW + 12)
        self.gathering.refresh(NOW + 32)
        while (now := self.gathering.get_timer() or 0.0) < NOW + 38:
            self.gathering.handle_timer(now)
        self.assertFalse(self.gathering.is_blocked)

    def test_asked_again_meanwhile(self) -> None:
        """To be asked again and again doesn't put the verdict off."""
        self.ask(FIRST)
        for number in range(1, 10):
            self.gathering.refresh(NOW + number * BLOCKED_AFTER / 9)
        self.assertTrue(self.gathering.is_blocked)

    def test_slow(self) -> None:
        """An answer to the first request, after the verdict, takes it back and is believed."""
        requests = self.doubt()
        take(self.gathering, CandidatesChanged)
        self.assertTrue(self.answer(requests[SECOND], MAPPED, SECOND))
        self.assertFalse(self.gathering.is_blocked)
        self.assertTrue(take(self.gathering, CandidatesChanged))
        self.assertFalse(take(self.gathering, NetworkReturned), "it never was away")
        self.assertEqual(self.gathering.reflexive_addresses, (MAPPED,))

    def test_slow_refresh(self) -> None:
        """Where every answer is late, UDP is doubted once; only real silence says it again."""
        requests = self.doubt()
        self.answer(requests[FIRST], MAPPED)
        self.answer(requests[SECOND], MAPPED, SECOND)
        self.gathering.refresh(NOW + REFRESH_INTERVAL)
        self.gathering.handle_timer(NOW + REFRESH_INTERVAL + BLOCKED_AFTER)
        self.assertFalse(self.gathering.is_blocked)
        self.assertEqual(self.gathering.reflexive_addresses, (MAPPED,))
        while not self.gathering.is_blocked:
            now = self.gathering.get_timer() or 0.0
            self.gathering.handle_timer(now)
        self.assertGreaterEqual(now, NOW + REFRESH_INTERVAL + sum(RETRANSMIT_AFTER))

    def test_returns_slowly(self) -> None:
        """A network that comes back with a round trip longer than the interval is noticed."""
        start = self.silence()
        asked: list[tuple[Address, stun.Message]] = []
        while (now := self.gathering.get_timer() or 0.0) < start + 5 * UNREACHED_INTERVAL:
            self.gathering.handle_timer(now)
            asked += self.requests()
        self.assertTrue(self.answer(asked[0][1], OTHER, asked[0][0]))
        self.assertFalse(self.gathering.is_blocked)
        self.assertTrue(take(self.gathering, NetworkReturned))

    def test_blocked(self) -> None:
        """One that was known is forgotten once all are silent; UDP seems blocked."""
        self.silence()
        self.assertEqual(self.gathering.reflexive_addresses, ())
        self.assertEqual(self.gathering.traits(), NatTraits())
        self.assertTrue(take(self.gathering, CandidatesChanged))
        self.assertFalse(take(self.gathering, NetworkReturned))

    def test_one_silent(self) -> None:
        """One silent server of two is no outage."""
        requests = self.ask(FIRST, SECOND)
        self.answer(requests[FIRST], MAPPED)
        while not self.gathering.is_complete:
            self.gathering.handle_timer(self.gathering.get_timer() or 0.0)
        self.assertFalse(self.gathering.is_blocked)
        self.assertEqual(self.gathering.reflexive_addresses, (MAPPED,))

    def test_probing(self) -> None:
        """While nothing answers, each server is asked once a second, no more, for ever."""
        start = self.silence()
        times: list[float] = []
        while (now := self.gathering.get_timer() or 0.0) < start + 60:
            self.gathering.handle_timer(now)
            times += [round(now, 6) for server, _ in self.requests() if server == FIRST]
        self.assertTrue(self.gathering.is_blocked)
        waits = {round(later - earlier, 6) for earlier, later in pairwise(times)}
        self.assertEqual(waits, {UNREACHED_INTERVAL})

    def test_within_a_second(self) -> None:
        """A network that returns is noticed with the next request, and told once."""
        start = self.silence()
        now, asked = start, self.requests()
        while not asked:
            now = self.gathering.get_timer() or 0.0
            self.gathering.handle_timer(now)
            asked = self.requests()
        self.assertLess(now - start, 2 * UNREACHED_INTERVAL)
        take(self.gathering, CandidatesChanged)
        self.assertTrue(self.answer(asked[0][1], OTHER, asked[0][0]))
        self.assertEqual(take(self.gathering, NetworkReturned), [NetworkReturned()])
        self.assertFalse(self.gathering.is_blocked)
        self.assertTrue(take(self.gathering, CandidatesChanged))
        self.assertEqual(self.gathering.reflexive_addresses, (OTHER,))


KEPT = (MAPPED[0], OURS[1])


class PreservationTests(GatheringCase):
    """Whether the NAT keeps our port."""

    def preservation(self) -> Preservation:
        """Return what is read now."""
        return self.gathering.traits().preservation

    @each((KEPT, Preservation.PRESERVED), (MAPPED, Preservation.CHANGED))
    def test_read(self, second: Address, reading: Preservation) -> None:
        """Kept, if every server sees the port of the socket; one other port is a change."""
        self.assertIs(self.preservation(), Preservation.UNKNOWN)
        self.learn(first=KEPT, second=second)
        self.assertIs(self.preservation(), reading)

    def test_no_socket(self) -> None:
        """Without addresses of our own nothing can be told."""
        self.gathering.host_addresses = ()
        self.learn(first=MAPPED)
        self.assertIs(self.preservation(), Preservation.UNKNOWN)


class ForgetfulTests(GatheringCase):
    """A NAT whose mappings don't live from one look to the next."""

    def looks(self, count: int, ports: int = 65_536) -> list[float]:
        """Let so many looks see ports that go round after some; returns when they were."""
        times, now = [], NOW
        requests = self.ask(FIRST, SECOND)
        for number in range(count):
            times.append(now)
            for server, request in requests.items():
                self.answer(request, (MAPPED[0], 2000 + number % ports), server)
            now = self.gathering.get_timer() or 0.0
            self.gathering.handle_timer(now)
            requests = dict(self.requests())
        return times

    def test_kept(self) -> None:
        """A mapping that stays is looked at every REFRESH_INTERVAL."""
        waits = {later - earlier for earlier, later in pairwise(self.looks(10, ports=1))}
        self.assertEqual(waits, {REFRESH_INTERVAL})

    def test_call(self) -> None:
        """A call begins: what was seen more than SHORTEST ago is looked at again."""
        self.learn(first=MAPPED, second=MAPPED)
        self.gathering.look_again(NOW + SHORTEST)
        self.assertEqual(self.requests(), [])
        self.gathering.look_again(NOW + SHORTEST + 0.1)
        self.assertEqual([server for server, _ in self.requests()], [FIRST, SECOND])

    def test_forgotten(self) -> None:
        """One that is another twice is looked at more often, down to a limit."""
        waits = [later - earlier for earlier, later in pairwise(self.looks(12))]
        self.assertEqual(waits[:3], [REFRESH_INTERVAL] * 3)
        self.assertEqual(waits[-1], SHORTEST)
        self.assertEqual(sorted(waits, reverse=True), waits)

    def test_outage(self) -> None:
        """A mapping that is another after nothing answered tells nothing."""
        self.learn(first=MAPPED, second=MAPPED)
        for port in range(3000, 3004):
            now = self.gathering.get_timer() or 0.0
            self.gathering.refresh(now)
            while not self.gathering.is_blocked:
                self.gathering.handle_timer(self.gathering.get_timer() or 0.0)
            self.requests()
            self.gathering.refresh(now + 10)
            for server, request in self.requests():
                self.answer(request, (MAPPED[0], port), server)
        self.assertIsNone(self.gathering.keepalive.limit)
