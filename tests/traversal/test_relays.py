"""Which relays are asked when, which one stays, and what comes of those that fail."""

from __future__ import annotations

from twisted.internet.protocol import Factory, Protocol

from p2pchat.traversal.relays import RETRY_INTERVAL, RETRY_PAUSE, STAGGER, BasesChanged
from p2pchat.traversal.routes import Datagram, Route
from p2pchat.traversal.turn import ALLOCATE, REFRESH
from p2pchat.wire.documents import Candidate, CandidateType
from p2pchat.wire.servers import parse_turn_url
from tests.cases import each
from tests.simulation.link import Link
from tests.simulation.turn_server import PORT, TurnServer, rest_credentials
from tests.traversal.outboxes import take
from tests.traversal.relaying import (
    FIRST,
    LATENCY,
    SECOND,
    SECRET,
    RelaysCase,
    RelaysEnd,
    configured,
)

UDP, TCP = f"turn:{FIRST}", f"turn:{FIRST}?transport=tcp"
OTHER_UDP, OTHER_TCP = f"turn:{SECOND}", f"turn:{SECOND}?transport=tcp"


class Closing(Protocol):
    """Takes a connection, and ends it at once."""

    def connectionMade(self) -> None:
        """See `IProtocol`."""
        assert self.transport is not None
        self.transport.loseConnection()


