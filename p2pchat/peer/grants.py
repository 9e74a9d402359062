"""
Grants: which key may open which service of ours, and until when.

Nothing is open to anybody without one, or without the ``allow`` of who offers the service
(:mod:`p2pchat.peer.services`).  Being a contact is none.  A grant is for a key, not for a name.

Owns the table and its rows, no file.  A row's name is ``SERVICE PEER_ID``, its value the time until
when, in seconds since 1970 by :mod:`p2pchat.peer.grant_clock`, as JSON; ``null``: until it is
revoked.  One more row, CLOCK, has the latest time of that clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated

import attrs

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.identity.keys import check_peer_id
from p2pchat.peer.remembered import as_rows, json_value
from p2pchat.wire.members import SPARSE, Codec, Members
from p2pchat.wire.service_names import check_service
from p2pchat.wire.strict_json import checked, seconds

MAX_GRANTS = 10_000  # as many as there may be people; all of them are in memory
CLOCK = "clock"  # the name of a row; those of grants have a blank


@attrs.frozen
class ServiceGrant:
    """
    One grant.

    :ivar until: seconds since 1970; ``None``: until it is revoked.
    """

    service: str
    peer_id: str
    until: float | None = None

    def holds(self, now: float) -> bool:
        """Tell whether it is still good."""
        return self.until is None or now < self.until


def _read_service(value: object, name: str) -> str:
    return check_service(checked(value, name, str))


_SERVICE = Codec(_read_service)


@attrs.frozen
class InvitedGrant(Members):
    """
    A grant for whoever joins by an invitation.

    :ivar lifetime: seconds from then on; ``None``: until it is revoked.
    """

    service: Annotated[str, _SERVICE]
    lifetime: Annotated[float | None, Codec(seconds), SPARSE] = None


@attrs.define(eq=False)
class Grants:
    """
    The table of grants.

    :ivar save: called after each change, with the rows that differ now; ``None``: it is gone.
    :ivar latest: of the clock, as it was kept last.
    """

    save: Callable[[Mapping[str, str | None]], object] = lambda _rows: None
    latest: float = 0.0
    _by_peer: dict[str, dict[str, ServiceGrant]] = attrs.Factory(dict)  # by peer id and service
    _count: int = 0

    def find(self, peer_id: str, service: str) -> ServiceGrant | None:
        """Return a grant, whether it is still good or not."""
        return self._by_peer.get(peer_id, {}).get(service)

    def holds(self, peer_id: str, service: str, now: float) -> bool:
        """Tell whether a key may open a service."""
        found = self.find(peer_id, service)
        return found is not None and found.holds(now)

    def of(self, peer_id: str) -> list[ServiceGrant]:
        """Return the grants of a key, by service."""
        return sorted(self._by_peer.get(peer_id, {}).values(), key=lambda one: one.service)

    def all(self) -> list[ServiceGrant]:
        """Return all of them, by service and key."""
        return sorted(self._each(), key=lambda one: (one.service, one.peer_id))

    def give(self, grant: ServiceGrant, now: float) -> None:
        """
        Put a grant in the place of one of this service and key.

        :raises LocalProtocolError: there are too many.
        """
        if self._count >= MAX_GRANTS and self.find(grant.peer_id, grant.service) is None:
            raise LocalProtocolError(f"there are {MAX_GRANTS} grants already: /revoke some first")
        self._put(grant)
        self._save({**as_rows({_name(grant): grant.until})}, now)

    def take(self, peer_id: str, services: list[str], now: float) -> list[ServiceGrant]:
        """Take grants of a key back; returns those that there were."""
        grants = self._by_peer.get(peer_id, {})
        taken = [grants.pop(one) for one in services if one in grants]
        self._count -= len(taken)
        if not grants:
            self._by_peer.pop(peer_id, None)
        if taken:
            self._save({_name(one): None for one in taken}, now)
        return taken

    def expired(self, now: float) -> list[ServiceGrant]:
        """Return, and forget, those whose time is up."""
        over = [one for one in self._each() if not one.holds(now)]
        for one in over:
            self.take(one.peer_id, [one.service], now)
        return over

    def next_end(self) -> float | None:
        """Return when the first of them runs out, in seconds since 1970."""
        return min((one.until for one in self._each() if one.until is not None), default=None)

    def note_time(self, now: float) -> None:
        """Keep what the clock shows, while any grant runs out by it."""
        if self.next_end() is not None:
            self._save({}, now)

    def _each(self) -> Iterator[ServiceGrant]:
        return (one for grants in self._by_peer.values() for one in grants.values())

    def _put(self, grant: ServiceGrant) -> None:
        grants = self._by_peer.setdefault(grant.peer_id, {})
        self._count += grant.service not in grants
        grants[grant.service] = grant

    def _save(self, rows: dict[str, str | None], now: float) -> None:
        self.latest = now
        self.save({**rows, **as_rows({CLOCK: now})})

    @classmethod
    def from_rows(cls, rows: Mapping[str, str]) -> Grants:
        """
        Read all rows.

        :raises RemoteProtocolError: one can't be understood; says which.
        """
        grants = cls()
        for name, text in rows.items():
            try:
                value = json_value(name, text)
                until = None if value is None else seconds(value, "until")
                if name == CLOCK:
                    grants.latest = until or 0.0
                else:
                    service, _, peer_id = name.partition(" ")
                    grants._put(ServiceGrant(check_service(service), check_peer_id(peer_id), until))
            except RemoteProtocolError as error:
                raise RemoteProtocolError(f"grant {name!r}: {error}") from None
        return grants


def _name(grant: ServiceGrant) -> str:
    return f"{grant.service} {grant.peer_id}"
