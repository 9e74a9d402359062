"""Requests about files: to send, take and refuse them, to end transfers and to list them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred, maybeDeferred

from p2pchat.errors import TransferRefused, WhoError
from p2pchat.interfaces import INode
from p2pchat.peer.settings import ConversationInfo, TransferInfo
from p2pchat.ui import results
from p2pchat.ui.cursor import OFFERED

Answer = Callable[[Deferred[Any], Callable[[Any], None]], None]


@attrs.frozen
class TransferRequests:
    """
    The requests of one front end about files.

    :ivar announce: called with each result.
    :ivar answer: lets what is found later answer the request that is being done now.
    """

    _node: INode
    announce: Callable[[Any], None]
    answer: Answer

    def send(self, argument: str, current: str) -> None:
        """Offer a file or a folder."""
        sent = maybeDeferred(self._node.transfers.send, argument, current)
        self.answer(sent, lambda info: self.announce(results.FilesSent(info)))

    def offered(self, who: str, conversations: Sequence[ConversationInfo]) -> TransferInfo | None:
        """
        Return the offer that an answer means, ``None`` where a call is meant, or nothing.

        :raises TransferRefused: several are meant.
        """
        transfers = self._node.transfers
        calling = {one.peer_id for one in conversations if one.state == OFFERED}
        if not who:
            return None if calling else transfers.find("")
        found = transfers.find(who)
        if found is not None:
            return found
        try:
            peer_id = self._node.whom(who)
        except WhoError:
            return None
        return None if peer_id in calling else transfers.find("", peer_id)

    def cancel(self, which: str) -> None:
        """End one, or the only one."""
        found = self._node.transfers.find(which) if which else self._only()
        if found is None:
            raise TransferRefused("there is no such transfer; /files lists them")
        self._node.transfers.cancel(found.number)

    def _only(self) -> TransferInfo | None:
        every = self._node.transfers.all()
        if len(every) > 1:
            raise TransferRefused("there are several: /cancel #N; /files lists them")
        return every[0] if every else None

    def list(self) -> None:
        """Show those that are under way or wait."""
        self.announce(results.TransferList(tuple(self._node.transfers.all())))
