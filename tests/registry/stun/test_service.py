"""The STUN service on sockets that only record."""

from __future__ import annotations

import errno
from collections import Counter
from typing import Any

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from p2pchat.errors import ConfigurationError
from p2pchat.host_addresses import HostAddress
from p2pchat.registry.admission.rates import STUN, Rate
from p2pchat.registry.stun.binding_server import BindingServer
from p2pchat.registry.stun.service import StunService
from p2pchat.runtime import Runtime
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address

REQUEST = stun.encode(stun.request(bytes(12)))
CLIENT = ("203.0.113.9", 4242)


@implementer(IListeningPort)
@attrs.define(eq=False)
class RecordingPort:
    """A UDP port that keeps what is written."""

    address: Address
    protocol: DatagramProtocol
    written: list[tuple[bytes, Address]] = attrs.field(factory=list)
    broken: bool = False
    open: bool = True

    def startListening(self) -> None:
        """Nothing to do."""

    def stopListening(self) -> Deferred[None]:
        """Close."""
        self.open = False
        return succeed(None)

    def getHost(self) -> IPv4Address:
        """Return where the port is bound."""
        return IPv4Address("UDP", *self.address)

    def write(self, data: bytes, addr: Address) -> None:
        """Keep a datagram."""
        if self.broken:
            raise OSError(errno.ENETUNREACH, "Network is unreachable")
        self.written.append((data, addr))


@attrs.define
class Network:
    """What listenUDP of a reactor gives."""

    ports: dict[Address, RecordingPort] = attrs.field(factory=dict)
    taken: Address | None = None

    def listenUDP(self, port: int, protocol: DatagramProtocol, interface: str) -> RecordingPort:
        """Bind."""
        address = (interface, port)
        if address == self.taken:
            error = OSError(errno.EADDRINUSE, "Address already in use")
            raise CannotListenError(interface, port, error)
        self.ports[address] = RecordingPort(address, protocol)
        return self.ports[address]


