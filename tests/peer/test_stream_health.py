"""Event streams through a middlebox that holds them back, or ends them."""

from __future__ import annotations

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.event_stream import SILENCE
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.peer.registry_connection import READY_TIMEOUT
from p2pchat.peer.stream_health import LATE, SHORT_KEEPALIVE, SHORTEST_KEEPALIVE, StreamHealth
from p2pchat.registry.http.resource import RegistryResource
from p2pchat.registry.registry import Registry
from p2pchat.wire.documents import Ringing
from tests.cases import each
from tests.identity.people import ALICE, BOB, sealing_key
from tests.peer.middlebox import Habits, Middlebox
from tests.peer.registry_case import RegistryCase, registration
from tests.simulation.world import HTTP_PORT, REGISTRY, runtime_on

BOX = "203.0.113.90"
URL = f"http://{BOX}:{HTTP_PORT}"


class MiddleboxCase(RegistryCase):
    """Alice, whose registry is behind a middlebox."""

    def setUp(self) -> None:
        super().setUp()
        self.world.names = (URL, self.world.url)
        self.world.host.kill()
        self.world.host.boot()
        self.world.boot_registry()
        self.box = Middlebox(self.world.internet.host(BOX), (REGISTRY[0], HTTP_PORT))
        self.box.listen(HTTP_PORT)
        self.warned: list[str] = []
        self.client = RegistryClient(URL, ALICE, self.runtime(self.host), self.warn)
        self.connection, self.told = self.make_connection(self.client)

    def warn(self, sentence: str) -> None:
        """Keep what is said of the way."""
        if "is http://" not in sentence:
            self.warned.append(sentence)

    def begin(self, habits: Habits, seconds: float) -> None:
        """Let time pass with a middlebox of these habits."""
        self.box.habits = habits
        self.connection.start()
        self.run_for(seconds)

    @property
    def streams(self) -> int:
        """How many event streams there were."""
        return len(self.box.asked)

    def sends(self) -> bool:
        """Let Bob send a document; tells whether Alice has it within a second."""
        bob = self.make_client(BOB)
        self.result(bob.register(registration(BOB, "bob")))
        before = len(self.told.documents)
        self.result(bob.deliver(ALICE.peer_id, Ringing("a"), sealing_key(ALICE).record_key))
        self.run_for(1)
        return len(self.told.documents) > before


class HeldBackTests(MiddleboxCase):
    """What the registry sends is held back."""

    @each("body", "whole")
    def test_for_ever(self, what: str) -> None:
        """Nobody is registered who hears nothing, and the cause is named, within five seconds."""
        self.begin(Habits(holds=what), READY_TIMEOUT + 1)
        self.assertEqual(len(self.told.lost), 1)
        self.assertIn("something on the way holds it back", self.told.lost[0][0])
        self.run_for(120)
        self.assertEqual(self.told.registered, [])
        self.box.habits = Habits()
        self.world.wait(lambda: self.told.registered, 60, "the registration")
        self.assertTrue(self.sends())

    @each(1024, 4096)
    def test_collected(self, octets: int) -> None:
        """One that passes on full buffers alone is given enough to fill them; it is said once."""
        self.begin(Habits(collects=octets), READY_TIMEOUT + 2)
        self.assertEqual((len(self.told.lost), len(self.told.registered)), (1, 1))
        self.assertIn("padding=8192", self.box.asked[-1])
        self.run_for(100)
        self.assertTrue(self.sends())
        self.assertEqual((len(self.told.lost), len(self.warned)), (1, 1))
        self.assertIn("passes on what the registry sends only when there is much", self.warned[0])

    @each(Habits(late=4.0), Habits(late=8.0), Habits(late=15.0), Habits(lumps=10.0))
    def test_late(self, habits: Habits) -> None:
        """What comes late is better than none: it is said once how late."""
        self.begin(habits, 180)
        self.assertEqual(len(self.told.registered), 1)
        self.assertEqual(len(self.warned), 1)
        self.assertRegex(self.warned[0], r"arrives up to \d+ seconds late: something on the way")

    @each(Habits(), Habits(late=1.0), Habits(lumps=2.0))
    def test_in_time(self, habits: Habits) -> None:
        """Nothing is said of what comes a little late, as over a satellite."""
        self.begin(habits, 300)
        self.assertEqual((self.warned, self.told.lost, len(self.told.registered)), ([], [], 1))


