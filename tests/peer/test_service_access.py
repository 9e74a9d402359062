"""Access to services: who may, and until when."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import NoSuchContact, WhoError
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.grant_clock import GrantClock
from p2pchat.peer.grants import Grants
from p2pchat.peer.service_access import LONGEST_WAIT, ServiceAccess
from tests.identity.people import ALICE, BOB, CAROL

NOW = 1_800_000_000.0


class ServiceAccessTests(SynchronousTestCase):
    """Alice knows Bob, and not Carol; she offers web to those who have a grant."""

    def setUp(self) -> None:
        self.clock, self.contacts, self.grants = Clock(), Contacts(), Grants()
        self.ahead = 0.0  # how far somebody has set the machine's clock
        self.enforced = 0
        self.contacts.keep(BOB.peer_id, "bob")
        self.access = self.begin()
        self.access.offer("web", self.access.allows(()))

    def begin(self) -> ServiceAccess:
        """Return the access of a program that begins now."""
        time = GrantClock(self.wall, self.clock.seconds, self.grants.latest)
        return ServiceAccess(
            ALICE.peer_id, self.contacts, self.grants, time, self.clock, self.enforce
        )

    def wall(self) -> float:
        """Return what the machine's clock shows."""
        return NOW + self.clock.seconds() + self.ahead

    def enforce(self) -> None:
        """Count."""
        self.enforced += 1

    def who_may(self, service: str = "web") -> list[str]:
        """Return who may open a service."""
        known = {"bob": BOB.peer_id, "carol": CAROL.peer_id}
        return [name for name, one in known.items() if self.access.may_open(one, service)]

    def test_deny(self) -> None:
        """Being a contact opens nothing, and calls for nothing."""
        self.assertEqual(self.who_may(), [])
        self.assertFalse(self.access.may_call(BOB.peer_id))
        self.assertEqual(self.access.opened_by(BOB.peer_id), [])

    def test_granted(self) -> None:
        """A grant opens one service to one key, and lets that key bring up a link."""
        self.access.give("web", CAROL.peer_id, None)
        self.assertEqual((self.who_may("web"), self.who_may("ssh")), (["carol"], []))
        self.assertTrue(self.access.may_call(CAROL.peer_id))
        self.assertEqual(self.access.opened_by(CAROL.peer_id), ["web"])
        self.access.withdraw("web")
        self.assertEqual(self.who_may(), [])
        self.assertTrue(self.access.may_keep(CAROL.peer_id, "web"))

    def test_allowed(self) -> None:
        """Who offers a service may let in contacts, ids, or anybody."""
        for words, expected in (
            (["bob"], ["bob"]),
            ([CAROL.peer_id], ["carol"]),
            (["contacts"], ["bob"]),
            (["contacts", CAROL.peer_id], ["bob", "carol"]),
            (["anyone"], ["bob", "carol"]),
        ):
            self.access.offer("web", self.access.allows(words))
            self.assertEqual(self.who_may(), expected, words)
            self.assertEqual(self.access.may_call(CAROL.peer_id), "carol" in expected)

    def test_former_contact(self) -> None:
        """A contact that was named is let in as long as it is one, whatever it is called."""
        self.access.offer("web", self.access.allows(["bob"]))
        self.contacts.rename(BOB.peer_id, "robert")
        self.assertEqual(self.who_may(), ["bob"])
        self.contacts.forget(BOB.peer_id)
        self.assertEqual(self.who_may(), [])

    def test_nobody_meant(self) -> None:
        """A name that is no contact's means nobody, and our own id isn't another's."""
        for who in ("carol", "", "contact", "anybody", "b0b", ALICE.peer_id):
            self.assertRaises(NoSuchContact, self.access.find, who)
        self.assertRaises(WhoError, self.access.allows, ["bob", "carol"])

    def test_blocked(self) -> None:
        """Whoever is blocked is let in by nothing."""
        self.access.give("web", BOB.peer_id, None)
        self.access.offer("web", self.access.allows(["anyone", "bob"]))
        self.contacts.block(BOB.peer_id, "bob", True)
        self.assertEqual(self.who_may(), ["carol"])
        self.assertFalse(self.access.may_keep(BOB.peer_id, "web"))
        self.assertFalse(self.access.may_call(BOB.peer_id))

    def test_revoked(self) -> None:
        """What is taken back ends at once, and what wasn't there is none."""
        self.access.give("web", BOB.peer_id, None)
        self.access.give("ssh", BOB.peer_id, 60)
        self.assertTrue(self.access.revoke("web", BOB.peer_id))
        self.assertEqual((self.who_may(), self.enforced), ([], 1))
        self.assertFalse(self.access.revoke("web", BOB.peer_id))
        self.assertTrue(self.access.revoke_all(BOB.peer_id))
        self.assertEqual(self.access.valid(), [])

    def test_runs_out(self) -> None:
        """A grant ends when its time is up, and what was opened by it with it."""
        self.access.give("web", BOB.peer_id, 8 * 3600)
        self.access.give("web", CAROL.peer_id, 60)
        self.clock.advance(59)
        self.assertEqual((self.who_may(), self.enforced), (["bob", "carol"], 0))
        self.clock.advance(1)
        self.assertEqual((self.who_may(), self.enforced), (["bob"], 1))
        self.clock.pump([LONGEST_WAIT] * 8)
        self.assertEqual((self.who_may(), self.access.valid()), ([], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_set_back(self) -> None:
        """No clock that is set back gives more time, not even with a restart."""
        self.access.give("web", BOB.peer_id, 60)
        self.clock.advance(30)
        self.ahead -= 86_400
        self.clock.advance(29)
        self.assertEqual(self.who_may(), ["bob"])
        self.access.stop()
        self.ahead -= 86_400
        self.access = self.begin()
        self.access.offer("web", self.access.allows(()))
        self.access.start()
        self.assertEqual(self.who_may(), ["bob"])
        self.clock.advance(1)
        self.assertEqual(self.who_may(), [])

    def test_set_forward(self) -> None:
        """A clock that is set forward ends grants early, at the latest in LONGEST_WAIT."""
        self.access.give("web", BOB.peer_id, 86_400)
        self.ahead += 86_400
        self.assertEqual(self.who_may(), [])
        self.clock.advance(LONGEST_WAIT)
        self.assertEqual(self.enforced, 1)

    def test_stopped(self) -> None:
        """Nothing is waited for when the program ends."""
        self.access.give("web", BOB.peer_id, 60)
        self.access.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
