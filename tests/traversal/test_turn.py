"""The TURN client against a simulated relay, and against bytes that no relay sends."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LocalProtocolError
from p2pchat.traversal import turn_permissions
from p2pchat.traversal.stun_transactions import MAX_CHALLENGES, STREAM_DEADLINE
from p2pchat.traversal.turn import ALLOCATE, KEEPALIVE, REFRESH, Allocation, AllocationState
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.channel_data import MAX_DATA
from p2pchat.wire.servers import LongTermCredential, RelayServer, Transport
from tests.simulation.internet import Internet
from tests.simulation.link import Link
from tests.simulation.recorder import Recorder
from tests.simulation.turn_server import PORT, REALM, TurnServer, rest_credentials
from tests.simulation.world import EPOCH, runtime_on
from tests.traversal.carriers import Carrier, StreamCarrier, UdpCarrier

SECRET = b"shared with the relay"
RELAY = ("203.0.113.7", PORT)
OTHERS = [(f"198.51.100.{number}", 7000) for number in range(1, 41)]


class Case(SynchronousTestCase):
    """A relay, a client and a peer on the simulated internet."""

    def setUp(self) -> None:
        """Start the relay."""
        self.internet = Internet(7, link=Link(latency=0.01))
        self.relay = TurnServer.on(self.internet.host(RELAY[0]), SECRET, self.wall_time)
        self.host = self.internet.host()
        self.runtime = runtime_on(self.host, Random(7))
        self.peer_host = self.internet.host()
        self.peer = Recorder.on(self.peer_host)
        self.peer_address = (self.peer_host.address, self.peer.port)
        self.credentials = rest_credentials(SECRET, self.wall_time() + 86_400)

    def wall_time(self) -> float:
        """Return seconds since 1970."""
        return EPOCH + self.internet.clock.seconds()

    def dial(self, **options: Any) -> Carrier:
        """Start an allocation."""
        return UdpCarrier(self.runtime, RELAY, self.credentials, **options)

    def allocated(self, **options: Any) -> Carrier:
        """Return an allocation that is there."""
        carrier = self.dial(**options)
        self.wait(carrier, AllocationState.ALLOCATED)
        return carrier

    def wait(self, carrier: Carrier, state: AllocationState, within: float = 20.0) -> float:
        """Let time pass until the allocation stands there; returns the seconds."""
        return self.internet.run_until(lambda: carrier.allocation.state is state, within)

    def run_for(self, seconds: float) -> None:
        """Let time pass."""
        self.internet.run(seconds)

    def say(self, carrier: Carrier, data: bytes, peer: Address | None = None) -> None:
        """Send a datagram through the relay, and wait until it is there."""
        carrier.do(carrier.allocation.send, data, peer or self.peer_address)
        self.run_for(0.2)


class LifeTests(Case):
    """From Allocate to the last Refresh."""

    def test_allocates(self) -> None:
        """After a challenge there is a relayed address."""
        carrier = self.dial()
        took = self.wait(carrier, AllocationState.ALLOCATED)
        self.assertLess(took, 0.05)
        served = next(iter(self.relay.allocations.values()))
        self.assertEqual(carrier.allocation.relayed, served.address)

    def test_refreshes(self) -> None:
        """It lives on far past its first lifetime, with a nonce that has changed meanwhile."""
        carrier = self.allocated()
        relayed = carrier.allocation.relayed
        for _ in range(6):
            self.relay.expire_nonces()
            self.run_for(400)
        self.assertEqual(carrier.allocation.relayed, relayed)
        self.assertEqual(len(self.relay.allocations), 1)

    def test_short_lifetime(self) -> None:
        """A lifetime under ten minutes is refreshed at its half."""
        self.relay.lifetime = 60
        self.allocated()
        self.run_for(29)
        self.assertNotIn(REFRESH, self.relay.requests)
        self.run_for(2)
        self.assertIn(REFRESH, self.relay.requests)

    def test_close(self) -> None:
        """Closing gives the allocation back, stale nonce or not, and then nothing is left to do."""
        carrier = self.allocated()
        self.relay.expire_nonces()
        carrier.do(carrier.allocation.close)
        self.run_for(1)
        self.assertEqual(self.relay.allocations, {})
        self.assertIs(carrier.allocation.state, AllocationState.CLOSED)
        self.assertIsNone(carrier.allocation.get_timer())

    def test_close_early(self) -> None:
        """What is granted after closing is given back."""
        carrier = self.dial()
        self.internet.run_until(lambda: self.relay.requests.count(ALLOCATE) == 2)
        carrier.do(carrier.allocation.close)
        self.run_for(1)
        self.assertEqual(self.relay.allocations, {})
        self.assertIs(carrier.allocation.state, AllocationState.CLOSED)

    def test_silent_relay(self) -> None:
        """A relay that doesn't answer is given up within five seconds, in words."""
        self.relay.host.kill()
        carrier = self.dial()
        self.assertLess(self.wait(carrier, AllocationState.FAILED), 5.0)
        self.assertEqual(carrier.allocation.failure, f"relay {RELAY[0]}:{PORT} doesn't answer")
        self.assertEqual(carrier.allocation.story(), [])

    def test_loss(self) -> None:
        """With 30 % loss, it is there and relays."""
        self.internet.link = Link(latency=0.01, loss=0.3)
        carrier = self.allocated()
        for number in range(30):
            self.say(carrier, b"%d" % number)
        self.run_for(10)
        self.assertGreater(len(self.peer.received), 8)

    def test_keepalive(self) -> None:
        """An idle mapping to the relay is kept open, by something that isn't answered."""
        self.allocated()
        self.internet.trace = []
        self.run_for(4 * KEEPALIVE + 1)
        sources = [source[0] for _, source, _, _, _ in self.internet.trace]
        self.assertEqual(sources, [self.host.address] * 4)

    def test_refresh_now(self) -> None:
        """Asked to, it notices at once that the relay has forgotten it, and allocates afresh."""
        carrier = self.allocated()
        old = carrier.allocation.relayed
        self.say(carrier, b"one")
        self.relay.forget()
        carrier.do(carrier.allocation.refresh)
        self.run_for(1)
        self.assertNotEqual(carrier.allocation.relayed, old)
        self.say(carrier, b"two")
        self.assertEqual([data for data, _ in self.peer.received], [b"one", b"two"])

    def test_refresh_unanswered(self) -> None:
        """One unanswered refresh may be an outage; two in a row end the allocation."""
        carrier = self.allocated()
        self.relay.host.online = False
        carrier.do(carrier.allocation.refresh)
        self.run_for(7)
        self.assertIs(carrier.allocation.state, AllocationState.ALLOCATED)
        self.assertLess(self.wait(carrier, AllocationState.FAILED), 15)
        self.assertEqual(carrier.allocation.failure, f"relay {RELAY[0]}:{PORT} doesn't answer")

    def test_refresh_answered_late(self) -> None:
        """After an outage that a refresh fell in it goes on."""
        carrier = self.allocated()
        for _ in range(3):
            self.relay.host.online = False
            carrier.do(carrier.allocation.refresh)
            self.run_for(7)
            self.relay.host.online = True
            self.run_for(10)
        self.assertIs(carrier.allocation.state, AllocationState.ALLOCATED)


