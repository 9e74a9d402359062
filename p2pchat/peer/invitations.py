"""
Invitations of one node: those that its person made, and those that it joins by.

::

    invite ─▶ claim ─▶ open ──a response is there──▶ answered: paired, or burnt ──▶ told
                        └── taken back, expired ──▶ told

    join ─▶ look ─▶ respond ─▶ look, until it is answered ──▶ paired, or refused: the Deferred

Owns when the registry is asked: for what joiners left, when it says that there is something, when
we have registered, and every LOOK seconds; for the inviter's answer, often at first and then less.
What is known of the secret is decided in :mod:`p2pchat.identity.pairing`.

An open invitation outlives the program where there is a state directory: it is kept, with its
secret, in a file of mode 0600, and taken out before it is tried.  So is a try of ours that isn't
answered yet, and an answer that the joiner may not have (:mod:`p2pchat.peer.given_answers`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

import attrs
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat import events
from p2pchat.errors import InvitationRefused, RegistryError, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.identity.pairing import SEED, Inviter, Joiner, Partner
from p2pchat.interfaces import IInvitations, INameplates
from p2pchat.peer.given_answers import GivenAnswers
from p2pchat.peer.grants import InvitedGrant
from p2pchat.peer.kept_invitations import (
    KeptAnswer,
    KeptInvitation,
    KeptInvitations,
    KeptTry,
)
from p2pchat.peer.settings import InvitationInfo
from p2pchat.peer.word_list import word_list
from p2pchat.runtime import Runtime, cancel
from p2pchat.wire.documents import Card
from p2pchat.wire.invitations import NAMEPLATE, SECRET, Invitation, parse_invitation
from p2pchat.wire.nameplates import (
    LONGEST,
    LONGEST_SPOKEN,
    Claim,
    NameplateState,
    PakeResponse,
)
from p2pchat.wire.usernames import comparable

MAX_OPEN = 16  # as many as a registry lets a peer have
NAMES_TRIED = 5  # nameplates, where others have those that we chose
LOOK = 30.0  # seconds between two looks at our own nameplates, if the registry says nothing
SOON = 0.5  # seconds between two looks for the inviter's answer, at first
SOON_LOOKS = 40
LATER = 10.0  # seconds between two later ones
GONE = 75.0  # seconds; a registry that was started again has the nameplate back after two LOOKs
PATIENCE = 5.0  # seconds after which the person is told that the inviter is away

_BURNT = (
    "a wrong secret was tried on it, so it is used up and nobody was let in; if that was your "
    "friend, make another"
)
_MISTYPED = (
    "the secret didn't fit: it was mistyped, or somebody on the way (the registry could) changed "
    "what was sent; that invitation is used up and nobody was added: ask for another one"
)
_DISPROVED = (
    "whoever answered doesn't know the secret of that invitation: somebody on the way (the "
    "registry could) put himself between you; nobody was added: ask for another one"
)
_USED = "that invitation was used already; if not by you, tell whoever gave it to you"
_GONE = object()  # there is no such nameplate
_OWN = "that is your own invitation: it is for somebody else"

_log = Logger()


@attrs.frozen
class Acquaintance:
    """
    Somebody met by an invitation.

    :ivar name: that our person chose, or "".
    :ivar server: URL of the registry that it was met at.
    :ivar invited: whether the invitation was ours.
    :ivar replaces: id of the contact whose key this one's replaces, or "".
    :ivar grant: what it may open here, or of another's invitation we there; ``None``: nothing.
    """

    partner: Partner
    server: str
    name: str = ""
    invited: bool = False
    replaces: str = ""
    grant: InvitedGrant | None = None


@attrs.define(eq=False)
class _Offered:
    """An open invitation of ours."""

    info: InvitationInfo
    side: Inviter
    is_busy: bool = False
    timer: IDelayedCall | None = None

    @property
    def kept(self) -> KeptInvitation:
        """What is kept of it."""
        info, invitation = self.info, self.side.invitation
        return KeptInvitation(
            *(info.line, invitation.server, self.side.seed, info.expires_at),
            *(info.name, info.replaces, info.grant),
        )


@attrs.frozen
class InvitationContext:
    """
    Needs of the invitations of a node.

    :ivar homes: returns the URLs of our registries, those that can be reached first.
    :ivar nameplates: returns those at a registry, ours or another.
    :ivar card: returns what we say of ourselves.
    :ivar available: returns a Deferred that fires when the registry knows us.
    :ivar met: takes whom we met, after the other side can know it.
    :ivar tell: takes each event.
    :ivar save: keeps what is open, for :meth:`Invitations.restore`.
    """

    runtime: Runtime
    identity: Identity
    homes: Callable[[], Sequence[str]]
    nameplates: Callable[[str], INameplates]
    card: Callable[[], Card]
    available: Callable[[], Deferred[None]]
    met: Callable[[Acquaintance], None]
    tell: Callable[[events.NodeEvent], None]
    save: Callable[[KeptInvitations], Deferred[None]]


@implementer(IInvitations)
@attrs.define(eq=False)
class Invitations:
    """The invitations of one node."""

    _context: InvitationContext
    _open: dict[str, _Offered] = attrs.Factory(dict)  # by nameplate
    _tries: dict[str, KeptTry] = attrs.Factory(dict)  # of ours that aren't answered, likewise
    _answers: GivenAnswers = attrs.field(init=False)
    _looking: LoopingCall = attrs.field(init=False)
    _waits: set[Deferred[Any]] = attrs.Factory(set)
    _is_stopped: bool = False

    def __attrs_post_init__(self) -> None:
        context = self._context
        self._answers = GivenAnswers(context.runtime, context.nameplates, self._save)
        self._looking = LoopingCall(self._look)
        self._looking.clock = self._context.runtime.clock

    def _at(self, side: Inviter | Joiner) -> INameplates:
        """Return the nameplates that an invitation is for."""
        return self._context.nameplates(side.invitation.server)

    @property
    def _clock(self) -> Any:
        return self._context.runtime.clock

    def stop(self) -> None:
        """Ask nothing more; what is open stays open at the registry."""
        self._is_stopped = True
        if self._looking.running:
            self._looking.stop()
        for one in self._open.values():
            cancel(one.timer)
        for wait in list(self._waits):
            wait.cancel()

    # -- over restarts

    def _save(self) -> Deferred[None]:
        """Keep what is open; a Deferred fires when it is written, or can't be now."""
        opened = (one.kept for one in self._open.values())
        kept = KeptInvitations(tuple(opened), tuple(self._tries.values()), self._answers.kept)
        return self._context.save(kept)

    def restore(self, kept: KeptInvitations) -> None:
        """Go on with what was open and unanswered when the program ended."""
        now = self._context.runtime.wall_time()
        for one in kept.open:
            with contextlib.suppress(RemoteProtocolError):  # somebody has changed the file
                self._reopen(one, one.expires_at - now)
        for tried in kept.tries:
            with contextlib.suppress(RemoteProtocolError):
                self._try_on(tried, tried.expires_at - now)
        self._answers.restore(kept.answers)
        if self._answers:
            self._keep_looking()

    def _reopen(self, kept: KeptInvitation, seconds: float) -> None:
        if seconds <= 0:
            return
        invitation = parse_invitation(kept.line, kept.server, word_list())
        side = Inviter(self._context.identity, invitation, kept.seed)
        place = invitation.nameplate
        info = InvitationInfo(
            *(kept.line, place, invitation.is_spoken, kept.expires_at, kept.name, kept.replaces),
            kept.grant,
        )
        self._hold(info, side, seconds)

    def _try_on(self, kept: KeptTry, seconds: float) -> None:
        if seconds <= 0:
            return
        invitation = parse_invitation(kept.line, kept.server, word_list())
        side = Joiner(self._context.identity, invitation, kept.seed)
        side.resume(kept.message, kept.response)
        self._tries[invitation.nameplate] = kept
        followed: Deferred[str] = self._follow(side, kept.response, seconds)
        followed.addErrback(self._tried_in_vain)

    def _tried_in_vain(self, failure: Failure) -> None:
        failure.trap(InvitationRefused, RegistryError)
        if not self._is_stopped:
            self._context.tell(events.Trouble(str(failure.value)))

    # -- ours

    def open(self) -> list[InvitationInfo]:
        """See :class:`IInvitations`."""
        return [one.info for one in self._open.values()]

    @inlineCallbacks
    def invite(
        self,
        name: str,
        seconds: int,
        is_spoken: bool,
        replaces: str = "",
        grant: InvitedGrant | None = None,
    ) -> Any:
        """See :class:`IInvitations`."""
        if len(self._open) >= MAX_OPEN:
            raise InvitationRefused(f"{MAX_OPEN} invitations are open: /uninvite one of them first")
        self._context.nameplates(self._context.homes()[0])  # fails where there are none
        seconds = min(seconds, LONGEST_SPOKEN if is_spoken else LONGEST)
        yield self._context.available()
        for _ in range(NAMES_TRIED):
            invitation = self._make(is_spoken, "" if grant is None else grant.service)
            side = Inviter(
                self._context.identity, invitation, self._context.runtime.random_bytes(SEED)
            )
            try:
                yield self._claim(side, seconds)
                break
            except RegistryError as error:
                if error.reason != "nameplate-taken":
                    raise
        else:
            raise InvitationRefused("the registry has no free nameplate: try again")
        expires_at = self._context.runtime.wall_time() + seconds
        place = invitation.nameplate
        info = InvitationInfo(str(invitation), place, is_spoken, expires_at, name, replaces, grant)
        self._hold(info, side, seconds)
        yield self._save()
        return info

    def _make(self, is_spoken: bool, service: str) -> Invitation:
        random = self._context.runtime.random_bytes(NAMEPLATE + SECRET)
        if is_spoken:
            return Invitation.spoken(self._context.homes()[0], random, word_list())
        return Invitation.link(self._context.homes()[0], random, service)

    def _claim(self, side: Inviter, seconds: float) -> Deferred[Any]:
        claim = Claim(side.invitation.nameplate, side.message, max(1, int(seconds)))
        return self._at(side).claim(claim)

    def _hold(self, info: InvitationInfo, side: Inviter, seconds: float) -> None:
        one = self._open[info.nameplate] = _Offered(info, side)
        one.timer = self._clock.callLater(seconds, self._expired, info.nameplate)
        self._keep_looking()

    def _keep_looking(self) -> None:
        if not self._looking.running and not self._is_stopped:
            self._looking.start(LOOK, now=False).addErrback(_unforeseen)

    def _expired(self, nameplate: str) -> None:
        one = self._drop(nameplate)
        if one is not None:
            one.side.end()
            self._end(one, "expired", "nobody used it in time")

    def _drop(self, nameplate: str) -> _Offered | None:
        one = self._open.pop(nameplate, None)
        if one is not None:
            cancel(one.timer)
            self._save()
        return one

    def _end(self, one: _Offered, reason: str, explanation: str) -> None:
        self._context.tell(
            events.InvitationEnded(one.info.nameplate, one.info.name, reason, explanation)
        )

    @inlineCallbacks
    def withdraw(self, which: str) -> Any:
        """See :class:`IInvitations`."""
        one = self._find(which)
        self._drop(one.info.nameplate)
        one.side.end()
        self._end(one, "withdrawn", "you took it back")
        try:
            yield self._at(one.side).release(one.info.nameplate)
        except RegistryError as error:  # whoever joins there now is answered by nobody
            _log.debug("a nameplate can't be released: {error}", error=error)
        return one.info

    def _find(self, which: str) -> _Offered:
        """
        Return the open invitation meant by its nameplate or name; without either, the only one.

        :raises InvitationRefused: none is, or not one only.
        """
        wanted = comparable(which)
        found = [
            one
            for one in self._open.values()
            if not wanted or wanted in {one.info.nameplate, comparable(one.info.name)}
        ]
        if len(found) == 1:
            return found[0]
        if not self._open:
            raise InvitationRefused("no invitation of yours is open")
        names = ", ".join(
            f"{one.info.nameplate} {one.info.name}".strip() for one in self._open.values()
        )
        raise InvitationRefused(f"say which invitation: {names}")

    def look(self) -> None:
        """Look at all our nameplates: a registry is there again, and may have forgotten them."""
        for nameplate in list(self._open):
            self._look_there(nameplate)
        self._answers.look()

    def _look(self) -> None:
        """Look at those that somebody may wait at."""
        for nameplate in list(self._open):
            self._look_there(nameplate)
        self._answers.look_attentively()

    def answered(self, nameplate: str) -> None:
        """There may be something at a nameplate of ours."""
        self._look_there(nameplate)
        self._answers.answered(nameplate)

    def arrived(self, peer_id: str) -> None:
        """A peer is connected, and so has our answer, if it waited for one."""
        self._answers.arrived(peer_id)

    def _look_there(self, nameplate: str) -> None:
        one = self._open.get(nameplate)
        if one is not None and not one.is_busy:
            one.is_busy = True
            looked: Deferred[None] = self._look_at(one)
            looked.addErrback(_unforeseen)

    @inlineCallbacks
    def _look_at(self, one: _Offered) -> Any:
        nameplate = one.info.nameplate
        try:
            state = yield self._at(one.side).look(nameplate)
        except RegistryError as error:
            if error.status == HTTPStatus.NOT_FOUND:  # it was started again, and has forgotten it
                yield self._claim_again(one)
            return
        finally:
            one.is_busy = False
        if state.response is not None and self._open.get(nameplate) is one:
            self._answer(one, state.response)

    @inlineCallbacks
    def _claim_again(self, one: _Offered) -> Any:
        left = one.info.expires_at - self._context.runtime.wall_time()
        try:
            yield self._claim(one.side, left)
        except RegistryError as error:
            _log.debug("a nameplate can't be claimed again: {error}", error=error)

    def _answer(self, one: _Offered, response: PakeResponse) -> None:
        self._drop(one.info.nameplate)
        now = self._context.runtime.wall_time()
        completion, partner = one.side.receive(response, self._context.card(), now)
        server, peer_id = one.side.invitation.server, "" if partner is None else partner.peer_id
        self._answers.give(
            KeptAnswer(
                *(one.info.nameplate, server, one.info.expires_at, peer_id),
                *(one.side.message, response, completion),
            )
        )
        if partner is None:
            self._end(one, "burnt", _BURNT)
        elif partner.peer_id == self._context.identity.peer_id:
            self._end(one, "withdrawn", "you used it yourself, by another program")
        else:
            info = one.info
            met = Acquaintance(partner, server, info.name, True, info.replaces, info.grant)
            self._context.met(met)

    # -- others'

    @inlineCallbacks
    def join(self, line: str) -> Any:
        """See :class:`IInvitations`."""
        invitation, state = yield self._found(line)
        place = invitation.nameplate
        if state.origin != invitation.origin:
            raise InvitationRefused(
                f"that invitation was made at {state.origin}, and your registry is "
                f"{invitation.server}: start this program with --server {state.origin}"
            )
        if place in self._tries:
            raise InvitationRefused("you have used that invitation, and wait for who made it")
        if state.response is not None:
            raise InvitationRefused(_USED)
        runtime = self._context.runtime
        side = Joiner(self._context.identity, invitation, runtime.random_bytes(SEED))
        try:
            response = side.respond(state.message, self._context.card(), runtime.wall_time())
        except RemoteProtocolError:
            raise InvitationRefused(_DISPROVED) from None
        seconds = float(state.expires_in)
        self._tries[place] = KeptTry(
            *(str(invitation), invitation.server, side.seed),
            *(runtime.wall_time() + seconds, state.message, response),
        )
        return (yield self._follow(side, response, seconds))

    @inlineCallbacks
    def _found(self, line: str) -> Any:
        """
        Return a Deferred of the invitation and of what stands at its nameplate.

        A spoken one names no registry: it is looked for at each of ours, until one has it.
        """
        errors: list[RegistryError] = []
        for home in self._context.homes():
            invitation = self._read(line, home)
            try:
                nameplates = self._context.nameplates(invitation.server)
                return invitation, (yield nameplates.look(invitation.nameplate))
            except RegistryError as error:
                errors.append(error)
                if not invitation.is_spoken:
                    break
        raise errors[0]

    def _read(self, line: str, home: str) -> Invitation:
        """
        Read a line that is for us.

        :raises InvitationRefused: it isn't.
        """
        try:
            invitation = parse_invitation(line, home, word_list())
        except RemoteProtocolError as error:
            raise InvitationRefused(str(error)) from None
        if invitation.nameplate in self._open:
            raise InvitationRefused(_OWN)
        return invitation

    @inlineCallbacks
    def _follow(self, side: Joiner, response: PakeResponse, seconds: float) -> Any:
        """Leave our try, wait for the answer, and take it; a Deferred of who it is."""
        nameplate = side.invitation.nameplate
        yield self._save()
        try:
            completion = yield self._awaited(side, response, seconds)
            partner = side.receive(completion)
        except RemoteProtocolError:
            why = _MISTYPED if completion.is_burnt else _DISPROVED
            raise InvitationRefused(why) from None
        finally:
            if not self._is_stopped:  # else it goes on with the next start
                del self._tries[nameplate]
                self._save()
        if partner.peer_id == self._context.identity.peer_id:
            raise InvitationRefused(_OWN)
        service = side.invitation.service
        grant = InvitedGrant(service) if service else None
        self._context.met(Acquaintance(partner, side.invitation.server, grant=grant))
        return partner.peer_id

    @inlineCallbacks
    def _awaited(self, side: Joiner, response: PakeResponse, seconds: float) -> Any:
        """
        Leave our try, and return a Deferred of the inviter's answer.

        Whether an answer of the registry was lost on the way can't be told: so what is there is
        looked at each time, and the try is left where it isn't there.
        """
        begun, number, was_said, seen_at = self._clock.seconds(), 0, False, self._clock.seconds()
        while self._clock.seconds() - begun < seconds:
            state = yield self._look_for(side, response)
            if isinstance(state, NameplateState) and state.completion is not None:
                return state.completion
            if state is not _GONE:
                seen_at = self._clock.seconds()
            elif self._clock.seconds() - seen_at >= GONE:
                raise InvitationRefused("that invitation was taken back")
            if not was_said and self._clock.seconds() - begun >= PATIENCE:
                was_said = True
                until = self._context.runtime.wall_time() + seconds
                nameplate = side.invitation.nameplate
                self._context.tell(events.InvitationWaits(nameplate, until))
            number += 1
            yield self._wait(SOON if number <= SOON_LOOKS else LATER)
        raise InvitationRefused("whoever invited you didn't come back before it expired")

    @inlineCallbacks
    def _look_for(self, side: Joiner, response: PakeResponse) -> Any:
        """
        Look what is there, and leave our try where none is.

        A Deferred fires with the state, with None where the registry can't be asked now, or with
        _GONE.
        """
        nameplates, name = self._at(side), side.invitation.nameplate
        try:
            state = yield nameplates.look(name)
            if state.response is None:
                yield nameplates.respond(name, response)
        except RegistryError as error:
            if error.status == HTTPStatus.CONFLICT:
                raise InvitationRefused(_USED) from None
            return _GONE if error.status == HTTPStatus.NOT_FOUND else None
        if state.response not in (None, response):
            raise InvitationRefused(_USED)
        return state

    @inlineCallbacks
    def _wait(self, seconds: float) -> Any:
        wait: Deferred[None] = deferLater(self._clock, seconds)
        self._waits.add(wait)
        try:
            yield wait
        except CancelledError:
            raise InvitationRefused("this program is leaving") from None
        finally:
            self._waits.discard(wait)


def _unforeseen(failure: Failure) -> None:
    _log.failure("an unforeseen error around an invitation", failure)
