"""Links for services alone: who is on the other side may not talk before our person agrees."""

from __future__ import annotations

from p2pchat import events
from p2pchat.session.approval import AcceptPolicy, By
from p2pchat.session.stages import Stage
from p2pchat.wire.documents import Ringing
from tests.session.test_peer_session import SessionCase


class ChatConsentTests(SessionCase):
    """Bob lets Alice in for services alone, and would ask his person else."""

    def setUp(self) -> None:
        super().setUp()
        self.bob.welcome = self.alice.welcome = False
        self.bob.endpoint.serves = lambda _peer_id: True

    def open(self, by: By = By.SERVICE) -> None:
        """Let Alice call Bob."""
        self.alice.endpoint.call(self.alice.other, "", self.now, by)
        self.pair.run_until(lambda: all(one.session.is_open for one in self.pair.both))

    def asked(self) -> list[bool]:
        """Return how Bob was told of calls: whether each was accepted already."""
        return [one.accepted for one in self.bob.events(events.OfferReceived)]

    def test_unattended(self) -> None:
        """The link comes up, and nobody rings."""
        self.open()
        self.assertEqual(self.asked(), [True])
        self.assertTrue(self.bob.session.is_for_services and self.alice.session.is_for_services)
        self.assertEqual([one for one in self.bob.posted if isinstance(one, Ringing)], [])
        self.assertFalse(self.bob.session.is_offered)

    def test_without_grant(self) -> None:
        """Without a grant it rings."""
        self.bob.endpoint.serves = lambda _peer_id: False
        self.alice.endpoint.call(self.alice.other, "", self.now, By.SERVICE)
        self.pair.run(1)
        self.assertEqual((self.asked(), self.bob.session.stage), ([False], Stage.OFFERED))

    def test_asked(self) -> None:
        """What Alice says waits until Bob's person accepts, who is asked once."""
        self.open(By.PERSON)
        for text in ("hello", "are you there?"):
            self.pair.say(self.alice, text)
            self.pair.run(1)
        self.assertEqual((self.asked(), self.bob.texts()), ([True, False], []))
        self.assertEqual(self.alice.session.conversation.undelivered, 2)
        self.assertTrue(self.bob.session.is_offered)
        self.assertEqual(self.bob.session.shown_stage, "offered")
        before = len(self.bob.events(events.Connected))
        self.bob.endpoint.accept(self.bob.session, self.now)
        self.pair.run(1)
        self.assertEqual(self.bob.texts(), ["hello", "are you there?"])
        self.assertEqual(len(self.bob.events(events.Connected)), before + 1)
        self.assertEqual(self.alice.session.conversation.undelivered, 0)
        self.assertFalse(self.bob.session.is_offered)
        self.pair.chat()

    def test_declined(self) -> None:
        """Bob's person may decline: the link stays for services, and nothing asks again."""
        self.open(By.PERSON)
        self.pair.say(self.alice, "hello")
        self.pair.run(1)
        self.bob.session.reject(self.now)
        self.pair.say(self.alice, "please")
        self.pair.run(1)
        self.assertEqual((self.asked(), self.bob.texts()), ([True, False], []))
        self.assertTrue(self.bob.session.is_open)
        self.alice.session.disconnect(self.now)
        self.pair.run_until(lambda: not self.bob.session.is_alive, within=30)
        self.open(By.PERSON)
        self.pair.run(1)
        self.assertEqual(self.asked(), [True, False, True, False])

    def test_gone(self) -> None:
        """Where Alice leaves before she was accepted, the question is taken back."""
        self.open(By.PERSON)
        self.pair.say(self.alice, "hello")
        self.pair.run(1)
        self.alice.session.disconnect(self.now)
        self.pair.run_until(lambda: not self.bob.session.is_alive, within=30)
        self.assertEqual(len(self.bob.events(events.OfferEnded)), 1)
        self.assertEqual(self.bob.texts(), [])

    def test_we_write(self) -> None:
        """Who writes to one who was let in for services wants to talk, both ways."""
        self.open()
        self.pair.say(self.bob, "what do you want there?")
        self.pair.run(1)
        self.assertEqual(self.alice.texts(), [])
        self.assertTrue(self.alice.session.is_offered)
        self.pair.say(self.alice, "the page")
        self.pair.run(1)
        self.assertEqual(
            (self.alice.texts(), self.bob.texts()),
            (
                ["what do you want there?"],
                ["the page"],
            ),
        )

    def test_we_call(self) -> None:
        """Who calls one with whom there is a link for services talks over that."""
        self.open()
        for one in self.pair.both:
            one.call(self.now)
        self.assertEqual([one.session.is_for_services for one in self.pair.both], [False, False])
        self.pair.chat()

    def test_contact(self) -> None:
        """One whose calls are accepted anyway may talk at once."""
        self.bob.endpoint.policy, self.bob.known.is_contact = AcceptPolicy.CONTACTS, True
        self.open(By.PERSON)
        self.pair.chat()
        self.assertEqual(self.asked(), [True])

    def test_over_a_break(self) -> None:
        """A new path and a new link change nothing of it, and lose nothing."""
        self.open(By.PERSON)
        self.pair.say(self.alice, "hello")
        self.pair.run(1)
        self.pair.part()
        self.pair.run(30)
        self.pair.join()
        self.pair.run_until(lambda: all(one.session.is_open for one in self.pair.both), within=60)
        self.pair.run(1)
        self.assertEqual((self.asked(), self.bob.texts()), ([True, False], []))
        self.bob.session.accept(self.now)
        self.pair.run(1)
        self.assertEqual(self.bob.texts(), ["hello"])

    def test_bound(self) -> None:
        """What waits is bounded by the window of its stream; services aren't held up by it."""
        self.open(By.PERSON)
        for number in range(500):
            self.pair.say(self.alice, f"{number} ".ljust(1000))
        self.pair.run(5)
        self.assertEqual((self.asked(), self.bob.texts()), ([True, False], []))
        self.assertTrue(self.bob.session.is_open)
        self.bob.session.accept(self.now)
        self.pair.run_until(lambda: len(self.bob.texts()) == 500, within=30)
