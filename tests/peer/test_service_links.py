"""Links for services, between whole nodes in the simulated internet."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import NoPath, NotGranted, PeerOffline
from p2pchat.peer.service_links import IDLE, ServiceLinks
from p2pchat.session.approval import AcceptPolicy
from tests.simulation.behaviour import PORT_RESTRICTED_CONE, SYMMETRIC
from tests.simulation.world import Person, World

QUIET = (events.Calling, events.Connected, events.PathFound, events.OfferReceived)


@attrs.define(eq=False)
class Used:
    """Something that uses a link."""

    is_aborted: bool = False

    def abortConnection(self) -> None:
        """Note it."""
        self.is_aborted = True


class LinkCase(SynchronousTestCase):
    """Alice opens services of Bob's, who asks before he accepts anybody."""

    kinds = (PORT_RESTRICTED_CONE, PORT_RESTRICTED_CONE)
    relay = False

    def setUp(self) -> None:
        self.world = World(5, relay=self.relay)
        left, right = (self.world.nat(kind) for kind in self.kinds)
        self.alice, self.bob = self.world.couple(left, right, accept=AcceptPolicy.ASK)
        self.their_id = self.bob.node.peer_id

    @property
    def links(self) -> ServiceLinks:
        """Alice's."""
        links = self.alice.node.services.links
        assert isinstance(links, ServiceLinks)
        return links

    def grant(self) -> None:
        """Let Alice open something."""
        self.bob.node.services.grant("web", self.alice.node.peer_id)

    def bring_up(self, path: str = "any") -> Deferred[None]:
        """Let Alice have a link."""
        return self.links.bring_up(self.their_id, path)

    def told(self, person: Person) -> list[str]:
        """Return the names of what somebody was told about a peer."""
        return [one.NAME for one in person.told if isinstance(one, events.SessionEvent)]


class BringUpTests(LinkCase):
    """From nothing to a link."""

    def test_unattended(self) -> None:
        """With a grant a link comes up; nobody rings, and no person is told."""
        self.grant()
        self.world.result(self.bring_up())
        self.assertEqual(self.links.path_of(self.their_id), "direct")
        self.assertEqual(self.told(self.alice), [])
        self.assertEqual(self.told(self.bob), ["grant"])
        self.assertEqual([one.node.conversations() for one in (self.alice, self.bob)], [[], []])
        self.assertEqual(self.bob.node.contacts(), [])

    def test_at_once(self) -> None:
        """One that is open is used, by any number."""
        self.grant()
        waits = [self.bring_up() for _ in range(3)]
        self.world.result(waits[0])
        for one in (*waits[1:], self.bring_up()):
            self.assertIsNone(self.successResultOf(one))

    def test_both_ways(self) -> None:
        """Two who want services of each other at once get one link."""
        self.grant()
        self.alice.node.services.grant("ssh", self.their_id)
        theirs = self.bob.node.services.links.bring_up(self.alice.node.peer_id, "any")
        self.world.result(self.bring_up())
        self.world.result(theirs)

    def test_conversation(self) -> None:
        """A link that two talk on carries services, too; and one for services a conversation."""
        self.grant()
        self.world.result(self.bring_up())
        self.world.result(self.alice.node.connect(self.their_id))
        self.assertEqual(self.told(self.alice)[:1], ["connected"])
        self.alice.say("hello", self.bob)
        self.world.wait(lambda: self.bob.events(events.OfferReceived), awaited="the question")
        self.assertEqual((self.bob.texts(), self.told(self.bob)), ([], ["grant", "offer"]))
        self.bob.node.accept(self.alice.node.peer_id)
        self.world.wait(self.bob.texts, awaited="the line")
        self.assertEqual(self.told(self.bob)[2:4], ["connected", "contact"])

    def test_rings(self) -> None:
        """Without a grant Bob's person is asked, and told who; a no is a refusal."""
        wait = self.bring_up()
        self.world.wait(lambda: self.bob.events(events.OfferReceived), awaited="the call")
        self.world.internet.run(1)
        overdue = self.links.overdue(self.their_id, "any", 30.0)
        self.assertIsInstance(overdue, NotGranted)
        self.bob.node.reject(self.alice.node.peer_id)
        with self.assertRaises(NotGranted):
            self.world.result(wait)

    def test_given_up(self) -> None:
        """Who gives up lets nobody ring on."""
        wait = self.bring_up()
        self.world.wait(lambda: self.bob.events(events.OfferReceived), awaited="the call")
        wait.cancel()
        self.failureResultOf(wait)
        self.world.wait(lambda: self.bob.events(events.OfferEnded), awaited="the end")

    def test_absent(self) -> None:
        """One who isn't there is offline, and it is said soon."""
        self.world.result(self.bob.node.stop())
        with self.assertRaises(PeerOffline):
            self.world.result(self.bring_up(), within=30)
        self.assertEqual(self.told(self.alice), [])

    def test_silent(self) -> None:
        """Where nothing comes back, that is said when the time is over."""
        wait = self.bring_up()
        self.assertIsInstance(self.links.overdue(self.their_id, "any", 3.0), PeerOffline)
        wait.cancel()
        self.failureResultOf(wait)

    def test_lost(self) -> None:
        """A link that ends fails who wait for a path of it, and the next one calls again."""
        self.grant()
        self.world.result(self.bring_up())
        self.bob.node.block(self.alice.node.peer_id)
        self.world.internet.run(15)
        self.assertEqual(self.links.path_of(self.their_id), "")
        self.bob.node.block(self.alice.node.peer_id, False)
        self.world.result(self.bring_up())

    def test_block(self) -> None:
        """Bob's block ends the link, and no further call gets an answer."""
        self.grant()
        self.bob.node.block(self.alice.node.peer_id)
        wait: Deferred[Any] = self.bring_up()
        self.world.internet.run(10)
        self.assertNoResult(wait)
        self.assertEqual(self.bob.node.conversations(), [])
        wait.cancel()
        self.failureResultOf(wait)


