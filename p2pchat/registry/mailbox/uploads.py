"""
Envelopes that are on their way here, or to their owners: how many at the same time.

They are in memory until they are written, or taken by the owner's connection, so that this is the
most that they take of it: MAX_UPLOADS times an envelope, 8 MiB, and MAX_FETCHES times what is
fetched at once, 16 MiB.  Whoever has tokens of one mailbox, or one address, can't take it all.

Pure.
"""

from __future__ import annotations

from collections import Counter

import attrs

MAX_UPLOADS = 128  # envelopes
MAX_OF_MAILBOX = 16  # of these
MAX_FETCHES = 64  # answers
MAX_FETCHES_OF_MAILBOX = 2  # of these: an owner fetches one after the other
MAX_OF_SOURCE = 16  # of either; an office may have many people; who is refused tries again soon


@attrs.frozen(eq=False)
class Upload:
    """
    One of them.

    :ivar peer: whose mailbox it is for, or of.
    :ivar token: hash of the token by which it is left; b"" of what is fetched.
    :ivar source: where it comes from, or goes.
    """

    peer: str
    token: bytes
    source: str


@attrs.define
class Uploads:
    """
    All of one process.

    :ivar most: in all.
    :ivar of_mailbox: for one mailbox.
    """

    most: int = MAX_UPLOADS
    of_mailbox: int = MAX_OF_MAILBOX
    _now: set[Upload] = attrs.Factory(set)
    _counts: Counter[str] = attrs.Factory(Counter)  # by mailbox, and by source

    def __len__(self) -> int:
        return len(self._now)

    def begin(self, upload: Upload) -> bool:
        """Take one in, if there is room for it; tell whether there was."""
        peer, source = _names(upload)
        is_full = (
            len(self._now) >= self.most
            or self._counts[peer] >= self.of_mailbox
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
