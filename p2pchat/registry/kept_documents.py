"""
Documents that were written to event streams a moment ago, for the streams that replace those.

A stream over TCP may be dead without its writer's knowing: what is written to it then is lost,
though its author was told that it is delivered.  Its peer notices, opens another stream, and says
which document it had last (``Last-Event-ID``, WHATWG HTML section 9.2.4); those after it are
written again.  The peer's memory of nonces drops what it had all the same.

Keeps each for KEPT, and no more than MAX_EACH for a peer and MAX_BYTES altogether; the oldest go.
Whoever sends much can push out others' documents, which are then as lost as they would be anyway.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from itertools import count

import attrs

KEPT = 60.0  # seconds; a peer takes 45 seconds of silence for the end at the latest
MAX_EACH = 16  # documents; a call has a few
MAX_BYTES = 16 * 1024 * 1024  # of all peers together; 10,000 offers


@attrs.frozen
class KeptDocument:
    """
    One document.

    :ivar number: its id on the stream that it was written to.
    :ivar written_at: when it was written first.
    """

    peer_id: str
    number: int
    token: str
    written_at: float


@attrs.define(eq=False)
class KeptDocuments:
    """The documents of one process."""

    _all: OrderedDict[int, KeptDocument] = attrs.Factory(OrderedDict)  # the oldest first
    _of: dict[str, deque[int]] = attrs.Factory(dict)  # their places in it, by peer
    _places: count[int] = attrs.Factory(count)
    _bytes: int = 0

    def __len__(self) -> int:
        return len(self._all)

    def keep(self, document: KeptDocument, now: float) -> None:
        """Keep a document that was written just now, or was kept elsewhere before."""
        place = next(self._places)
        self._all[place] = document
        self._bytes += len(document.token)
        places = self._of.setdefault(document.peer_id, deque())
        places.append(place)
        if len(places) > MAX_EACH:
            self._drop(places[0])
        self.expire(now)

    def take(self, peer_id: str, after: int, now: float) -> list[KeptDocument]:
        """Return a peer's documents with greater numbers, and forget all of it."""
        self.expire(now)
        found = [self._all[place] for place in self._of.get(peer_id, ())]
        self.forget(peer_id)
        return [one for one in found if one.number > after and now < one.written_at + KEPT]

    def forget(self, peer_id: str) -> None:
        """Forget the documents of a peer."""
        for place in list(self._of.get(peer_id, ())):
            self._drop(place)

    def expire(self, now: float) -> None:
        """Forget what is old, or too much."""
        while self._all:
            place, oldest = next(iter(self._all.items()))
            if self._bytes <= MAX_BYTES and now < oldest.written_at + KEPT:
                return
            self._drop(place)

    def _drop(self, place: int) -> None:
        document = self._all.pop(place)
        self._bytes -= len(document.token)
        places = self._of[document.peer_id]
        places.remove(place)
        if not places:
            del self._of[document.peer_id]
