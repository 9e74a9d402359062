"""
Requests about services: who may open what, what is offered, what is open.

``SERVICE WHO [TIME]``: a name may have blanks, so the last word is a time where it looks like one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred

from p2pchat.errors import WhoError
from p2pchat.interfaces import INode
from p2pchat.peer.service_infos import OfferedInfo
from p2pchat.ui import results

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}  # seconds
LONGEST = 3650 * 86_400  # seconds; who means longer means until it is revoked
_TIME = re.compile("([0-9]{1,6})([smhdw])")


@attrs.frozen
class GrantOptions:
    """
    The words after ``/grant`` or ``/revoke``.

    :ivar lifetime: seconds; ``None`` where there is no time.
    """

    service: str
    who: str
    lifetime: float | None = None

    @classmethod
    def parse(cls, text: str) -> GrantOptions:
        """
        Read it.

        :raises WhoError: it makes no sense.
        """
        service, *words = [one for one in text.split() if one != "--for"]
        found = _TIME.fullmatch(words[-1]) if len(words) > 1 else None
        lifetime = None
        if found is not None:
            lifetime = float(int(found[1]) * _UNITS[found[2]])
            words.pop()
            if not 0 < lifetime <= LONGEST:
                raise WhoError("a grant is for a time such as 30m, 8h or 7d, of ten years at most")
        if not words:
            raise WhoError("say the service and whom you mean: ssh bob, for instance")
        return cls(service, " ".join(words), lifetime)


@attrs.frozen
class ServiceRequests:
    """
    Those requests of one front end.

    :ivar announce: called with each result.
    :ivar answer: lets what is found later answer the request of now.
    """

    _node: INode
    announce: Callable[[Any], None]
    answer: Callable[[Deferred[Any], Callable[[Any], None]], None]

    def grant(self, text: str) -> None:
        """Let somebody open a service; an event tells."""
        wanted = GrantOptions.parse(text)
        self._node.services.grant(wanted.service, wanted.who, wanted.lifetime)

    def revoke(self, text: str) -> None:
        """Take that back; an event tells."""
        wanted = GrantOptions.parse(text)
        if wanted.lifetime is not None:
            raise WhoError("/revoke takes no time: what is open by it ends now")
        self._node.services.revoke(wanted.service, wanted.who)

    def grants(self, _argument: str) -> None:
        """List who may open what."""
        self.announce(results.GrantList(tuple(self._node.services.grants())))

    def services(self, who: str) -> None:
        """List what we offer, or what somebody lets us open."""
        if not who:
            self.announce(results.ServiceList(tuple(self._node.services.offered())))
            return
        peer_id = self._node.whom(who)

        def found(names: list[str]) -> None:
            known = {one.peer_id: one.name for one in self._node.contacts()}
            offered = tuple(OfferedInfo(one) for one in names)
            self.announce(results.ServiceList(offered, peer_id, known.get(peer_id, "")))

        self.answer(self._node.services.services_of(peer_id), found)

    def streams(self, _argument: str) -> None:
        """List what is open."""
        self.announce(results.StreamList(tuple(self._node.services.streams())))
