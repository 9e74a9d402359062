"""A history without a database: it has what a test puts into it."""

from __future__ import annotations

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.interfaces import IHistory
from p2pchat.peer.storage.history import HistoryLine


def line(peer_id: str, text: str, *, ours: bool = False, sent_at: float = 0.0) -> HistoryLine:
    """Return a line that the other side has."""
    return HistoryLine(peer_id, f"id of {text}", ours, text, sent_at, sent_at, delivered=ours)


@implementer(IHistory)
@attrs.define
class FakeHistory:
    """
    The history.

    :ivar lines: of all conversations, in order.
    :ivar begun: how many of them were there before the program began.
    :ivar trouble: what every question fails with.
    """

    lines: list[HistoryLine] = attrs.Factory(list)
    begun: int = 0
    trouble: Exception | None = None

    def _answer(self, found: list[HistoryLine]) -> Deferred[list[HistoryLine]]:
        answer: Deferred[list[HistoryLine]] = succeed(found)
        if self.trouble is not None:
            failure = Failure(self.trouble)
            answer.addCallback(lambda _: failure)
        return answer

    def last(self, peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        return self._answer([one for one in self.lines if one.peer_id == peer_id][-count:])

    def earlier(self, peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        found = [one for one in self.lines[: self.begun] if one.peer_id == peer_id]
        return self._answer(found[-count:])

    def search(self, words: str) -> Deferred[list[HistoryLine]]:
        return self._answer([one for one in self.lines if words in one.text])