class WantTests(RelaysCase):
    """From the wish to one allocation."""

    def test_nothing_unasked(self) -> None:
        """Relays that nobody wants aren't troubled."""
        end = self.end(UDP, TCP)
        self.internet.run(60)
        self.assertEqual((self.first.requests, end.changes), ([], []))
        self.assertIsNone(end.relays.get_timer())
        self.assertEqual((end.relays.bases, end.relays.candidates()), ((), ()))

    def test_none_known(self) -> None:
        """Where there is none, wanting one is nothing; not even a timer."""
        end = self.end()
        self.assertEqual(end.relays.urls, ())
        end.want()
        self.internet.run(60)
        self.assertEqual((end.relays.bases, end.changes), ((), []))

    def test_udp_first(self) -> None:
        """UDP is asked at once, and where it answers no stream is opened."""
        end = self.end(TCP, UDP)
        end.want()
        self.assertLess(self.allocated(end), 5 * LATENCY)
        self.assertEqual(take(end.relays, BasesChanged), [BasesChanged()])
        self.internet.run(60)
        self.assertEqual(end.changes, [])
        (served,) = self.first.allocations.values()
        told = Candidate(CandidateType.RELAYED, served.address)
        self.assertEqual(end.relays.candidates(), (told,))

    def test_wanted_twice(self) -> None:
        """Who wants one twice gets one."""
        end = self.end(UDP)
        for _ in range(3):
            end.want()
            self.internet.run(1)
        self.assertEqual(len(self.first.allocations), 1)
        self.assertEqual(len(end.relays.bases), 1)

    def test_stagger(self) -> None:
        """Where UDP doesn't answer, streams follow STAGGER later."""
        nat = self.internet.nat(udp=False)
        end = self.end(UDP, TCP, host=self.internet.host(behind=nat))
        started = end.now
        end.want()
        self.assertEqual(end.changes, [])
        self.allocated(end)
        ((when, change),) = end.changes
        self.assertAlmostEqual(when - started, STAGGER, 3)
        self.assertEqual(str(change.server), f"turn:{FIRST}:{PORT}?transport=tcp")
        self.assertLess(end.now - started, STAGGER + 10 * LATENCY)

    def test_stream_too(self) -> None:
        """Where UDP may not carry everything, one over a stream is asked for at once and kept."""
        end = self.end(UDP, TCP, OTHER_TCP)
        end.relays.want_stream(end.now)
        end.want()
        self.allocated(end)
        for _ in range(3):
            end.relays.want_stream(end.now)
            self.internet.run(1)
        self.assertEqual(len(end.relays.bases), 2)
        self.assertEqual(len(end.relays.candidates()), 2)
        end.release()
        self.internet.run(3)
        self.assertEqual((end.relays.bases, self.first.allocations), ((), {}))

    def test_blocked(self) -> None:
        """Where UDP is known to be blocked, they are opened at once."""
        nat = self.internet.nat(udp=False)
        end = self.end(UDP, TCP, host=self.internet.host(behind=nat))
        started = end.now
        end.want(blocked=True)
        self.assertEqual([when for when, _ in end.changes], [started])
        self.assertLess(self.allocated(end), 10 * LATENCY)

    @each(UDP, TCP)
    def test_several_addresses(self, url: str) -> None:
        """Of a relay with several addresses each one is asked, one after the other."""
        end = self.end(url)
        (server,) = (parse_turn_url(one) for one in (url,))
        dead = [("192.0.2.1", PORT), ("192.0.2.2", PORT)]
        addresses = [*dead, (FIRST, PORT), (SECOND, PORT)]
        credentials = rest_credentials(SECRET, self.wall_time() + 86_400)
        end.relays.configure([(server, address) for address in addresses], credentials)
        end.want()
        spent = self.allocated(end)
        self.assertLess(spent, 4 * STAGGER)
        self.assertGreater(spent, 2 * STAGGER)
        self.internet.run(10)
        self.assertEqual((len(self.first.allocations), self.second.requests), (1, []))

    @each(UDP, TCP)
    def test_data(self, url: str) -> None:
        """What is sent from the base comes from the relay; what is answered has its route."""
        end = self.end(url)
        end.want(blocked=True)
        self.allocated(end)
        (base,) = end.relays.bases
        (relayed,) = end.relays.candidates()
        end.say(b"over to you", self.peer_address)
        self.internet.run(1)
        self.assertEqual(self.peer.received, [(b"over to you", relayed.address)])
        self.peer.send(b"and back", relayed.address)
        self.internet.run(1)
        self.assertEqual(end.received, [(b"and back", Route(self.peer_address, base))])

    def test_permissions(self) -> None:
        """Who is permitted gets in, without a word of ours; others don't, nor private ones."""
        end = self.end(UDP)
        end.want()
        self.allocated(end)
        (relayed,) = end.relays.candidates()
        stranger = self.internet.host("203.0.113.51")
        end.do(end.relays.permit, [self.peer_address, ("10.0.0.1", 5)], end.now)
        self.internet.run(1)
        (served,) = self.first.allocations.values()
        self.assertEqual(set(served.permissions), {self.peer_address[0]})
        self.peer.send(b"hello", relayed.address)
        stranger.send(b"hello", ("0.0.0.0", 5), relayed.address, 64)
        self.internet.run(1)
        self.assertEqual([data for data, _ in end.received], [b"hello"])

    def test_from_elsewhere(self) -> None:
        """What comes to the chat socket from anybody else isn't the relay's."""
        end = self.end(UDP)
        end.want()
        self.allocated(end)
        self.assertIsNone(end.relays.receive("", b"x", (FIRST, PORT + 1), end.now))
        self.assertIsNone(end.relays.receive("socket/a/1", b"x", (FIRST, PORT), end.now))
        self.assertEqual(end.relays.receive("", b"x", (FIRST, PORT), end.now), [])

    def test_unknown_base(self) -> None:
        """A datagram for a base that is gone is dropped."""
        end = self.end(UDP)
        end.do(end.relays.send, Datagram(b"x", self.peer_address, base="relay/9"), end.now)
        self.internet.run(1)
        self.assertEqual(self.first.requests, [])


