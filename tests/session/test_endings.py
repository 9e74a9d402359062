"""What ``/why`` says when a call or a conversation is over: how it ended, whatever the way."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.session.call import RING_TIMEOUT
from p2pchat.session.call_events import DeliveryFailure
from p2pchat.session.explanation import sentences
from p2pchat.session.peer_session import RESCUE_PATIENCE
from p2pchat.wire.documents import Offer
from tests.session.pair import Pair


def call(pair: Pair) -> None:
    """Alice calls, and Bob is asked."""
    pair.bob.welcome = False
    pair.alice.call(pair.wire.now)
    pair.run(0.2)


def declined(pair: Pair) -> None:
    """Bob declines."""
    call(pair)
    pair.bob.session.reject(pair.wire.now)


def not_answered(pair: Pair) -> None:
    """Bob's person isn't there."""
    call(pair)
    pair.run(RING_TIMEOUT + 1)


def taken_back(pair: Pair) -> None:
    """Alice hangs up before Bob says anything."""
    call(pair)
    pair.alice.session.disconnect(pair.wire.now)


def not_there(pair: Pair) -> None:
    """The registry knows no Bob."""
    pair.alice.call(pair.wire.now)
    (offer,) = pair.alice.posted_now(pair.wire.now)
    assert isinstance(offer, Offer)
    lost = DeliveryFailure(offer, "unknown-peer", "the registry knows no such peer")
    pair.alice.session.undeliverable(lost, pair.wire.now)


def no_path(pair: Pair) -> None:
    """No check gets through."""
    pair.part()
    pair.alice.call(pair.wire.now)
    pair.run(60)


def no_link(pair: Pair) -> None:
    """Checks get through, and nothing of a link."""
    pair.join_for_checks()
    pair.alice.call(pair.wire.now)
    pair.run(120)


def left(pair: Pair) -> None:
    """Alice ends the conversation."""
    pair.connect()
    pair.alice.session.disconnect(pair.wire.now)


def blocked(pair: Pair) -> None:
    """Alice blocks Bob in the middle of it."""
    pair.connect()
    pair.alice.session.disconnect(pair.wire.now, "you blocked them")


def blocked_early(pair: Pair) -> None:
    """Bob blocks Alice, who calls."""
    call(pair)
    pair.bob.session.disconnect(pair.wire.now, "you blocked them")


def lost(pair: Pair) -> None:
    """The path breaks for good, and the registry can't be reached."""
    pair.connect()
    pair.part()
    pair.registry_is_up = False
    pair.run(RESCUE_PATIENCE + 60)


def refused_rescue(pair: Pair) -> None:
    """The path breaks, and Bob's program has forgotten the conversation and is busy."""
    pair.connect()
    pair.part()
    pair.registry_is_up = False
    pair.bob.session.disconnect(pair.wire.now)
    pair.run(RESCUE_PATIENCE + 60)


# What happens, and how the report of Alice and that of Bob begin.
WAYS: tuple[tuple[Callable[[Pair], None], str, str], ...] = (
    (declined, "the call failed: they declined", "you declined"),
    (
        not_answered,
        "the call failed: nobody answered",
        "the call was not answered in time",
    ),
    (taken_back, "the call is over: you ended the call", "they took the call back"),
    (not_there, "the call failed: they aren't online: their program doesn't run", ""),
    (no_path, "the call failed: no check got through", "the call failed: no check got through"),
    (
        no_link,
        "the call failed: the path carries checks and not the link",
        "the call failed: the path carries checks and not the link",
    ),
    (left, "you ended the conversation", "they ended the conversation"),
    (blocked, "you ended the conversation: you blocked them", "they ended the conversation"),
    (blocked_early, "the call failed: they declined", "the call is over: you blocked them"),
    (
        lost,
        "the path was lost, and no other was found in time",
        "the path was lost, and no other was found in time",
    ),
    (
        refused_rescue,
        "the path was lost, and no other was found in time",
        "you ended the conversation",
    ),
)


class EndingTests(SynchronousTestCase):
    """Each way to end, as both sides tell it."""

    def test_ways(self) -> None:
        """How it ended comes first, and nothing is said to be under way."""
        for way, *beginnings in WAYS:
            pair = Pair()
            way(pair)
            pair.run(3)
            for one, beginning in zip(pair.both, beginnings, strict=True):
                with self.subTest(way=way.__name__, who=one.name):
                    told = sentences(one.session.report(pair.wire.now))
                    self.assertTrue(told[0].startswith(beginning), told)
                    self.assertNotIn("under way", "\n".join(told))

    def test_known_for_long(self) -> None:
        """How a conversation ended that others began is known for a while, too."""
        pair = Pair()
        left(pair)
        pair.run(3)
        for one in pair.both:
            one.endpoint.tidy(pair.wire.now)
            self.assertIn(one.other, one.endpoint.sessions)
            self.assertIsNotNone(one.session.report(pair.wire.now).ending)

    def test_lost_goodbye(self) -> None:
        """Who left isn't called back by the one whom no goodbye reached, but tells that now."""
        pair = Pair()
        pair.connect()
        pair.part()
        pair.alice.session.disconnect(pair.wire.now)
        pair.say(pair.bob, "are you there?")
        pair.run(4)
        pair.join()
        pair.run_until(lambda: pair.bob.events(events.Disconnected), 20)
        (ended,) = pair.bob.events(events.Disconnected)
        self.assertEqual((ended.reason, ended.ours), ("left", False))
        self.assertEqual(pair.alice.events(events.OfferReceived), [])
        pair.alice.told.clear()
        pair.bob.call(pair.wire.now)  # a new call is one
        pair.run_until(lambda: pair.alice.events(events.Connected))

    def test_lost(self) -> None:
        """While another path is looked for, none is said to be in use."""
        pair = Pair()
        pair.connect()
        pair.part()
        pair.say(pair.alice, "are you there?")
        pair.run_until(lambda: pair.alice.events(events.PathLost), 60)
        told = sentences(pair.alice.session.report(pair.wire.now))
        self.assertEqual(told[0], "the path was lost, and another is looked for")
        self.assertNotIn("in use", "\n".join(told))

    def test_next_call(self) -> None:
        """The next call begins a report of its own, and forgets how the last one ended."""
        for way in (declined, left, no_path):
            pair = Pair()
            way(pair)
            pair.run(3)
            pair.join()
            pair.bob.welcome = True
            pair.connect()
            for one in pair.both:
                report = one.session.report(pair.wire.now)
                self.assertIsNone(report.ending)
                self.assertIn("the path is direct", sentences(report)[0])
