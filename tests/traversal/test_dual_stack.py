"""Gathering in both families, from STUN services that the test plays."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.gathering import MAX_HOST_CANDIDATES, NetworkReturned
from p2pchat.traversal.nat import Mapping
from p2pchat.traversal.routes import Datagram
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address, Family, family
from p2pchat.wire.documents import MAX_CANDIDATES, CandidateType
from tests.traversal.outboxes import take

NOW = 100.0
OURS, OURS6 = ("10.0.0.2", 5000), ("2001:db8:1::2", 5001)
MAPPED = ("198.51.100.7", 4242)
SERVERS = (
    ("203.0.113.1", 3478),
    ("2001:db8::1", 3478),
    ("203.0.113.1", 3479),
    ("2001:db8::1", 3479),
)


class DualGatheringTests(SynchronousTestCase):
    """Which family is asked, and what the two say together."""

    def gathering(self, *hosts: Address) -> DualGathering:
        """Return a gathering on a host with these addresses, which has asked the servers."""
        gathering = DualGathering(hosts, Random(1).randbytes)
        gathering.set_servers(SERVERS, NOW)
        return gathering

    def answer(self, gathering: DualGathering, mapped: dict[Family, Address]) -> set[Family]:
        """Answer the requests of these families; return which families were asked."""
        asked = set()
        for sent in take(gathering, Datagram):
            which = family(sent.destination[0])
            asked.add(which)
            if which in mapped:
                request = stun.decode(sent.data)
                response = stun.success(request, XOR_MAPPED_ADDRESS=mapped[which])
                data = stun.decode(stun.encode(response))
                self.assertTrue(gathering.receive_response(data, sent.destination, NOW))
        return asked

    def silence(self, gathering: DualGathering, until: float = NOW + 10) -> None:
        """Let time pass without an answer."""
        while (due := gathering.get_timer()) is not None and due <= until:
            gathering.handle_timer(due)

    def test_asks_where_it_has_addresses(self) -> None:
        """A family without an address of ours isn't asked, and isn't waited for."""
        for hosts, asked in (
            ((OURS,), {Family.IPV4}),
            ((OURS6,), {Family.IPV6}),
            ((OURS, OURS6), {Family.IPV4, Family.IPV6}),
            ((), {Family.IPV4}),
            ((OURS6, ("127.0.0.1", 5000), ("169.254.7.7", 5000)), {Family.IPV6}),
            ((OURS, ("::1", 5001), ("fe80::1", 5001)), {Family.IPV4}),
        ):
            gathering = self.gathering(*hosts)
            mapped = {Family.IPV4: MAPPED, Family.IPV6: OURS6}
            self.assertEqual(self.answer(gathering, mapped), asked)
            self.assertTrue(gathering.is_complete)

    def test_candidates(self) -> None:
        """Those of both families are told, and the NAT is IPv4's."""
        gathering = self.gathering(OURS, OURS6)
        self.answer(gathering, {Family.IPV4: MAPPED, Family.IPV6: OURS6})
        told = [(one.type, one.address) for one in gathering.candidates()]
        host, reflexive = CandidateType.HOST, CandidateType.SERVER_REFLEXIVE
        self.assertEqual(told, [(host, OURS), (reflexive, MAPPED), (host, OURS6)])
        self.assertEqual(gathering.reflexive_addresses, (MAPPED, OURS6))
        self.assertIs(gathering.traits().mapping, Mapping.ENDPOINT_INDEPENDENT)

    def test_only_ipv6_answers(self) -> None:
        """Where IPv4 is silent, IPv6 speaks for our NAT, and UDP isn't blocked."""
        gathering = self.gathering(OURS, OURS6)
        self.answer(gathering, {Family.IPV6: OURS6})
        self.silence(gathering)
        self.assertIs(gathering.traits().mapping, Mapping.NONE)
        self.assertFalse(gathering.is_blocked)

    def test_blocked(self) -> None:
        """UDP is blocked where neither family gets an answer; one answer says it isn't."""
        gathering = self.gathering(OURS, OURS6)
        self.silence(gathering)
        self.assertTrue(gathering.is_blocked)
        take(gathering, Datagram)
        gathering.refresh(NOW + 20)
        self.answer(gathering, {Family.IPV6: OURS6})
        self.assertFalse(gathering.is_blocked)
        self.assertEqual(take(gathering, NetworkReturned), [NetworkReturned()])

    def test_nobody_asked(self) -> None:
        """Without a STUN service nothing is said to be blocked."""
        gathering = DualGathering((OURS,), Random(1).randbytes)
        self.silence(gathering)
        self.assertFalse(gathering.is_blocked)

    def test_family_comes_and_goes(self) -> None:
        """A family that this machine gets is asked at once; one that it loses is forgotten."""
        gathering = self.gathering(OURS)
        self.answer(gathering, {Family.IPV4: MAPPED})
        self.assertTrue(gathering.set_host_addresses([OURS, OURS6], NOW + 1))
        self.assertFalse(gathering.set_host_addresses([OURS6, OURS], NOW + 1))
        mapped = {Family.IPV4: MAPPED, Family.IPV6: OURS6}
        self.assertIn(Family.IPV6, self.answer(gathering, mapped))
        self.assertEqual(gathering.reflexive_addresses, (MAPPED, OURS6))
        self.assertTrue(gathering.set_host_addresses([OURS], NOW + 2))
        self.assertEqual(gathering.reflexive_addresses, (MAPPED,))

    def test_many(self) -> None:
        """However many addresses a machine has, no more are told than a peer takes."""
        hosts = [(f"10.0.0.{n}", 5000) for n in range(1, 60)]
        hosts6 = [(f"2001:db8:1::{n:x}", 5000) for n in range(1, 60)]
        gathering = self.gathering(*hosts, *hosts6)
        told = gathering.candidates()
        self.assertLessEqual(len(told), MAX_CANDIDATES)
        for one in Family:
            share = [each for each in told if family(each.address[0]) is one]
            self.assertEqual(len(share), MAX_HOST_CANDIDATES // 2)

    def test_one_family_has_few(self) -> None:
        """What one family doesn't need the other has."""
        hosts = [(f"10.0.0.{n}", 5000) for n in range(1, 60)]
        self.assertEqual(len(self.gathering(*hosts).candidates()), MAX_HOST_CANDIDATES)
        told = self.gathering(*hosts, OURS6).candidates()
        self.assertEqual(len(told), MAX_HOST_CANDIDATES)
        self.assertIn(OURS6, [one.address for one in told])

    def test_link_local(self) -> None:
        """Link-local addresses are told where there is nothing else, as of two on one cable."""
        ours = ("169.254.3.4", 5000)
        for others in ((OURS,), (OURS6,)):
            told = self.gathering(ours, *others).candidates()
            self.assertEqual([one.address for one in told], [*others])
        told = self.gathering(ours, ("127.0.0.1", 5000)).candidates()
        self.assertEqual([one.address for one in told], [ours])

    def test_seen_by_stun(self) -> None:
        """What STUN saw, and the address that it was seen from, is never cut."""
        hosts = [(f"10.0.0.{n}", 5000) for n in range(2, 60)]
        hosts6 = [(f"2001:db8:1::{n:x}", 5001) for n in range(2, 60)]
        gathering = self.gathering(*hosts, *hosts6)
        mapped6 = ("2001:db8:2::2", 4242)
        self.answer(gathering, {Family.IPV4: MAPPED, Family.IPV6: mapped6})
        told = [one.address for one in gathering.candidates()]
        for address in (OURS, OURS6, MAPPED, mapped6):
            self.assertIn(address, told)
        self.assertLessEqual(len(told), MAX_HOST_CANDIDATES + 2)