class ChoiceTests(RelaysCase):
    """Several relays, of which one stays."""

    def test_first_wins(self) -> None:
        """Of two the faster one stays; the other is given back."""
        self.first.host.link = Link(latency=0.2)
        end = self.end(UDP, OTHER_UDP)
        end.want()
        self.allocated(end)
        (relayed,) = end.relays.candidates()
        self.assertEqual(relayed.address[0], SECOND)
        self.internet.run(5)
        self.assertEqual(end.relays.candidates(), (relayed,))
        self.assertEqual(len(self.second.allocations), 1)

    def test_losers_are_given_back(self) -> None:
        """What a slower relay grants after the choice is given back to it."""
        self.first.host.link = Link(latency=0.01)
        end = self.end(UDP, OTHER_UDP)
        end.want()
        self.allocated(end)
        self.internet.run(5)
        self.assertEqual(len(end.relays.bases), 1)
        self.assertEqual(len(self.second.allocations), 1)
        self.assertEqual(self.first.allocations, {})

    def test_streams_of_losers(self) -> None:
        """Streams to the others are closed."""
        self.first.host.link = Link(latency=0.1)
        nat = self.internet.nat(udp=False)
        host = self.internet.host(behind=nat)
        end = self.end(TCP, OTHER_TCP, host=host)
        end.want()
        self.allocated(end)
        self.internet.run(5)
        opened = [change.base for _, change in end.changes if change.server is not None]
        closed = [change.base for _, change in end.changes if change.server is None]
        self.assertEqual((len(opened), len(closed)), (2, 1))
        self.assertEqual(list(end.streams), [one for one in opened if one not in closed])
        self.assertEqual(len(host.connections), 1)
        self.assertEqual((self.first.allocations, len(self.second.allocations)), ({}, 1))

    def test_late_udp(self) -> None:
        """UDP that answers only after a stream was opened, but first, makes the stream close."""
        self.second.host.link = Link(latency=1.0)
        self.first.host.link = Link(latency=0.12)
        end = self.end(UDP, OTHER_TCP)
        end.want()
        self.allocated(end)
        self.internet.run(5)
        self.assertEqual(end.relays.candidates()[0].address[0], FIRST)
        self.assertEqual([change.server is None for _, change in end.changes], [False, True])
        self.assertEqual((end.streams, self.second.allocations), ({}, {}))


class FailureTests(RelaysCase):
    """Relays that refuse, that are silent, or that go away."""

    def test_told(self) -> None:
        """What failed is told, each reason once, also while another relay serves."""
        self.first.quota = 0
        end = self.end(UDP, TCP, OTHER_TCP)
        end.want()
        self.allocated(end)
        self.internet.run(2)
        failed, *_, serves = sorted(end.relays.reports(0.0), key=lambda one: one.failure == "")
        self.assertIn(FIRST, failed.failure)
        self.assertIn("quota", failed.failure)
        self.assertEqual((failed.allocated_ms, failed.address), (None, ""))
        self.assertTrue(serves.address.startswith(SECOND))
        self.assertGreater(serves.allocated_ms or 0.0, serves.asked_ms)
        self.assertEqual(serves.detail, ("0 of 0 peer addresses are permitted",))

    def test_retried(self) -> None:
        """If all fail, all are asked again every RETRY_INTERVAL, until one serves."""
        self.first.quota = self.second.quota = 0
        end = self.end(UDP, OTHER_TCP)
        end.want()
        self.internet.run(3.5 * RETRY_INTERVAL)
        asked = self.first.requests.count(ALLOCATE) / 2  # a challenge each
        self.assertGreaterEqual(asked, 3)
        self.assertLessEqual(asked, 4)
        self.assertEqual(end.relays.bases, ())
        self.first.quota = 1
        self.assertLess(self.allocated(end), RETRY_INTERVAL + 1)

    @each("refused", "open", "closed", "silent")
    def test_tells_nothing(self, fate: str) -> None:
        """Whoever names relays can't tell from when we come back what became of a connection."""
        self.first.quota = 0
        if fate == "silent":
            self.second.host.online = False
        elif fate != "refused":
            factory = Factory.forProtocol({"open": Protocol, "closed": Closing}[fate])
            factory.noisy = False
            self.second.host.reactor.listenTCP(6379, factory)
        end = self.end(UDP, TCP, f"turn:{SECOND}:6379?transport=tcp")
        end.want()
        times: list[float] = []
        for _ in range(600):
            before = len(self.first.requests)
            self.internet.run(0.1)
            if len(self.first.requests) > before:
                times.append(end.now)
        expected = [0.0, STAGGER, *(RETRY_INTERVAL * n for n in range(1, 5))]
        self.assertEqual([round(when - times[0], 1) for when in times], expected)

    def test_given_up(self) -> None:
        """Who no longer wants one isn't tried again for."""
        self.first.quota = 0
        end = self.end(UDP)
        end.want()
        self.internet.run(1)
        end.release()
        asked = len(self.first.requests)
        self.internet.run(60)
        self.assertEqual((len(self.first.requests), end.relays.get_timer()), (asked, None))

    def test_silent(self) -> None:
        """A relay that is silent is given up, and the streams don't wait for that."""
        self.first.host.online = False
        end = self.end(UDP, OTHER_TCP)
        end.want()
        self.assertLess(self.allocated(end), STAGGER + 10 * LATENCY)

    def test_stream_lost(self) -> None:
        """A stream that ends takes its base with it, and another is made after a pause."""
        end = self.end(TCP)
        end.want()
        self.allocated(end)
        (before,) = end.relays.bases
        take(end.relays, BasesChanged)
        self.first.host.kill()
        self.internet.run(1)
        self.assertEqual(end.relays.bases, ())
        self.assertTrue(take(end.relays, BasesChanged))
        self.first.host.boot()
        TurnServer.on(self.first.host, SECRET, self.wall_time)
        self.assertLess(self.allocated(end), 2 * RETRY_PAUSE)
        self.assertNotEqual(end.relays.bases, (before,))

    def test_no_stream(self) -> None:
        """A port that nobody listens on fails at once, and is told by the relay's URL."""
        end = self.end(f"turn:{FIRST}:99?transport=tcp")
        end.want()
        self.internet.run(1)
        (told,) = end.relays.reports(0.0)
        self.assertIn(f"turn:{FIRST}:99?transport=tcp", told.failure)
        self.assertEqual(end.streams, {})

    def test_forgotten(self) -> None:
        """After the network changed, the relay is asked at once whether it still knows us."""
        end = self.end(UDP)
        end.want()
        self.allocated(end)
        take(end.relays, BasesChanged)
        self.first.forget()
        end.do(end.relays.refresh, end.now)
        self.internet.run(1)
        self.assertEqual(len(self.first.allocations), 1)
        self.assertTrue(take(end.relays, BasesChanged))
        self.assertEqual(len(end.relays.candidates()), 1)


