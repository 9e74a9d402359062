"""Tests of :mod:`p2pchat.natcheck.classic`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
import stun as pystun3
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from p2pchat.natcheck.classic import (
    DEADLINE,
    LONGEST_DEADLINE,
    MAX_REQUESTS,
    MeteredSocket,
    NatType,
    ask_pystun3,
    read_nat_type,
)
from p2pchat.runtime import Runtime
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.stun import CHANGE_IP, CHANGE_PORT, Message

SERVER = ("192.0.2.1", 3478)
OTHER = ("192.0.2.2", 3479)
MAPPED = ("203.0.113.7", 4242)
LOCAL = ("10.0.0.2", 5000)

Reply = Callable[[Message, Address], list[bytes]]


@attrs.define
class FakeSocket:
    """
    A UDP socket whose datagrams are answered at once, or time out.

    :ivar reply: answers a request that was sent to an address.
    """

    reply: Reply
    now: float = 0.0
    sent: int = 0
    _waiting: list[bytes] = attrs.Factory(list)

    def sendto(self, data: bytes, address: Any) -> int:
        self.sent += 1
        self._waiting += self.reply(stun.decode(data, allow_classic=True), address)
        return len(data)

    def recvfrom(self, _size: int) -> tuple[bytes, Any]:
        self.now += 0.1
        if not self._waiting:
            self.now += 0.7
            raise TimeoutError
        return self._waiting.pop(0), SERVER


def ask(reply: Reply, local: Address = LOCAL) -> tuple[NatType, FakeSocket]:
    """Let pystun3 loose on a network."""
    udp = FakeSocket(reply)
    metered = MeteredSocket(udp, lambda: udp.now, DEADLINE)
    return ask_pystun3(metered, local, SERVER), udp


def classic(request: Message, mapped: Address = MAPPED, changed: Address | None = OTHER) -> bytes:
    """Answer as an RFC 3489 server."""
    message = stun.success(request, MAPPED_ADDRESS=mapped)
    if changed is not None:
        message.attributes["CHANGED-ADDRESS"] = changed
    return stun.encode(message)


def server(passes: int = -1, symmetric: bool = False) -> Reply:
    """Answer as a whole server through a NAT that lets some changed answers pass."""

    def reply(request: Message, address: Address) -> list[bytes]:
        change = request.attributes.get("CHANGE-REQUEST", 0)
        if change and not (passes >= 0 and change | passes == passes):
            return []
        moved = symmetric and address != SERVER
        return [classic(request, ("203.0.113.7", 9999) if moved else MAPPED)]

    return reply


def lone(changed: Address | None) -> Reply:
    """Answer as a server with one address that claims this other one."""
    return lambda request, _address: [classic(request, changed=changed)]


class AskTests(SynchronousTestCase):
    """pystun3's labels come through, and nothing else of it does."""

    def test_labels(self) -> None:
        """Each kind of NAT has its label, and always an address."""
        for reply, label in (
            (server(CHANGE_IP | CHANGE_PORT), "Full Cone"),
            (server(CHANGE_PORT), "Restric NAT"),
            (server(), "Restric Port NAT"),
            (server(symmetric=True), "Symmetric NAT"),
        ):
            self.assertEqual(ask(reply)[0], NatType(label, MAPPED))

    def test_open(self) -> None:
        """A host without NAT is recognised by its own address."""
        everything = server(CHANGE_IP | CHANGE_PORT)
        self.assertEqual(ask(everything, local=MAPPED)[0].label, "Open Internet")

    def test_blocked(self) -> None:
        """Silence is a label, without an address."""
        self.assertEqual(ask(lambda _request, _address: [])[0], NatType("Blocked"))

    def test_one_address(self) -> None:
        """A server with one address shows no kind, and that is known after one answer."""
        for changed in (None, (SERVER[0], 3479), ("127.0.0.1", 9)):
            nat_type, udp = ask(lone(changed))
            self.assertEqual((nat_type.label, nat_type.address, udp.sent), ("", MAPPED, 1))
            self.assertIn("one address", nat_type.trouble)

    def test_refusal(self) -> None:
        """A refused CHANGE-REQUEST, which pystun3 repeats for ever, ends it."""

        def reply(request: Message, _address: Address) -> list[bytes]:
            if "CHANGE-REQUEST" in request.attributes:
                return [stun.encode(stun.failure(request, 420, "Unknown Attribute"))]
            return [classic(request)]

        nat_type, udp = ask(reply)
        self.assertEqual((nat_type.label, nat_type.address), ("", MAPPED))
        self.assertIn("420", nat_type.trouble)
        self.assertLess(udp.sent, 5)

    def test_strays(self) -> None:
        """Noise and answers to others, which kill pystun3, don't reach it."""
        stray = stun.encode(stun.success(stun.request(b"x" * 12), MAPPED_ADDRESS=MAPPED))

        def reply(request: Message, address: Address) -> list[bytes]:
            return [b"noise", stray, *server()(request, address)]

        self.assertEqual(ask(reply)[0], NatType("Restric Port NAT", MAPPED))

    def test_flood(self) -> None:
        """Endless strays end with the time of each answer, and so does the whole."""
        nat_type, udp = ask(lambda _request, _address: [b"noise"] * 1000)
        self.assertEqual(nat_type.label, "Blocked")
        self.assertLessEqual(udp.sent, MAX_REQUESTS)

    def test_deadline(self) -> None:
        """After the deadline nothing is sent."""
        udp = FakeSocket(server(), now=DEADLINE)
        nat_type = ask_pystun3(MeteredSocket(udp, lambda: udp.now, DEADLINE), LOCAL, SERVER)
        self.assertIn("no end", nat_type.trouble)
        self.assertEqual(udp.sent, 0)

    def test_padding(self) -> None:
        """What pystun3 can't parse is its failure, in a sentence, and the address is kept."""

        def reply(request: Message, _address: Address) -> list[bytes]:
            padded = stun.success(request, SOFTWARE="abc", MAPPED_ADDRESS=MAPPED)
            padded.attributes["CHANGED-ADDRESS"] = OTHER
            return [stun.encode(padded)]

        nat_type, _ = ask(reply)
        self.assertEqual((nat_type.label, nat_type.address), ("", MAPPED))
        self.assertIn("pystun3 failed", nat_type.trouble)

    def test_other_address_dead(self) -> None:
        """pystun3's error label is trouble, and not a kind of NAT."""

        def reply(request: Message, address: Address) -> list[bytes]:
            plain = address == SERVER and "CHANGE-REQUEST" not in request.attributes
            return [classic(request)] if plain else []

        nat_type, _ = ask(reply)
        self.assertEqual((nat_type.label, nat_type.address), ("", MAPPED))
        self.assertIn("doesn't answer", nat_type.trouble)
        self.assertNotEqual(pystun3.ChangedAddressError, nat_type.label)


