"""
The endpoint: where documents and datagrams belong, who may call, and what is kept.

How whole nodes decide about strangers is in tests/peer/test_node.py.
"""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from uuid import UUID

from p2pchat import events
from p2pchat.session.approval import AcceptPolicy
from p2pchat.session.endpoint import MAX_OVER
from p2pchat.wire.documents import Offer, Refusal
from tests.session.pair import Pair
from tests.session.test_peer_session import SessionCase


def peer_ids(count: int) -> list[str]:
    """Return ids of peers who never say anything."""
    return [str(UUID(int=number)) for number in range(1, count + 1)]


def calls_of(action: Callable[[], object]) -> int:
    """Return how many Python functions an action calls."""
    count = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


class EndpointCase(SessionCase):
    """Alice and Bob, who accepts every call."""

    def offer(self) -> Offer:
        """Return an offer of Alice's that isn't delivered."""
        self.alice.call(self.now)
        (offer,) = self.alice.posted_now(self.now)
        assert isinstance(offer, Offer)
        return offer


class CallerTests(EndpointCase):
    """Who may call."""

    def test_blocked(self) -> None:
        """Who is blocked changes nothing, and gets no answer."""
        self.bob.known.is_blocked = True
        self.bob.receive_document(self.offer(), self.now)
        self.assertEqual((self.bob.posted_now(self.now), self.bob.told), ([], []))
        self.assertEqual(self.bob.endpoint.sessions, {})

    def test_policy(self) -> None:
        """A policy of contacts accepts contacts, and asks about others."""
        for is_contact in (True, False):
            self.pair = Pair()
            self.alice, self.bob = self.pair.both
            self.bob.endpoint.policy = AcceptPolicy.CONTACTS
            self.bob.known.is_contact = is_contact
            self.bob.receive_document(self.offer(), self.now)
            self.bob.outgoing(self.now)
            (told,) = self.bob.events(events.OfferReceived)
            self.assertEqual(told.accepted, is_contact)

    def test_muted(self) -> None:
        """The call of one who is muted waits without a sound; accepted, it is like any other."""
        self.bob.welcome, self.bob.known.is_muted = False, True
        self.alice.call(self.now)
        self.pair.run(0.1)
        self.assertTrue(self.bob.events(events.OfferReceived)[0].quiet)
        self.assertTrue(self.bob.session.is_quiet)
        self.bob.endpoint.accept(self.bob.session, self.now)
        self.pair.run_until(lambda: self.alice.session.is_open)
        self.assertFalse(self.bob.session.is_quiet)

    def test_expected(self) -> None:
        """A stranger is expected while called or talked with, a contact always."""
        expects = self.bob.endpoint.expects
        self.assertFalse(expects(self.bob.other))
        self.bob.known.is_contact = True
        self.assertTrue(expects(self.bob.other))
        self.bob.known.is_contact = False
        self.pair.connect()
        self.assertTrue(expects(self.bob.other))

    def test_unasked_replies(self) -> None:
        """What no person decided is told to strangers within a budget, to a contact always."""
        self.bob.welcome = False
        for is_contact, bounded in ((False, True), (True, False)):
            self.bob.known.is_contact = is_contact
            answers = []
            for number, peer_id in enumerate(peer_ids(100)):
                offer = Offer(f"{is_contact} {number}", self.offer().description)
                self.bob.endpoint.receive_document(peer_id, offer, self.now)
                answers += self.bob.posted_now(self.now)
                self.alice.session.disconnect(self.now)
                self.alice.posted_now(self.now)
            self.assertEqual(len(answers) < 50, bounded, len(answers))
            self.assertFalse([one for one in answers if type(one) is Refusal and not bounded])


class CostTests(EndpointCase):
    """What many sessions cost, and what they leave."""

    def test_datagram(self) -> None:
        """A line costs the same however many other sessions there are."""
        costs = []
        for others in (0, 500):
            pair = Pair()
            pair.connect()
            pair.run(1)
            for peer_id in peer_ids(others):
                pair.bob.endpoint.ensure_session(peer_id)
            pair.run(1)
            costs.append(calls_of(pair.chat))
        alone, among_many = costs
        self.assertLess(among_many, 1.1 * alone)

    def test_timers(self) -> None:
        """Nothing is kept of the many times at which a session wanted to be called."""
        self.pair.connect()
        tracemalloc.start()
        try:
            sizes = []
            # At first the interpreter's own memory comes to be traced, and the link is renewed.
            for _ in range(3):
                for _ in range(100):
                    self.pair.chat()
                    for one in self.pair.both:
                        one.told.clear()
                        one.sent.clear()
                sizes.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
        self.assertLess(sizes[2] - sizes[1], 60_000)

    def test_tidy(self) -> None:
        """Sessions that are over are dropped, but for the last ones that the person wanted."""
        endpoint = self.alice.endpoint
        for peer_id in peer_ids(2 * MAX_OVER):
            endpoint.call(peer_id, "", self.now)
            endpoint.sessions[peer_id].disconnect(self.now)
        for number in range(3):
            endpoint.ensure_session(str(UUID(int=number)))
        self.alice.outgoing(self.now)
        endpoint.tidy(self.now)
        self.assertEqual(list(endpoint.sessions), peer_ids(2 * MAX_OVER)[MAX_OVER:])
        endpoint.call(self.alice.other, "", self.now)
        self.alice.outgoing(self.now)
        endpoint.tidy(self.now)
        self.assertIn(self.alice.other, endpoint.sessions)