class ErrorTests(Case):
    """What a relay refuses."""

    def test_wrong_password(self) -> None:
        """Wrong credentials end it, in words."""
        self.credentials = LongTermCredential(self.credentials.username, "guess")
        carrier = self.dial()
        self.wait(carrier, AllocationState.FAILED)
        self.assertIn("wrong credentials", carrier.allocation.failure)
        self.assertLessEqual(self.relay.requests.count(ALLOCATE), 2)

    def test_expired(self) -> None:
        """So do credentials whose time is over."""
        self.credentials = rest_credentials(SECRET, self.wall_time() - 5)
        carrier = self.dial()
        self.wait(carrier, AllocationState.FAILED)
        self.assertIn("expired", carrier.allocation.failure)

    def test_sentences(self) -> None:
        """Each refusal is a sentence for people."""
        for code, expected in (
            (486, "quota"),
            (508, "no capacity"),
            (403, "doesn't serve us"),
            (441, "wrong credentials"),
            (300, "another server"),
            (442, "no UDP"),
            (500, "error 500"),
        ):
            with self.subTest(code=code):
                self.relay.always = code
                carrier = self.dial()
                self.wait(carrier, AllocationState.FAILED)
                self.assertIn(expected, carrier.allocation.failure)
                self.assertTrue(carrier.allocation.failure.startswith("relay 203.0.113.7:3478 "))

    def test_endless_challenges(self) -> None:
        """A relay that is never pleased with a nonce is given up after a few."""
        self.relay.always = 438
        carrier = self.dial()
        self.wait(carrier, AllocationState.FAILED)
        self.assertIn("nonce", carrier.allocation.failure)
        self.assertLessEqual(len(self.relay.requests), MAX_CHALLENGES + 1)

    def test_older_allocation(self) -> None:
        """After a restart on the same port the older allocation is given back first."""
        carrier = self.allocated(port=4000)
        carrier.stop()
        self.host.kill()
        self.host.boot()
        self.runtime = runtime_on(self.host, Random(8))
        again = self.allocated(port=4000)
        self.assertEqual(len(self.relay.allocations), 1)
        self.assertIsNotNone(again.allocation.relayed)

    def test_forgetful_relay(self) -> None:
        """A relay that forgets each allocation is given up."""
        carrier = self.allocated()
        for _ in range(10):
            self.relay.forget()
            carrier.do(carrier.allocation.refresh)
            self.run_for(1)
        self.assertIs(carrier.allocation.state, AllocationState.FAILED)

    def test_relay_dies(self) -> None:
        """When Refresh goes unanswered to the end of the lifetime, it has failed."""
        carrier = self.allocated()
        self.relay.host.kill()
        self.wait(carrier, AllocationState.FAILED, within=700)
        self.assertIn("doesn't answer", carrier.allocation.failure)

    def test_forged_success(self) -> None:
        """A success that isn't signed with our key is as good as none."""
        sent: list[bytes] = []
        allocation = Allocation(RELAY, self.credentials, False, Random(1).randbytes, sent.append)
        allocation.start(0.0)
        asked = stun.decode(sent.pop())
        allocation.receive(stun.encode(stun.failure(asked, 401, "", REALM=REALM, NONCE=b"n")), 0.1)
        signed = stun.decode(sent.pop())
        granted = stun.success(signed, XOR_RELAYED_ADDRESS=("192.0.2.9", 9), LIFETIME=600)
        for key in (None, b"another key"):
            allocation.receive(stun.encode(granted, key), 0.2)
        self.assertEqual((allocation.state, allocation.relayed), (AllocationState.ALLOCATING, None))
        allocation.receive(stun.encode(granted, self.credentials.key(REALM)), 0.3)
        self.assertEqual(allocation.relayed, ("192.0.2.9", 9))

    def test_alternate_server(self) -> None:
        """The sentence about another server names it."""
        sent: list[bytes] = []
        random_bytes = Random(1).randbytes
        allocation = Allocation("turn:a.example", self.credentials, True, random_bytes, sent.append)
        allocation.start(0.0)
        asked = stun.decode(sent.pop())
        other = stun.failure(asked, 300, "", ALTERNATE_SERVER=("192.0.2.1", 3478))
        allocation.receive(stun.encode(other), 0.1)
        self.assertIn("192.0.2.1:3478", allocation.failure)


