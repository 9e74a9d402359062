"""Staying registered, at the real registry in a simulated internet."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from attrs import evolve
from twisted.web.server import Site

from p2pchat.peer.lease import REGISTER_AGAIN
from p2pchat.peer.registry_connection import (
    DISPLACED_LONGEST,
    DISPLACED_WAIT,
    FIRST_WAIT,
    LONGEST_WAIT,
    Callbacks,
    ConnectionStage,
    RegistryConnection,
)
from p2pchat.registry.admission.rates import Limits
from p2pchat.session.retry_after import JITTER
from p2pchat.wire.documents import Registration, Ringing
from p2pchat.wire.problems import MAX_RETRY_AFTER, Problem
from p2pchat.wire.work import ALGORITHM, MAX_DIFFICULTY, Challenge
from tests.cases import each
from tests.identity.people import ALICE, BOB, identity, sealing_key
from tests.peer.registry_case import BusyStore, RegistryCase, Told
from tests.peer.test_registry_client import OTHER, Page
from tests.simulation.world import HTTP_PORT

SLACK = 0.2  # seconds; two requests
RENEWAL = 20.0  # seconds; a third of the registry's leases


class ConnectionCase(RegistryCase):
    """Alice's connection."""

    def setUp(self) -> None:
        super().setUp()
        self.connection, self.told = self.make_connection(self.client)

    def registered(self) -> None:
        """Start, and wait until it is registered."""
        self.connection.start()
        self.world.wait(lambda: self.told.registered, 5, "the registration")

    @property
    def is_online(self) -> bool:
        """Whether the registry has the record and the stream."""
        return ALICE.peer_id in self.world.registry.streams

    @property
    def timers(self) -> int:
        """How many timers the program has."""
        return len(self.host.reactor.getDelayedCalls())

    def reboot(self) -> None:
        """Start a registry that knows nobody."""
        self.world.host.kill()
        self.world.host.boot()
        self.world.boot_registry()


class RegisteredTests(ConnectionCase):
    """While the registry is there."""

    def test_registered(self) -> None:
        """It is told once, with the registry's answer; then we are online."""
        self.registered()
        self.assertEqual([one.seconds for one in self.told.registered], [60.0])
        self.assertTrue(self.is_online)
        self.assertEqual(self.told.lost, [])

    def test_renewed(self) -> None:
        """The record outlives many leases, without a word."""
        self.registered()
        for _ in range(20):
            self.run_for(30)
            self.assertEqual(self.world.registered, 1)
        self.assertEqual((len(self.told.registered), self.told.lost), (1, []))

    def test_renewed_cheaply(self) -> None:
        """A record that says what it said is prolonged without a document, for ten minutes."""
        self.registered()
        record = self.result(self.client.peer(ALICE.peer_id))
        self.run_for(REGISTER_AGAIN - 30)
        again = self.result(self.client.peer(ALICE.peer_id))
        self.assertEqual(again["as_of"], record["as_of"])
        self.run_for(60)
        again = self.result(self.client.peer(ALICE.peer_id))
        self.assertGreaterEqual(again["as_of"] - record["as_of"], REGISTER_AGAIN)

    def test_registry_set(self) -> None:
        """Where the registry's clock was set, it is registered again, for new credentials."""
        self.registered()
        for days in (2, 0, -700):
            self.world.host.clock_error = days * 86_400.0
            self.run_for(RENEWAL + 1)
            record = self.result(self.client.peer(ALICE.peer_id))
            self.assertLess(abs(record["as_of"] - self.client.now()), RENEWAL + 2)
            self.assertLess(abs(self.world.registry.wall_time() - self.client.now()), 2)
        self.assertEqual((len(self.told.registered), self.told.lost), (1, []))

    def test_renewal_unknown(self) -> None:
        """Where the registry doesn't know the lease, it is registered again without a word."""
        self.registered()
        store = self.world.registry.store
        store.directory.remove(ALICE.peer_id)  # type: ignore[attr-defined]
        self.run_for(25)
        self.assertEqual((self.world.registered, self.told.lost), (1, []))

    def test_registry_unable(self) -> None:
        """A renewal that is answered 503 costs neither the stream nor a word."""
        self.registered()
        store = self.world.registry.store = BusyStore(self.world, None)
        self.run_for(45)
        self.world.registry.store = store.original
        self.run_for(60)
        self.assertEqual((self.told.lost, self.world.registered), ([], 1))
        self.assertGreater(self.world.registry.metrics.errors[503], 0)

    def test_renew_now(self) -> None:
        """What the record says can be told at once."""
        names = ["alice"]
        self.told = Told()
        self.connection = RegistryConnection(
            self.client,
            self.runtime(self.host),
            lambda: Registration(names[-1]),
            self.told.callbacks(),
        )
        self.registered()
        names.append("alicia")
        self.result(self.connection.renew())
        record = self.result(self.client.peer(ALICE.peer_id))
        self.assertEqual(record["username"], "alicia")

    def test_documents(self) -> None:
        """Documents of others come to the listener as they are."""
        self.registered()
        bob = self.make_client(BOB)
        self.result(bob.register(Registration("bob")))
        key = sealing_key(ALICE).record_key
        for number in range(3):
            self.result(bob.deliver(ALICE.peer_id, Ringing(str(number)), key))
        self.run_for(1)
        self.assertEqual(len(self.told.documents), 3)


