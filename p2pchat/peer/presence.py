"""
Presence of contacts: who can be reached, as far as is known, and when each was there last.

::

    an open link ─────────────────────────────────────────────▶ reachable
    asked at the registries, every INTERVAL, all together ────▶ registered, or absent
    neither: nobody could be asked, or we don't ask ──────────▶ "", nothing is known
    "last seen": our own memory of either, kept with the contact

Asks only for contacts; one request for MAX_ASKED of them, with PAUSE between two, so that the
thousands of somebody's address book ask no faster than a registry answers.  Opens no link: one
costs both sides a heartbeat every few seconds, and tells addresses; being registered is enough to
be called when there is something to say.  Who is invisible asks for nobody but by the outbox.

A contact that comes is told once.  It counts as gone when it wasn't there for ABSENT, so that who
is reconnecting, or a registry that says now this and now that, is no news; and the first answer of
a run about a contact is none either.  Of those that one answer brings, MAX_ANNOUNCED are told
aloud: more come when a registry does, or when it lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from p2pchat import events
from p2pchat.errors import RegistryError
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.settings import ContactInfo
from p2pchat.peer.signaling import SignalingGroup
from p2pchat.session.endpoint import Endpoint
from p2pchat.wire.presence import MAX_ASKED

INTERVAL = 120.0  # seconds from one question about a contact to the next
PAUSE = (
    4.0  # seconds between two questions: 200 ids each are the 50 a second that a registry allows
)
ABSENT = 300.0  # seconds; two questions in vain, or a laptop that is carried to another room
STALE = 2.5 * INTERVAL  # seconds after which an answer says nothing any more
SAVED = 600.0  # seconds; as late may "last seen" be after a crash
MAX_ANNOUNCED = 8  # contacts that one answer may announce aloud

REACHABLE, REGISTERED, AWAY, UNKNOWN = "reachable", "registered", "absent", ""


Online = Mapping[str, bool]  # whether somebody is online, by peer


@attrs.define
class _Seen:
    """Knowledge of a contact; times are the clock's."""

    asked: float = float("-inf")  # and answered
    tried: float = float("-inf")
    is_online: bool = False
    at: float | None = None  # there last, in this run
    is_here: bool = False  # was told to be, and not to be gone
    saved: float = float("-inf")

    def is_unsaved(self, least: float) -> bool:
        """Tell whether it was there so many seconds after what is kept of that."""
        return self.at is not None and self.at >= self.saved + least


