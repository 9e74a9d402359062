"""
Everything with one peer, below the node: what only shows in the machines themselves, or needs a
peer who breaks the rules.  What whole peers do is in tests/simulation/test_outages.py.
"""

from __future__ import annotations

from functools import partial

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.call import ANSWER_TIMEOUT, RING_TIMEOUT
from p2pchat.session.call_events import DeliveryFailure
from p2pchat.session.connection_report import ConnectionReport
from p2pchat.session.peer_session import RESCUE_PATIENCE
from p2pchat.session.stages import LINGERING, Stage
from p2pchat.wire.documents import Answer, Candidates, Description, Offer, Refusal, Ringing
from p2pchat.wire.entries import MAX_TEXT
from tests.cases import each
from tests.session.pair import HEARTBEAT, WALL, Pair, Peer

TOLD = events.PathFound | events.Connected | events.PathLost | events.CallFailed


class SessionCase(SynchronousTestCase):
    """Alice and Bob, who accepts every call."""

    def setUp(self) -> None:
        self.pair = Pair()
        self.alice, self.bob = self.pair.both

    @property
    def now(self) -> float:
        """The time on the wire."""
        return self.pair.wire.now


class CallTests(SessionCase):
    """From a call to a conversation."""

    def test_beginning(self) -> None:
        """A session begins with nothing under way."""
        session = self.alice.session
        self.assertEqual((session.stage, session.get_timer()), (Stage.ENDED, None))
        self.assertTrue(session.is_over(self.now))
        self.assertEqual(session.report(0.0), ConnectionReport())

    def test_story_of_a_call(self) -> None:
        """Both hear of the call, the checks, the path and the conversation, in this order."""
        self.pair.connect()
        kinds = (events.Checking, events.PathFound, events.Connected)
        for one, first in ((self.alice, events.Calling), (self.bob, events.OfferReceived)):
            self.assertEqual([type(event) for event in one.told], [first, *kinds])
        self.assertEqual((self.alice.session.name, self.bob.session.name), ("bob", "alice"))
        self.assertEqual([type(one) for one in self.alice.posted], [Offer, Candidates])
        self.assertEqual([type(one) for one in self.bob.posted], [Answer])
        story = self.alice.session.report(0.0)
        assert story.path is not None
        self.assertEqual((story.path.local, story.path.remote), ("host", "host"))

    def test_stages(self) -> None:
        """The words of a list on a screen follow the call."""
        self.bob.welcome = False
        self.alice.call(self.now)
        self.assertEqual(self.alice.session.shown_stage, "calling")
        self.pair.run(0.1)
        stages = self.alice.session.shown_stage, self.bob.session.shown_stage
        self.assertEqual(stages, ("ringing", "offered"))
        self.bob.session.accept(self.now)
        self.pair.run(1)
        self.assertEqual([one.session.shown_stage for one in self.pair.both], ["open", "open"])
        self.pair.part()
        self.pair.say(self.alice, "?")
        self.pair.run(5)
        self.assertEqual(self.alice.session.shown_stage, "reconnecting")

    def test_call_back_accepts(self) -> None:
        """Who calls one whose offer waits accepts it."""
        self.bob.welcome = False
        self.alice.call(self.now)
        self.pair.run(0.1)
        self.bob.call(self.now)
        self.pair.run_until(lambda: self.alice.session.is_open and self.bob.session.is_open)
        self.assertFalse([one for one in self.bob.posted if type(one) is Offer])

    def test_nothing_to_answer(self) -> None:
        """Accepting or rejecting without an offer does nothing."""
        self.bob.session.accept(self.now)
        self.bob.session.reject(self.now)
        self.pair.run(1)
        self.assertEqual((self.bob.told, self.bob.posted), ([], []))

    def test_offer_twice(self) -> None:
        """An offer that is delivered twice, at once or after the answer, is one call."""
        self.alice.call(self.now)
        offer = self.alice.posted_now(self.now)[0]
        for delay in (0.0, 0.0, 0.5):
            self.pair.run(delay)
            self.bob.receive_document(offer, self.now)
        self.pair.run(1)
        self.assertEqual(len(self.bob.events(events.OfferReceived)), 1)
        self.assertEqual([type(one) for one in self.bob.posted], [Answer])

    def test_crossing(self) -> None:
        """Of two offers that cross, that of the lower id counts; nobody is asked."""
        for one in self.pair.both:
            one.welcome = False
            one.call(self.now)
        self.pair.run_until(lambda: self.alice.session.is_open and self.bob.session.is_open)
        self.assertEqual([type(one) for one in self.alice.posted], [Offer, Offer, Candidates])
        self.assertEqual(len({one.session for one in self.alice.posted}), 1, "repeated, not new")
        self.assertEqual([type(one) for one in self.bob.posted], [Offer, Answer])
        self.pair.chat()
        for one in self.pair.both:
            self.assertEqual(len(one.events(events.Connected)), 1)

    def test_crossing_late(self) -> None:
        """The other one may come when there is a path, or a conversation: it changes nothing."""
        for late in (0.0, 0.001, 0.01, 0.1, 1.0):
            pair = Pair()
            for one in pair.both:
                one.call(pair.wire.now)
            (offer,) = (one for one in pair.bob.posted_now(pair.wire.now) if isinstance(one, Offer))
            pair.run_until(partial(pair.alice.events, events.PathFound))
            pair.run(late)
            pair.alice.receive_document(offer, pair.wire.now)
            pair.run(10)
            for one in pair.both:
                told = [type(event) for event in one.told if isinstance(event, TOLD)]
                self.assertEqual(told, [events.PathFound, events.Connected], late)

    def test_unfit_key(self) -> None:
        """An offer whose key makes no secret is declined, and the person is told."""
        self.alice.call(self.now)
        (offer,) = self.alice.posted_now(self.now)
        assert isinstance(offer, Offer)
        unfit = attrs.evolve(offer.description, exchange=bytes(32))
        bad = attrs.evolve(offer, description=unfit)
        self.bob.receive_document(bad, self.now)
        self.pair.run(0.001)
        self.assertEqual(self.bob.posted, [Refusal(offer.session, "declined")])
        self.assertEqual(self.bob.events(events.CallFailed)[0].reason, "not-proved")

    def test_cancelled(self) -> None:
        """A call that is taken back ends for both; the called person's question goes away."""
        self.bob.welcome = False
        self.alice.call(self.now)
        self.pair.run(0.1)
        self.alice.session.disconnect(self.now)
        self.pair.run(0.1)
        self.assertEqual(self.alice.events(events.CallFailed)[0].reason, "cancelled")
        self.assertEqual([e.reason for e in self.bob.events(events.OfferEnded)], ["cancelled"])
        self.assertTrue(self.alice.events(events.CallFailed)[0].ours)
        for one in self.pair.both:
            self.assertTrue(one.session.is_over(self.now))

    def test_one_yes_one_call(self) -> None:
        """Who declined or missed a call is asked about when he calls back."""
        self.bob.welcome = False
        for seconds in (0.1, RING_TIMEOUT + 1):
            self.alice.call(self.now)
            self.pair.run(seconds)
            self.bob.session.reject(self.now)
            self.pair.run(0.1)
            self.assertFalse(self.alice.session.is_alive)
            self.alice.welcome = False
            self.bob.call(self.now)
            self.pair.run(0.1)
            self.assertTrue(self.alice.session.is_offered)
            self.alice.session.reject(self.now)
            self.pair.run(0.1)
        self.assertEqual(self.alice.events(events.Checking), [])

    def test_nobody_answers(self) -> None:
        """Both sides read that nobody answered, and the caller that the line waits."""
        self.bob.welcome = False
        self.alice.call(self.now)
        self.pair.say(self.alice, "are you there?")
        self.pair.run(RING_TIMEOUT + 1)
        (failed,) = self.alice.events(events.CallFailed)
        self.assertEqual((failed.reason, failed.ours, failed.undelivered), ("no-answer", False, 1))
        self.assertIn("nobody answered", failed.explanation)
        (ended,) = self.bob.events(events.OfferEnded)
        self.assertEqual(ended.reason, "no-answer")
        self.assertFalse(self.alice.session.is_over(self.now), "a line waits")

    def test_attempts(self) -> None:
        """Where no check gets through, each attempt is told, and the failure says what was done."""
        self.pair.part()
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.alice.events(events.CallFailed), 40)
        calling = self.alice.events(events.Calling)
        self.assertEqual([(e.attempt, e.attempts) for e in calling], [(1, 3), (2, 3), (3, 3)])
        failed = self.alice.events(events.CallFailed)[0]
        self.assertEqual(failed.reason, "no-path")
        self.assertIn("none answered", failed.explanation)

    def test_stray_documents(self) -> None:
        """Documents without a call change nothing."""
        for body in (
            Ringing("s"),
            Refusal("s", "declined"),
            Candidates("s", ()),
            Answer("s", Description("alice", bytes(32), "u", ())),
        ):
            self.bob.receive_document(body, self.now)
        self.pair.run(0.1)
        self.assertEqual((self.bob.told, self.bob.posted, self.bob.sent), ([], [], []))

    def test_undeliverable(self) -> None:
        """A peer whom the registry doesn't know ends the call at once."""
        self.alice.call(self.now)
        (offer,) = self.alice.posted_now(self.now)
        self.alice.session.undeliverable(
            DeliveryFailure(offer, "unknown-peer", "no such peer"), self.now
        )
        self.pair.run(0.001)
        failed = self.alice.events(events.CallFailed)[0]
        self.assertEqual(failed.reason, "unknown-peer")
        self.assertIn("they aren't online", failed.explanation)

    @each((2.0, False), (60.0, True))
    def test_registry_asks_for_time(self, retry_after: float, ends: bool) -> None:
        """Asked for little, the call waits; asked for much, it ends and the person reads why."""
        self.alice.call(self.now)
        (offer,) = self.alice.posted_now(self.now)
        explanation = f"slow down; worth asking again in {retry_after:.0f} seconds"
        self.alice.session.undeliverable(
            DeliveryFailure(offer, "too-many-requests", explanation, retry_after), self.now
        )
        self.pair.run(0.001)
        failed = [e.explanation for e in self.alice.events(events.CallFailed)]
        self.assertEqual([explanation in one for one in failed], [True] if ends else [])
        self.assertEqual(self.alice.session.is_alive, not ends)
        self.assertFalse(self.bob.told)


