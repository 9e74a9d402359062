"""What comes when nobody expects it: offers, goodbyes and ends of links, each in an odd moment."""

from __future__ import annotations

import attrs

from p2pchat import events
from p2pchat.session.approval import RETRY_PATIENCE
from p2pchat.session.control import Answered
from p2pchat.session.link import PROOF_DEADLINE
from p2pchat.session.stages import LINGERING, Stage
from p2pchat.traversal.punching import FIRST_ROUND
from p2pchat.wire.documents import Offer, Refusal
from tests.session.pair import Peer
from tests.session.test_peer_session import SessionCase
from tests.session.test_strangers import fill


class OddCase(SessionCase):
    """Alice and Bob, and what shows that nothing is left."""

    def offer(self) -> Offer:
        """Return an offer like Alice's last one, but of another name."""
        offer = [one for one in self.alice.posted if isinstance(one, Offer)][-1]
        return attrs.evolve(offer, session=f"another at {self.now}")

    def unfit(self) -> Offer:
        """Return an offer whose key makes no secret."""
        offer = self.offer()
        unfit = attrs.evolve(offer.description, exchange=bytes(32))
        return attrs.evolve(offer, description=unfit)

    def says_nothing(self, peer: Peer, seconds: float) -> None:
        """Assert that a session is at its end, and stays there."""
        told = len(peer.told)
        self.pair.run(seconds)
        self.assertEqual(peer.told[told:], [])
        self.assertEqual((peer.session.stage, peer.session.path), (Stage.ENDED, None))
        self.assertFalse(peer.session.link)
        self.assertEqual((peer.session.get_timer(), peer.agent.attempts), (None, 0))


class OfferTests(OddCase):
    """Offers of one who has been accepted already."""

    def proving(self) -> None:
        """Let Alice call until there is a path, on which nothing is proved yet."""
        self.pair.join_for_checks()
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.bob.events(events.PathFound))
        self.assertIs(self.bob.session.stage, Stage.ANSWERING)

    def test_unfit_key(self) -> None:
        """One that can't be used ends the call before it too, with its link."""
        self.proving()
        self.bob.receive_document(self.unfit(), self.now)
        self.pair.run(0.001)
        self.assertEqual(self.bob.events(events.CallFailed)[0].reason, "not-proved")
        self.alice.session.disconnect(self.now)
        self.says_nothing(self.bob, PROOF_DEADLINE)
        self.assertEqual(self.bob.events(events.Connected), [])

    def test_no_room(self) -> None:
        """One that finds no room changes nothing for the call that has a path already."""
        self.proving()
        self.pair.join()
        fill(self.bob, self.now)
        self.bob.receive_document(self.offer(), self.now)
        self.pair.run_until(lambda: self.alice.session.is_open and self.bob.session.is_open)

    def test_no_room_before_a_path(self) -> None:
        """One that finds no room leaves nothing of the call that has none, not even its link."""
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.bob.events(events.Checking))
        fill(self.bob, self.now)
        self.bob.receive_document(self.offer(), self.now)
        self.assertIs(self.bob.session.stage, Stage.ENDED)
        self.assertFalse(self.bob.session.link)

    def test_unfit_key_in_a_rescue(self) -> None:
        """One that can't be used doesn't end the search for a lost path."""
        self.pair.connect()
        self.pair.part()
        self.pair.registry_is_up = False
        self.pair.say(self.bob, "hello?")
        self.pair.run_until(lambda: self.bob.session.stage is Stage.RESCUING, 30)
        self.bob.session.link.close("over", self.now)
        self.bob.receive_document(self.unfit(), self.now)
        calling = len(self.bob.events(events.Calling))
        self.pair.run(10)
        self.assertGreater(len(self.bob.events(events.Calling)), calling)

    def test_yes_taken_back(self) -> None:
        """Whoever isn't welcome any more between two attempts is asked about, in so many words."""
        self.bob.welcome = False
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.bob.session.is_offered)
        self.pair.part()
        self.bob.endpoint.accept(self.bob.session, self.now)
        self.pair.run_until(lambda: self.bob.session.stage is Stage.AWAITING_RETRY, RETRY_PATIENCE)
        self.bob.session.approval.disown()
        self.bob.receive_document(self.offer(), self.now)
        self.pair.run(0.001)
        self.assertTrue(self.bob.session.is_offered)
        failed, asked = self.bob.told[-2:]
        assert isinstance(failed, events.CallFailed)
        assert isinstance(asked, events.OfferReceived)
        self.assertEqual((failed.reason, asked.accepted), ("no-path", False))