@attrs.define(eq=False)
class ContactPresence:
    """
    The presence of one node's contacts.

    :ivar now: returns seconds since 1970.
    :ivar tell: takes each event.
    :ivar there: takes the id of a contact that is found online.
    """

    _contacts: Contacts
    _endpoint: Endpoint
    _signaling: SignalingGroup
    _clock: IReactorTime
    now: Callable[[], float]
    tell: Callable[[events.NodeEvent], None]
    there: Callable[[str], None] = lambda _peer_id: None
    _seen: dict[str, _Seen] = attrs.Factory(dict)  # of contacts
    _is_asking: bool = False

    # -- questions

    def look(self) -> None:
        """Ask for those whose time it is, and notice who is gone; called every PAUSE."""
        now, contacts = self._clock.seconds(), self._contacts.names()
        for peer_id in [one for one in self._seen if one not in contacts]:
            del self._seen[peer_id]
        for session in self._endpoint.alive():
            if session.is_open and session.peer_id in contacts:
                self._note(session.peer_id, now).is_here = True
        for peer_id, seen in self._seen.items():
            self._miss(peer_id, seen, now)
        self._save(SAVED)
        due = [one for one in contacts if self._is_due(one, now)]
        if due and not (self._is_asking or self._endpoint.context.privacy.is_invisible):
            due.sort(key=lambda one: self._of(one).tried)
            self._is_asking = True
            self.ask(due[:MAX_ASKED]).addBoth(self._asked)

    def _asked(self, _result: object) -> None:
        self._is_asking = False

    def _is_due(self, peer_id: str, now: float) -> bool:
        if self._contacts[peer_id].is_blocked or self._is_linked(peer_id):
            return False
        return now >= self._of(peer_id).tried + INTERVAL

    def ask(self, peer_ids: Sequence[str]) -> Deferred[Online]:
        """
        Return a Deferred of who of some is online; of whom nobody can tell nothing is said.

        :param peer_ids: at most MAX_ASKED.
        """
        now = self._clock.seconds()
        for peer_id in peer_ids:
            self._of(peer_id).tried = now
        answer: Deferred[Online] = self._signaling.presence(peer_ids)
        return answer.addCallbacks(self._take, _nobody)

    def _take(self, online: Online) -> Online:
        now, count = self._clock.seconds(), 0
        for peer_id, is_online in online.items():
            seen = self._of(peer_id)
            is_first, seen.asked, seen.is_online = seen.asked < 0, now, is_online
            if not is_online:
                continue
            was_here, before = seen.is_here, self.last_seen(peer_id)
            self._note(peer_id, now).is_here = True
            if not was_here and self._contacts[peer_id].is_contact:
                count += 1
                self._tell(peer_id, REGISTERED, before, is_first or count > MAX_ANNOUNCED)
            self.there(peer_id)
        return online

    # -- what is known

    def state(self, peer_id: str) -> str:
        """Return what is known of a contact now: a word of the table above."""
        seen = self._seen.get(peer_id)
        if self._is_linked(peer_id):
            return REACHABLE
        if seen is None or self._clock.seconds() > seen.asked + STALE:
            return UNKNOWN
        return REGISTERED if seen.is_online else AWAY

    def last_seen(self, peer_id: str) -> float:
        """Return when a contact was there last, in seconds since 1970; 0: nobody remembers."""
        seen = self._seen.get(peer_id)
        if seen is None or seen.at is None:
            return self._contacts[peer_id].last_seen
        return round(self.now() - (self._clock.seconds() - seen.at), 1)

    def described(self, infos: Sequence[ContactInfo]) -> list[ContactInfo]:
        """Return a list of people with what is known of those who are contacts."""
        return [self._described(one) if one.contact else one for one in infos]

    def _described(self, info: ContactInfo) -> ContactInfo:
        presence, last_seen = self.state(info.peer_id), self.last_seen(info.peer_id)
        return attrs.evolve(info, presence=presence, last_seen=last_seen)

    def connected(self, peer_id: str) -> None:
        """A link is open, which is told by itself."""
        if self._contacts[peer_id].is_contact:
            self._note(peer_id, self._clock.seconds()).is_here = True

    def save(self) -> None:
        """Keep when contacts were there, as the program ends."""
        self._save(PAUSE)

    def _is_linked(self, peer_id: str) -> bool:
        session = self._endpoint.sessions.get(peer_id)
        return session is not None and session.is_open

    def _of(self, peer_id: str) -> _Seen:
        return self._seen.setdefault(peer_id, _Seen())

    def _note(self, peer_id: str, now: float) -> _Seen:
        seen = self._of(peer_id)
        seen.at = now
        return seen

    def _miss(self, peer_id: str, seen: _Seen, now: float) -> None:
        """Take it that a contact is gone that wasn't there for long, if somebody says so."""
        is_gone = seen.is_here and seen.at is not None and now >= seen.at + ABSENT
        if is_gone and not seen.is_online and seen.at is not None and seen.asked > seen.at:
            seen.is_here = False
            self._tell(peer_id, AWAY, self.last_seen(peer_id), True)

    def _save(self, least: float) -> None:
        """Keep of whom something was seen for so many seconds that isn't kept."""
        unsaved = [one for one, seen in self._seen.items() if seen.is_unsaved(least)]
        for peer_id in unsaved:
            self._seen[peer_id].saved = self._seen[peer_id].at or 0.0
        if unsaved:
            self._contacts.remember_seen({one: self.last_seen(one) for one in unsaved})

    def _tell(self, peer_id: str, state: str, before: float, is_quiet: bool) -> None:
        person = self._contacts[peer_id]
        quiet = is_quiet or person.is_muted
        self.tell(events.PresenceChanged(peer_id, person.name, state, before, quiet))


def _nobody(failure: Failure) -> Online:
    failure.trap(RegistryError)
    return {}
