"""
Envelopes that are on their way here: how many there may be at the same time.

They are kept in memory until they are written, so that this is the most that they take of it:
MAX_UPLOADS times an envelope, 8 MiB.  Whoever has tokens of one mailbox, or one address, can't take
it all.  Pure.
"""

from __future__ import annotations

from collections import Counter

import attrs

MAX_UPLOADS = 128  # envelopes
MAX_OF_MAILBOX = 16  # of these
MAX_OF_SOURCE = 16  # an office may have many people; who is refused tries again in seconds


@attrs.frozen(eq=False)
class Upload:
    """
    One of them.

    :ivar peer: whose mailbox it is for.
    :ivar token: hash of the token by which it is left.
    :ivar source: where it comes from.
    """

    peer: str
    token: bytes
    source: str


@attrs.define
class Uploads:
    """All of one process."""

    _now: set[Upload] = attrs.Factory(set)
    _counts: Counter[str] = attrs.Factory(Counter)  # by mailbox, and by source

    def __len__(self) -> int:
        return len(self._now)

    def begin(self, upload: Upload) -> bool:
        """Take one in, if there is room for it; tell whether there was."""
        peer, source = _names(upload)
        is_full = (
            len(self._now) >= MAX_UPLOADS
            or self._counts[peer] >= MAX_OF_MAILBOX
            or self._counts[source] >= MAX_OF_SOURCE
        )
        if not is_full:
            self._now.add(upload)
            self._counts.update((peer, source))
        return not is_full

    def end(self, upload: Upload) -> None:
        """Give its room back; it may be gone already."""
        if upload in self._now:
            self._now.remove(upload)
            for name in _names(upload):
                self._counts[name] -= 1
                if not self._counts[name]:
                    del self._counts[name]


def _names(upload: Upload) -> tuple[str, str]:
    return f"to {upload.peer}", f"from {upload.source}"
