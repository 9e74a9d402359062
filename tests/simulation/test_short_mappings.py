"""NATs that forget sooner than the heartbeat: the peers notice, and beat faster."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.peer.settings import DEFAULT_HEARTBEAT
from tests.simulation.allocation import PreservingAllocation
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC, NatKind
from tests.simulation.world import Person, World

EXPIRY = 10.0  # seconds
IDLE = 600.0  # seconds
FEW = 4  # paths that may be lost until the lesson is learned
LEARNED = 120.0  # seconds by when it is


class ShortMappingTests(SynchronousTestCase):
    """Alice's NAT forgets what is idle for EXPIRY; Bob's does not."""

    def couple(self, kind: NatKind, expiry: float = EXPIRY, seed: int = 3) -> None:
        """Let the two come to talk."""
        self.world = World(seed)
        self.nat = self.world.internet.nat(kind=kind, expiry=expiry)
        self.alice, self.bob = self.world.couple(self.nat, self.world.nat(PORT_RESTRICTED_CONE))
        self.world.connect(self.alice, self.bob)

    def losses(self) -> list[Person]:
        """Return whoever lost a path, as often as it was lost."""
        return [one for one in (self.alice, self.bob) for _ in one.events(events.PathLost)]

    def wait_for_line(self, speaker: Person, reader: Person) -> float:
        """Let somebody say a line; returns the seconds until it was read."""
        before = len(reader.texts())
        speaker.say("still there?", reader)
        return self.world.wait(lambda: len(reader.texts()) > before, 10, "the line")

    def test_idle_conversation(self) -> None:
        """In ten idle minutes the path is lost a few times at first, and then never again."""
        for kind in (PORT_RESTRICTED_CONE, SYMMETRIC):
            self.couple(kind)
            self.world.internet.run(LEARNED)
            lost = len(self.losses())
            self.assertLessEqual(lost, FEW)
            self.world.internet.run(IDLE - LEARNED)
            self.assertEqual(len(self.losses()), lost, str(kind))
            self.assertGreater(lost, 0, "or this NAT is none to learn from")

    def test_line_after_idleness(self) -> None:
        """Once it is learned, a line typed at any moment of an idle hour arrives at once."""
        self.couple(PORT_RESTRICTED_CONE)
        self.world.internet.run(LEARNED)
        lost = len(self.losses())
        for number in range(30):
            self.world.internet.run(100 + number * 0.5)
            speaker, reader = (self.alice, self.bob)[:: 1 if number % 2 else -1]
            self.assertLess(self.wait_for_line(speaker, reader), 0.3)
        self.assertEqual(len(self.losses()), lost)

    def test_first_line(self) -> None:
        """Before it is learned, a line typed after the mapping is gone costs one rescue."""
        self.couple(PORT_RESTRICTED_CONE)
        self.world.internet.run(EXPIRY + 2.5)
        self.assertLess(self.wait_for_line(self.bob, self.alice), 3)

    def test_port_preserved(self) -> None:
        """A NAT that gives the same port again shows nothing to STUN; lost paths teach as well."""
        self.couple(PORT_RESTRICTED_CONE)
        self.nat.mappings.allocation = PreservingAllocation()
        for number in range(60):
            self.world.internet.run(EXPIRY + 2.5 + number % 7)
            self.wait_for_line(self.bob, self.alice)
        lost = len(self.losses())
        self.assertLessEqual(lost, FEW)
        for number in range(60):
            self.world.internet.run(EXPIRY + 2.5 + number % 7)
            self.assertLess(self.wait_for_line(self.bob, self.alice), 0.3)
        self.assertEqual(len(self.losses()), lost)

    def test_told(self) -> None:
        """``/nat`` says how often something is sent; a NAT that keeps mappings isn't bothered."""
        self.couple(PORT_RESTRICTED_CONE)
        self.world.internet.run(LEARNED)
        self.assertTrue(0 < self.alice.node.nat().keepalive < EXPIRY)
        self.couple(PORT_RESTRICTED_CONE, expiry=30.0)
        self.world.internet.run(IDLE)
        self.assertEqual([one.node.nat().keepalive for one in (self.alice, self.bob)], [0, 0])
        self.assertEqual(self.losses(), [])

    def test_reboots(self) -> None:
        """A NAT that was rebooted now and then isn't taken for one that forgets."""
        self.couple(PORT_RESTRICTED_CONE, expiry=120.0)
        for _ in range(3):
            self.nat.reboot()
            self.world.internet.run(IDLE)
        self.assertTrue(self.losses())
        self.assertEqual(self.alice.node.nat().keepalive, 0)
        self.assertEqual(self.bob.node.nat().keepalive, 0)

    def test_another_network(self) -> None:
        """What was learned of one network isn't carried into the next."""
        self.couple(PORT_RESTRICTED_CONE)
        self.world.internet.run(LEARNED)
        self.assertLess(self.alice.node.nat().keepalive, DEFAULT_HEARTBEAT)
        self.alice.host.move(behind=self.world.internet.nat(kind=PORT_RESTRICTED_CONE))
        self.world.internet.run(60)
        self.assertEqual(self.alice.node.nat().keepalive, 0)
        self.assertLess(self.wait_for_line(self.alice, self.bob), 1)
