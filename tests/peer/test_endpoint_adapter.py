"""The endpoint's adapter in the simulated internet: bases, streams, addresses, and the end."""

from __future__ import annotations

from random import Random
from typing import TypeVar

import attrs
from twisted.internet.error import CannotListenError

from p2pchat.host_addresses import HostAddress
from p2pchat.peer.endpoint_adapter import LINGER, EndpointAdapter
from p2pchat.runtime import Runtime
from p2pchat.session.approval import AcceptPolicy
from p2pchat.session.endpoint import Endpoint, EndpointEvent
from p2pchat.session.stages import SessionContext
from p2pchat.traversal.agent import Agent, SocketsReleased
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.gathering import REFRESH_INTERVAL, CandidatesChanged
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.own_addresses import ANYWHERE, Rerouting
from p2pchat.traversal.relays import CONNECT_TIMEOUT, Relays, StreamChange
from p2pchat.traversal.routes import RELAYS, SOCKETS, STREAMS, Datagram
from p2pchat.traversal.turn import REFRESH
from p2pchat.wire.addresses import Address, Family
from p2pchat.wire.documents import Candidate, CandidateType
from tests.identity.people import ALICE
from tests.session.link_ends import CERTIFICATE
from tests.session.pair import Known
from tests.simulation.host import Host
from tests.simulation.link import SEVERED, Link
from tests.simulation.recorder import Recorder
from tests.simulation.world import runtime_on
from tests.traversal.relaying import FIRST, KEY, RelaysCase, configured

UDP, TCP = f"turn:{FIRST}", f"turn:{FIRST}?transport=tcp"
NOWHERE = Candidate(CandidateType.HOST, ("203.0.113.99", 9))  # nobody is there
SERVER = ("203.0.113.60", 3478)  # of STUN; it never answers


_Event = TypeVar("_Event")


@attrs.define(eq=False)
class Adapted:
    """An adapter on a host, and the events that it handed on."""

    host: Host
    runtime: Runtime
    adapter: EndpointAdapter = attrs.field(init=False)
    told: list[EndpointEvent] = attrs.Factory(list)

    def __attrs_post_init__(self) -> None:
        gathering = DualGathering((), self.runtime.random_bytes)
        agent = Agent(
            gathering, Relays(self.runtime.random_bytes), False, self.runtime.random_bytes
        )
        context = SessionContext(
            *(ALICE, CERTIFICATE, "alice", 3, agent),
            lambda now: now,
            self.runtime.random_bytes,
        )
        endpoint = Endpoint(context, AcceptPolicy.ASK, 15.0, lambda _peer_id: Known())
        self.adapter = EndpointAdapter(self.runtime, endpoint, self._react)

    def _react(self, event: EndpointEvent) -> None:
        if isinstance(event, SocketsReleased | StreamChange):
            self.adapter.change(event)
        else:
            self.told.append(event)

    @property
    def agent(self) -> Agent:
        """The traversal."""
        return self.adapter.endpoint.agent

    @property
    def now(self) -> float:
        """The time on this host."""
        return self.runtime.clock.seconds()

    @property
    def address(self) -> Address:
        """Where the chat socket is."""
        return self.agent.gathering.host_addresses[0]

    def want(self) -> None:
        """Ask for a relay; one over TCP is asked STAGGER later."""
        with self.adapter.driver as now:
            self.agent.relays.want(now, False, frozenset(Family))

    def punch(self, ours: str, theirs: str, low_ttl: bool, *remote: Candidate) -> None:
        """Begin an attempt."""
        credentials = CheckCredentials(ours, theirs, KEY)
        with self.adapter.driver as now:
            self.agent.punch(credentials, remote, NatTraits(), now, low_ttl)

    def send_relayed(self, datagram: Datagram) -> None:
        """Send a datagram from a relay base."""
        with self.adapter.driver as now:
            self.agent.send_relayed(datagram, now)

    def events(self, kind: type[_Event]) -> list[_Event]:
        """Return the events of one kind."""
        return [event for event in self.told if isinstance(event, kind)]

    def left(self) -> tuple[int, int, int]:
        """Return how many delayed calls, UDP sockets and connections this host has."""
        host = self.host
        calls = len(host.reactor.getDelayedCalls())
        return calls, len(host.udp_ports.bound), len(host.connections)


