"""How much goes to an address that isn't validated."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.checks import MAX_NOMINATION, MAX_RESPONSE, CheckCredentials
from p2pchat.traversal.port_guessing import (
    KEPT_FOR_CHECKS,
    LEAST,
    PROBES,
    PROBES_A_TICK,
    TICK,
)
from p2pchat.traversal.send_budget import (
    BURST,
    BYTES,
    KEPT_BURST,
    KEPT_BYTES,
    KEPT_PACKETS,
    MAX_ENTRIES,
    OTHERS,
    PACKETS,
    RATE,
    SERVERS,
    STRANGERS,
    AmplificationLimit,
    SendBudget,
    host_key,
)
from p2pchat.wire import stun
from p2pchat.wire.documents import MAX_LABEL
from tests.traversal.attempt_ends import MAX_PACKET

VICTIM, OTHER = "203.0.113.66", "203.0.113.67"


class LimitTests(SynchronousTestCase):
    """One bucket for each address."""

    def setUp(self) -> None:
        self.limit = AmplificationLimit()

    def send(self, count: int, now: float, host: str = VICTIM, peer: str = "bob") -> int:
        """Ask for so many packets because of a peer; returns how many may go."""
        return sum(self.limit.take(host, peer, now) for _ in range(count))

    def send_all(self, now: float, host: str = VICTIM) -> int:
        """Ask for more than may go, because of many; returns how many may go."""
        return sum(self.send(BURST, now, host, f"friend {number}") for number in range(20))

    def test_shares(self) -> None:
        """Each leaves others a part of what it has: the first a whole run, the second its half."""
        first, second = (self.send(BURST, 0.0, peer=peer) for peer in ("bob", "carol"))
        self.assertEqual((first, second), (int(BURST / (1 + OTHERS)), 703))
        self.assertGreaterEqual(first, PROBES + KEPT_FOR_CHECKS)
        self.assertGreaterEqual(second, 2 * LEAST + KEPT_FOR_CHECKS)

    def test_burst(self) -> None:
        """However many they are, no more than BURST packets go at once."""
        sent = self.send_all(0.0)
        self.assertLessEqual(sent, BURST)
        self.assertGreater(sent, BURST - 10)

    def test_strangers(self) -> None:
        """All strangers are one, and leave KEPT_BURST to peers whom we know, and to servers."""
        self.assertEqual(self.send(BURST, 0.0, peer=STRANGERS), BURST - KEPT_BURST)
        self.assertGreaterEqual(BURST - KEPT_BURST, PROBES + KEPT_FOR_CHECKS)
        self.assertGreaterEqual(self.send(BURST, 0.0), 2 * LEAST + KEPT_FOR_CHECKS)
        self.assertGreater(self.send(BURST, 0.0, peer=SERVERS), LEAST - 30)
        self.assertEqual(self.send(1, 0.0, peer=STRANGERS), 0)

    def test_recovery(self) -> None:
        """From then on RATE packets a second may go."""
        sent = self.send_all(0.0)
        self.assertLessEqual(sent + self.send_all(10.0), BURST + 10 * RATE)
        self.assertGreater(self.send_all(20.0), 9 * RATE)

    def test_room_at(self) -> None:
        """The time that is told for so many packets is the earliest at which they may go."""
        self.send(BURST, 0.0)
        self.send(300, 0.0, peer="carol")
        for peer, packets in (("bob", 1000), ("carol", 600), ("dave", 1000), (STRANGERS, 1000)):
            when = self.limit.room_at(VICTIM, peer, packets, 0.0)
            self.assertEqual(self.limit.room(VICTIM, peer, when), packets, peer)
            self.assertLess(self.limit.room(VICTIM, peer, when - 0.2), packets, peer)

    def test_given_back(self) -> None:
        """What is given back may go again, for that peer and for all; and no more than that."""
        self.send(BURST, 0.0)
        self.limit.give_back(VICTIM, "bob", 500, 0.0)
        self.assertEqual(self.send(BURST, 0.0), 500)
        self.limit.give_back(VICTIM, "bob", 5 * BURST, 0.0)
        self.assertLessEqual(self.send_all(0.0), BURST)

    def test_each_address(self) -> None:
        """What went to one address is not held against another."""
        self.send(BURST, 0.0)
        self.assertGreater(self.send(BURST, 0.0, OTHER), PROBES)

    def test_network(self) -> None:
        """All addresses of an IPv6 /64 are one host; of IPv4 each is one, by whatever way."""
        self.send(BURST, 0.0, "2001:db8::1")
        self.assertEqual(self.send(1, 0.0, "2001:db8::ffff:1:2:3"), 0)
        self.assertEqual(self.send(1, 0.0, "2001:db8:0:1::1"), 1)
        self.assertEqual(host_key("64:ff9b::203.0.113.66"), VICTIM)
        self.assertEqual(host_key("2002:cb00:7142::1"), VICTIM)
        self.assertNotEqual(host_key("64:ff9b::203.0.113.67"), VICTIM)

    def test_other_addresses_wash_nothing_away(self) -> None:
        """However many addresses are sent to, what went to the busiest is remembered."""
        self.send_all(0.0)
        for number in range(3 * MAX_ENTRIES):
            self.send(1, 0.0, f"host {number}", STRANGERS)
        self.assertLess(self.send_all(0.0), 10)

    @settings(max_examples=50)
    @given(
        st.lists(
            st.tuples(st.floats(0, 30), st.integers(0, 2000), st.sampled_from(["a", "b", ""])),
            max_size=20,
        )
    )
    def test_bound(self, wishes: list[tuple[float, int, str]]) -> None:
        """Whatever is asked for, and when, no more than BURST + RATE * t go in t seconds."""
        self.limit = AmplificationLimit()
        now, sent = 0.0, 0
        for pause, count, peer in wishes:
            now += pause
            sent += self.send(count, now, VICTIM, peer)
            self.assertLessEqual(sent, BURST + RATE * now)


class BudgetTests(SynchronousTestCase):
    """What goes to all hosts together."""

    def setUp(self) -> None:
        self.budget = SendBudget()

    def send(
        self,
        count: int,
        now: float,
        has_priority: bool = False,
        sharing: int = 1,
        octets: int = 100,
    ) -> int:
        """Ask for so many packets of an attempt named by its kind; returns how many may go."""
        ufrag = f"priority {has_priority}"
        take = self.budget.take
        return sum(take(ufrag, has_priority, sharing, octets, now) for _ in range(count))

    def test_packets(self) -> None:
        """In a second no more than PACKETS go, and a second later as many again."""
        self.assertEqual(self.send(5000, 10.0, has_priority=True), PACKETS)
        self.assertEqual(self.send(5000, 10.99, has_priority=True), 0)
        self.assertEqual(self.send(5000, 11.1, has_priority=True), PACKETS)

    def test_octets(self) -> None:
        """Nor more than BYTES, if they are long."""
        self.assertEqual(
            self.send(5000, 10.0, has_priority=True, octets=MAX_PACKET), BYTES // MAX_PACKET
        )

    def test_kept(self) -> None:
        """Strangers leave some to known peers, who may have all."""
        self.assertEqual(self.send(5000, 10.0), PACKETS - KEPT_PACKETS)
        self.assertEqual(self.send(5000, 10.0, has_priority=True), KEPT_PACKETS)

    def test_kept_octets(self) -> None:
        """So it is with long ones."""
        self.assertEqual(self.send(5000, 10.0, octets=200), (BYTES - KEPT_BYTES) // 200)

    def test_shares(self) -> None:
        """Attempts that check at the same time have equal shares."""
        found = [
            sum(self.budget.take(ufrag, False, 4, 100, 10.0) for _ in range(5000))
            for ufrag in "abcd"
        ]
        self.assertEqual(found, [(PACKETS - KEPT_PACKETS) // 4] * 4)

    def test_forgotten(self) -> None:
        """An attempt that is over leaves nothing but what it sent in the last second."""
        self.send(5000, 10.0, has_priority=True)
        self.budget.forget("priority True")
        self.assertEqual(self.send(5000, 10.5, has_priority=True), 0)

    def test_probing_fits(self) -> None:
        """A run of probing to a stranger goes out at its own pace."""
        sent, now = 0, 10.0
        while sent < PROBES:
            self.assertEqual(self.send(PROBES_A_TICK, now), PROBES_A_TICK, now)
            sent, now = sent + PROBES_A_TICK, now + TICK * 1.05

    @settings(max_examples=50)
    @given(
        st.lists(
            st.tuples(st.floats(0, 0.7), st.integers(0, 800), st.booleans(), st.integers(40, 240)),
            max_size=20,
        )
    )
    def test_bound(self, wishes: list[tuple[float, int, bool, int]]) -> None:
        """Whatever is asked for, no second sees more than PACKETS and BYTES."""
        self.budget = SendBudget()
        now, sent = 1000.0, []
        for pause, count, has_priority, octets in wishes:
            now += pause
            sent += [(now, octets)] * self.send(count, now, has_priority, 1, octets)
            last = [octets for when, octets in sent if when > now - 1]
            self.assertLessEqual(len(last), PACKETS)
            self.assertLessEqual(sum(last), BYTES)


class SizeTests(SynchronousTestCase):
    """The packets are small."""

    def test_longest_check(self) -> None:
        """A check with all that it may have, to the longest username fragment."""
        credentials = CheckCredentials("0" * 16, "x" * MAX_LABEL, b"\x01" * 32)
        longest = credentials.request(bytes(12), True, MAX_NOMINATION, True)
        self.assertEqual(len(longest), credentials.max_request())
        self.assertLessEqual(len(longest), MAX_PACKET)

    def test_longest_response(self) -> None:
        """A response is counted as the longest one, which tells an IPv6 address."""
        response = stun.success(stun.request(b"t" * 12), XOR_MAPPED_ADDRESS=("2001:db8::1", 9))
        self.assertEqual(len(stun.encode(response, b"k" * 32, fingerprint=True)), MAX_RESPONSE)