class HangUpTests(LinkCase):
    """Links that nobody needs any more."""

    def test_revoked(self) -> None:
        """Who may open nothing any more has no link any more, and can't have another."""
        self.grant()
        self.world.result(self.bring_up())
        self.bob.node.services.revoke("web", self.alice.node.peer_id)
        self.world.wait(lambda: self.links.path_of(self.their_id) == "", awaited="the end")
        self.assertEqual(self.told(self.bob), ["grant", "grant"])

    def test_talking(self) -> None:
        """A conversation goes on, whatever is revoked."""
        self.grant()
        self.world.result(self.bring_up())
        self.world.result(self.bob.node.connect(self.alice.node.peer_id))
        self.bob.node.services.revoke("web", self.alice.node.peer_id)
        self.world.internet.run(15)
        self.assertEqual(self.links.path_of(self.their_id), "direct")

    def test_idle(self) -> None:
        """Who called hangs up when nothing was open for a while."""
        self.grant()
        self.world.result(self.bring_up())
        self.world.internet.run(IDLE - 60)
        self.world.result(self.bring_up())
        self.world.internet.run(IDLE - 60)
        self.assertEqual(self.links.path_of(self.their_id), "direct")
        self.world.internet.run(120)
        self.assertEqual(self.links.path_of(self.their_id), "")


class PathTests(LinkCase):
    """Paths, where no direct one can be found."""

    kinds = (SYMMETRIC, SYMMETRIC)
    relay = True

    def test_relay(self) -> None:
        """A relay's does where any does, and never where a direct one is wanted."""
        self.grant()
        self.world.result(self.bring_up())
        self.assertEqual(self.links.path_of(self.their_id), "relay")
        wait = self.bring_up("direct")
        self.world.internet.run(10)
        self.assertNoResult(wait)
        error = self.links.overdue(self.their_id, "direct", 10.0)
        assert isinstance(error, NoPath)
        self.assertTrue(error.explanation)
        self.assertIn("path=direct", str(error))


class RelayOnlyTests(LinkCase):
    """A relay's path, where a direct one could be found."""

    relay = True

    def test_relay_alone(self) -> None:
        """Where a relay's is wanted, no other is used."""
        self.grant()
        self.world.result(self.bring_up("relay"))
        self.world.internet.run(30)
        self.assertEqual(self.links.path_of(self.their_id), "relay")

    def test_direct_already(self) -> None:
        """A link that is direct already is no relay's."""
        self.grant()
        self.world.result(self.bring_up("direct"))
        self.assertEqual(self.links.path_of(self.their_id), "direct")
        self.failureResultOf(self.bring_up("relay"), NoPath)

    def test_moves_to_a_relay(self) -> None:
        """What wants a direct path ends where the link has to go on over a relay."""
        self.grant()
        self.world.result(self.bring_up("relay"))
        used = Used()
        self.links.keep_direct(self.their_id, used)
        moved = events.PathFound(self.their_id, "bob", "relay", "relay", "203.0.113.3:1", 1.0, 1.0)
        self.assertTrue(self.links.takes(moved))
        self.assertTrue(used.is_aborted)