class ReadNatTypeTests(TestCase):
    """The answer comes back from the thread, or the deadline comes first."""

    def setUp(self) -> None:
        from twisted.internet import reactor  # noqa: PLC0415 - trial has chosen one by now

        self.clock = Clock()
        self.runtime = Runtime(reactor, cast(Any, self.clock), lambda: 0.0, bytes, list)

    async def test_answer(self) -> None:
        """What the thread finds is the answer, and no timer is left."""
        found = NatType("Full Cone", MAPPED)
        nat_type = await read_nat_type(self.runtime, SERVER, lambda *_: found)
        self.assertEqual(nat_type, found)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_deadline(self) -> None:
        """A thread that never ends doesn't hold up the answer."""
        from threading import Event  # noqa: PLC0415

        stuck = Event()
        self.addCleanup(stuck.set)

        def classify(_server: Address, _round_trip: float) -> NatType:
            stuck.wait()
            return NatType("too late")

        reading = read_nat_type(self.runtime, SERVER, classify)
        self.clock.advance(DEADLINE + 2)
        self.assertIn("within 20 seconds", self.successResultOf(reading).trouble)
        reading = read_nat_type(self.runtime, SERVER, classify, 2.0)
        self.clock.advance(DEADLINE + 2)
        self.assertNoResult(reading)
        self.clock.advance(LONGEST_DEADLINE)
        self.assertIn("within 150 seconds", self.successResultOf(reading).trouble)
