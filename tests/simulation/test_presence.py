"""Presence of contacts, between whole peers and a whole registry."""

from __future__ import annotations

from p2pchat import events
from p2pchat.peer.outbox import LOOK_INTERVAL
from p2pchat.peer.presence import ABSENT, INTERVAL
from tests.simulation.contacts import ContactsCase


class PresenceCase(ContactsCase):
    """Alice and Bob, who is in no list."""

    is_bob_listed = False

    def stop_bob(self) -> None:
        """Let Bob leave."""
        self.world.result(self.bob.node.stop())

    def presence(self) -> str:
        """Return what Alice knows of Bob."""
        return self.alice.node.contacts()[0].presence

    def asked(self) -> int:
        """Return how many questions about many the registry has had."""
        answers = self.world.registry.metrics.answers
        return sum(n for (_, route, _), n in answers.items() if route == "/presence")


class PresenceTests(PresenceCase):
    """What Alice knows of Bob."""

    def test_states(self) -> None:
        """Bob, unlisted, is registered, reachable while a link is open, and then absent."""
        self.world.wait(lambda: self.presence() == "registered", INTERVAL)
        self.world.result(self.alice.node.connect("Bob"))
        self.world.wait(lambda: self.alice.is_connected_to(self.bob))
        self.assertEqual(self.presence(), "reachable")
        self.stop_bob()
        self.world.wait(lambda: self.presence() == "absent", 2 * INTERVAL)
        seen = self.alice.node.contacts()[0].last_seen
        self.assertLess(abs(seen - (self.alice.node.now())), 3 * INTERVAL + 5)

    def test_remembered(self) -> None:
        """When Bob was there last outlives Alice's program."""
        self.world.wait(lambda: self.presence() == "registered", INTERVAL)
        self.world.result(self.alice.node.stop())
        self.stop_bob()
        self.alices.kill(self.alice)
        again = self.alices.start(self.world)
        self.addCleanup(lambda: self.alices.kill(again))
        (info,) = again.node.contacts()
        self.assertEqual(info.presence, "")
        self.assertLess(abs(info.last_seen - (self.world.registry.wall_time())), INTERVAL + 5)

    def test_announced(self) -> None:
        """Bob, who comes after a while, is announced once; nobody calls him for it."""
        self.stop_bob()
        self.world.wait(lambda: self.presence() == "absent", 2 * INTERVAL)
        self.world.internet.run(ABSENT + INTERVAL)
        self.bobs.kill(self.bob)
        bob = self.start(self.bobs)
        told = self.alice.events(events.PresenceChanged)
        self.world.wait(
            lambda: len(self.alice.events(events.PresenceChanged)) > len(told), INTERVAL
        )
        came = self.alice.events(events.PresenceChanged)[-1]
        self.assertEqual((came.name, came.state, came.quiet), ("Bob", "registered", False))
        self.world.internet.run(2 * INTERVAL)
        self.assertEqual(self.alice.events(events.PresenceChanged)[-1], came)
        self.assertEqual(self.alice.events(events.Connected), [])
        self.assertFalse(self.alice.is_connected_to(bob))

    def test_one_request(self) -> None:
        """However many contacts lines wait for, one request looks for all of them."""
        contacts = self.alice.profile.contacts
        ids = [f"{number:08x}-0000-8000-8000-000000000000" for number in range(1, 51)]
        for number, peer_id in enumerate(ids):
            contacts.keep(peer_id, f"n{number}")
            self.alice.node.send(peer_id, "hello")
        self.world.internet.run(LOOK_INTERVAL)
        before = self.asked()
        self.world.internet.run(4 * LOOK_INTERVAL)
        self.assertLessEqual(self.asked() - before, 4 + 4 * LOOK_INTERVAL / INTERVAL + 2)

    def test_lines_go(self) -> None:
        """A line for Bob goes when he is there again, both programs having been restarted."""
        self.stop_bob()
        self.alice.say("later", self.bob)
        self.world.internet.run(2)
        self.bobs.kill(self.bob)
        bob = self.start(self.bobs)
        self.world.wait(lambda: bob.texts() == ["later"], 2 * LOOK_INTERVAL)


class InvisibleTests(PresenceCase):
    """Bob, who doesn't want to be seen."""

    def setUp(self) -> None:
        super().setUp()
        self.bob.node.indications.switch("invisible", True)
        self.world.internet.run(1)

    def test_unseen(self) -> None:
        """Nobody sees him registered, and he asks for nobody."""
        self.world.wait(lambda: self.presence() == "absent", 2 * INTERVAL)
        self.assertEqual(self.bob.node.contacts()[0].presence, "")
        found = self.world.result(self.alice.node.peers())
        self.assertNotIn(self.bob.node.peer_id, [one.peer_id for one in found])

    def test_calls(self) -> None:
        """A call to him fails like one to somebody who isn't there; lines for him wait."""
        self.alice.say("are you there?", self.bob)
        self.world.internet.run(3 * LOOK_INTERVAL)
        self.assertEqual(self.bob.texts(), [])
        self.world.result(self.alice.node.connect("Bob"))
        self.world.wait(lambda: self.alice.events(events.CallFailed), 2 * LOOK_INTERVAL)
        failed = self.alice.events(events.CallFailed)[-1]
        self.assertIn(failed.reason, {"unknown-peer", "peer-offline"})

    def test_lines(self) -> None:
        """His own lines go, for he calls; over that link those for him come, too."""
        self.alice.say("are you there?", self.bob)
        self.world.internet.run(LOOK_INTERVAL)
        self.bob.say("not for everybody", self.alice)
        self.world.wait(lambda: self.alice.texts() == ["not for everybody"], 2 * LOOK_INTERVAL)
        self.world.wait(lambda: self.bob.texts() == ["are you there?"])
        self.assertEqual(self.presence(), "reachable")

    def test_again(self) -> None:
        """Visible again, he is found, and what waited for him goes."""
        self.alice.say("are you there?", self.bob)
        self.world.internet.run(LOOK_INTERVAL)
        self.bob.node.indications.switch("invisible", False)
        self.world.wait(lambda: self.bob.texts() == ["are you there?"], 2 * LOOK_INTERVAL)
