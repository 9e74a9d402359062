"""Tests of :mod:`p2pchat.natcheck.discovery`."""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.host_addresses import HostAddress
from p2pchat.natcheck.discovery import (
    FIRST_PATIENCE,
    FIRST_RETRANSMISSIONS,
    PATIENCE,
    RETRANSMISSIONS,
    Behaviour,
    BindingTest,
    Response,
    discover,
    read_behaviour,
)
from p2pchat.runtime import Runtime
from p2pchat.traversal.nat import Filtering, Mapping
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.stun import CHANGE_IP, CHANGE_PORT

SERVER = ("192.0.2.1", 3478)
OTHER = ("192.0.2.2", 3479)
MAPPED = ("203.0.113.7", 4242)


@attrs.define
class World:
    """
    A STUN server behind a NAT, as a table.

    :ivar mapped: our address as seen from each of the server's.
    :ivar passes: from which of the server's addresses unasked datagrams reach us.
    """

    other: Address | None = OTHER
    mapped: dict[Address, Address] = attrs.Factory(dict)
    passes: tuple[Address, ...] = ()
    silent: tuple[Address, ...] = ()
    asked: list[BindingTest] = attrs.Factory(list)

    def answer(self, test: BindingTest) -> Response | None:
        """Answer a test as this server does, through this NAT."""
        self.asked.append(test)
        if test.server in self.silent:
            return None
        source = self._source(test)
        if source != test.server and source not in self.passes:
            return None
        return Response(source, self.mapped.get(test.server, MAPPED), self.other)

    def _source(self, test: BindingTest) -> Address:
        other = self.other or test.server
        ip = other[0] if test.change & CHANGE_IP else test.server[0]
        return ip, other[1] if test.change & CHANGE_PORT else test.server[1]

    def read(self, ours: Address = ("10.0.0.2", 5000)) -> Behaviour:
        """Run all tests."""
        asked = discover(SERVER, self.ask, lambda address: address == ours)
        found: list[Behaviour] = []
        Deferred.fromCoroutine(asked).addCallback(found.append)
        return found[0]

    async def ask(self, test: BindingTest) -> Response | None:
        """Answer a test."""
        return self.answer(test)


class DiscoverTests(SynchronousTestCase):
    """The tests of RFC 5780 tell the behaviours of RFC 4787 apart."""

    def test_cone(self) -> None:
        """One mapping for all; filters of three kinds."""
        for passes, filtering in (
            ((OTHER, (SERVER[0], OTHER[1])), Filtering.ENDPOINT_INDEPENDENT),
            (((SERVER[0], OTHER[1]),), Filtering.ADDRESS_DEPENDENT),
            ((), Filtering.ADDRESS_AND_PORT_DEPENDENT),
        ):
            found = World(passes=passes).read()
            shown = Behaviour(Mapping.ENDPOINT_INDEPENDENT, filtering, "203.0.113.7:4242")
            self.assertEqual(found, shown)

    def test_mappings(self) -> None:
        """A mapping for each address, or each address and port."""
        elsewhere = ("203.0.113.7", 9999)
        by_address = World(mapped={(OTHER[0], SERVER[1]): elsewhere}).read()
        self.assertEqual(by_address.mapping, Mapping.ADDRESS_DEPENDENT)
        by_port = World(mapped={(SERVER[0], OTHER[1]): elsewhere}).read()
        self.assertEqual(by_port.mapping, Mapping.ADDRESS_AND_PORT_DEPENDENT)

    def test_filtering_first(self) -> None:
        """The server's other address is not asked before the filter is known."""
        world = World()
        world.read()
        changes = [bool(test.change) for test in world.asked]
        self.assertEqual(changes, [False, True, True, False, False])

    def test_no_nat(self) -> None:
        """Our own address, seen from outside, is no NAT."""
        self.assertEqual(World().read(ours=MAPPED).mapping, Mapping.NONE)

    def test_one_address(self) -> None:
        """A server with one address tells what it can, and the finding says so."""
        world = World(other=None)
        found = world.read()
        self.assertEqual(found.mapping, Mapping.PORT_INDEPENDENT)
        self.assertEqual(found.filtering, Filtering.UNKNOWN)
        self.assertIn("one address", found.detail)
        self.assertEqual(world.asked[1].server, (SERVER[0], SERVER[1] + 1))

    def test_one_address_two_ports(self) -> None:
        """With a second port, the filter is known by halves."""
        port = (SERVER[0], 3479)
        found = World(other=port, passes=(port,)).read()
        self.assertEqual(found.mapping, Mapping.PORT_INDEPENDENT)
        self.assertEqual(found.filtering, Filtering.PORT_INDEPENDENT)
        closed = World(other=port).read()
        self.assertEqual(closed.filtering, Filtering.ADDRESS_AND_PORT_DEPENDENT)

    def test_silence(self) -> None:
        """What isn't answered isn't known."""
        self.assertIn("no answer", World(silent=(SERVER,)).read().detail)
        self.assertEqual(World(silent=((SERVER[0], OTHER[1]),)).read().mapping, Mapping.UNKNOWN)
        found = World(silent=((OTHER[0], SERVER[1]),)).read()
        self.assertEqual(found.mapping, Mapping.PORT_INDEPENDENT)

    def test_change_ignored(self) -> None:
        """A server that answers a change from where it was asked proves nothing."""
        replies = [Response(SERVER, MAPPED, OTHER), Response(SERVER, None, None), None]
        asked: list[BindingTest] = []

        async def ask(test: BindingTest) -> Response | None:
            asked.append(test)
            return replies.pop(0)

        found = Deferred.fromCoroutine(discover(SERVER, ask, lambda _address: False))
        self.assertEqual(self.successResultOf(found).filtering, Filtering.UNKNOWN)
        self.assertEqual(asked[-1], BindingTest((SERVER[0], OTHER[1])))