class GoodbyeTests(OddCase):
    """DISCONNECT while another path is looked for."""

    def setUp(self) -> None:
        super().setUp()
        self.pair.connect()

    def leave(self) -> None:
        """Let Bob say DISCONNECT, and go on as if he hadn't."""
        self.bob.session.link.control.leave("left")
        self.bob.endpoint.beat(self.now)

    def test_our_call(self) -> None:
        """Our own offer is taken back, and no failure is told after the end."""
        self.pair.registry_is_up = False
        self.alice.session.network_changed(self.now)
        self.leave()
        self.pair.run_until(lambda: self.alice.events(events.Disconnected))
        self.pair.run(LINGERING)
        self.says_nothing(self.alice, 10)

    def test_their_call(self) -> None:
        """Their offer, accepted already, makes no path after the end."""
        self.bob.session.network_changed(self.now)
        self.pair.run_until(lambda: len(self.alice.events(events.Checking)) == 2)
        self.leave()
        self.pair.registry_is_up = False
        self.pair.run_until(lambda: self.alice.events(events.Disconnected))
        self.pair.run(LINGERING)
        self.says_nothing(self.alice, FIRST_ROUND + 1)

    def test_calling_again(self) -> None:
        """Who calls before a goodbye has arrived calls once, though the link ends meanwhile."""
        self.alice.session.disconnect(self.now)
        self.alice.call(self.now)
        self.alice.session.link.probe(self.now - LINGERING)
        self.pair.run_until(lambda: len(self.alice.events(events.Connected)) == 2)
        self.alice.session.disconnect(self.now)
        self.pair.run(LINGERING)
        self.says_nothing(self.alice, 10)


class LinkTests(OddCase):
    """Links that end while a path for them is looked for."""

    def test_ended_since(self) -> None:
        """Where the link that was to go on has ended, the conversation isn't open for ever."""
        self.pair.connect()
        self.alice.session.network_changed(self.now)
        self.pair.run_until(lambda: len(self.bob.events(events.Checking)) == 2)
        self.bob.session.link.close("over", self.now)
        self.pair.run_until(lambda: len(self.bob.events(events.PathFound)) == 2)
        self.pair.part()
        self.pair.registry_is_up = False
        self.pair.run_until(lambda: self.bob.events(events.PathLost), PROOF_DEADLINE + 5)


class ImprovementTests(OddCase):
    """A search for a better path, on one that carries nothing but checks any more."""

    def test_in_rescue(self) -> None:
        """Its failure is no refusal: the conversation goes on as soon as a path does."""
        pair = self.pair
        pair.connect()
        pair.part()
        pair.say(self.alice, "are you there?")
        pair.run_until(lambda: self.alice.events(events.PathLost), 60)
        pair.join_for_checks()
        found = len(self.alice.events(events.PathFound))
        pair.run_until(lambda: len(self.alice.events(events.PathFound)) > found, 30)
        pair.registry_is_up = False
        pair.part()
        self.alice.session.network_changed(self.now)
        pair.run(12)
        self.assertIs(self.alice.session.stage, Stage.RESCUING)
        pair.registry_is_up = True
        pair.join()
        pair.run_until(self.bob.texts, 60)
        self.assertEqual(self.alice.events(events.Disconnected), [])

    def test_theirs_goes_on(self) -> None:
        """A path that works again for one side takes back no search but its own."""
        pair = self.pair
        pair.connect()
        pair.part()
        for one in pair.both:
            pair.say(one, "are you there?")
        checking = len(self.bob.events(events.Checking))
        pair.run_until(lambda: len(self.bob.events(events.Checking)) > checking, 60)
        self.assertIs(self.bob.session.stage, Stage.RESCUING)
        self.bob.session.link.control.events.append(Answered())
        self.bob.session.handle_timer(self.now)
        self.assertIs(self.bob.session.stage, Stage.OPEN)
        pair.run(1)
        pair.join()
        pair.run_until(lambda: self.alice.texts() and self.bob.texts(), 60)
        self.assertEqual([one for one in self.bob.posted if isinstance(one, Refusal)], [])
        self.assertEqual(self.alice.events(events.Disconnected), [])
