"""
Registrations as a guest: at a contact's registry, for as long as a call takes.

::

    wanted ─▶ are we there already? ── yes: it is one of ours by another name, and not used
                    │ no
                    ▼
              registered, unlisted, with an event stream ── nothing for IDLE ──▶ left
                    │ not within PATIENCE, or refused
                    ▼
              left, and left alone for FIRST_REST, each time twice as long, to LONGEST_REST

A registry takes documents of those who are registered there, and whoever is registered is
answered there: so a call to somebody at another registry needs nothing of that person's program.
The registry learns our id and address for that time, which the call would tell it anyway.

Refuses more than MAX_GUESTS at once, and what is resting: contacts choose where they are found,
and one who names what isn't there, or is somebody else's, costs a request now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from p2pchat.errors import RegistryError
from p2pchat.interfaces import ISignaling
from p2pchat.peer.gate import Gate
from p2pchat.peer.other_registries import OtherRegistries
from p2pchat.runtime import cancel

IDLE = 180.0  # seconds; as long as a call may wait for an answer
PATIENCE = 10.0  # seconds until we are registered; over TLS it takes some round trips
QUIET = 30.0  # seconds after which one may be left for another; a call has its answer by then
MAX_GUESTS = 8  # registrations at once, each with an event stream; calls are four at a time
FIRST_REST, LONGEST_REST = 15.0, 300.0  # seconds
MAX_RESTS = 100  # registries of which it is known that they rest

_log = Logger()


class Resting(RegistryError):
    """A registry that failed is left alone for a while."""


@attrs.define(eq=False)
class Rests:
    """The registries that failed, and are left alone for a while."""

    _clock: IReactorTime
    _rests: dict[str, tuple[float, float]] = attrs.Factory(dict)  # by URL: until when, how long

    def failed(self, url: str) -> None:
        """Leave it alone, longer than the last time."""
        _until, before = self._rests.pop(url, (0.0, FIRST_REST / 2))
        seconds = min(2 * before, LONGEST_REST)
        if len(self._rests) >= MAX_RESTS:
            del self._rests[next(iter(self._rests))]
        self._rests[url] = self._clock.seconds() + seconds, seconds

    def answered(self, url: str) -> None:
        """Leave it alone no more."""
        self._rests.pop(url, None)

    def refuse(self, url: str) -> None:
        """
        Refuse one that is left alone now.

        :raises Resting: it is.
        """
        if self._clock.seconds() < self._rests.get(url, (0.0, 0.0))[0]:
            raise Resting(f"{url} couldn't be used, and is tried again later")


@attrs.define(eq=False)
class _Guest:
    """One registration."""

    url: str
    signaling: ISignaling | None = None  # once we are no registered peer there already
    registered: Gate = attrs.Factory(Gate)
    timer: IDelayedCall | None = None
    used_at: float = 0.0
    error: RegistryError | None = None  # why there is none


@attrs.define(eq=False)
class GuestRegistrations:
    """
    The registrations as a guest of one node.

    :ivar own_id: our peer id.
    :ivar start: starts a way to a registry as a guest's.
    """

    own_id: str
    start: Callable[[ISignaling], None]
    _others: OtherRegistries
    _clock: IReactorTime
    rests: Rests = attrs.field(init=False)
    _guests: dict[str, _Guest] = attrs.Factory(dict)  # by URL

    def __attrs_post_init__(self) -> None:
        self.rests = Rests(self._clock)

    def ready(self) -> list[ISignaling]:
        """Return those where we are registered now."""
        found = (one.signaling for one in self._guests.values() if one.registered.is_open)
        return [one for one in found if one is not None]

    @inlineCallbacks
    def at(self, url: str) -> Any:
        """
        Be registered at a registry; a Deferred of the way to it, once documents reach us there.

        It fails with :class:`RegistryError`, and may be cancelled.
        """
        guest = self._guests.get(url) or self._begin(url)
        self._touch(guest)
        yield guest.registered.passed()
        if guest.error is not None:
            raise guest.error
        return guest.signaling

    def _begin(self, url: str) -> _Guest:
        self.rests.refuse(url)
        if len(self._guests) >= MAX_GUESTS:
            self._leave_quietest()
        guest = self._guests[url] = _Guest(url)
        guest.timer = self._clock.callLater(PATIENCE, self._give_up, guest)
        self._register(guest).addErrback(lambda failure: _log.failure("as a guest", failure))
        return guest

    def _leave_quietest(self) -> None:
        """
        Leave the one that was of no use for the longest time, to make room.

        :raises RegistryError: all are in use.
        """
        quietest = min(self._guests.values(), key=lambda one: one.used_at)
        if self._clock.seconds() < quietest.used_at + QUIET:
            raise RegistryError(
                f"you are a guest at {MAX_GUESTS} registries already: try again in a minute",
                retry_after=QUIET,
            )
        self._leave(quietest)

    @inlineCallbacks
    def _register(self, guest: _Guest) -> Any:
        """Register where we aren't yet: a second stream of ours would take the place of one."""
        try:
            record = yield self._others.at(guest.url).find(self.own_id)
        except RegistryError as error:
            self._fail(guest, error)
            return
        if self._guests.get(guest.url) is not guest:
            return
        if record is not None and record.online:
            self._fail(guest, RegistryError(f"{guest.url} is a registry of yours by another name"))
            return
        guest.signaling = self._others.take(guest.url)
        self.start(guest.signaling)

    # -- what such a registry says

    def became_available(self, signaling: ISignaling) -> None:
        """Documents reach us there."""
        guest = self._of(signaling)
        if guest is not None:
            self.rests.answered(guest.url)
            guest.registered.open()
            self._touch(guest)

    def lost(self, signaling: ISignaling, reason: str) -> None:
        """Documents don't reach us there; it comes back by itself, if it was there before."""
        guest = self._of(signaling)
        if guest is None:
            return
        if guest.registered.is_open:
            guest.registered.close()
        else:
            self._fail(guest, RegistryError(reason))

    def heard(self, signaling: ISignaling) -> None:
        """A document came from there."""
        guest = self._of(signaling)
        if guest is not None:
            self._touch(guest)

    def _of(self, signaling: ISignaling) -> _Guest | None:
        return next((one for one in self._guests.values() if one.signaling is signaling), None)

    # -- the end of one

    def _touch(self, guest: _Guest) -> None:
        guest.used_at = self._clock.seconds()
        if guest.registered.is_open:
            cancel(guest.timer)
            guest.timer = self._clock.callLater(IDLE, self._leave, guest)

    def _give_up(self, guest: _Guest) -> None:
        self._fail(guest, RegistryError(f"{guest.url} takes too long"))

    def _fail(self, guest: _Guest, error: RegistryError) -> None:
        if self._guests.get(guest.url) is guest:
            self.rests.failed(guest.url)
            guest.error = error
            self._leave(guest)

    def _leave(self, guest: _Guest) -> Deferred[None] | None:
        del self._guests[guest.url]
        cancel(guest.timer)
        guest.error = guest.error or RegistryError(f"{guest.url} was left")
        guest.registered.open()
        if guest.signaling is None:
            return None
        left = guest.signaling.stop()
        return left.addErrback(lambda failure: _log.failure("leaving a registry", failure))

    def refresh(self) -> bool:
        """Connect anew, as the network may have changed; tell whether that wasn't under way."""
        return True in [one.refresh() for one in self.ready()]

    def stop(self) -> Deferred[Any]:
        """Leave them all; a Deferred fires when that is done."""
        left = [self._leave(one) for one in list(self._guests.values())]
        return DeferredList([one for one in left if one is not None], consumeErrors=True)
