"""
Indications of our person to contacts: what was read, that something is typed, and being there.

What was seen is gathered for SOON: a burst of lines is one mark.  Only contacts are given anything,
and what is switched off is neither given nor taken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

from p2pchat.errors import WhoError
from p2pchat.interfaces import IIndications
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.driver import Driver
from p2pchat.peer.settings import PrivacyInfo
from p2pchat.runtime import cancel
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.privacy import Privacy

SOON = 0.3  # seconds
RECEIPTS, TYPING, INVISIBLE = "receipts", "typing", "invisible"


@implementer(IIndications)
@attrs.define(eq=False)
class Indications:
    """
    The indications of one node.

    :ivar visibility_changed: called when we want to be seen, or no more.
    """

    _contacts: Contacts
    _endpoint: Endpoint
    _driver: Driver[Any]
    _clock: IReactorTime
    visibility_changed: Callable[[], None]
    _seen: dict[tuple[str, str], int] = attrs.Factory(dict)  # how far, by contact and log
    _timer: IDelayedCall | None = None

    @property
    def _privacy(self) -> Privacy:
        return self._endpoint.context.privacy

    def seen(self, peer_id: str, id: str) -> None:
        """Somebody has seen a line of a peer, and so all before it."""
        if self._contacts[peer_id].is_contact:
            log, _, number = id.rpartition("-")
            before = self._seen.get((peer_id, log), 0)  # history is shown after what has just come
            self._seen[peer_id, log] = max(before, int(number))
        if self._seen and self._timer is None:
            self._timer = self._clock.callLater(SOON, self.flush)

    def flush(self) -> None:
        """Let what was seen go out now."""
        cancel(self._timer)
        seen, self._seen, self._timer = self._seen, {}, None
        with self._driver as now:
            for (peer_id, log), number in seen.items():
                self._endpoint.seen(peer_id, f"{log}-{number}", now)

    def typing(self, peer_id: str) -> None:
        """Somebody types a line for a peer."""
        if self._contacts[peer_id].is_contact:
            with self._driver as now:
                self._endpoint.typing(peer_id, now)

    def switch(self, what: str, on: bool) -> None:
        """Let contacts be told something, or no more; be invisible, or no more."""
        if what == RECEIPTS:
            self._privacy.receipts = on
        elif what == TYPING:
            self._privacy.typing = on
        elif what != INVISIBLE:
            raise WhoError(f"there is no {what!r} to switch: {RECEIPTS}, {TYPING} or {INVISIBLE}")
        elif on is not self._privacy.is_invisible:
            self._privacy.is_invisible = on
            self.visibility_changed()

    def privacy(self) -> PrivacyInfo:
        """Return how the switches are."""
        chosen = self._privacy
        return PrivacyInfo(chosen.receipts, chosen.typing, chosen.is_invisible)
