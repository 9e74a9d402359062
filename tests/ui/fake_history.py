"""A history without a database: it has what a test puts into it."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.interfaces import IHistory
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.session.stored import message_id


def line(peer_id: str, text: str, *, ours: bool = False, sent_at: float = 0.0) -> HistoryLine:
    """Return a line that the other side has."""
    name = message_id(sha256(text.encode()).digest()[:16], 1)
    return HistoryLine(peer_id, name, ours, text, sent_at, sent_at, delivered=ours)


@implementer(IHistory)
@attrs.define
class FakeHistory:
    """
    The history.

    :ivar lines: of all conversations, in order.
    :ivar begun: how many of them were there before the program began.
    :ivar asked: what was to be written or deleted.
    :ivar trouble: what every question fails with.
    """

    lines: list[HistoryLine] = attrs.Factory(list)
    begun: int = 0
    trouble: Exception | None = None
    asked: list[tuple[str, ...]] = attrs.Factory(list)

    def _answer(self, found: Any) -> Deferred[Any]:
        answer: Deferred[Any] = succeed(found)
        if self.trouble is not None:
            failure = Failure(self.trouble)
            answer.addCallback(lambda _: failure)
        return answer

    def last(self, peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        return self._answer([one for one in self.lines if one.peer_id == peer_id][-count:])

    def earlier(self, peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        found = [one for one in self.lines[: self.begun] if one.peer_id == peer_id]
        return self._answer(found[-count:])

    def before(self, id: str, count: int) -> Deferred[list[HistoryLine]]:
        (at,) = [number for number, one in enumerate(self.lines) if one.id == id]
        peer_id = self.lines[at].peer_id
        found = [one for one in self.lines[:at] if one.peer_id == peer_id]
        return self._answer(found[-count:])

    def line(self, id: str) -> Deferred[HistoryLine | None]:
        found = [one for one in self.lines if one.id == id]
        return self._answer(found[0] if found else None)

    def search(self, words: str) -> Deferred[list[HistoryLine]]:
        return self._answer([one for one in self.lines if words in one.text])

    def waiting(self, peer_id: str) -> Deferred[list[HistoryLine]]:
        ours = [one for one in self.lines if one.ours and peer_id in {"", one.peer_id}]
        return self._answer(ours)

    def export(self, peer_ids: Sequence[str], path: str) -> Deferred[int]:
        self.asked.append(("export", *peer_ids, path))
        return self._answer(len(self.lines))

    def wipe(self, peer_id: str) -> Deferred[None]:
        self.asked.append(("wipe", peer_id))
        return self._answer(None)

    def delete_older(self, wall_time: float) -> Deferred[None]:
        self.asked.append(("delete_older", str(wall_time)))
        return self._answer(None)

    def size(self) -> int:
        return 1000 * len(self.lines)
