"""
Receipts for what our person has seen, gathered for SOON: a burst of lines is one mark.

Only contacts are given any.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from p2pchat.peer.contacts import Contacts
from p2pchat.peer.driver import Driver
from p2pchat.runtime import cancel
from p2pchat.session.endpoint import Endpoint

SOON = 0.3  # seconds


@attrs.define(eq=False)
class ReadReceipts:
    """The receipts of one node."""

    _contacts: Contacts
    _endpoint: Endpoint
    _driver: Driver[Any]
    _clock: IReactorTime
    _seen: dict[str, str] = attrs.Factory(dict)  # the last line that was, by contact
    _timer: IDelayedCall | None = None

    def seen(self, peer_id: str, message_id: str) -> None:
        """Our person has seen a line of a peer, and so all before it."""
        if self._contacts[peer_id].is_contact:
            self._seen[peer_id] = message_id
        if self._seen and self._timer is None:
            self._timer = self._clock.callLater(SOON, self.flush)

    def flush(self) -> None:
        """Let them go out now."""
        cancel(self._timer)
        seen, self._seen, self._timer = self._seen, {}, None
        with self._driver as now:
            for peer_id, message_id in seen.items():
                self._endpoint.seen(peer_id, message_id, now)