class AdapterCase(RelaysCase):
    """Alice's adapter, bound; two relays, and a peer who writes down what comes."""

    def setUp(self) -> None:
        super().setUp()
        self.alice = self.adapted()

    def adapted(self, *urls: str, bound: bool = True) -> Adapted:
        """Make somebody who knows these relays."""
        host = self.internet.host()
        made = Adapted(host, runtime_on(host, Random(len(self.internet.hosts))))
        configured(made.agent.relays, *urls, wall=self.wall_time())
        if bound:
            made.adapter.bind(0)
        return made

    def assert_closed(self, one: Adapted) -> None:
        """Close an adapter; its Deferred must fire, and nothing be left."""
        self.internet.run(0)
        closed = one.adapter.close()
        self.internet.run(LINGER + 0.1)
        self.successResultOf(closed)
        self.assertEqual(one.left(), (0, 0, 0))

    def relayed(self, one: Adapted, within: float = 20.0) -> float:
        """Wait until there is a relay base; returns the seconds."""
        relays = one.agent.relays
        return self.internet.run_until(lambda: relays.bases, within, "an allocation")


class BaseTests(AdapterCase):
    """A datagram leaves from the base that it names."""

    def test_bound(self) -> None:
        """Binding opens one socket, whose port the host candidates have."""
        one = self.adapted(bound=False)
        self.assertFalse(one.adapter.is_bound)
        one.adapter.bind(7777)
        self.assertTrue(one.adapter.is_bound)
        self.assertEqual(one.address, (one.host.address, 7777))
        told = [candidate.address for candidate in one.agent.candidates()]
        self.assertEqual(told, [one.address])

    def test_taken(self) -> None:
        """A port that is taken is an error, and nothing is bound."""
        Recorder.on(self.alice.host, 7777)
        one = Adapted(self.alice.host, self.alice.runtime)
        self.assertRaises(CannotListenError, one.adapter.bind, 7777)
        self.assertFalse(one.adapter.is_bound)

    def test_chat_socket(self) -> None:
        """From the chat socket by default."""
        self.alice.adapter.send([Datagram(b"hello", self.peer_address)])
        self.internet.run(1)
        self.assertEqual(self.peer.received, [(b"hello", self.alice.address)])

    def test_many_sockets(self) -> None:
        """From one of many: opened with its first datagram, kept for the next."""
        for _ in range(2):
            for number in range(3):
                base = f"{SOCKETS}ufrag/{number}"
                self.alice.adapter.send([Datagram(b"x", self.peer_address, base=base)])
        self.internet.run(1)
        self.assertEqual(len(self.peer.received), 6)
        self.assertEqual(len(set(self.peer.sources)), 3)
        self.assertNotIn(self.alice.address, self.peer.sources)
        self.assert_closed(self.alice)

    def test_relay(self) -> None:
        """From a relay: wrapped, and let out at once."""
        one = self.adapted(UDP)
        one.want()
        self.relayed(one)
        relays = one.agent.relays
        one.send_relayed(Datagram(b"hello", self.peer_address, base=relays.bases[0]))
        self.internet.run(1)
        (relayed,) = relays.candidates()
        self.assertEqual(self.peer.received, [(b"hello", relayed.address)])

    def test_nowhere(self) -> None:
        """A base that isn't there loses the datagram, as the network may."""
        for base in (f"{RELAYS}9", f"{STREAMS}9"):
            self.alice.adapter.send([Datagram(b"x", self.peer_address, base=base)])
        self.internet.run(1)
        self.assertEqual((self.peer.received, self.flushLoggedErrors()), ([], []))

    def test_path(self) -> None:
        """Two adapters find a path."""
        bob = self.adapted()
        self.alice.punch("alice", "bob", False, Candidate(CandidateType.HOST, bob.address))
        bob.punch("bob", "alice", True, Candidate(CandidateType.HOST, self.alice.address))
        self.internet.run(1)
        for one, other in ((self.alice, bob), (bob, self.alice)):
            attempt = one.agent.attempt("alice" if one is self.alice else "bob")
            assert attempt is not None and attempt.path is not None
            self.assertEqual(attempt.path.address, other.address)


