"""
Correspondents: who has called or answered whom, so that they come before strangers.

A recipient takes any number of documents from a peer that it wrote an offer or an answer to within
KEPT.  All others share one small budget of that recipient, in bytes, so that throw-away keys can't
fill its event stream or its line.  RINGING and a refusal such as ``busy`` make nobody a
correspondent: a peer's program sends these to anyone, by itself.  What a document says is sealed;
offers and answers are told by their length, for which their author pads them.

Within the budget those who were heard least come first: a forgotten friend is a stranger, too::

    a document is taken while    its bytes + WEIGHT * what its author had    <=    what is left

What an author had is forgotten some time after its first document (:func:`span`).  An author who
has had nothing needs room for the document only.  One author alone gets a seventh of the burst; a
dozen that never stop leave a third of it to others.  The type of a document makes no difference:
whoever floods can send offers as well.

A peer that doesn't want to be seen is sent nothing but by those that it wrote to within AWAITED:
whoever else writes to it is told what would be told of one that nobody knows.

A pair is kept as a digest, in a bounded memory; the one that was renewed longest ago goes.  A pair
that is lost, by that or by a restart, counts as strangers until the two talk again.  What an author
had is kept likewise; where that is lost, the author begins anew.
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b
from itertools import takewhile

import attrs

from p2pchat.identity.sealing import is_of_call
from p2pchat.registry.admission.rates import Rate
from p2pchat.wire.documents import Document, Sealed

AWAITED = 600.0  # seconds after its call or answer in which one that isn't shown is reached
KEPT = 86_400.0  # seconds; friends who talk daily stay known
MAX_PAIRS = 100_000  # in the memory of a process, about 250 bytes each
WEIGHT = 6  # the burst has room for 20 offers, or eight of the longest, 2.3 kB, of one author
SPANS = 4  # times that the budget takes to fill: 64 seconds, 300 bytes a second for an author


def solicits(document: Document) -> bool:
    """Tell whether a document makes its reader a correspondent: it is an offer or answer."""
    return isinstance(document.body, Sealed) and is_of_call(document.body.ciphertext)


def pair(author: str, recipient: str) -> bytes:
    """Return the digest under which it is kept in a shared store that one wrote to the other."""
    return blake2b(f"{author} {recipient}".encode("ascii"), digest_size=16).digest()


def span(budget: Rate) -> float:
    """Return the seconds for which it counts what an author had of a budget."""
    return SPANS * budget.burst / budget.rate if budget.rate else 0.0


@attrs.define
class _Pairs:
    """
    Figures of pairs of an author and a recipient, each kept for equally long.

    By Python's own hash, which is keyed and quick; two pairs that collide share what they may.
    ``now`` is in seconds on any clock that isn't set back.

    :ivar kept: seconds.
    :ivar capacity: pairs that are kept; the one that is to be forgotten first goes.
    """

    kept: float = KEPT
    capacity: int = MAX_PAIRS
    _pairs: OrderedDict[int, tuple[int, float]] = attrs.field(init=False, factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._pairs)

    def _keep(self, digest: int, size: int, now: float) -> None:
        self._pairs[digest] = size, now + self.kept
        self._pairs.move_to_end(digest)
        if len(self._pairs) > self.capacity:
            self._pairs.popitem(last=False)

    def _known(self, author: str, recipient: str, now: float) -> int:
        size, until = self._pairs.get(hash((author, recipient)), (0, now))
        return size if now < until else 0

    def expire(self, now: float) -> None:
        """Forget what is too old."""
        for digest in list(takewhile(lambda one: self._pairs[one][1] <= now, self._pairs)):
            del self._pairs[digest]


class Shares(_Pairs):
    """
    Shares that authors had of recipients' budgets.

    :ivar kept: seconds after its first document that an author begins anew.
    """

    def had(self, author: str, recipient: str, now: float) -> int:
        """Return the bytes that an author has had within that time."""
        return self._known(author, recipient, now)

    def take(self, author: str, recipient: str, now: float, size: int) -> None:
        """Count so many bytes more."""
        had, digest = self.had(author, recipient, now), hash((author, recipient))
        if had:
            self._pairs[digest] = had + size, self._pairs[digest][1]
        else:
            self._keep(digest, size, now)


class Correspondents(_Pairs):
    """Pairs of whom one has called or answered the other."""

    def has_written(self, author: str, recipient: str, now: float) -> bool:
        """Tell whether one called or answered the other within KEPT."""
        return self._known(author, recipient, now) > 0

    def wrote(self, author: str, recipient: str, now: float) -> None:
        """Remember that one called or answered the other."""
        self._keep(hash((author, recipient)), 1, now)
