"""
The quota of each peer: how many bytes of theirs are stored in a day, of UTC.

Whoever talks with us may fill our disk no faster.  What is refused isn't confirmed, so that it
waits at its author's until the next day.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from p2pchat.errors import QuotaReached
from p2pchat.peer.storage.entry_table import DAY, Kept
from p2pchat.session.stored import StoredEntry

MAX_A_DAY = 64 * 1024 * 1024  # bytes; a book has one of text, and nobody types a hundredth of it


@attrs.define
class Quota:
    """
    The quotas of all peers.

    :ivar own: our raw id; what we write counts for nobody.
    """

    own: bytes
    _used: dict[str, tuple[int, int]] = attrs.Factory(dict)  # day and bytes, by peer

    def restore(self, kept: Sequence[Kept]) -> None:
        """Go on from what earlier runs of the program have stored."""
        self._used = {one.peer_id: (one.day, one.day_bytes) for one in kept}

    def check(self, peer_id: str, entries: Sequence[StoredEntry]) -> None:
        """
        Refuse entries of a peer that go beyond.

        :raises QuotaReached: says until when.
        """
        day, used = self._with(peer_id, entries)
        if used > MAX_A_DAY and used > self._used_on(peer_id, day):
            raise QuotaReached(
                f"{peer_id} has sent {MAX_A_DAY // 2**20} MiB today; nothing more of theirs is "
                "stored, shown or confirmed before midnight (UTC)",
                (day + 1) * DAY,
            )

    def stored(self, peer_id: str, entries: Sequence[StoredEntry]) -> None:
        """Count entries that were stored."""
        if any(one.author != self.own for one in entries):
            self._used[peer_id] = self._with(peer_id, entries)

    def _with(self, peer_id: str, entries: Sequence[StoredEntry]) -> tuple[int, int]:
        theirs = [one for one in entries if one.author != self.own]
        day = max((int(one.arrived_at // DAY) for one in theirs), default=0)
        return day, self._used_on(peer_id, day) + sum(len(one.raw) for one in theirs)

    def _used_on(self, peer_id: str, day: int) -> int:
        known, used = self._used.get(peer_id, (0, 0))
        return used if known == day else 0
