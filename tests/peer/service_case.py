"""Services of two nodes on streams in memory, for tests of what rides on them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock

from p2pchat import events
from p2pchat.errors import P2PChatError, PeerOffline
from p2pchat.identity.keys import Identity
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.grant_clock import GrantClock
from p2pchat.peer.grants import Grants
from p2pchat.peer.service_access import ServiceAccess
from p2pchat.peer.services import Services
from tests.peer.fake_streams import FakeStreams, link

WALL = 1_800_000_000.0


@attrs.define
class FakeLinks:
    """
    Links that are there at once.

    :ivar refusal: why the next one isn't.
    :ivar waits: those that a test fires, where it said ``later``.
    """

    streams: FakeStreams
    others: dict[str, FakeStreams]
    path: str = "direct"
    refusal: P2PChatError | None = None
    later: bool = False
    asked: list[tuple[str, str]] = attrs.Factory(list)
    waits: list[Deferred[None]] = attrs.Factory(list)
    direct: list[Any] = attrs.Factory(list)
    hung_up: list[set[str]] = attrs.Factory(list)  # who might have stayed, each time

    def bring_up(self, peer_id: str, path: str) -> Deferred[None]:
        self.asked.append((peer_id, path))
        if self.refusal is not None:
            return fail(self.refusal)
        if self.later:
            self.waits.append(Deferred())
            return self.waits[-1]
        if peer_id in self.others and peer_id not in self.streams.linked:
            link(self.streams, self.others[peer_id])
        return succeed(None)

    def path_of(self, peer_id: str) -> str:
        return self.path

    def keep_direct(self, peer_id: str, transport: Any) -> None:
        self.direct.append(transport)

    def overdue(self, peer_id: str, path: str, seconds: float) -> P2PChatError:
        return PeerOffline(f"not within {seconds} seconds")

    def hang_up(self, may_call: Callable[[str], bool], used: Collection[str]) -> None:
        self.hung_up.append({one for one in self.others if may_call(one)})

    def takes(self, event: events.SessionEvent) -> bool:
        return False


@attrs.define(eq=False)
class Side:
    """
    One node's services, and what stands around them.

    :ivar told: events.
    """

    identity: Identity
    clock: Clock
    others: dict[str, FakeStreams]
    contacts: Contacts = attrs.Factory(Contacts)
    grants: Grants = attrs.Factory(Grants)
    told: list[Any] = attrs.Factory(list)
    ahead: float = 0.0  # how far somebody set its machine's clock
    streams: FakeStreams = attrs.field(init=False)
    links: FakeLinks = attrs.field(init=False)
    services: Services = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.streams = FakeStreams(self.peer_id, self.clock)
        self.links = FakeLinks(self.streams, self.others)
        self.others[self.peer_id] = self.streams
        seconds = self.clock.seconds
        time = GrantClock(lambda: WALL + seconds() + self.ahead, seconds)
        access = ServiceAccess(self.peer_id, self.contacts, self.grants, time, self.clock)
        self.services = Services(
            *(self.peer_id, access, self.links, self.streams, self.clock, self.told.append)
        )

    @property
    def peer_id(self) -> str:
        """Its id."""
        return self.identity.peer_id

    def block(self, peer_id: str, change: str = "blocked") -> None:
        """Block somebody, or forget a contact."""
        name = self.contacts[peer_id].name
        if change == "blocked":
            self.contacts.block(peer_id, name, True)
        else:
            self.contacts.forget(peer_id)
        person = self.contacts[peer_id]
        self.services.contact_changed(
            events.ContactChanged(
                peer_id, name, change, person.is_contact, False, person.is_blocked
            )
        )

    def names(self) -> list[str]:
        """Return the names of the events that were told."""
        return [one.NAME for one in self.told]