class FakePort:
    """A bound UDP port that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Address]] = []
        self.open = True

    def write(self, data: bytes, address: Address) -> None:
        self.sent.append((data, address))

    def getHost(self) -> Any:
        return attrs.make_class("Host", ["port"])(5000)

    def stopListening(self) -> None:
        self.open = False


class FakeReactor:
    """Just enough to bind a port."""

    def __init__(self) -> None:
        self.port = FakePort()
        self.protocol: Any = None

    def listenUDP(self, _port: int, protocol: Any) -> FakePort:
        self.protocol = protocol
        protocol.transport = self.port
        protocol.startProtocol()
        return self.port


class ReadBehaviourTests(SynchronousTestCase):
    """The tests run on a socket, with retransmissions."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.reactor = FakeReactor()
        self.random = iter(range(1, 99))
        self.runtime = Runtime(
            self.reactor,
            cast(Any, self.clock),
            lambda: 0.0,
            lambda count: bytes([next(self.random)]) * count,
            lambda: [HostAddress("10.0.0.2")],
        )

    def _answer(self, **attributes: Any) -> None:
        data, address = self.reactor.port.sent[-1]
        message = stun.success(stun.decode(data), XOR_MAPPED_ADDRESS=MAPPED, **attributes)
        self.reactor.protocol.datagramReceived(stun.encode(message), address)

    def _ask(self) -> Deferred[Behaviour]:
        reading = read_behaviour(self.runtime, SERVER)
        self.clock.advance(0)
        return reading

    def test_silence(self) -> None:
        """The first request is sent five times and then given up; the socket is closed."""
        reading = self._ask()
        self.clock.pump([0.05] * round(FIRST_PATIENCE / 0.05 + 1))
        self.assertEqual(len(self.reactor.port.sent), len(FIRST_RETRANSMISSIONS))
        self.assertIn("no answer", self.successResultOf(reading).detail)
        self.assertFalse(self.reactor.port.open)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_far(self) -> None:
        """Where the first answer took long, silence is waited for as long as answers take."""
        reading = self._ask()
        self.clock.pump([0.05] * round(4 / 0.05))
        self._answer()
        self.clock.advance(0)
        asked = len(self.reactor.port.sent)
        self.clock.pump([0.05] * round(11.9 / 0.05))
        self.assertNoResult(reading)
        self._answer()
        self.assertEqual(self.successResultOf(reading).mapping, Mapping.PORT_INDEPENDENT)
        self.assertEqual(len(self.reactor.port.sent) - asked, len(RETRANSMISSIONS) - 1)

    def test_near(self) -> None:
        """Where it came soon, PATIENCE is enough."""
        reading = self._ask()
        self.clock.pump([0.05])
        self._answer()
        self.clock.pump([0.05] * round(PATIENCE / 0.05 + 1))
        self.assertEqual(self.successResultOf(reading).mapping, Mapping.UNKNOWN)

    def test_answers(self) -> None:
        """Answers go on to the next test at once."""
        reading = self._ask()
        for _ in range(2):
            self._answer()
            self.clock.advance(0)
        self.assertEqual(self.successResultOf(reading).mapping, Mapping.PORT_INDEPENDENT)
        self.assertEqual(self.reactor.port.sent[-1][1], (SERVER[0], SERVER[1] + 1))

    def test_strangers(self) -> None:
        """Noise, and answers to what wasn't asked, change nothing."""
        reading = self._ask()
        self.reactor.protocol.datagramReceived(b"noise", SERVER)
        stray = stun.success(stun.request(b"x" * 12), XOR_MAPPED_ADDRESS=MAPPED)
        self.reactor.protocol.datagramReceived(stun.encode(stray), SERVER)
        self.assertNoResult(reading)

    def test_refusal(self) -> None:
        """A refused change leaves the filter unknown."""
        reading = self._ask()
        self._answer(OTHER_ADDRESS=OTHER)
        self.clock.advance(0)
        request = stun.decode(self.reactor.port.sent[-1][0])
        self.assertEqual(request.attributes["CHANGE-REQUEST"], CHANGE_IP | CHANGE_PORT)
        refused = stun.encode(stun.failure(request, 420, "Unknown Attribute"))
        self.reactor.protocol.datagramReceived(refused, SERVER)
        self.clock.advance(0)
        for _ in range(2):
            self._answer(OTHER_ADDRESS=OTHER)
            self.clock.advance(0)
        found = self.successResultOf(reading)
        self.assertEqual(found.mapping, Mapping.ENDPOINT_INDEPENDENT)
        self.assertEqual(found.filtering, Filtering.UNKNOWN)