class DataTests(Case):
    """Permissions, channels, and what goes through them."""

    def test_both_ways(self) -> None:
        """Datagrams go both ways; from the second on over a channel."""
        carrier = self.allocated()
        for number in range(4):
            self.say(carrier, b"to %d" % number)
            self.peer.send(b"back %d" % number, carrier.allocation.relayed or ("", 0))
            self.run_for(0.2)
        self.assertEqual([data for data, _ in self.peer.received], [b"to %d" % n for n in range(4)])
        self.assertEqual(set(self.peer.sources), {carrier.allocation.relayed})
        expected = [(b"back %d" % number, self.peer_address) for number in range(4)]
        self.assertEqual(carrier.received, expected)
        self.assertEqual(self.relay.requests.count(turn_permissions.CHANNEL_BIND), 1)
        self.assertTrue(any("channel" in line for line in carrier.allocation.story()))

    def test_sent_early(self) -> None:
        """What is sent before the allocation is there goes out when it is; the oldest is lost."""
        carrier = self.dial()
        for number in range(turn_permissions.MAX_WAITING + 3):
            carrier.do(carrier.allocation.send, b"%d" % number, self.peer_address)
        self.run_for(1)
        got = [int(data) for data, _ in self.peer.received]
        self.assertEqual(sorted(got), list(range(3, turn_permissions.MAX_WAITING + 3)))
        self.assertIn("3 datagrams were dropped", carrier.allocation.story())

    def test_permits(self) -> None:
        """Permissions are asked for in one request, and nobody else is heard."""
        carrier = self.allocated()
        carrier.do(carrier.allocation.permit, [self.peer_address, *OTHERS[:5]])
        self.run_for(0.2)
        self.assertEqual(self.relay.requests.count(turn_permissions.CREATE_PERMISSION), 1)
        self.peer.send(b"hello", carrier.allocation.relayed or ("", 0))
        stranger = Recorder.on(self.internet.host())
        stranger.send(b"psst", carrier.allocation.relayed or ("", 0))
        self.run_for(0.2)
        self.assertEqual(carrier.received, [(b"hello", self.peer_address)])

    def test_many_permits(self) -> None:
        """Many addresses go in requests that fit a datagram, and a bound holds."""
        carrier = self.allocated()
        many = [(f"10.9.{n // 200}.{n % 200}", 1) for n in range(turn_permissions.MAX_HOSTS + 50)]
        carrier.do(carrier.allocation.permit, many)
        self.run_for(0.2)
        asked = self.relay.requests.count(turn_permissions.CREATE_PERMISSION)
        self.assertEqual(asked, turn_permissions.MAX_HOSTS // turn_permissions.MAX_BATCH)
        self.say(carrier, b"x", ("10.10.10.10", 1))
        self.assertIn("1 datagrams were dropped", carrier.allocation.story())

    def test_renewals(self) -> None:
        """Permission and channel are renewed for hours, until the peer is forgotten."""
        carrier = self.allocated()
        self.say(carrier, b"1")
        self.say(carrier, b"2")
        self.run_for(3 * 3600)
        self.peer.send(b"still", carrier.allocation.relayed or ("", 0))
        self.say(carrier, b"3")
        self.assertEqual(carrier.received, [(b"still", self.peer_address)])
        self.assertEqual([data for data, _ in self.peer.received], [b"1", b"2", b"3"])
        carrier.allocation.forget([self.peer_address])
        self.run_for(700)
        self.peer.send(b"too late", carrier.allocation.relayed or ("", 0))
        self.run_for(1)
        self.assertEqual(len(carrier.received), 1)
        self.relay.requests.clear()
        self.run_for(1000)
        self.assertEqual(set(self.relay.requests), {REFRESH})

    def test_back_after_forgetting(self) -> None:
        """A peer that was forgotten and is wanted again is served again, on the same channel."""
        carrier = self.allocated()
        for round_ in range(2):
            for number in range(3):
                self.say(carrier, b"%d%d" % (round_, number))
            carrier.allocation.forget([self.peer_address])
            self.run_for(700)
        self.assertEqual(len(self.peer.received), 6)
        served = next(iter(self.relay.allocations.values()))
        self.assertEqual(len(served.channels), 1)

    def test_refused_peer(self) -> None:
        """A peer that the relay refuses is dropped and told of; the others are served."""
        bad = OTHERS[0]
        self.relay.refuses = {bad[0]}
        carrier = self.allocated()
        carrier.do(carrier.allocation.permit, [*OTHERS[:3], self.peer_address])
        self.say(carrier, b"bad", bad)
        self.say(carrier, b"good")
        allocation = carrier.allocation
        self.assertEqual([data for data, _ in self.peer.received], [b"good"])
        self.assertEqual(
            allocation.story(),
            [
                "3 of 4 peer addresses are permitted",
                f"peer address {bad[0]} is refused (error 403)",
                "1 datagrams were dropped",
            ],
        )
        self.assertIs(allocation.state, AllocationState.ALLOCATED)

    def test_refused_channel(self) -> None:
        """So is one whose channel is refused."""
        carrier = self.allocated()
        self.say(carrier, b"1")
        self.relay.refuses = {self.peer_address[0]}
        self.say(carrier, b"2")
        self.say(carrier, b"3")
        refused = f"peer address {self.peer_address[0]} is refused (error 403)"
        self.assertEqual(carrier.allocation.story()[-2:], [refused, "1 datagrams were dropped"])

    def test_other_family(self) -> None:
        """An IPv6 peer of an IPv4 relay is refused without being asked for."""
        carrier = self.allocated()
        self.say(carrier, b"x", ("2001:db8::1", 9))
        refused = "peer address 2001:db8::1 is of another family (error 443)"
        self.assertIn(refused, carrier.allocation.story())
        self.assertNotIn(turn_permissions.CREATE_PERMISSION, self.relay.requests)

    def test_after_the_end(self) -> None:
        """After the end nothing is sent or heard."""
        carrier = self.allocated()
        self.say(carrier, b"1")
        carrier.do(carrier.allocation.close)
        self.say(carrier, b"2")
        self.assertEqual(len(self.peer.received), 1)

    def test_too_long(self) -> None:
        """What no datagram can carry is our own mistake."""
        allocation = self.allocated().allocation
        with self.assertRaises(LocalProtocolError):
            allocation.send(bytes(MAX_DATA + 1), self.peer_address, 0.0)

    def test_largest(self) -> None:
        """A datagram of any size that a link takes goes through, either way."""
        carrier = self.allocated()
        for size in (0, 1, 3, 1200, 1472, 60_000):
            self.say(carrier, bytes(size))
        self.assertEqual([len(data) for data, _ in self.peer.received][-2:], [1472, 8192])


class StreamTests(Case):
    """The same over TCP."""

    def dial(self, **options: Any) -> Carrier:
        """Start an allocation over TCP."""
        server = RelayServer(RELAY[0], PORT, Transport.TCP)
        return StreamCarrier(self.runtime, server, self.credentials, **options)

    def test_both_ways(self) -> None:
        """Datagrams of every length keep their borders."""
        carrier = self.allocated()
        payloads = [bytes([number]) * number for number in range(1, 40)]
        for payload in payloads:
            self.say(carrier, payload)
        for payload in payloads:
            self.peer.send(payload, carrier.allocation.relayed or ("", 0))
        self.run_for(1)
        self.assertEqual([data for data, _ in self.peer.received], payloads)
        self.assertEqual([data for data, _ in carrier.received], payloads)

    def test_no_retransmission(self) -> None:
        """A request is sent once; its answer has a deadline."""
        sent: list[bytes] = []
        allocation = Allocation("r", self.credentials, True, Random(1).randbytes, sent.append)
        allocation.start(10.0)
        self.assertEqual(len(sent), 1)
        self.assertEqual(allocation.get_timer(), 10.0 + STREAM_DEADLINE)
        allocation.handle_timer(10.0 + STREAM_DEADLINE)
        self.assertEqual(len(sent), 1)
        self.assertIs(allocation.state, AllocationState.FAILED)

    def test_connection_lost(self) -> None:
        """When the connection ends, so does the allocation, and the relay's part of it."""
        carrier = self.allocated()
        self.relay.host.kill()
        self.wait(carrier, AllocationState.FAILED)
        self.assertIn("relay turn:203.0.113.7:3478?transport=tcp ", carrier.allocation.failure)


class HostileTests(SynchronousTestCase):
    """Bytes that no relay sends."""

    @settings(max_examples=300)
    @given(st.lists(st.one_of(st.binary(max_size=60), st.integers(0, 11)), max_size=12))
    def test_any_bytes(self, frames: list[bytes | int]) -> None:
        """Whatever comes, nothing is raised, and nothing is relayed without a permission."""
        sent: list[bytes] = []
        credentials, random_bytes = LongTermCredential("u", "p"), Random(3).randbytes
        allocation = Allocation(RELAY, credentials, False, random_bytes, sent.append)
        allocation.start(0.0)
        now = 0.0
        for frame in frames:
            now += 0.1
            asked = [stun.decode(data) for data in sent]
            sent.clear()
            data = frame if isinstance(frame, bytes) else answer(frame, asked)
            self.assertEqual(allocation.receive(data, now), [])
            allocation.handle_timer(now)
            allocation.get_timer()


ASKED = stun.request(bytes(12))
CODES = (300, 400, 401, 403, 420, 437, 438, 441, 442, 486, 508)


def answer(kind: int, asked: list[stun.Message]) -> bytes:
    """Answer the last request with an error, or with an empty success."""
    last = asked[-1] if asked else ASKED
    if kind >= len(CODES):
        return stun.encode(stun.success(last), LongTermCredential("u", "p").key("r"))
    challenge = {"REALM": "r", "NONCE": b"n"} if kind % 2 == 0 else {}
    return stun.encode(stun.failure(last, CODES[kind], "", **challenge))