class ConversationTests(SessionCase):
    """An open conversation, and its end."""

    def setUp(self) -> None:
        super().setUp()
        self.pair.connect()

    def test_lines(self) -> None:
        """A line is told when said, when shown and when delivered, by one name."""
        name = self.pair.say(self.alice, "hello")
        self.pair.run(0.2)
        (sent,) = self.alice.events(events.MessageSent)
        (shown,) = self.bob.events(events.MessageReceived)
        (delivered,) = self.alice.events(events.MessageDelivered)
        self.assertEqual({sent.id, shown.id, delivered.id}, {name})
        self.assertEqual((shown.text, shown.name, shown.sent_at), ("hello", "alice", WALL))
        self.assertLess(delivered.milliseconds, 100)

    @each("closed", "cancelled", "lost")
    def test_reasons(self, word: str) -> None:
        """Whatever word the other side leaves with, it is they who ended it."""
        self.bob.session.link.control.leave(word)
        self.pair.run(LINGERING + 0.1)
        (ended,) = self.alice.events(events.Disconnected)
        self.assertEqual((ended.reason, ended.ours), ("left", False))

    @each(False, True)
    def test_goodbye_over_a_bad_path(self, calls_again: bool) -> None:
        """A goodbye that the path loses for 4 s arrives still, unless its author calls anew."""
        self.alice.session.disconnect(self.now)
        self.pair.part()
        self.pair.run(4.0)
        if calls_again:
            self.alice.call(self.now)
        self.pair.join()
        self.pair.run(6.0)
        ended = [one.events(events.Disconnected) for one in self.pair.both]
        if calls_again:
            self.assertTrue(all(one.session.is_open for one in self.pair.both))
        else:
            self.assertEqual([told.reason for (told,) in ended], ["closed", "left"])
            self.assertFalse(self.bob.events(events.PathLost))

    def test_long_lines(self) -> None:
        """Many lines of the greatest length arrive in order, brackets and all."""
        texts = [character * MAX_TEXT for character in 'x[{"\0😀'] * 3
        for text in texts:
            self.pair.say(self.alice, text)
        self.pair.run_until(lambda: len(self.bob.texts()) == len(texts), 60)
        self.assertEqual(self.bob.texts(), texts)

    def test_leaving(self) -> None:
        """Who leaves after a line leaves when it has arrived; both are at their end soon."""
        self.pair.say(self.alice, "bye")
        self.alice.session.disconnect(self.now)
        self.pair.run(LINGERING + 0.1)
        self.assertEqual(self.bob.texts(), ["bye"])
        reasons = [one.events(events.Disconnected)[0].reason for one in self.pair.both]
        self.assertEqual(reasons, ["closed", "left"])
        for one in self.pair.both:
            self.assertEqual((one.session.is_alive, one.session.get_timer()), (False, None))
            self.assertEqual(len(one.events(events.Disconnected)), 1)

    def test_new_call_after_the_end(self) -> None:
        """After an end a new call is asked about; its log goes on where it was."""
        self.alice.session.disconnect(self.now)
        self.pair.run(LINGERING + 0.1)
        self.bob.welcome = False
        self.alice.call(self.now)
        self.pair.run(0.2)
        self.assertTrue(self.bob.session.is_offered)
        self.pair.say(self.alice, "again")
        self.bob.session.accept(self.now)
        self.pair.run_until(lambda: self.bob.texts() == ["again"])

    def test_second_call_is_nothing(self) -> None:
        """Calling somebody in conversation makes no offer."""
        posted = len(self.alice.posted)
        self.alice.call(self.now)
        self.pair.run(1)
        self.assertEqual(len(self.alice.posted), posted)

    def test_protocol_error(self) -> None:
        """One who breaks the rules is told which, and the conversation ends on both sides."""
        talk = self.alice.session.conversation
        talk.say("never sent", WALL, self.now)
        talk.stored(talk.next_unstored(True))
        talk.skip_lines()
        self.pair.say(self.alice, "leaves a gap")
        self.pair.run(LINGERING + 0.1)
        for one in self.pair.both:
            (ended,) = one.events(events.Disconnected)
            self.assertEqual(ended.reason, "protocol-error")
            notes = " ".join(note.text for note in one.session.report(0.0).notes)
            self.assertIn("message 2 after 0", notes)
            self.assertFalse(one.session.is_alive)
        self.assertEqual(self.bob.texts(), [])


