"""
Signaling: what peers exchange before there is a path between them, and by which ways.

:class:`p2pchat.interfaces.ISignaling` is one way, such as a registry; here are the values that pass
it, and :class:`SignalingGroup`, which lets a node use several as one.  A document goes out by the
way that its reader was found or last heard by, and by the next where that one can't deliver it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from p2pchat.errors import InvitationRefused, RegistryError
from p2pchat.events import Trouble
from p2pchat.identity.keys import check_peer_id
from p2pchat.identity.signed_documents import Acceptance
from p2pchat.interfaces import INameplates, ISignaling
from p2pchat.peer.guest_registrations import GuestRegistrations, Resting
from p2pchat.peer.known_ways import KnownWays
from p2pchat.peer.other_registries import OtherRegistries, is_same_registry, lawful_url
from p2pchat.peer.presence_lookup import look_up_many
from p2pchat.peer.reach import Reach, ReachTable
from p2pchat.peer.registry_location import nearest_of
from p2pchat.peer.sealing_keys import SealingKeys
from p2pchat.peer.settings import RegistryInfo
from p2pchat.peer.staggered_race import race
from p2pchat.session.call_events import DeliveryFailure
from p2pchat.traversal.report import in_ms
from p2pchat.traversal.round_trips import LONGEST, REGISTERING, TRIPS, bounded
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
from p2pchat.wire.servers import LongTermCredential, RelayServer
from p2pchat.wire.strict_json import checked
from p2pchat.wire.usernames import Username

AVAILABLE_TIMEOUT = 5.0  # seconds; a registry that is started again is back within two or three
HEDGE = 1.0  # seconds; a registry that works answers in a fraction
LISTING = 5.0  # seconds that one of several registries may take for a list
MAX_WARNINGS = 20  # of registries that aren't ours, in a run

_AWAY = frozenset({"peer-offline", "unknown-peer"})  # reasons of a registry
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
    :ivar name: of what is lost.
    :ivar others: names of the ways by which they still can.
    """

    reason: str
    retry_in: float
    is_displaced: bool = False
    name: str = ""
    others: tuple[str, ...] = ()


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
class MailWaiting:
    """A registry that has mailboxes is available, or something came into ours there."""

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
    | MailWaiting
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