class AwayTests(ConnectionCase):
    """While it isn't."""

    def test_growing_waits(self) -> None:
        """It is tried again and again, each wait about twice the last, up to LONGEST_WAIT."""
        self.world.host.kill()
        self.connection.start()
        self.run_for(90)
        waits = [wait for _, wait in self.told.lost]
        self.assertGreater(len(waits), 8)
        for number, wait in enumerate(waits):
            expected = min(FIRST_WAIT * 2**number, LONGEST_WAIT)
            self.assertGreaterEqual(wait, expected * 0.5)
            self.assertLessEqual(wait, expected * 1.5)
        self.assertGreater(len({wait / LONGEST_WAIT for wait in waits[4:]}), 2)

    def connection_that(self, act: Callable[[], object]) -> RegistryConnection:
        """Return a lease whose owner does this when it hears that the registry is away."""

        def lost(reason: str, wait: float) -> None:
            self.told.lost.append((reason, wait))
            act()

        callbacks = Callbacks(self.told.registered.append, lost, self.told.documents.append)
        runtime = self.runtime(self.host)
        return RegistryConnection(self.client, runtime, lambda: Registration("alice"), callbacks)

    def test_stop_when_lost(self) -> None:
        """Who stops it on hearing of the trouble has stopped it."""
        self.world.host.kill()

        def stop() -> None:
            self.connection.stop()

        self.connection = self.connection_that(stop)
        self.connection.start()
        self.run_for(30)
        self.assertEqual((len(self.told.lost), self.timers), (1, 0))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_refresh_when_lost(self) -> None:
        """Who wants to try again at once, on hearing of the trouble, may."""
        self.world.host.kill()

        def at_once() -> None:
            if len(self.told.lost) == 1:
                self.connection.refresh()

        self.connection = self.connection_that(at_once)
        self.connection.start()
        self.run_for(30)
        self.assertGreater(len(self.told.lost), 2)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.connection.stop()

    def test_waits_are_kept(self) -> None:
        """The wait that was told is the one that is kept."""
        self.world.host.kill()
        self.connection.start()
        self.world.wait(lambda: self.told.lost, 5, "the failure")
        spent = self.world.wait(lambda: len(self.told.lost) == 2, 5, "the next")
        self.assertLess(abs(spent - self.told.lost[0][1]), 0.4)

    def test_away_and_back(self) -> None:
        """A registry that comes back without memory has us again, and waits begin anew."""
        self.registered()
        for _ in range(2):
            self.world.host.kill()
            self.run_for(60)
            lost = len(self.told.lost)
            self.assertGreater(lost, 3)
            self.world.host.boot()
            self.world.boot_registry()
            self.world.wait(lambda: self.is_online, 1.5 * LONGEST_WAIT + SLACK, "us again")
            self.run_for(2 * LONGEST_WAIT)
        self.assertEqual(len(self.told.registered), 3)
        self.reboot()
        self.run_for(SLACK)
        self.assertLessEqual(self.told.lost[-1][1], 1.5 * FIRST_WAIT)

    def test_restart_is_noticed(self) -> None:
        """A registry that restarts has us again within moments: the stream's end is the sign."""
        self.registered()
        self.reboot()
        self.assertLess(self.world.wait(lambda: self.is_online, 5, "us again"), 1)

    def test_bye(self) -> None:
        """A registry that says goodbye is told as that, and we are at the next within a second."""
        self.registered()
        self.world.registry.streams.end(ALICE.peer_id, "bye")
        self.run_for(0.1)
        (told,) = self.told.lost
        self.assertIn("is stopping or restarting", told[0])
        self.assertLess(self.world.wait(lambda: self.is_online, 5, "us again"), 0.9)
        self.assertEqual(len(self.told.lost), 1)

    def test_network_away(self) -> None:
        """A network that goes without a word is noticed by the next renewal."""
        self.registered()
        self.host.online = False
        self.world.wait(lambda: self.told.lost, 30, "the loss")
        self.host.online = True
        self.world.wait(lambda: self.is_online and len(self.told.registered) == 2, 30, "us again")

    def test_no_registry(self) -> None:
        """Something that answers as no registry does is told, and tried again."""
        other = self.world.internet.host(OTHER)
        for body, word in (
            (b"<html></html>", "no p2pchat registry"),
            (b"{}", "JSON that isn't a p2pchat registry's"),
            (b'{"lease": "long"}', "lease"),
        ):
            site = Site(Page(200, body), reactor=other.reactor)
            port = other.reactor.listenTCP(HTTP_PORT, site)
            client = self.make_client(ALICE, self.host, f"http://{OTHER}:{HTTP_PORT}")
            connection, told = self.make_connection(client)
            connection.start()
            self.run_for(5)
            self.assertGreater(len(told.lost), 1)
            self.assertIn(word, told.lost[0][0])
            self.assertEqual(told.registered, [])
            connection.stop()
            self.result(client.close())
            port.stopListening()
            self.run_for(0.1)

    def test_short_success(self) -> None:
        """A registry that takes us and ends the stream at once is asked less and less often."""
        self.connection.start()
        for _ in range(600):
            self.run_for(0.1)
            if self.is_online:
                self.world.registry.streams.end(ALICE.peer_id, "bye")
        waits = [wait for _, wait in self.told.lost]
        self.assertGreater(waits[-1], LONGEST_WAIT / 2)
        self.assertLess(len(waits), 20)

    def connection_with(self, *mistakes: Exception) -> RegistryConnection:
        """Return a connection where saying who we are goes wrong, these times."""
        left = list(mistakes)

        def describe() -> Registration:
            if left:
                raise left.pop(0)
            return Registration("alice")

        runtime = self.runtime(self.host)
        return RegistryConnection(self.client, runtime, describe, self.told.callbacks())

    def test_mistakes(self) -> None:
        """What nobody thought of is a failed try, logged once, and the next one comes."""
        mistakes = [OverflowError("too large"), OverflowError("too large"), KeyError("x")]
        self.connection = self.connection_with(*mistakes)
        self.registered()
        self.assertEqual(
            [type(one.value) for one in self.flushLoggedErrors()], [OverflowError, KeyError]
        )
        reasons = [reason for reason, _ in self.told.lost]
        self.assertEqual(len(reasons), 3)
        self.assertIn("OverflowError", reasons[0])

    def test_mistake_when_renewing(self) -> None:
        """So it is where the lease is prolonged: the peer registers anew."""
        mistakes: list[Exception] = []

        def describe() -> Registration:
            if mistakes:
                raise mistakes.pop()
            return Registration("alice")

        runtime = self.runtime(self.host)
        self.connection = RegistryConnection(self.client, runtime, describe, self.told.callbacks())
        self.registered()
        mistakes.append(UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates"))
        self.run_for(RENEWAL + 5)
        self.assertEqual(len(self.flushLoggedErrors(UnicodeEncodeError)), 1)
        self.assertEqual((len(self.told.lost), len(self.told.registered)), (1, 2))
        self.assertTrue(self.is_online)


class DisplacedTests(ConnectionCase):
    """Where two programs have one identity."""

    def setUp(self) -> None:
        super().setUp()
        self.registered()
        self.other_host = self.world.internet.host()
        self.other, self.other_told = self.make_connection(
            self.make_client(ALICE, self.other_host), self.other_host
        )

    def displace(self) -> None:
        """Start the other program."""
        self.other.start()
        self.world.wait(lambda: self.told.lost, 5, "the loss")

    def test_said_once(self) -> None:
        """The displaced one says so once, with what to do, and leaves the other alone."""
        self.displace()
        self.run_for(4 * 3600)
        ((reason, wait),) = self.told.lost
        self.assertIn("another program with the same identity", reason)
        self.assertIn("--state", reason)
        self.assertGreaterEqual(wait, DISPLACED_WAIT / 2)
        self.assertEqual((len(self.told.registered), self.other_told.lost), (1, []))
        self.assertIs(self.connection.stage, ConnectionStage.DISPLACED)

    def test_takes_over(self) -> None:
        """When the other is gone it is registered again, without a word in between."""
        self.displace()
        self.run_for(60)
        self.other.stop()
        self.world.wait(lambda: len(self.told.registered) == 2, 8 * DISPLACED_WAIT, "us again")
        self.assertEqual(len(self.told.lost), 1)
        self.assertIs(self.connection.stage, ConnectionStage.REGISTERED)

    def test_asked_by_the_person(self) -> None:
        """It takes over at once where its person wants something; the other then gives way."""
        self.displace()
        self.connection.refresh()
        self.run_for(1)
        self.assertEqual((len(self.told.registered), len(self.other_told.lost)), (2, 1))
        self.assertIs(self.connection.stage, ConnectionStage.REGISTERED)
        self.assertIs(self.other.stage, ConnectionStage.DISPLACED)

    def test_taking_turns(self) -> None:
        """Who takes over and is displaced again waits longer: a short success resets nothing."""
        self.displace()
        for _ in range(4):
            self.connection.refresh()
            self.run_for(1)
            self.other.refresh()
            self.run_for(1)
        waits = [wait for _, wait in self.told.lost]
        self.assertEqual(len(waits), 5)
        self.assertGreaterEqual(waits[-1], DISPLACED_WAIT * 16 / 2)
        self.assertNotIn("--state", self.told.lost[-1][0])

    def test_registry_away(self) -> None:
        """While the registry is away nobody knows whether the other is; both come back."""
        self.displace()
        self.world.host.kill()
        self.run_for(1800)
        self.assertEqual((len(self.told.lost), len(self.told.registered)), (1, 1))
        self.world.host.boot()
        self.world.boot_registry()
        self.run_for(2 * DISPLACED_LONGEST)
        self.assertEqual(len(self.told.registered), 1)
        self.other.stop()
        self.run_for(2 * DISPLACED_LONGEST)
        self.assertEqual(len(self.told.registered), 2)

    def test_stopped(self) -> None:
        """A displaced one can be stopped, and does nothing more."""
        self.displace()
        self.connection.stop()
        self.run_for(1)
        self.result(self.client.close())
        self.assertEqual(self.timers, 0)


class RefreshTests(ConnectionCase):
    """When the network has changed."""

    def test_registered(self) -> None:
        """A new stream is opened at once, told as a new registration; the old one is nobody's."""
        self.registered()
        self.connection.refresh()
        self.world.wait(lambda: len(self.told.registered) == 2, SLACK, "a new registration")
        self.run_for(5)
        self.assertTrue(self.is_online)
        self.assertEqual(self.told.lost, [])

    def test_after_moving(self) -> None:
        """On another network documents come again, though the old connection never ended."""
        self.registered()
        self.host.move()
        self.run_for(0.1)
        self.connection.refresh()
        self.world.wait(lambda: len(self.told.registered) == 2, 15, "a new registration")
        bob = self.make_client(BOB)
        self.result(bob.register(Registration("bob")))
        self.result(bob.deliver(ALICE.peer_id, Ringing("s"), sealing_key(ALICE).record_key))
        self.run_for(1)
        self.assertEqual(len(self.told.documents), 1)

    def test_waiting(self) -> None:
        """The wait is cut short."""
        self.world.host.kill()
        self.connection.start()
        self.world.wait(lambda: len(self.told.lost) > 5, 60, "a long wait")
        self.world.host.boot()
        self.world.boot_registry()
        self.connection.refresh()
        self.world.wait(lambda: self.told.registered, SLACK, "the registration")

    def test_connecting(self) -> None:
        """A refresh while it connects is the connecting itself; before the start it is nothing."""
        self.connection.refresh()
        self.connection.start()
        self.connection.refresh()
        self.run_for(1)
        self.assertEqual(len(self.told.registered), 1)


class AskedTests(ConnectionCase):
    """Where the registry says with Retry-After when to come back."""

    def busy(self, seconds: int, status: int = 503) -> BusyStore:
        """Let the registry's store be busy, from now on."""
        store = self.world.registry.store = BusyStore(self.world, seconds, status)
        return store

    def assert_waited(self, wait: float, asked: float) -> None:
        """This wait is no shorter than asked, and longer by the scatter at most."""
        self.assertGreaterEqual(wait, asked - 0.001)
        self.assertLessEqual(wait, asked * (1 + JITTER) + SLACK)

    def test_registering(self) -> None:
        """The next try comes no sooner; the reason says so to the person, and how long it is."""
        store = self.busy(60)
        self.connection.start()
        self.run_for(300)
        self.assertGreater(len(store.asked), 3)
        for before, after in pairwise(store.asked):
            self.assert_waited(after - before, 60)
        for reason, wait in self.told.lost:
            self.assertIn("the store is busy; worth asking again in 60 seconds", reason)
            self.assert_waited(wait, 60)

    def test_own_wait_is_longer(self) -> None:
        """Where our own wait has grown beyond what is asked, it is kept."""
        store = self.busy(1)
        self.connection.start()
        self.run_for(60)
        waits = [after - before for before, after in pairwise(store.asked)]
        self.assertGreaterEqual(min(waits), 1.0)
        self.assertGreaterEqual(min(waits[5:]), 0.5 * LONGEST_WAIT)

    def test_stream_refused(self) -> None:
        """It holds as well where the record was taken and the event stream wasn't."""
        settings = self.world.registry.settings
        self.world.registry.settings = evolve(settings, streams=Limits(0, 1))
        self.connection.start()
        self.world.wait(lambda: self.told.lost, 5, "the refusal")
        ((reason, wait),) = self.told.lost
        self.assertIn("no room for another event stream", reason)
        self.assert_waited(wait, 10)

    def test_spread(self) -> None:
        """Who was refused at the same moment doesn't come back at the same moment."""
        self.busy(60)
        clients = [self.make_client(identity(number)) for number in range(20)]
        connections = [self.make_connection(client) for client in clients]
        for connection, _ in connections:
            connection.start()
        self.run_for(5)
        waits = [told.lost[0][1] for _, told in connections]
        for wait in waits:
            self.assert_waited(wait, 60)
        self.assertGreater(max(waits) - min(waits), 15)

    def test_lying_registry(self) -> None:
        """One that asks for a day has us back within minutes."""
        store = self.busy(86_400)
        self.connection.start()
        self.run_for(MAX_RETRY_AFTER * (1 + JITTER) + SLACK)
        self.assertEqual(len(store.asked), 2)
        self.assert_waited(store.asked[1] - store.asked[0], MAX_RETRY_AFTER)

    @each(429, 503)
    def test_renewing(self, status: int) -> None:
        """A renewal that is refused for the moment costs no stream, and none comes too soon."""
        self.registered()
        store = self.busy(25, status)
        self.run_for(RENEWAL + 24)
        self.assertEqual((len(store.asked), self.told.lost), (1, []))
        self.world.registry.store = store.original
        self.run_for(60)
        self.assertEqual((self.told.lost, self.world.registered), ([], 1))

    def test_renewing_now(self) -> None:
        """What would be told at once waits as well."""
        self.registered()
        store = self.busy(30)
        self.result(self.connection.renew())
        self.assertEqual(len(store.asked), 1)
        for _ in range(10):
            self.run_for(1)
            self.result(self.connection.renew())
        self.assertEqual((len(store.asked), self.told.lost), (1, []))

    def test_refresh_while_waiting(self) -> None:
        """Whose network has changed comes at once, and is refused as whoever it is now."""
        store = self.busy(60)
        self.connection.start()
        self.run_for(20)
        self.connection.refresh()
        self.run_for(1)
        self.assertEqual(len(store.asked), 2)
        _, (_, wait) = self.told.lost
        self.assert_waited(wait, 60)
        self.run_for(59)
        self.assertEqual(len(store.asked), 2)

    def test_refresh_while_registered(self) -> None:
        """A stream that may be dead is renewed although a renewal of the lease was refused."""
        self.registered()
        store = self.busy(30)
        self.result(self.connection.renew())
        self.world.registry.store = store.original
        self.connection.refresh()
        self.run_for(1)
        self.assertEqual((len(self.told.registered), self.told.lost), (2, []))
        self.assertTrue(self.is_online)

    def test_refresh_after_stop(self) -> None:
        """The stop ends the wait, and nothing begins another."""
        store = self.busy(60)
        self.connection.start()
        self.run_for(1)
        self.connection.stop()
        self.connection.refresh()
        self.run_for(200)
        self.assertEqual((len(store.asked), len(self.told.lost)), (1, 1))

    def test_work_that_we_refuse(self) -> None:
        """Who doesn't do the work that would let it in sooner comes back when the others may."""
        challenge = Challenge(ALGORITHM, bytes(16), MAX_DIFFICULTY + 1, 1_800_000_060)
        page = Page(429, Problem(429, "work-required", "work", challenge).encode())
        page.retry_after = (b"120",)
        other = self.world.internet.host(OTHER)
        other.reactor.listenTCP(HTTP_PORT, Site(page, reactor=other.reactor))
        client = self.make_client(ALICE, self.host, f"http://{OTHER}:{HTTP_PORT}")
        connection, told = self.make_connection(client)
        connection.start()
        self.run_for(119)
        ((reason, wait),) = told.lost
        self.assertIn("another registry; worth asking again in 120 seconds", reason)
        self.assert_waited(wait, 120)


class StopTests(ConnectionCase):
    """Stopping, from anywhere."""

    def assert_still(self) -> None:
        """From now on nothing happens, whatever is asked."""
        before = len(self.told.registered), len(self.told.lost)
        self.connection.refresh()
        self.connection.stop()
        self.run_for(200)
        self.assertEqual((len(self.told.registered), len(self.told.lost)), before)
        self.assertFalse(self.is_online)
        self.result(self.client.close())
        self.assertEqual(self.timers, 0)

    def test_idle(self) -> None:
        """Before it began."""
        self.connection.stop()
        self.assert_still()

    @each(0.0, 0.02, 0.05, 0.08, 0.1, 0.12)
    def test_connecting(self, delay: float) -> None:
        """At any moment of connecting, a stream that opens too late included."""
        self.connection.start()
        self.run_for(delay)
        self.connection.stop()
        self.assert_still()
        self.assertEqual(self.told.lost, [])

    def test_registered(self) -> None:
        """While registered: the stream is closed, and the lease runs out."""
        self.registered()
        self.connection.stop()
        self.run_for(1)
        self.assertFalse(self.is_online)
        self.assert_still()
        self.assertEqual((self.world.registered, self.told.lost), (0, []))

    def test_waiting(self) -> None:
        """While waiting for the next try."""
        self.world.host.kill()
        self.connection.start()
        self.world.wait(lambda: self.told.lost, 5, "the failure")
        self.connection.stop()
        self.assertEqual(self.timers, 0)
        self.world.host.boot()
        self.world.boot_registry()
        self.assert_still()