class StreamTests(AdapterCase):
    """Streams to relays come and go as the agent wants them."""

    def setUp(self) -> None:
        super().setUp()
        self.alice = self.adapted(TCP)

    def over_tcp(self) -> str:
        """Let Alice have a relay over TCP; returns its base."""
        self.alice.want()
        self.relayed(self.alice)
        return self.alice.agent.relays.bases[0]

    def test_opened(self) -> None:
        """A stream opens where a relay over TCP is wanted, and the candidates change."""
        self.assertEqual(len(self.alice.host.connections), 0)
        self.over_tcp()
        self.assertEqual(len(self.alice.host.connections), 1)
        self.assertEqual(len(self.first.allocations), 1)
        self.assertTrue(self.alice.events(CandidatesChanged))

    def test_both_ways(self) -> None:
        """Data goes out over the stream; checks that come back over it reach the agent."""
        base = self.over_tcp()
        self.alice.send_relayed(Datagram(b"out", self.peer_address, base=base))
        self.internet.run(1)
        (relayed,) = self.alice.agent.relays.candidates()
        self.assertEqual(self.peer.received, [(b"out", relayed.address)])
        refused = self.alice.agent.refused
        self.peer.send(b"\x40in", relayed.address)
        self.internet.run(1)
        self.assertEqual(self.alice.agent.refused, refused + 1)

    def test_let_go(self) -> None:
        """When nobody needs it, the allocation is given back and the stream closed."""
        self.over_tcp()
        self.alice.agent.relays.release(self.alice.now)
        self.alice.adapter.driver.step()
        self.internet.run(5)
        self.assertEqual(self.first.requests[-1], REFRESH)
        self.assertEqual((dict(self.first.allocations), len(self.alice.host.connections)), ({}, 0))
        self.assertEqual(self.alice.agent.relays.bases, ())

    def test_lost(self) -> None:
        """A relay that is killed is lost, and its candidate with it; nothing fails."""
        self.over_tcp()
        told = len(self.alice.events(CandidatesChanged))
        self.first.host.kill()
        self.internet.run(2)
        self.assertEqual(self.alice.agent.relays.candidates(), ())
        self.assertGreater(len(self.alice.events(CandidatesChanged)), told)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assert_closed(self.alice)

    def test_blocked(self) -> None:
        """Where UDP is blocked, the stream to a relay begins with the call."""
        one = self.adapted(TCP)
        agent = one.agent
        agent.gathering.set_servers([SERVER], one.now)
        one.adapter.driver.step()
        self.internet.run_until(lambda: agent.gathering.is_blocked, 30, "no answer of STUN")
        self.internet.run(0.05)
        agent.prepare(one.now)
        one.adapter.driver.step()
        self.internet.run(0.001)  # an endpoint resolves names first
        self.assertEqual(len(one.host.connections), 1)

    def test_not_there(self) -> None:
        """A relay that doesn't answer leaves a sentence, and no connection."""
        self.first.host.online = False
        self.alice.want()
        self.internet.run(CONNECT_TIMEOUT + 1)
        (told,) = self.alice.agent.relays.reports(0.0)
        self.assertIn("can't be reached: timed out", told.failure)
        self.assert_closed(self.alice)


class InterfaceTests(AdapterCase):
    """This machine's addresses, and how others see us."""

    def test_unchanged(self) -> None:
        """As long as they stay the same, nothing has changed."""
        self.assertEqual(self.alice.adapter.read_interfaces(), Rerouting())
        self.internet.run(60)
        self.assertEqual(self.alice.adapter.read_interfaces(), Rerouting())

    def test_moved(self) -> None:
        """Another network is noticed, once, and its address is a candidate; the port stays."""
        port = self.alice.address[1]
        self.alice.host.move("203.0.113.77")
        rerouting = self.alice.adapter.read_interfaces()
        self.assertTrue(rerouting.is_move)
        self.assertIn(ANYWHERE[0], rerouting.hosts)
        self.assertEqual(self.alice.adapter.read_interfaces(), Rerouting())
        told = [one.address for one in self.alice.agent.candidates()]
        self.assertEqual(told, [("203.0.113.77", port)])

    def test_come_and_go(self) -> None:
        """Addresses that come and go are candidates, and no other network, whatever their order."""
        found = ["198.51.100.1", "198.51.100.2"]
        runtime = attrs.evolve(
            self.alice.runtime,
            interface_addresses=lambda: [HostAddress(one) for one in found],
            source_address=lambda to: "" if ":" in to else found[0],
        )
        one = Adapted(self.alice.host, runtime)
        one.adapter.bind(0)
        for change in (lambda: found.append("198.51.100.3"), lambda: found.pop(1), found.pop):
            change()
            self.assertEqual(one.adapter.read_interfaces(), Rerouting())
            told = [candidate.address[0] for candidate in one.agent.candidates()]
            self.assertEqual(told, found)

    def test_gone(self) -> None:
        """Without any address this machine is nowhere, and somewhere else when it has one again."""
        found = ["198.51.100.1"]
        runtime = attrs.evolve(
            self.alice.runtime,
            interface_addresses=lambda: [HostAddress(one) for one in found],
            source_address=lambda to: "" if ":" in to else "".join(found[:1]),
        )
        one = Adapted(self.alice.host, runtime)
        one.adapter.bind(0)
        found.clear()
        self.assertTrue(one.adapter.read_interfaces().is_move)
        self.assertEqual(one.adapter.read_interfaces(), Rerouting())
        found.append("198.51.100.1")
        self.assertTrue(one.adapter.read_interfaces().is_move)

    def test_refresh(self) -> None:
        """A refresh asks the STUN service at once, not when REFRESH_INTERVAL is over."""
        service = Recorder.on(self.internet.host(SERVER[0]), SERVER[1])
        one = self.alice
        one.agent.gathering.set_servers([SERVER], one.now)
        one.adapter.driver.step()
        self.internet.run(REFRESH_INTERVAL / 4)
        before = len(service.received)
        with one.adapter.driver as now:
            one.adapter.endpoint.refresh(now)
        self.internet.run(0.05)
        self.assertEqual(len(service.received), before + 1)

    def test_refresh_relay(self) -> None:
        """It also asks the relay whether it still knows us."""
        one = self.adapted(UDP)
        one.want()
        self.relayed(one)
        before = self.first.requests.count(REFRESH)
        with one.adapter.driver as now:
            one.adapter.endpoint.refresh(now)
        self.internet.run(0.2)
        self.assertEqual(self.first.requests.count(REFRESH), before + 1)