class ConnectedCase(SessionCase):
    """
    Alice and Bob, a second after they were connected.

    :ivar first_flights: how many QUIC packets began a handshake until then, of each.
    """

    def setUp(self) -> None:
        super().setUp()
        self.pair.connect()
        self.pair.run(1)
        self.first_flights = [one.first_flights for one in self.pair.both]

    def assert_same_link(self) -> None:
        """Nobody has begun another handshake since."""
        self.assertEqual([one.first_flights for one in self.pair.both], self.first_flights)


class RescueTests(ConnectedCase):
    """A path that is lost, and found again."""

    def lose(self, seconds: float = 10.0) -> None:
        """Let nothing pass until both have noticed."""
        self.pair.part()
        self.pair.say(self.alice, "said in the dark")
        self.pair.run(seconds)
        self.assertTrue(self.alice.events(events.PathLost))
        self.pair.join()

    def test_same_link(self) -> None:
        """Both still hold the link: it goes on over the new path, without a handshake."""
        self.lose()
        self.pair.run_until(lambda: self.bob.texts() == ["said in the dark"])
        self.pair.chat()
        self.assert_same_link()
        self.assertTrue(self.alice.events(events.Connected)[-1].resumed)
        self.assertEqual(len(self.bob.events(events.MessageReceived)), 2)

    def test_nobody_is_asked(self) -> None:
        """A rescue needs no approval, also of one who approves each call."""
        self.bob.welcome = self.alice.welcome = False
        self.lose()
        self.pair.chat()
        self.assertEqual(len(self.bob.events(events.OfferReceived)), 1)

    def test_new_link_after_a_restart(self) -> None:
        """Only one holds the link: the new path makes a new one, and what waited arrives."""
        ids = self.pair.identities
        self.pair.part()
        self.pair.say(self.alice, "are you there?")
        self.pair.run(3)
        self.bob = self.pair.bob = self.pair.peer("bob", ids["bob"], ids["alice"])
        self.pair.join()
        self.pair.run_until(lambda: self.bob.texts() == ["are you there?"], 20)
        self.assertGreater(self.alice.first_flights, self.first_flights[0])
        self.assertFalse(self.alice.events(events.Connected)[-1].resumed)

    def test_new_name_after_a_restart(self) -> None:
        """A peer who comes back under another name is told of, with both names, not by an offer."""
        ids = self.pair.identities
        self.pair.part()
        self.pair.say(self.alice, "are you there?")
        self.pair.run(3)
        self.bob = self.pair.bob = self.pair.peer("bob", ids["bob"], ids["alice"], 3, "carol")
        self.bob.call(self.now)
        self.pair.run(0.1)
        self.assertEqual(self.alice.session.name, "bob")
        self.pair.join()
        self.pair.run_until(lambda: self.bob.texts() == ["are you there?"], 20)
        self.pair.run_until(lambda: self.alice.events(events.Renamed))
        (renamed,) = self.alice.events(events.Renamed)
        self.assertEqual((renamed.before, renamed.username), ("bob", "carol"))
        told = [type(one) for one in self.alice.told]
        self.assertGreater(
            len(told) - told[::-1].index(events.Connected), told.index(events.Renamed)
        )

    def test_return(self) -> None:
        """Who was accepted by the person, and lost for good, comes back without being asked."""
        self.pair = Pair()
        self.alice, self.bob = self.pair.alice, self.pair.bob
        self.bob.welcome = self.alice.welcome = False
        self.alice.call(self.now)
        self.pair.run(0.1)
        self.bob.session.accept(self.now)
        self.pair.run(1)
        self.pair.part()
        self.pair.run(RESCUE_PATIENCE + 60)
        self.assertFalse(self.alice.session.is_alive or self.bob.session.is_alive)
        self.pair.join()
        self.alice.call(self.now)
        self.pair.run(2)
        self.assertTrue(self.bob.session.is_open)

    def test_short_break(self) -> None:
        """A break shorter than a failed check is nobody's business."""
        self.pair.part()
        self.pair.say(self.alice, "hm")
        self.pair.run(0.8)
        self.pair.join()
        self.pair.run_until(lambda: self.bob.texts() == ["hm"], 3)
        self.assertEqual(self.alice.events(events.PathLost), [])
        self.assertEqual(len(self.alice.posted), 2)

    def test_silence_is_noticed(self) -> None:
        """Where nobody types, the next heartbeat notices."""
        self.pair.part()
        self.pair.run(HEARTBEAT + 3)
        self.assertTrue(self.alice.events(events.PathLost) or self.bob.events(events.PathLost))

    def test_registry_away_too(self) -> None:
        """While offers can't be delivered either they are made again and again."""
        self.pair.registry_is_up = False
        self.lose(60)
        self.assertGreater(len(self.alice.events(events.Calling)), 5)
        self.assertEqual({e.attempts for e in self.alice.events(events.Calling)[1:]}, {0})
        self.pair.registry_is_up = True
        self.pair.run_until(lambda: self.bob.texts() == ["said in the dark"], 30)

    def test_refused_rescue(self) -> None:
        """A peer who came back and declines ends it; what wasn't delivered is counted."""
        ids = self.pair.identities
        self.pair.part()
        self.pair.say(self.alice, "hello?")
        self.bob = self.pair.bob = self.pair.peer("bob", ids["bob"], ids["alice"])
        self.bob.welcome = False
        self.pair.run_until(lambda: self.bob.session.is_offered, 30)
        self.bob.session.reject(self.now)
        self.pair.run(0.2)
        (ended,) = self.alice.events(events.Disconnected)
        self.assertEqual((ended.reason, ended.undelivered), ("declined", 1))
        self.assertFalse(self.alice.session.is_alive)

    def test_leaving_during_a_rescue(self) -> None:
        """Who gives up during a rescue is out at once, and offers stop."""
        self.pair.registry_is_up = False
        self.pair.part()
        self.pair.say(self.alice, "x")
        self.pair.run(5)
        self.alice.session.disconnect(self.now)
        self.pair.run(LINGERING + 0.1)
        self.assertEqual(self.alice.events(events.Disconnected)[0].undelivered, 1)
        posted = len(self.alice.posted)
        self.pair.run(RESCUE_PATIENCE / 10)
        self.assertEqual((len(self.alice.posted), self.alice.session.is_alive), (posted, False))