@attrs.define(eq=False)
class SignalingGroup:
    """
    The ways of signaling of one node, as one.

    :ivar make: makes a way to another registry, by its URL, that may be as near as this; None:
        there are no others.
    :ivar named_by: returns the URLs of the registries where a peer is found by its own word.
    :ivar own_id: our peer id.
    """

    _members: list[ISignaling]
    _clock: IReactorTime
    make: Callable[[str, Scope], ISignaling] | None = None
    named_by: Callable[[str], Sequence[str]] = lambda _peer_id: ()
    own_id: str = ""
    _others: OtherRegistries = attrs.field(init=False)
    _guests: GuestRegistrations = attrs.field(init=False)
    _context: SignalingContext = attrs.field(init=False)
    _reach: ReachTable = attrs.field(init=False)
    _routes: KnownWays = attrs.Factory(KnownWays)
    _warned: set[str] = attrs.Factory(set)  # what was told of registries that aren't ours

    def __attrs_post_init__(self) -> None:
        self._reach = ReachTable(self._members)
        others = OtherRegistries(self.make or _none_there, self._nearest, self._clock)
        self._others = others
        self._guests = GuestRegistrations(self.own_id, self._start_guest, others, self._clock)

    @property
    def name(self) -> str:
        """What people call it."""
        return " or ".join(one.name for one in self._members)

    @property
    def names(self) -> tuple[str, ...]:
        """What people call each member, in the order in which our person gave them."""
        return tuple(one.name for one in self._members)

    @property
    def servers(self) -> tuple[str, ...]:
        """What people call each member; those that are available come first."""
        return tuple(one.name for one in dict.fromkeys([*self._reach.usable(), *self._members]))

    @property
    def is_local(self) -> bool:
        """Whether peers that are found may be on this machine."""
        return any(one.is_local for one in self._members)

    def now(self) -> float:
        """Return seconds since 1970, by the clock of the first member."""
        return self._members[0].now()

    def rtt(self) -> float:
        """Return the seconds of a round trip by the slowest way of use, 0 while unknown."""
        return max(one.rtt() for one in [*self._reach.usable(), *self._guests.ready()])

    def patience(self, floor: float, trips: int) -> float:
        """Return the seconds in which something is done that takes so many round trips."""
        return bounded(floor, trips * self.rtt(), LONGEST)

    def infos(self) -> list[RegistryInfo]:
        """Return our registries, and how each is."""
        found = [self._reach.info(one) for one in self._members]
        guests = self._guests.ready()
        return found + [RegistryInfo(one.name, "guest", "", in_ms(one.rtt())) for one in guests]

    # -- life

    def start(self, context: SignalingContext) -> None:
        """Let every member begin."""
        self._context = context
        for one in self._members:
            one.start(attrs.evolve(context, receive=partial(self._take, one)))

    def stop(self) -> Deferred[Any]:
        """Deliver what was sent, and end; a Deferred fires when all is closed."""
        self._reach.release()
        others = [self._others.stop(), self._guests.stop()]
        return DeferredList(others + [one.stop() for one in self._members], consumeErrors=True)

    def refresh(self) -> bool:
        """Connect anew, as the network may have changed; tell whether that wasn't under way."""
        return True in [self._guests.refresh(), *(one.refresh() for one in self._members)]

    def retry(self) -> None:
        """Connect at once what is away: the network has returned."""
        self._connect(Reach.AWAY)

    def _connect(self, reach: Reach) -> None:
        for one in self._reach.those(reach):
            one.refresh()

    def update(self) -> None:
        """Show what we say of ourselves now."""
        for one in self._members:
            one.update()

    def available(self, peer_id: str = "") -> Deferred[Any]:
        """
        Return a Deferred that fires when documents can reach us, or after AVAILABLE_TIMEOUT; later
        where registering takes longer.

        :param peer_id: of whom our person calls; at a registry that only this peer names will do.

        While they can't, the answers to a call couldn't either, and its attempts would be used up
        for nothing; afterwards the call goes out all the same, and fails with the true reason.
        Another program with our identity, which has our place, is displaced.
        """
        self._connect(Reach.DISPLACED)
        patience = self.patience(AVAILABLE_TIMEOUT, REGISTERING)
        if self._reach.any.is_open:
            passed: Deferred[Any] = succeed(None)
        else:
            theirs = [one for one in self.registries_of(peer_id) if self._at(one) is None]
            for one in theirs:
                self._guests.rests.answered(one)  # our person wants it now
            as_guest = [partial(self._guests.at, one) for one in theirs]
            passed = race([self._reach.any.passed, *as_guest], self._clock, 0.0)
        return passed.addTimeout(patience, self._clock, lambda *_: None)

    def _take(self, member: ISignaling, event: SignalingEvent) -> None:
        match event:
            case SignalingAvailable():
                self._became_available(member, event)
                return
            case SignalingLost(reason):
                if not self._reach.lost(member, reason, event.is_displaced):
                    return
                others = tuple(one.name for one in self._reach.available())
                event = attrs.evolve(event, name=member.name, others=others)
            case DocumentReceived():
                self._routes.heard(event.author, member.name)
        self._context.receive(event)

    def _became_available(self, member: ISignaling, event: SignalingAvailable) -> None:
        is_new = self._reach.became_available(member, event.stun)
        self._context.receive(attrs.evolve(event, stun=self._reach.stun(), is_new=is_new))
        self._reach.open(member)

    # -- other registries

    def nameplates_at(self, server: str) -> INameplates:
        """
        Return the nameplates of a registry, one where we aren't registered, too.

        :raises InvitationRefused: there is none.
        """
        try:
            found = self._at(server) or self._others.at(server, Scope.LOOPBACK)  # a person's wish
        except RegistryError as error:
            raise InvitationRefused(f"invitations need a registry: {error}") from None
        if found.nameplates is None:
            raise InvitationRefused("invitations need a registry, and there is none here")
        return found.nameplates

    def registry_at(self, server: str) -> ISignaling:
        """
        Return a registry that a contact named: one of ours, or one to ask for a moment.

        The latter isn't started, and is left after a while: so ask here each time.

        :raises RegistryError: it can't be asked.
        """
        return self._at(server) or self._others.at(server)

    def registries_of(self, peer_id: str) -> tuple[str, ...]:
        """Return the URLs of the registries where a peer is found by its own word."""
        named = (lawful_url(one) for one in self.named_by(peer_id))
        return tuple(dict.fromkeys(one for one in named if one))[:MAX_REGISTRIES]

    def _at(self, server: str) -> ISignaling | None:
        return next((one for one in self._members if is_same_registry(one.name, server)), None)

    def _nearest(self) -> Scope:
        """Return how near a registry may be that a contact names: as near as one of ours is."""
        return nearest_of(one.scope for one in self._members)

    def join(self, server: str, *, is_needed: bool = False) -> Deferred[bool]:
        """
        Be found at a registry, too, from now on, if people who are there may not reach those where
        we are: ours are away, or in our own network.

        :param is_needed: whether it is needed in any case.

        A Deferred fires when documents can reach us there, with whether they couldn't before; at
        the latest after AVAILABLE_TIMEOUT.
        """
        is_full = len(self._members) >= MAX_REGISTRIES
        if self.make is None or is_full or self._at(server) is not None:
            return succeed(False)
        theirs = self._others.at(server, Scope.LOOPBACK).scope
        ours = {one.scope for one in self._reach.available()}
        is_reached = Scope.GLOBAL in ours or (theirs is Scope.LOOPBACK and theirs in ours)
        if is_reached and not is_needed:
            return succeed(False)
        member = self._others.take(server, Scope.LOOPBACK)
        self._members.append(member)
        member.start(attrs.evolve(self._context, receive=partial(self._take, member)))
        joined = self._reach.passed(member)
        waited = joined.addTimeout(AVAILABLE_TIMEOUT, self._clock, lambda *_: None)
        return waited.addCallback(lambda _: True)

    # -- as a guest

    def _start_guest(self, signaling: ISignaling) -> None:
        """Start a way to a registry that is no member: unlisted, and of it nothing is told."""

        def describe() -> Registration:
            return attrs.evolve(self._context.describe(), listed=False, addresses=())

        receive = partial(self._take_of_guest, signaling)
        signaling.start(attrs.evolve(self._context, describe=describe, receive=receive))

    def _take_of_guest(self, signaling: ISignaling, event: SignalingEvent) -> None:
        match event:
            case SignalingAvailable():
                self._guests.became_available(signaling)
            case SignalingLost():
                self._guests.lost(signaling, event.reason)
            case DocumentReceived():
                self._guests.heard(signaling)
                self._routes.heard(event.author, signaling.name)
                self._context.receive(event)
            case Trouble(sentence) if sentence not in self._warned:
                if len(self._warned) < MAX_WARNINGS:
                    self._warned.add(sentence)
                    self._context.receive(event)

    # -- peers

    def _places(self, peer_id: str) -> list[ISignaling | str]:
        """
        Return where a peer may be found, the best place first: a member, or another's URL.

        That is where it was heard or found last; those of ours that it names and that are
        available; the others that it names; those of ours that it names and that are away; the
        rest of ours.
        """
        named = self.registries_of(peer_id)
        members = [(one, self._at(one)) for one in named]
        route = self._way_named(self._routes.best(peer_id))
        places: list[ISignaling | str] = [] if route is None else [route]
        places += [one for _, one in members if one is not None and self._reach.is_available(one)]
        places += [url for url, one in members if one is None]
        places += [one for _, one in members if one is not None]
        places += self._reach.available()
        return self._routes.in_order(peer_id, dict.fromkeys(places or self._members), _name_of)

    def _asked_places(self, peer_id: str) -> list[ISignaling | str]:
        """Return those of them that can be asked now; all where none can."""
        places = self._places(peer_id)
        usable = [one for one in places if isinstance(one, str) or self._reach.is_available(one)]
        return usable or places

    def _way_named(self, name: str) -> ISignaling | None:
        """Return a way by which documents reach us now."""
        usable = self._reach.available()
        return next((one for one in [*usable, *self._guests.ready()] if one.name == name), None)

    @inlineCallbacks
    def _ask(
        self,
        place: ISignaling | str,
        ask: Callable[[ISignaling], Deferred[Any]],
        seconds: float | None = None,
    ) -> Any:
        """
        Ask a place; a Deferred of its name, and of the answer.

        :param seconds: that the answer may take, or more where the way is long; None: any time.
        """
        if not isinstance(place, str):
            return place.name, (yield self._in_time(ask(place), seconds))
        rests, other = self._guests.rests, self._others.at(place)
        rests.refuse(place)
        try:
            answer = yield self._in_time(ask(other), seconds)
        except RegistryError:
            if seconds is None:  # else it is asked now and then anyway, and nobody waits for it
                rests.failed(place)
            raise
        rests.answered(place)
        return place, answer

    def _in_time(self, asked: Deferred[Any], seconds: float | None) -> Deferred[Any]:
        if seconds is not None:
            asked.addTimeout(self.patience(seconds, TRIPS), self._clock, _too_slow)
        return asked

    @inlineCallbacks
    def find(self, peer_id: str) -> Any:
        """
        Return a Deferred of a peer's :class:`PeerRecord`, or of None where nobody has one.

        It fails with :class:`RegistryError` where somebody who may have one can't be asked.
        """
        places = self._asked_places(peer_id)
        ways = [partial(self._ask, one, lambda way: way.find(peer_id)) for one in places]
        outcome = yield race(ways, self._clock, self._hedge(), _is_online)
        if outcome.winner is not None:
            name, record = outcome.winner
            self._routes.found(peer_id, name)
            return record
        found = [record for _, record in outcome.results if record is not None]
        if outcome.errors and not found:
            raise outcome.errors[0]
        return found[0] if found else None

    def _hedge(self) -> float:
        """Return the seconds after which the next way is tried beside one that says nothing."""
        return self.patience(HEDGE, TRIPS)

    @inlineCallbacks
    def peers(self, username: str = "", prefix: str = "") -> Any:
        """
        Return a Deferred of the records of those who let themselves be listed.

        It fails with :class:`RegistryError` where no member can be asked.

        :param username: only those of this name.
        :param prefix: only those whose id begins so.
        """
        asked = [partial(self._list, one, username, prefix) for one in self._reach.usable()]
        outcome = yield race(asked, self._clock, 0.0, lambda _listed: False)
        if len(outcome.errors) == len(asked):
            raise outcome.errors[0]
        found: dict[str, PeerRecord] = {}
        for name, records in outcome.results:
            for record in records:
                found.setdefault(record.peer_id, record)
                if not self._routes.best(record.peer_id):
                    self._routes.found(record.peer_id, name)
        return list(found.values())

    @inlineCallbacks
    def _list(self, member: ISignaling, username: str, prefix: str) -> Any:
        """Return a Deferred of a member's name and records; one that is slow holds up no other."""
        listing = member.peers(username, prefix)
        seconds = LISTING if len(self._reach.usable()) > 1 else None
        return member.name, (yield self._in_time(listing, seconds))

    def presence(self, peer_ids: Sequence[str]) -> Deferred[Mapping[str, bool]]:
        """
        Return a Deferred of whether peers are online, by id, for those of whom somebody can tell.

        :param peer_ids: at most MAX_ASKED.
        """
        found: Deferred[Mapping[str, bool]] = look_up_many(
            {one: self._asked_places(one) for one in peer_ids}, self._ask_for_many
        )
        return found

    @inlineCallbacks
    def _ask_for_many(self, place: ISignaling | str, peer_ids: Sequence[str]) -> Any:
        name, found = yield self._ask(place, lambda way: way.presence(peer_ids), LISTING)
        if name != self._members[0].name:
            for peer_id in (one for one in peer_ids if found.get(one)):
                self._routes.found(peer_id, name)
        return found

    # -- documents

    def send(self, peer_id: str, body: PeerDocument) -> None:
        """Deliver a document to a peer, after those that went to it before."""
        sent: Deferred[None] = self._send(peer_id, body)
        sent.addErrback(lambda failure: _log.failure("delivery", failure))

    @inlineCallbacks
    def _send(self, peer_id: str, body: PeerDocument) -> Any:
        places = self._places(peer_id)
        ways = [partial(self._deliver, one, peer_id, body) for one in places]
        outcome = yield race(ways, self._clock, self._hedge())
        if outcome.winner is None and len(outcome.errors) < len(places):
            return  # generators that Python has collected say nothing: this program is gone
        if outcome.winner is None:
            error = self._most_telling(peer_id, places, outcome.errors)
            undelivered = DeliveryFailure(body, error.reason, str(error), error.retry_after)
            self._context.receive(Undeliverable(peer_id, undelivered))
            return
        if isinstance(body, Offer):
            self._routes.offered(peer_id, outcome.winner)
            self._context.receive(OfferDelivered(peer_id, body.session))

    def _most_telling(
        self, peer_id: str, places: list[ISignaling | str], errors: list[RegistryError]
    ) -> RegistryError:
        """Return the error to tell: that they aren't online where they are found, or the first."""
        theirs = [self._at(one) or one for one in self.registries_of(peer_id)] or places
        away = [
            error
            for place, error in zip(places, errors, strict=True)
            if error.reason in _AWAY and place in theirs
        ]
        asked = [error for error in errors if not isinstance(error, Resting)]
        return (away or asked or errors)[0]

    @inlineCallbacks
    def _deliver(self, place: ISignaling | str, peer_id: str, body: PeerDocument) -> Any:
        """Deliver a document by one way; a Deferred of the name of that."""
        if isinstance(place, str):
            way: ISignaling = yield self._guests.at(place)
        else:
            way = place
            if self._reach.any.is_open:
                yield self._passed(way)
        yield way.send(peer_id, body)
        return way.name

    def _passed(self, member: ISignaling) -> Deferred[None]:
        """Return a Deferred that fires when documents can reach us by a member, or fails."""

        def too_late(_failure: object, _seconds: float) -> None:
            raise RegistryError(f"{member.name} is away, and they are found there")

        return self._reach.passed(member).addTimeout(AVAILABLE_TIMEOUT, self._clock, too_late)


def _name_of(place: ISignaling | str) -> str:
    return place if isinstance(place, str) else place.name


def _none_there(_url: str, _nearest: Scope) -> ISignaling:
    raise RegistryError("there is no other registry here")


def _too_slow(_failure: object, seconds: float) -> Any:
    raise RegistryError(f"no answer within {seconds:.0f} seconds")


def _is_online(found: tuple[str, PeerRecord | None]) -> bool:
    return found[1] is not None and found[1].online