class CloseTests(AdapterCase):
    """At the end relays are given back, and no timer, socket or connection is left."""

    def closed_with(self, *urls: str, after: float) -> Adapted:
        """Let somebody want a relay, and close so many seconds later."""
        one = self.adapted(*urls)
        one.want()
        self.internet.run(after)
        self.assert_closed(one)
        return one

    def test_idle(self) -> None:
        """One that did nothing."""
        self.assert_closed(self.alice)

    def test_with_an_attempt(self) -> None:
        """One in the middle of an attempt; later datagrams change nothing."""
        address = self.alice.address
        self.alice.punch("alice", "bob", False, NOWHERE, Candidate(CandidateType.HOST, SERVER))
        self.internet.run(0.1)
        self.assert_closed(self.alice)
        told = len(self.alice.told)
        self.alice.adapter.driver.step()
        self.peer.send(b"\x40late", address)
        self.internet.run(10)
        self.assertEqual((len(self.alice.told), self.alice.left()), (told, (0, 0, 0)))

    def test_relay_over_udp(self) -> None:
        """With an allocation over UDP: it is given back."""
        self.closed_with(UDP, after=2)
        self.assertEqual(dict(self.first.allocations), {})
        self.assertEqual(self.first.requests[-1], REFRESH)

    def test_answer_in_flight(self) -> None:
        """An allocation whose answer is on its way is given back, whatever moment it is."""
        self.internet.link = Link(latency=0.1)
        for after in (0.05, 0.15, 0.25, 0.35, 0.45):
            self.closed_with(UDP, after=after)
            self.assertEqual(dict(self.first.allocations), {}, after)
        self.assertIn(REFRESH, self.first.requests)

    def test_goodbye_is_lost(self) -> None:
        """What gives it back is sent again when it is lost."""
        one = self.adapted(UDP)
        one.want()
        self.relayed(one)
        one.host.link = SEVERED
        closed = one.adapter.close()
        one.host.link = None
        self.internet.run(LINGER + 0.1)
        self.successResultOf(closed)
        self.assertEqual(dict(self.first.allocations), {})

    def test_relay_over_tcp(self) -> None:
        """Over TCP: it is given back before the stream closes."""
        self.closed_with(TCP, after=2)
        self.assertEqual(dict(self.first.allocations), {})
        self.assertEqual(self.first.requests[-1], REFRESH)

    def test_both_relays(self) -> None:
        """With streams to two relays, at any moment of their making."""
        second = TCP.replace(FIRST, "203.0.113.8")
        for after in (0.0, 0.305, 0.315, 0.325, 0.335, 0.345, 0.355, 0.365, 0.4, 1.0):
            self.closed_with(TCP, second, after=after)
        self.internet.run(2)
        left = [dict(one.allocations) for one in (self.first, self.second)]
        self.assertEqual(left, [{}, {}])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_silent_relay(self) -> None:
        """A relay that has gone holds nobody back."""
        one = self.adapted(UDP)
        one.want()
        self.relayed(one)
        self.first.host.online = False
        self.assert_closed(one)
