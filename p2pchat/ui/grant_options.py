"""
Words that say what is granted, to whom, for how long; pure.

``SERVICE WHO [TIME]``: a name may have blanks, so the last word is a time where it looks like one.
``SERVICE[=TIME]`` stands in an invitation, where nobody is named.
"""

from __future__ import annotations

import re

import attrs

from p2pchat.errors import ServiceNameRefused, WhoError
from p2pchat.peer.grants import InvitedGrant
from p2pchat.wire.service_names import RESERVED, is_service

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}  # seconds
LONGEST = 3650 * 86_400  # seconds; who means longer means until it is revoked
_TIME = re.compile("([0-9]{1,6})([smhdw])")


def lifetime(text: str) -> float | None:
    """
    Return the seconds of a time such as 8h; ``None`` where it isn't one.

    :raises WhoError: no grant is for such a time.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    seconds = int(found[1]) * _UNITS[found[2]]
    if not 0 < seconds <= LONGEST:
        raise WhoError("a grant is for a time such as 30m, 8h or 7d, of ten years at most")
    return float(seconds)


def invited_grant(text: str) -> InvitedGrant:
    """
    Read what an invitation grants.

    :raises ServiceNameRefused, WhoError: it makes no sense.
    """
    service, sign, time = text.partition("=")
    seconds = lifetime(time)
    if not is_service(service) or service.startswith(RESERVED):
        raise ServiceNameRefused(f"{service!r} can't be a service; --grant takes web, or web=8h")
    if sign and seconds is None:
        raise WhoError(f"{time!r} is no time: --grant takes web, or web=8h")
    return InvitedGrant(service, seconds)


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
        Read them.

        :raises WhoError: they make no sense.
        """
        service, *words = [one for one in text.split() if one != "--for"]
        seconds = lifetime(words[-1]) if len(words) > 1 else None
        if seconds is not None:
            words.pop()
        if not words:
            raise WhoError("say the service and whom you mean: ssh bob, for instance")
        return cls(service, " ".join(words), seconds)
