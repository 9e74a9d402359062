"""
Access to services: which peer may open which, and what ends when it may no more.

::

    a peer opens a service ── blocked? ── granted, or allowed by who offers it? ──▶ it may
    a grant runs out or is revoked, a peer is blocked or forgotten ──▶ enforce: streams end at once

Deny by default: a contact is let in by ``allow`` or a grant, never by being one.  What isn't
offered and what isn't granted are refused alike, after the same look-ups.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from p2pchat.errors import NoSuchContact, RemoteProtocolError, WhoError
from p2pchat.identity.keys import check_peer_id
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.grant_clock import GrantClock
from p2pchat.peer.grants import Grants, ServiceGrant
from p2pchat.peer.lookup import Acquaintances
from p2pchat.peer.pasted import whole_id
from p2pchat.runtime import cancel

CONTACTS = "contacts"  # words of ``allow``
ANYONE = "anyone"
LONGEST_WAIT = 3600.0  # seconds until the clock is looked at again: it may have been set forward

Allows = Callable[[str], bool]  # whether who offers a service lets a peer in


@attrs.define(eq=False)
class ServiceAccess:
    """
    The access to one node's services.

    :ivar enforce: called when somebody may do less than before.
    :ivar expired: called with each grant that has run out.
    """

    own_id: str
    contacts: Contacts
    grants: Grants
    _time: GrantClock
    _clock: IReactorTime
    enforce: Callable[[], object] = lambda: None
    expired: Callable[[ServiceGrant], object] = lambda _grant: None
    _allows: dict[str, Allows] = attrs.Factory(dict)  # by service, as it was offered last
    _offered: set[str] = attrs.Factory(set)
    _own: dict[str, Allows] = attrs.Factory(dict)  # this program's own services
    _timer: IDelayedCall | None = None

    def now(self) -> float:
        """Return seconds since 1970, by the clock that grants run out by."""
        return self._time.now()

    # -- who is meant

    def find(self, who: str) -> str:
        """
        Return the id of a contact, by its name, or a whole id.

        :raises NoSuchContact: there is none of that name.
        :raises WhoError: more than one is meant.
        """
        peer_id = Acquaintances(self.contacts.names(), {}).match_contact(who)
        if peer_id is None:
            raise NoSuchContact(f"no contact of yours is called {who!r}, and it is no whole id")
        if peer_id == self.own_id:
            raise NoSuchContact("that is your own id; a service is reached from another one's node")
        return peer_id

    def is_peer(self, who: str) -> bool:
        """Tell whether somebody is meant, by a contact's name or a whole id and nothing else."""
        if whole_id(who) is not None:
            return _is_id(who)
        try:
            self.find(who)
        except WhoError as error:
            return not isinstance(error, NoSuchContact)
        return True

    def allows(self, words: Collection[str]) -> Allows:
        """
        Return whom the words of ``allow`` let in.

        A contact that is named is let in as long as it is one.

        :raises NoSuchContact: one means nobody.
        """
        if ANYONE in words:
            return lambda _peer_id: True
        found = {self.find(one) for one in words if one != CONTACTS}
        named = {one for one in found if self.contacts[one].is_contact}
        strangers, every = found - named, CONTACTS in words

        def may(peer_id: str) -> bool:
            is_contact = self.contacts[peer_id].is_contact
            return peer_id in strangers or (is_contact and (every or peer_id in named))

        return may

    # -- who may

    def offer(self, service: str, allows: Allows) -> None:
        """Let a service be opened by those who may."""
        self._offered.add(service)
        self._allows[service] = allows

    def offer_own(self, service: str, allows: Allows) -> None:
        """Let one of this program's own services be opened; nobody grants these."""
        self._own[service] = allows

    def withdraw(self, service: str) -> None:
        """Let a service be opened by nobody any more; what is open goes on."""
        self._offered.discard(service)

    def may_open(self, peer_id: str, service: str) -> bool:
        """Tell whether a peer may open a service."""
        is_offered = service in self._offered or service in self._own
        may = self.may_keep(peer_id, service)
        return may and is_offered

    def may_keep(self, peer_id: str, service: str) -> bool:
        """Tell whether what a peer has opened may go on."""
        is_granted = self.grants.holds(peer_id, service, self.now())
        is_allowed = (self._own.get(service) or self._allows.get(service, _nobody))(peer_id)
        return (is_granted or is_allowed) and not self.contacts[peer_id].is_blocked

    def may_call(self, peer_id: str) -> bool:
        """Tell whether a peer may bring up a link unattended: it may open something."""
        now = self.now()
        if self.contacts[peer_id].is_blocked:
            return False
        is_granted = any(one.holds(now) for one in self.grants.of(peer_id))
        return is_granted or any(self._allows[one](peer_id) for one in self._offered)

    def opened_by(self, peer_id: str) -> list[str]:
        """Return the names of the services that a peer may open now."""
        return sorted(one for one in self._offered if self.may_open(peer_id, one))

    # -- grants

    def give(self, service: str, peer_id: str, lifetime: float | None) -> ServiceGrant:
        """
        Grant a service to a key.

        :param lifetime: seconds; ``None``: until it is revoked.
        """
        now = self.now()
        grant = ServiceGrant(service, peer_id, None if lifetime is None else now + lifetime)
        self.grants.give(grant, now)
        self._wait()
        return grant

    def revoke(self, service: str, peer_id: str) -> bool:
        """Take a grant back, and end what was opened by it; tells whether there was one."""
        return self._take(peer_id, [service])

    def revoke_all(self, peer_id: str) -> bool:
        """Take back all that a key was granted."""
        return self._take(peer_id, [one.service for one in self.grants.of(peer_id)])

    def _take(self, peer_id: str, services: list[str]) -> bool:
        taken = self.grants.take(peer_id, services, self.now())
        self.enforce()
        return bool(taken)

    def valid(self) -> list[ServiceGrant]:
        """Return the grants that are good."""
        now = self.now()
        return [one for one in self.grants.all() if one.holds(now)]

    # -- time

    def start(self) -> None:
        """Let grants run out from now on."""
        self.expire()

    def expire(self) -> None:
        """Take back what has run out, and wait for the next one."""
        now = self.now()
        over = self.grants.expired(now)
        for one in over:
            self.expired(one)
        if over:
            self.enforce()
        self.grants.note_time(now)
        self._wait()

    def _wait(self) -> None:
        cancel(self._timer)
        end = self.grants.next_end()
        self._timer = None
        if end is not None:
            seconds = min(max(end - self.now(), 0.0), LONGEST_WAIT)
            self._timer = self._clock.callLater(seconds, self.expire)

    def stop(self) -> None:
        """Wait for nothing any more."""
        cancel(self._timer)
        self.grants.note_time(self.now())


def _nobody(_peer_id: str) -> bool:
    return False


def _is_id(text: str) -> bool:
    try:
        return bool(check_peer_id(text))
    except RemoteProtocolError:
        return False