class EndedTests(MiddleboxCase):
    """Streams are ended."""

    @each(7.0, 10.0, 14.0)
    def test_idle(self, seconds: float) -> None:
        """A proxy that gives up soon where nothing comes ends no stream: something does."""
        self.begin(Habits(idle=seconds), 300)
        self.assertEqual((len(self.told.lost), self.streams), (0, 1))
        self.assertIn(f"?keepalive={SHORT_KEEPALIVE}", self.box.asked[-1])
        self.assertEqual(self.warned, [])
        self.assertTrue(self.sends())

    @each(3.0, 4.0, 5.0)
    def test_very_short(self, seconds: float) -> None:
        """One that gives up within seconds ends two; the shortest keepalive keeps it awake."""
        self.begin(Habits(idle=seconds), 300)
        self.assertEqual((len(self.told.lost), self.streams), (2, 3))
        self.assertIn(f"?keepalive={SHORTEST_KEEPALIVE}", self.box.asked[-1])
        self.assertTrue(self.sends())

    @each(20.0, 30.0, 60.0)
    def test_longest(self, seconds: float) -> None:
        """One that ends every stream is told once; streams are opened anew before that."""
        self.begin(Habits(longest=seconds), 5 * seconds)
        lost = len(self.told.lost)
        self.assertLessEqual(lost, 4)
        self.run_for(600)
        self.assertEqual(len(self.told.lost), lost)
        self.assertEqual(len(self.warned), 1)
        self.assertIn(f"every {seconds:.0f} seconds, as a proxy's time limit", self.warned[0])
        self.assertTrue(self.sends())

    def test_by_chance(self) -> None:
        """Streams that end after different times are no proxy's."""
        self.begin(Habits(), 1)
        for age in (10, 30, 13, 50, 300, 20):
            self.run_for(age)
            self.world.host.kill()
            self.world.host.boot()
            self.world.boot_registry()
            self.run_for(20)
        self.assertEqual(self.warned, [])


class MovedTests(MiddleboxCase):
    """The registry was moved, and the old one doesn't know."""

    def test_moved(self) -> None:
        """One that has no event stream of ours gets one, without a word, within a renewal."""
        self.begin(Habits(), 2)
        other = self.world.internet.host("203.0.113.91")
        settings = attrs.evolve(self.world.registry.settings, stun_port=0)
        registry = Registry(runtime_on(other, self.world.random), settings)
        other.reactor.listenTCP(HTTP_PORT, RegistryResource(registry).site())
        registry.start()
        self.box.move(("203.0.113.91", HTTP_PORT))
        self.run_for(25)
        self.assertIn(ALICE.peer_id, registry.streams)
        self.assertNotIn(ALICE.peer_id, self.world.registry.streams)
        self.assertEqual(self.told.lost, [])


class StreamHealthTests(SynchronousTestCase):
    """The machine alone."""

    def setUp(self) -> None:
        self.warned: list[str] = []
        self.health = StreamHealth(self.warned.append)

    def live(self, begin: float, age: float) -> None:
        """Let a stream live for so long."""
        self.health.asked(begin, 0.1)
        self.health.ready(begin + 0.1)
        self.health.ended(begin + 0.1 + age)

    def test_sleep(self) -> None:
        """A machine that slept, and found what had waited, isn't behind a middlebox."""
        self.health.asked(0.0, 0.1)
        self.health.ready(0.1)
        for number in range(1, 9):
            self.health.alive(15.0 * number, 0.1 + 15.0 * number)
        self.health.alive(135.0, 300.0)
        for number in range(20, 30):
            self.health.alive(15.0 * number, 0.1 + 15.0 * number)
        self.assertEqual(self.warned, [])

    @each((5.0, 0.02, 8.1), (5.0, 4.0, 20.0), (15.0, 0.02, 18.1), (1e6, 0.02, SILENCE))
    def test_patience(self, interval: float, round_trip: float, most: float) -> None:
        """Silence tells soon where comments have come; how often they do decides, and how far."""
        self.health.asked(0.0, round_trip)
        self.health.ready(round_trip)
        self.assertEqual(self.health.patience(round_trip), SILENCE)
        self.health.alive(interval, interval + round_trip)
        self.assertLessEqual(self.health.patience(round_trip), most)
        self.assertGreater(self.health.patience(round_trip), min(interval, SILENCE - 1))
        self.health.asked(100.0, round_trip)
        self.assertEqual(self.health.patience(round_trip), SILENCE)

    def test_no_patience_lost(self) -> None:
        """Where something holds comments back, or lies of them, silence says no more."""
        for seconds, now in ((5.0, 5.0 + LATE), (0.0, 1.0)):
            self.health.asked(0.0, 0.0)
            self.health.ready(0.0)
            self.health.alive(seconds, now)
            self.assertEqual(self.health.patience(0.02), SILENCE)

    def test_numbers_of_a_liar(self) -> None:
        """Numbers that no registry would send change nothing."""
        self.health.asked(0.0, 0.1)
        self.health.ready(0.1)
        for seconds in (1e9, 0.0, 999_999_999.0):
            self.health.alive(seconds, 1.0)
        self.assertEqual(self.warned, [])

    def test_crashes(self) -> None:
        """Streams that end at once are no proxy's: nothing is opened anew for them."""
        for number in range(20):
            self.live(10.0 * number, 0.5)
        self.assertEqual((self.health.keepalive, self.health.renew_after), (SHORT_KEEPALIVE, None))
        self.assertGreater(LATE, 0)

    def test_never_soon(self) -> None:
        """Whatever ages there are, no stream is opened anew sooner than after a few seconds."""
        for number in range(40):
            self.live(1000.0 * number, 6.0 + number // 4)
        assert self.health.renew_after is not None
        self.assertGreater(self.health.renew_after, 4)

    def test_never_at_once(self) -> None:
        """Where streams live for a few seconds whatever is asked for, none is opened anew."""
        for number in range(20):
            self.live(100.0 * number, 3.0)
        self.assertEqual((self.health.keepalive, self.health.renew_after), (2, None))