class StunServiceTests(SynchronousTestCase):
    """Sockets, counts, loops."""

    def start(
        self,
        *addresses: str,
        taken: Address | None = None,
        rate: Rate = STUN,
        is_optional: bool = False,
    ) -> StunService:
        self.network = Network(taken=taken)
        self.counts: Counter[str] = Counter()
        self.clock = Clock()
        runtime = Runtime(
            self.network, self.clock, float, bytes, lambda: [HostAddress("192.0.2.7")]
        )
        server = BindingServer(addresses, 3478)
        service = StunService(runtime, server, self.count, rate, is_optional)
        service.privilegedStartService()
        service.startService()
        return service

    def count(self, outcome: str) -> None:
        self.counts[outcome] += 1

    def receive(self, at: Address, data: bytes, source: tuple[Any, ...] = CLIENT) -> None:
        self.network.ports[at].protocol.datagramReceived(data, source)

    def test_port(self) -> None:
        """The recording port is a port."""
        self.assertTrue(verifyObject(IListeningPort, RecordingPort(CLIENT, DatagramProtocol())))

    def test_sockets(self) -> None:
        """One address has two sockets, two have four; all are closed in the end."""
        self.start("")
        self.assertEqual(set(self.network.ports), {("", 3478), ("", 3479)})
        service = self.start("192.0.2.1", "192.0.2.2")
        self.assertEqual(len(self.network.ports), 4)
        self.successResultOf(service.stopService())
        self.assertFalse(any(port.open for port in self.network.ports.values()))

    def test_answers_from_the_right_socket(self) -> None:
        """A request to change is answered from the other socket, to who asked."""
        self.start("192.0.2.1", "192.0.2.2")
        changed = stun.encode(stun.request(bytes(12), CHANGE_REQUEST=6))
        self.receive(("192.0.2.1", 3478), changed)
        [(data, destination)] = self.network.ports["192.0.2.2", 3479].written
        self.assertEqual(destination, CLIENT)
        self.assertEqual(stun.mapped_address(stun.decode(data)), CLIENT)

    def test_counts(self) -> None:
        """What is answered, refused, left unanswered and malformed is counted."""
        self.start("")
        classic = bytes.fromhex("00010008") + bytes(16) + bytes.fromhex("0003000400000006")
        change = stun.encode(stun.request(bytes(12), CHANGE_REQUEST=6))
        for data in (REQUEST, change, classic, b"hello", REQUEST):
            self.receive(("", 3479), data)
        expected = {"answered": 2, "refused": 1, "unanswered": 1, "malformed": 1}
        self.assertEqual(self.counts, expected)
        self.assertEqual(len(self.network.ports["", 3479].written), 3)

    def test_ipv6(self) -> None:
        """All IPv6 interfaces are served; a scope or flow in the source's address is no matter."""
        self.start("::")
        self.receive(("::", 3478), REQUEST, ("2001:db8::9", 4242, 7, 0))
        [(data, destination)] = self.network.ports["::", 3478].written
        self.assertEqual(destination, ("2001:db8::9", 4242))
        answer = stun.decode(data)
        self.assertEqual(stun.mapped_address(answer), ("2001:db8::9", 4242))
        self.assertNotIn("RESPONSE-ORIGIN", answer.attributes)

    def test_without_ipv6(self) -> None:
        """A machine without IPv6, or on which those ports are taken, serves IPv4 alone."""
        service = self.start("::", taken=("::", 3478), is_optional=True)
        self.assertEqual(set(self.network.ports), {("::", 3479)})
        self.successResultOf(service.stopService())

    def test_own_sockets(self) -> None:
        """What comes from one of our own sockets isn't answered, bound to all or to one."""
        for bound, own in (("", "192.0.2.7"), ("192.0.2.1", "192.0.2.1")):
            self.start(bound)
            self.receive((bound, 3478), REQUEST, (own, 3479))
            self.assertEqual(self.counts, {"looped": 1})
            self.assertEqual(self.network.ports[bound, 3478].written, [])

    def test_rate(self) -> None:
        """A source that asks too often gets silence, on all sockets together; others don't."""
        self.start("", rate=Rate(1, 3))
        for _ in range(5):
            for port in (3478, 3479):
                self.receive(("", port), REQUEST)
        self.receive(("", 3478), REQUEST, ("203.0.113.10", 4242))
        self.assertEqual(self.counts, {"answered": 4, "limited": 7})
        self.clock.advance(2)
        self.receive(("", 3478), REQUEST, (CLIENT[0], 9999))
        self.assertEqual(self.counts, {"answered": 5, "limited": 7})

    def test_garbage_pays_too(self) -> None:
        """What can't be answered takes tokens all the same: reading it is the work."""
        self.start("", rate=Rate(1, 3))
        for _ in range(5):
            self.receive(("", 3478), b"hello")
        self.assertEqual(self.counts, {"malformed": 3, "limited": 2})

    def test_one_network(self) -> None:
        """Addresses of one IPv6 /64 share tokens."""
        self.start("2001:db8::9", rate=Rate(1, 1))
        for host in ("2001:db8:1::1", "2001:db8:1::2", "2001:db8:1:1::1"):
            self.receive(("2001:db8::9", 3478), REQUEST, (host, 4242))
        self.assertEqual(self.counts, {"answered": 2, "limited": 1})

    def test_unsendable(self) -> None:
        """An answer that the system won't send is counted, and no error."""
        self.start("")
        self.network.ports["", 3478].broken = True
        self.receive(("", 3478), REQUEST)
        self.assertEqual(self.counts, {"answered": 1, "unsent": 1})

    def test_port_in_use(self) -> None:
        """A port that is in use is an error of one line, which says what to do."""
        error = self.assertRaises(ConfigurationError, self.start, "", taken=("", 3479))
        self.assertEqual(
            str(error),
            "UDP port 3479 is in use: stop the program that has it, or choose another with --stun",
        )
