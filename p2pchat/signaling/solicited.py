"""
Who has called or answered whom: so that a peer's own correspondents come before strangers.

A recipient takes what it likes from a peer that it wrote an offer or an answer to within KEPT.  All
others share one small budget of that recipient's, in bytes, so that throw-away keys can't fill its
event stream or its line.  That somebody rang, or was told ``busy``, makes nobody a correspondent: a
peer's program says that to anyone, by itself.

A pair is kept as a digest, in a bounded memory; the one that was renewed longest ago goes.  What is
lost, by that or by a restart, costs a place among the strangers until the two talk again.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

import attrs

from p2pchat.wire.documents import Body, Offer

KEPT = 86_400.0  # seconds; friends who talk daily stay known
MAX_PAIRS = 100_000  # in the memory of a process, about 200 bytes each


def solicits(body: Body) -> bool:
    """Tell whether a document makes its reader a correspondent: an offer, or an answer."""
    return isinstance(body, Offer)


def pair(author: str, recipient: str) -> bytes:
    """Return the digest under which it is kept in a shared store that one wrote to the other."""
    return blake2b(f"{author} {recipient}".encode("ascii"), digest_size=16).digest()


@attrs.define
class Correspondents:
    """
    The pairs of one process, by Python's own hash, which is keyed and quick; two pairs that collide
    share what they may.

    ``now`` is in seconds on any clock that isn't set back.

    :ivar capacity: pairs that are kept.
    """

    capacity: int = MAX_PAIRS
    _pairs: OrderedDict[int, float] = attrs.field(init=False, factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._pairs)

    def wrote(self, author: str, recipient: str, now: float) -> None:
        """Remember that one called or answered the other."""
        digest = hash((author, recipient))
        self._pairs[digest] = now + KEPT
        self._pairs.move_to_end(digest)
        if len(self._pairs) > self.capacity:
            self._pairs.popitem(last=False)

    def has_written(self, author: str, recipient: str, now: float) -> bool:
        """Tell whether one called or answered the other within KEPT."""
        return now < self._pairs.get(hash((author, recipient)), now)

    def expire(self, now: float) -> None:
        """Forget the pairs that are too old; all are kept equally long."""
        while self._pairs:
            digest, until = next(iter(self._pairs.items()))
            if now < until:
                return
            del self._pairs[digest]