class ReleaseTests(RelaysCase):
    """Letting go."""

    def released(self, *urls: str) -> RelaysEnd:
        """Return an end that had an allocation and let it go."""
        end = self.end(*urls)
        end.want(blocked=True)
        self.allocated(end)
        take(end.relays, BasesChanged)
        end.release()
        self.internet.run(1)
        return end

    def test_given_back(self) -> None:
        """The relay is told, the base is gone, and nothing is left to do."""
        for url in (UDP, TCP):
            end = self.released(url)
            self.assertEqual((end.relays.bases, end.relays.candidates()), ((), ()))
            self.assertTrue(take(end.relays, BasesChanged))
            self.assertEqual(self.first.allocations, {})
            self.assertEqual((end.relays.get_timer(), end.streams), (None, {}))
        self.assertIn(REFRESH, self.first.requests)

    def test_stale_nonce(self) -> None:
        """It is given back also to a relay that wants another nonce by now."""
        end = self.end(UDP)
        end.want()
        self.allocated(end)
        self.first.expire_nonces()
        end.release()
        self.internet.run(5)
        self.assertEqual(self.first.allocations, {})

    def test_while_allocating(self) -> None:
        """Let go before it is there: what is granted all the same is given back."""
        end = self.end(UDP)
        end.want()
        self.internet.run_until(lambda: self.first.requests.count(ALLOCATE) == 2)
        end.release()
        self.internet.run(5)
        self.assertEqual(self.first.allocations, {})

    def test_wanted_again(self) -> None:
        """The next wish makes another one, with a base of another name."""
        end = self.end(UDP)
        names = set()
        for _ in range(3):
            end.want()
            self.allocated(end)
            names |= set(end.relays.bases)
            end.release()
            self.internet.run(3)
        self.assertEqual(len(names), 3)

    def test_new_credentials(self) -> None:
        """Newer credentials leave what runs alone; the next allocation has them."""
        end = self.end(UDP)
        end.want()
        self.allocated(end)
        (before,) = end.relays.candidates()
        configured(end.relays, UDP, wall=self.wall_time())
        self.internet.run(1)
        self.assertEqual(end.relays.candidates(), (before,))
