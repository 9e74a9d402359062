"""How much one peer may have us store in a day."""

from __future__ import annotations

from p2pchat.errors import QuotaReached
from p2pchat.peer.storage import entry_table
from p2pchat.peer.storage.entry_table import Kept
from p2pchat.peer.storage.quota import MAX_A_DAY, Quota
from p2pchat.session.stored import StoredEntry
from tests.peer.storage.cases import NOON, OURS, PEER, DatabaseCase, entry, theirs

DAY = 86_400.0
HALF = "x" * (MAX_A_DAY // 2 - 4)  # of a raw entry that is "raw " longer


def of_day(day: int, text: str = HALF) -> list[StoredEntry]:
    """Return an entry that comes on a day."""
    return [theirs(text, 1, arrived_at=NOON + day * DAY)]


class QuotaTests(DatabaseCase):
    """The quota of Bob."""

    def take(self, quota: Quota, entries: list[StoredEntry], peer_id: str = PEER) -> None:
        """Store some entries."""
        quota.check(peer_id, entries)
        quota.stored(peer_id, entries)

    def test_day(self) -> None:
        """So many bytes are taken of one peer in a day, and as many on the next."""
        quota = Quota(OURS)
        for day in range(3):
            self.take(quota, of_day(day))
            self.take(quota, of_day(day))
            error = self.assertRaises(QuotaReached, quota.check, PEER, of_day(day, "one more"))
            self.assertIn("64 MiB today", str(error))
            self.assertIn(PEER, str(error))
            self.take(quota, of_day(day), "carol")

    def test_ours(self) -> None:
        """What we write counts for nobody, and is stored whatever the other side sent."""
        quota = Quota(OURS)
        self.take(quota, of_day(0, HALF * 2))
        self.take(quota, [entry(HALF * 3, 1)])

    def test_refused(self) -> None:
        """What wasn't stored doesn't count."""
        quota = Quota(OURS)
        quota.check(PEER, of_day(0))
        self.take(quota, of_day(0))
        self.take(quota, of_day(0))

    def test_restart(self) -> None:
        """A restart begins no new day."""
        store = self.open_store()
        self.append(store, *of_day(0, "x" * 100), entry("ours doesn't count", 1))
        self.append(store, *[theirs("y" * 100, 2)])
        (kept,) = entry_table.load(self.reading.connection)
        self.assertEqual((kept.day, kept.day_bytes), (int(NOON // DAY), 208))
        quota = Quota(OURS)
        quota.restore([Kept(PEER, kept.state, kept.day, MAX_A_DAY)])
        self.assertRaises(QuotaReached, quota.check, PEER, of_day(0, "one more"))
        self.take(quota, of_day(1))