class ChangedNetworkTests(ConnectedCase):
    """Another network is noticed before silence tells, and the link goes on over a new path."""

    def setUp(self) -> None:
        super().setUp()
        self.offers = [one for one in self.alice.posted if type(one) is Offer]

    def change(self, *who: Peer) -> None:
        """Let somebody notice another network, and time pass for what follows."""
        for one in who:
            one.session.network_changed(self.now)
        self.pair.run(3)

    def assert_unbroken(self) -> None:
        """The link is the same, nothing was told to be lost, and lines go both ways."""
        self.pair.chat()
        self.assert_same_link()
        for one in self.pair.both:
            self.assertEqual(one.session.shown_stage, "open")
            self.assertEqual(one.events(events.PathLost), [])
            self.assertEqual(one.events(events.Disconnected), [])
            self.assertEqual(len(one.events(events.Connected)), 1)

    def test_new_path(self) -> None:
        """One offer names the link, and a new path is in use on both sides."""
        found = [len(one.events(events.PathFound)) for one in self.pair.both]
        self.change(self.alice)
        offers = [one for one in self.alice.posted if type(one) is Offer]
        self.assertEqual(len(offers), len(self.offers) + 1)
        self.assertEqual(offers[-1].description.link, self.offers[0].session)
        answers = [one for one in self.bob.posted if type(one) is Answer]
        self.assertEqual(answers[-1].description.link, offers[-1].description.link)
        for one, before in zip(self.pair.both, found, strict=True):
            self.assertGreater(len(one.events(events.PathFound)), before)
        self.assert_unbroken()

    def test_other_side(self) -> None:
        """The side that was called may be the one that moved."""
        self.change(self.bob)
        self.assert_unbroken()

    def test_both_at_once(self) -> None:
        """Both may notice at the same moment; one offer counts."""
        self.change(*self.pair.both)
        self.assert_unbroken()

    def test_nobody_is_asked(self) -> None:
        """Who approves each call isn't asked, nor told of an offer."""
        self.alice.welcome = self.bob.welcome = False
        self.change(self.alice)
        self.assertEqual(len(self.bob.events(events.OfferReceived)), 1)
        self.assert_unbroken()

    def test_lines_meanwhile(self) -> None:
        """What both say while the path changes arrives once, in order."""
        said: list[str] = []
        self.alice.session.network_changed(self.now)
        for number in range(40):
            said.append(f"line {number}")
            for one in self.pair.both:
                self.pair.say(one, said[-1])
            self.pair.run(0.01)
        self.pair.run(3)
        self.assertEqual([one.texts() for one in self.pair.both], [said, said])
        self.assert_unbroken()

    def test_lines_over_a_dead_path(self) -> None:
        """So does what was said while nothing passed, for shorter than a check takes to fail."""
        self.pair.part()
        self.alice.session.network_changed(self.now)
        for one in self.pair.both:
            self.pair.say(one, "in between")
        self.pair.run(0.8)
        self.pair.join()
        self.pair.run(5)
        self.assertEqual([one.texts() for one in self.pair.both], [["in between"]] * 2)
        self.assert_unbroken()

    def test_again_and_again(self) -> None:
        """A machine that changes its network once more during the change makes no second offer."""
        for _ in range(5):
            self.alice.session.network_changed(self.now)
            self.pair.run(0.01)
        self.pair.run(3)
        offers = [one for one in self.alice.posted if type(one) is Offer]
        self.assertEqual(len(offers), len(self.offers) + 1)
        self.assert_unbroken()

    def test_without_a_registry(self) -> None:
        """An offer that can't be delivered ends nothing: the path in use is still good."""
        self.pair.registry_is_up = False
        self.change(self.alice)
        self.pair.run(3 * HEARTBEAT)
        self.assert_unbroken()

    def test_path_is_dead(self) -> None:
        """Where neither the old path nor a new one works, the loss is told, and mended."""
        self.pair.part()
        self.alice.session.network_changed(self.now)
        self.pair.run_until(lambda: self.alice.events(events.PathLost), 4 * HEARTBEAT)
        self.pair.say(self.alice, "in the dark")
        self.pair.join()
        self.pair.run_until(lambda: self.bob.texts() == ["in the dark"], 30)

    def test_without_a_conversation(self) -> None:
        """Where no conversation is open, another network is no reason for an offer."""
        self.alice.session.disconnect(self.now)
        self.pair.run(LINGERING + 0.1)
        posted = len(self.alice.posted), len(self.bob.posted)
        self.change(*self.pair.both)
        self.assertEqual((len(self.alice.posted), len(self.bob.posted)), posted)
        self.assertEqual([one.session.shown_stage for one in self.pair.both], ["ended", "ended"])

    def test_leaving_meanwhile(self) -> None:
        """Who leaves during the change leaves as ever."""
        self.alice.session.network_changed(self.now)
        self.pair.run(0.03)
        self.alice.session.disconnect(self.now)
        self.pair.run(2 * LINGERING)
        reasons = [one.events(events.Disconnected)[0].reason for one in self.pair.both]
        self.assertEqual(reasons, ["closed", "left"])
        self.assertFalse(any(one.session.is_alive for one in self.pair.both))

    def test_new_addresses(self) -> None:
        """What the other side lacks is offered; once, and only where it may be of use."""
        self.pair.run(10)
        self.assertFalse(self.alice.session.improve(self.now))
        gathering = self.alice.agent.gathering
        gathering.set_host_addresses((*gathering.host_addresses, ("192.168.77.1", 5)), self.now)
        path = self.alice.session.path
        is_nearest = path is not None and not path.may_be_nearer
        self.assertEqual(self.alice.session.improve(self.now), not is_nearest)
        self.pair.run(3)
        self.assertFalse(self.alice.session.improve(self.now))
        offers = [one for one in self.alice.posted if type(one) is Offer]
        self.assertEqual(len(offers) - len(self.offers), int(not is_nearest))
        self.assert_unbroken()

    def test_direct_path_needs_no_better(self) -> None:
        """On a direct path, news of gathering make no offer."""
        self.pair.run(10)
        self.alice.session.candidates_changed(self.now)
        self.pair.run(3)
        self.assertEqual([one for one in self.alice.posted if type(one) is Offer], self.offers)

    def test_returned(self) -> None:
        """A network that comes back while nothing is wrong changes nothing."""
        posted = len(self.alice.posted)
        self.alice.session.network_returned(self.now)
        self.pair.run(3)
        self.assertEqual(len(self.alice.posted), posted)

    def test_returned_during_a_pause(self) -> None:
        """In a rescue's pause the next offer goes out at once."""
        self.pair.registry_is_up = False
        self.pair.part()
        self.pair.say(self.alice, "hm")
        self.pair.run(40)
        calling = len(self.alice.events(events.Calling))
        self.pair.run_until(lambda: len(self.alice.events(events.Calling)) > calling, 15)
        self.pair.run(ANSWER_TIMEOUT + 0.1)
        self.pair.registry_is_up = True
        self.pair.join()
        self.alice.session.network_returned(self.now)
        self.pair.run_until(lambda: self.bob.texts() == ["hm"], 1)
