"""The table of grants."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.peer.grants import CLOCK, MAX_GRANTS, Grants, ServiceGrant
from tests.identity.people import BOB, CAROL

NOW = 1_800_000_000.0
WEB = ServiceGrant("web", BOB.peer_id)
SSH = ServiceGrant("ssh", BOB.peer_id, NOW + 3600)
GIT = ServiceGrant("git", CAROL.peer_id, NOW + 60)


class GrantsTests(SynchronousTestCase):
    """What may be opened, and what is kept of it."""

    def setUp(self) -> None:
        self.rows: dict[str, str] = {}
        self.grants = Grants(self.save)

    def save(self, rows: Mapping[str, str | None]) -> None:
        """Keep rows, as a database does."""
        self.rows.update({name: text for name, text in rows.items() if text is not None})
        for name in [name for name, text in rows.items() if text is None]:
            del self.rows[name]

    def again(self) -> Grants:
        """Return what the next start has."""
        return Grants.from_rows(self.rows)

    def test_nothing(self) -> None:
        """Without a grant there is nothing."""
        self.assertFalse(self.grants.holds(BOB.peer_id, "web", NOW))
        self.assertEqual((self.grants.all(), self.grants.of(BOB.peer_id)), ([], []))
        self.assertEqual(self.grants.next_end(), None)

    def test_one(self) -> None:
        """One is for one service and one key, over restarts."""
        self.grants.give(WEB, NOW)
        for grants in (self.grants, self.again()):
            self.assertTrue(grants.holds(BOB.peer_id, "web", NOW + 1e9))
            self.assertFalse(grants.holds(BOB.peer_id, "ssh", NOW))
            self.assertFalse(grants.holds(CAROL.peer_id, "web", NOW))

    def test_runs_out(self) -> None:
        """One with an end isn't good any more from that second on."""
        self.grants.give(SSH, NOW)
        self.grants.give(GIT, NOW)
        self.assertEqual(self.grants.next_end(), NOW + 60)
        self.assertTrue(self.grants.holds(CAROL.peer_id, "git", NOW + 59.9))
        self.assertFalse(self.grants.holds(CAROL.peer_id, "git", NOW + 60))
        self.assertEqual(self.grants.expired(NOW + 60), [GIT])
        self.assertEqual(self.again().all(), [SSH])

    def test_replaced(self) -> None:
        """The latest for a service and a key counts."""
        self.grants.give(SSH, NOW)
        self.grants.give(ServiceGrant("ssh", BOB.peer_id), NOW)
        self.assertEqual(self.again().all(), [ServiceGrant("ssh", BOB.peer_id)])

    def test_taken(self) -> None:
        """What is revoked is gone, and what wasn't there is no trouble."""
        for one in (WEB, SSH, GIT):
            self.grants.give(one, NOW)
        self.assertEqual(self.grants.take(BOB.peer_id, ["web", "other"], NOW), [WEB])
        self.assertEqual(self.grants.take(BOB.peer_id, ["web"], NOW), [])
        self.assertEqual(self.again().all(), [GIT, SSH])
        self.assertEqual(self.again().of(BOB.peer_id), [SSH])

    def test_clock(self) -> None:
        """The time of the clock is kept with what changes, and while something runs out by it."""
        self.grants.note_time(NOW)
        self.grants.give(WEB, NOW)
        self.grants.note_time(NOW + 5)
        self.assertEqual(self.again().latest, NOW)
        self.grants.give(GIT, NOW + 6)
        self.grants.note_time(NOW + 7)
        self.assertEqual(self.again().latest, NOW + 7)

    def test_bound(self) -> None:
        """There may be many, and no more; those that are there can be changed and taken back."""
        for number in range(MAX_GRANTS):
            self.grants.give(ServiceGrant("web", f"{number:08x}-0000-8000-8000-000000000000"), NOW)
        self.assertRaises(LocalProtocolError, self.grants.give, WEB, NOW)
        first = "00000000-0000-8000-8000-000000000000"
        self.grants.give(ServiceGrant("web", first, NOW + 1), NOW)
        self.grants.take(first, ["web"], NOW)
        self.grants.give(WEB, NOW)

    def test_malformed(self) -> None:
        """A row that can't be understood is a reason to stop, and is named."""
        peer_id = BOB.peer_id
        for name, text in (
            *((f"web {peer_id}", "true"), (f"web {peer_id}", '"x"'), (f"web {peer_id}", "1e999")),
            *((f"WEB {peer_id}", "null"), ("web", "null"), ("web x", "null"), (CLOCK, "-1")),
            *((f"web {peer_id}", 'null,"x":1'), ("", "null")),
        ):
            error = self.assertRaises(RemoteProtocolError, Grants.from_rows, {name: text})
            self.assertIn(repr(name), str(error))
