"""Strangers accepted without asking: when there is room for one, and what one leaves behind."""

from __future__ import annotations

import attrs

from p2pchat import events
from p2pchat.session.approval import RETRY_PATIENCE
from p2pchat.session.link import PROOF_DEADLINE
from p2pchat.session.stages import LINGERING
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.punching import FIRST_ROUND
from p2pchat.wire.documents import Offer, Refusal
from tests.session.pair import Peer
from tests.session.test_peer_session import SessionCase


def fill(peer: Peer, now: float) -> None:
    """Let strangers come to a peer until there is no room for one more."""
    number = 0
    while peer.agent.has_room(False, now):
        credentials = CheckCredentials(f"stranger {number}", "theirs", b"k" * 32)
        peer.agent.punch(credentials, (), NatTraits(), now, False)
        number += 1


class RoomTests(SessionCase):
    """Bob, whose agent checks for as many strangers as may wait."""

    def refusals(self) -> list[str]:
        """Return the words with which Bob refused."""
        return [one.reason for one in self.bob.posted if isinstance(one, Refusal)]

    def test_busy(self) -> None:
        """A stranger is told busy, the person nothing, and nothing is kept."""
        fill(self.bob, self.now)
        attempts = self.bob.agent.attempts
        self.alice.call(self.now)
        self.pair.run(0.5)
        self.assertEqual(self.refusals(), ["busy"])
        self.assertEqual(self.bob.told, [])
        self.assertTrue(self.bob.session.is_over(self.now))
        self.assertEqual(self.bob.agent.attempts, attempts)
        self.assertEqual(self.alice.events(events.CallFailed)[0].reason, "busy")

    def test_contact(self) -> None:
        """A contact is let in at once."""
        fill(self.bob, self.now)
        self.bob.known.is_contact = True
        self.pair.connect()
        self.assertEqual(self.refusals(), [])

    def test_person(self) -> None:
        """So is whoever the person accepts, and whoever the person calls."""
        fill(self.bob, self.now)
        self.bob.welcome = False
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.bob.session.is_offered)
        self.bob.session.accept(self.now)
        self.pair.run_until(lambda: self.bob.session.is_open)
        self.bob.session.disconnect(self.now)
        self.pair.run(LINGERING + 1)
        fill(self.bob, self.now)
        self.bob.call(self.now)
        self.pair.run_until(lambda: self.bob.session.is_open)

    def test_conversation(self) -> None:
        """A stranger with whom there is a conversation isn't told busy when the path is lost."""
        self.pair.connect()
        self.pair.run(1)
        fill(self.bob, self.now)
        self.alice.session.network_changed(self.now)
        self.pair.run(3)
        self.assertEqual(self.refusals(), [])
        self.pair.chat()

    def test_again(self) -> None:
        """A stranger whose second offer finds no room leaves nothing of the first."""
        self.alice.call(self.now)
        self.pair.run(0.021)
        fill(self.bob, self.now)
        (offer,) = [one for one in self.alice.posted if isinstance(one, Offer)]
        again = attrs.evolve(offer, session="another")
        self.bob.receive_document(again, self.now)
        self.pair.part()
        self.pair.run(1)
        self.assertEqual(self.refusals()[:1], ["busy"])
        self.assertTrue(self.bob.session.is_over(self.now))


class SilenceTests(SessionCase):
    """Strangers who find a path, and never prove who they are."""

    def test_no_link(self) -> None:
        """When the link's time is over nothing is left: no attempt, no path, no approval."""
        self.pair.join_for_checks()
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.bob.events(events.PathFound))
        self.pair.registry_is_up = False
        self.pair.run(PROOF_DEADLINE + FIRST_ROUND + RETRY_PATIENCE + 1)
        self.assertEqual(self.bob.events(events.CallFailed)[0].reason, "no-path")
        self.assertEqual(self.bob.agent.attempts, 0)
        self.assertIsNone(self.bob.session.path)
        self.assertTrue(self.bob.session.is_over(self.now))
