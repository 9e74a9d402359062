"""The filtering test, alone and as a part of gathering."""

from __future__ import annotations

from random import Random

from p2pchat.traversal.filtering_test import INTERVAL, SENDS, FilteringTest
from p2pchat.traversal.gathering import CandidatesChanged
from p2pchat.traversal.nat import Filtering
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from tests.traversal.outboxes import take
from tests.traversal.test_gathering import FIRST, MAPPED, NOW, OTHER, SECOND, GatheringCase

THIRD, FOURTH = ("203.0.113.2", 3478), ("203.0.113.2", 3479)


class Case(GatheringCase):
    """One test: the third address is asked, the fourth is to answer."""

    def setUp(self) -> None:
        super().setUp()
        self.sent: list[Datagram] = []
        self.test = FilteringTest(THIRD, FOURTH, Random(1).randbytes, self.sent.append)

    def ask_once(self, now: float = NOW) -> stun.Message:
        """Let the test ask; returns its request."""
        self.assertFalse(self.test.handle_timer(now))
        return self.request_in(self.sent.pop())

    def request_in(self, sent: Datagram) -> stun.Message:
        """Return the request in a datagram to the address that is asked."""
        self.assertEqual((sent.destination, sent.base, sent.ttl), (THIRD, "", None))
        return stun.decode(sent.data)

    def success(self, request: stun.Message) -> stun.Message:
        """Return the answer to a request."""
        return stun.decode(stun.encode(stun.success(request, XOR_MAPPED_ADDRESS=MAPPED)))


class FilteringTests(Case):
    """The machine."""

    def test_request(self) -> None:
        """What is asked for is an answer from another port, not from another host."""
        request = self.ask_once()
        self.assertEqual(request.attributes["CHANGE-REQUEST"], stun.CHANGE_PORT)
        self.assertIn("FINGERPRINT", request.attributes)

    def test_open(self) -> None:
        """The answer from where nothing was sent says that known hosts are let in."""
        request = self.ask_once()
        self.assertTrue(self.test.receive_response(self.success(request), FOURTH))
        self.assertIs(self.test.reading, Filtering.PORT_INDEPENDENT)
        self.assertIsNone(self.test.due)

    def test_silence(self) -> None:
        """No answer to SENDS requests, all of one transaction, says that ports count."""
        asked = set()
        for number in range(SENDS):
            now = NOW + number * INTERVAL
            asked.add(self.ask_once(now).transaction_id)
            self.assertEqual(self.test.due, now + INTERVAL)
            self.assertIs(self.test.reading, Filtering.UNKNOWN)
        self.assertEqual(len(asked), 1)
        self.assertTrue(self.test.handle_timer(NOW + SENDS * INTERVAL))
        self.assertIs(self.test.reading, Filtering.ADDRESS_AND_PORT_DEPENDENT)
        self.assertEqual((self.test.due, self.sent), (None, []))

    def test_early(self) -> None:
        """A timer that comes too early, or after the end, does nothing."""
        self.ask_once()
        self.assertFalse(self.test.handle_timer(NOW + INTERVAL / 2))
        self.assertEqual(self.sent, [])
        for number in range(1, SENDS + 1):
            self.test.handle_timer(NOW + number * INTERVAL)
        self.sent.clear()
        self.assertFalse(self.test.handle_timer(NOW + 100))
        self.assertEqual(self.sent, [])

    def test_from_elsewhere(self) -> None:
        """A server that can't change ports, a refusal and a stranger prove no open filter."""
        request = self.ask_once()
        error = stun.decode(stun.encode(stun.failure(request, 420, "Unknown Attribute")))
        for message, source in (
            *((self.success(request), THIRD), (self.success(request), ("203.0.113.66", 3479))),
            (error, FOURTH),
        ):
            self.assertTrue(self.test.receive_response(message, source))
            self.assertIs(self.test.reading, Filtering.UNKNOWN)

    def test_other_transaction(self) -> None:
        """What answers something else is somebody else's, before it asked too."""
        for _ in range(2):
            for identifier in (b"x" * 12, bytes(12)):
                message = self.success(stun.request(identifier))
                self.assertFalse(self.test.receive_response(message, FOURTH))
            self.ask_once()
            self.test = FilteringTest(THIRD, FOURTH, Random(1).randbytes, self.sent.append)

    def test_late(self) -> None:
        """An answer that comes after the conclusion still shows the truth."""
        request = self.ask_once()
        for number in range(1, SENDS + 1):
            self.test.handle_timer(NOW + number * INTERVAL)
        self.test.receive_response(self.success(request), FOURTH)
        self.assertIs(self.test.reading, Filtering.PORT_INDEPENDENT)


