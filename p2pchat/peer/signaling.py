"""
Signaling: what peers exchange before there is a path between them, and by which ways.

:class:`p2pchat.interfaces.ISignaling` is one way, such as a registry; here are the values that pass
it, and :class:`SignalingGroup`, which lets a node use several as one.  A document goes out by the
way that its reader was found or last heard by, and by the next where that one can't deliver it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from typing import Annotated, Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from p2pchat.errors import InvitationRefused, RegistryError, RemoteProtocolError
from p2pchat.events import Trouble
from p2pchat.identity.keys import check_peer_id
from p2pchat.identity.signed_documents import Acceptance
from p2pchat.interfaces import INameplates, ISignaling
from p2pchat.peer.gate import Gate
from p2pchat.peer.other_registries import OtherRegistries
from p2pchat.peer.registry_location import nearest_of
from p2pchat.peer.sealing_keys import SealingKeys
from p2pchat.session.call_events import DeliveryFailure
from p2pchat.traversal.round_trips import LONGEST, REGISTERING, bounded
from p2pchat.wire.addresses import Address, Scope
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    MAX_LABEL,
    MAX_REGISTRIES,
    Label,
    Offer,
    PeerDocument,
    Registration,
)
from p2pchat.wire.members import Codec, Flag, Members, Time, each, integer, text
from p2pchat.wire.origins import origin
from p2pchat.wire.servers import LongTermCredential, RelayServer
from p2pchat.wire.strict_json import checked
from p2pchat.wire.usernames import Username

AVAILABLE_TIMEOUT = 5.0  # seconds; a registry that is started again is back within two or three
MAX_ROUTES = 1000  # peers of whom it is known by which way they were found or last heard

_PEER_ID = Codec(lambda value, name: check_peer_id(checked(value, name, str)))

_log = Logger()


@attrs.frozen
class PeerRecord(Members):
    """
    One peer, as it shows itself to everybody.

    :ivar as_of: seconds since 1970; when the record was made.
    :ivar ip: of a peer that publishes its addresses; else None, and so are the next two.
    :ivar contact: the name that a contact has here, else "".
    :ivar mistaken_for: the id of a contact for whom a stranger of this name could be taken.
    """

    peer_id: Annotated[str, _PEER_ID]
    username: Username
    nat: Label = ""
    online: Flag = True
    as_of: Time = 0.0
    ip: Annotated[str | None, text(MAX_LABEL)] = None
    port: Annotated[int | None, integer(65535)] = None
    addresses: Annotated[tuple[str, ...] | None, each(text(MAX_LABEL), MAX_CANDIDATES)] = None
    contact: Label = ""
    mistaken_for: Label = ""


@attrs.frozen
class SignalingAvailable:
    """
    Documents can reach us; again where the network has changed meanwhile.

    :ivar name: of what is available.
    :ivar stun: addresses of STUN servers.
    :ivar address: our IP address as it was seen, or "".
    :ivar is_new: whether documents couldn't reach us this way before.
    """

    name: str
    stun: tuple[Address, ...] = ()
    address: str = ""
    is_new: bool = True


@attrs.frozen
class RelaysOffered:
    """Relays that may be used with these credentials; each comes once for each of its addresses."""

    relays: tuple[tuple[RelayServer, Address], ...]
    credentials: LongTermCredential


@attrs.frozen
class SignalingLost:
    """
    Documents can't reach us.

    :ivar retry_in: seconds until the next try.
    :ivar is_displaced: whether another program with our identity is reached in our place.
    """

    reason: str
    retry_in: float
    is_displaced: bool = False


@attrs.frozen
class DocumentReceived:
    """A document for us that is signed by its author, fresh, new, and opened."""

    author: str
    body: PeerDocument


@attrs.frozen
class OfferDelivered:
    """An offer of ours was taken for its reader; ``session`` names its attempt."""

    peer_id: str
    session: str


@attrs.frozen
class NameplateAnswered:
    """Somebody left something at a nameplate of ours."""

    name: str


@attrs.frozen
class Undeliverable:
    """A document of ours that no way could deliver, and what the first one said of it."""

    peer_id: str
    document: DeliveryFailure


SignalingEvent = (
    SignalingAvailable
    | RelaysOffered
    | SignalingLost
    | DocumentReceived
    | OfferDelivered
    | Undeliverable
    | NameplateAnswered
    | Trouble
)


@attrs.frozen
class SignalingContext:
    """
    Needs of a way of signaling, met by the node that uses it.

    :ivar acceptance: one for all ways, so that no document is taken twice.
    :ivar keys: what documents are sealed to, one for all ways.
    :ivar describe: returns what we show to everybody now.
    :ivar is_blocked: tells whether nothing of a peer is to be taken or answered.
    :ivar is_expected: tells whether a peer is a contact, or one whom we talk with or call.
    :ivar receive: takes each event.
    """

    acceptance: Acceptance
    keys: SealingKeys
    describe: Callable[[], Registration]
    is_blocked: Callable[[str], bool]
    is_expected: Callable[[str], bool]
    receive: Callable[[SignalingEvent], None]


class Reach(Enum):
    """Reachability of us by one way of signaling."""

    AWAY = "away"
    AVAILABLE = "available"
    DISPLACED = "displaced"  # they reach another program with our identity


@attrs.define(eq=False)
class SignalingGroup:
    """
    The ways of signaling of one node, as one.

    :ivar make: makes a way to another registry, by its URL, that may be as near as this; None:
        there are no others.
    """

    _members: list[ISignaling]
    _clock: IReactorTime
    make: Callable[[str, Scope], ISignaling] | None = None
    _others: OtherRegistries | None = attrs.field(init=False)
    _joined: dict[ISignaling, Deferred[None]] = attrs.Factory(dict)  # and not available yet
    _context: SignalingContext = attrs.field(init=False)
    _reach: dict[ISignaling, Reach] = attrs.Factory(dict)
    _stun: dict[ISignaling, tuple[Address, ...]] = attrs.Factory(dict)
    _routes: dict[str, ISignaling] = attrs.Factory(dict)  # by peer
    _available: Gate = attrs.Factory(Gate)

    @_others.default
    def _new_others(self) -> OtherRegistries | None:
        if self.make is None:
            return None
        return OtherRegistries(self.make, self._nearest, self._clock)

    @property
    def name(self) -> str:
        """What people call it."""
        return " or ".join(one.name for one in self._members)

    @property
    def servers(self) -> tuple[str, ...]:
        """What people call each member; those that are available come first."""
        return tuple(one.name for one in dict.fromkeys([*self._usable(), *self._members]))

    @property
    def is_local(self) -> bool:
        """Whether peers that are found may be on this machine."""
        return any(one.is_local for one in self._members)

    def now(self) -> float:
        """Return seconds since 1970, by the clock of the first member."""
        return self._members[0].now()

    def rtt(self) -> float:
        """Return the seconds of a round trip by the slowest member of use, 0 while unknown."""
        return max(one.rtt() for one in self._usable())

    def patience(self, floor: float, trips: int) -> float:
        """Return the seconds in which something is done that takes so many round trips."""
        return bounded(floor, trips * self.rtt(), LONGEST)

    # -- life

    def start(self, context: SignalingContext) -> None:
        """Let every member begin."""
        self._context = context
        for one in self._members:
            one.start(attrs.evolve(context, receive=partial(self._take, one)))

    def stop(self) -> Deferred[Any]:
        """Deliver what was sent, and end; a Deferred fires when all is closed."""
        self._available.release()
        others = [] if self._others is None else [self._others.stop()]
        ended = [*others, *(one.stop() for one in self._members)]
        return DeferredList(ended, consumeErrors=True)

    def refresh(self) -> bool:
        """Connect anew, as the network may have changed; tell whether that wasn't under way."""
        return True in [one.refresh() for one in self._members]

    def retry(self) -> None:
        """Connect at once what is away: the network has returned."""
        self._connect(Reach.AWAY)

    def _connect(self, reach: Reach) -> None:
        for one in self._members:
            if self._reach.get(one, Reach.AWAY) is reach:
                one.refresh()

    def update(self) -> None:
        """Show what we say of ourselves now."""
        for one in self._members:
            one.update()

    def available(self) -> Deferred[None]:
        """
        Return a Deferred that fires when documents can reach us, or after AVAILABLE_TIMEOUT; later
        where registering takes longer.

        While they can't, the answers to a call couldn't either, and its attempts would be used up
        for nothing; afterwards the call goes out all the same, and fails with the true reason.
        Another program with our identity, which has our place, is displaced.
        """
        self._connect(Reach.DISPLACED)
        patience = self.patience(AVAILABLE_TIMEOUT, REGISTERING)
        return self._available.passed().addTimeout(patience, self._clock, lambda *_: None)

    def _take(self, member: ISignaling, event: SignalingEvent) -> None:
        match event:
            case SignalingAvailable():
                self._became_available(member, event)
                return
            case SignalingLost():
                never_was = member in self._joined or self._reach.get(member) is Reach.AWAY
                if never_was and Reach.AVAILABLE in self._reach.values():
                    return  # nothing is lost: others reach us, and this one didn't
                self._reach[member] = Reach.DISPLACED if event.is_displaced else Reach.AWAY
                if Reach.AVAILABLE not in self._reach.values():
                    self._available.close()
            case DocumentReceived():
                self._remember(event.author, member)
        self._context.receive(event)

    def _became_available(self, member: ISignaling, event: SignalingAvailable) -> None:
        is_new = self._reach.get(member) is not Reach.AVAILABLE
        self._reach[member], self._stun[member] = Reach.AVAILABLE, event.stun
        stun = tuple(dict.fromkeys(one for known in self._stun.values() for one in known))
        self._context.receive(attrs.evolve(event, stun=stun, is_new=is_new))
        self._available.open()
        joined = self._joined.pop(member, None)
        if joined is not None and not joined.called:
            joined.callback(None)

    # -- other registries

    def nameplates_at(self, server: str) -> INameplates:
        """
        Return the nameplates of a registry, one where we aren't registered, too.

        :raises InvitationRefused: there is none.
        """
        found = self._at(server)
        if found is None and self._others is not None:
            found = self._others.at(server, Scope.LOOPBACK)  # our person wants it
        if found is None or found.nameplates is None:
            raise InvitationRefused("invitations need a registry, and there is none here")
        return found.nameplates

    def registry_at(self, server: str) -> ISignaling:
        """
        Return a registry that a contact named: one of ours, or one to ask for a moment.

        The latter isn't started, and is left after a while: so ask here each time.

        :raises RegistryError: it can't be asked.
        """
        found = self._at(server)
        if found is not None:
            return found
        if self._others is None:
            raise RegistryError("there are no other registries here")
        return self._others.at(server)

    def _at(self, server: str) -> ISignaling | None:
        return next((one for one in self._members if _is_same(one.name, server)), None)

    def _nearest(self) -> Scope:
        """Return how near a registry may be that a contact names: as near as one of ours is."""
        return nearest_of(one.scope for one in self._members)

    def join(self, server: str) -> Deferred[bool]:
        """
        Be found at a registry, too, from now on.

        A Deferred fires when documents can reach us there, with whether they couldn't before; at
        the latest after AVAILABLE_TIMEOUT.
        """
        is_full = len(self._members) >= MAX_REGISTRIES
        if self._others is None or is_full or self._at(server) is not None:
            return succeed(False)
        member = self._others.take(server)
        self._members.append(member)
        joined: Deferred[None] = Deferred()
        self._joined[member] = joined
        member.start(attrs.evolve(self._context, receive=partial(self._take, member)))
        waited = joined.addTimeout(AVAILABLE_TIMEOUT, self._clock, lambda *_: None)
        return waited.addCallback(lambda _: True)

    # -- peers

    @inlineCallbacks
    def find(self, peer_id: str) -> Any:
        """Return a Deferred of a peer's :class:`PeerRecord`, or of None where nobody has one."""
        found: PeerRecord | None = None
        for one in self._usable():
            record: PeerRecord | None = yield one.find(peer_id)
            if record is not None and (found is None or record.online):
                found = record
        return found

    @inlineCallbacks
    def peers(self, username: str = "", prefix: str = "") -> Any:
        """
        Return a Deferred of the records of those who let themselves be listed.

        It fails with :class:`RegistryError` where no member can be asked.

        :param username: only those of this name.
        :param prefix: only those whose id begins so.
        """
        found: dict[str, PeerRecord] = {}
        usable, failures = self._usable(), []
        for one in usable:
            try:
                records: list[PeerRecord] = yield one.peers(username, prefix)
            except RegistryError as error:
                failures.append(error)
                continue
            for record in records:
                found.setdefault(record.peer_id, record)
                if record.peer_id not in self._routes:
                    self._remember(record.peer_id, one)
        if len(failures) == len(usable):
            raise failures[0]
        return list(found.values())

    def _usable(self) -> list[ISignaling]:
        """Return the members that are available; all of them where none is."""
        available = [one for one in self._members if self._is_available(one)]
        return available or list(self._members)

    def _is_available(self, member: ISignaling) -> bool:
        return self._reach.get(member) is Reach.AVAILABLE

    # -- documents

    def send(self, peer_id: str, body: PeerDocument) -> None:
        """Deliver a document to a peer, after those that went to it before."""
        sent: Deferred[None] = self._send(peer_id, body)
        sent.addErrback(lambda failure: _log.failure("delivery", failure))

    @inlineCallbacks
    def _send(self, peer_id: str, body: PeerDocument) -> Any:
        errors: list[RegistryError] = []
        for one in self._ways(peer_id):
            try:
                yield one.send(peer_id, body)
                if isinstance(body, Offer):
                    self._context.receive(OfferDelivered(peer_id, body.session))
                return
            except RegistryError as error:
                errors.append(error)
        reason, explanation = errors[0].reason, str(errors[0])
        undelivered = DeliveryFailure(body, reason, explanation, errors[0].retry_after)
        self._context.receive(Undeliverable(peer_id, undelivered))

    def _ways(self, peer_id: str) -> Iterator[ISignaling]:
        """Go over the members that a document may go out by, the best one first."""
        first = self._routes.get(peer_id) or self._usable()[0]
        yield first
        yield from (one for one in self._usable() if one is not first and self._is_available(one))

    def _remember(self, peer_id: str, member: ISignaling) -> None:
        """Let documents for a peer go out by this member."""
        self._routes.pop(peer_id, None)
        if len(self._routes) >= MAX_ROUTES:
            del self._routes[next(iter(self._routes))]
        self._routes[peer_id] = member


def _is_same(name: str, server: str) -> bool:
    """Tell whether a way of signaling is the registry at a URL."""
    try:
        return name == server or origin(name) == origin(server)
    except RemoteProtocolError:
        return False