class InGatheringTests(Case):
    """When it runs, and whom it asks."""

    def complete(self, *servers: Address) -> None:
        """Let all that are asked for mappings answer."""
        for server, request in self.ask(*servers).items():
            self.answer(request, MAPPED, server)
        take(self.gathering, CandidatesChanged)

    def run_timer(self) -> list[Datagram]:
        """Let the next timer come; returns what is sent."""
        self.gathering.handle_timer(max(NOW, self.gathering.get_timer() or 0.0))
        return take(self.gathering, Datagram)

    def test_fourth_server(self) -> None:
        """The first three are asked for mappings, the fourth never: it answers for the third."""
        self.complete(FIRST, SECOND, THIRD, FOURTH)
        (sent,) = self.run_timer()
        request = self.request_in(sent)
        self.assertTrue(self.answer(request, MAPPED, FOURTH))
        self.assertIs(self.gathering.traits().filtering, Filtering.PORT_INDEPENDENT)
        self.assertTrue(take(self.gathering, CandidatesChanged))

    def test_not_before_mappings(self) -> None:
        """It waits for the mappings: a lost network is no strict filter."""
        requests = self.ask(FIRST, SECOND, THIRD, FOURTH)
        self.assertNotIn(FOURTH, requests)
        self.answer(requests[FIRST], MAPPED, FIRST)
        self.gathering.handle_timer(NOW + 0.05)
        self.assertEqual(take(self.gathering, Datagram), [])
        while True:
            asked = [stun.decode(one.data).attributes for one in self.run_timer()]
            if self.gathering.is_complete:
                break
            self.assertFalse([one for one in asked if "CHANGE-REQUEST" in one])
        self.assertEqual([one["CHANGE-REQUEST"] for one in asked], [stun.CHANGE_PORT])

    def test_strict(self) -> None:
        """Silence makes it strict within two seconds, and the change is told."""
        self.complete(FIRST, SECOND, THIRD, FOURTH)
        start = NOW
        while self.gathering.traits().filtering is Filtering.UNKNOWN:
            now = max(NOW, self.gathering.get_timer() or 0.0)
            self.run_timer()
        self.assertLess(now - start, 2)
        self.assertTrue(take(self.gathering, CandidatesChanged))
        self.assertIs(self.gathering.traits().filtering, Filtering.ADDRESS_AND_PORT_DEPENDENT)

    def test_three_servers(self) -> None:
        """Where nobody is left to answer, the filtering stays unknown and nothing is asked."""
        self.complete(FIRST, SECOND, THIRD)
        self.assertIs(self.gathering.traits().filtering, Filtering.UNKNOWN)
        self.assertGreater(self.gathering.get_timer() or 0.0, NOW + 1)

    def read_open(self) -> None:
        """Let all answer, the filtering test too."""
        self.complete(FIRST, SECOND, THIRD, FOURTH)
        (sent,) = self.run_timer()
        self.answer(self.request_in(sent), MAPPED, FOURTH)
        self.assertIs(self.gathering.traits().filtering, Filtering.PORT_INDEPENDENT)

    def refresh(self, *mapped: Address) -> None:
        """Ask again; the servers answer with these."""
        self.gathering.refresh(NOW + 30)
        for (server, request), address in zip(self.requests(), mapped, strict=True):
            self.assertTrue(self.answer(request, address, server))

    def assert_tested_again(self) -> None:
        """The reading is unknown, and a new test, of another transaction, goes out."""
        self.assertIs(self.gathering.traits().filtering, Filtering.UNKNOWN)
        self.assertLess(self.gathering.get_timer() or 0.0, NOW + 31)
        self.gathering.handle_timer(NOW + 31)
        ((_, request),) = self.requests()
        self.assertIn("CHANGE-REQUEST", request.attributes)
        self.assertTrue(self.answer(request, MAPPED, FOURTH))
        self.assertIs(self.gathering.traits().filtering, Filtering.PORT_INDEPENDENT)

    def test_other_mapping(self) -> None:
        """Another mapped address is another NAT, or one that forgot: what was read is void."""
        self.read_open()
        self.refresh(OTHER, OTHER, OTHER)
        self.assert_tested_again()

    def test_other_interfaces(self) -> None:
        """So is it when this machine's addresses changed, be the mapped one the same."""
        self.read_open()
        self.gathering.host_addresses = (("192.168.1.7", 5000),)
        self.refresh(MAPPED, MAPPED, MAPPED)
        self.assert_tested_again()

    def test_nothing_changed(self) -> None:
        """Where all is as it was, the reading stays."""
        self.read_open()
        self.refresh(MAPPED, MAPPED, MAPPED)
        self.assertIs(self.gathering.traits().filtering, Filtering.PORT_INDEPENDENT)

    def test_once(self) -> None:
        """A renewed registration with the same servers doesn't make another test."""
        self.complete(FIRST, SECOND, THIRD, FOURTH)
        (sent,) = self.run_timer()
        self.answer(self.request_in(sent), MAPPED, FOURTH)
        self.complete(FIRST, SECOND, THIRD, FOURTH)
        self.assertIs(self.gathering.traits().filtering, Filtering.PORT_INDEPENDENT)
        self.assertGreater(self.gathering.get_timer() or 0.0, NOW + 1)
