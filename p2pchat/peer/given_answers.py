"""
Answers that were given to joiners, until those surely have them.

::

    given ──▶ completed at the registry ──▶ the joiner connects, or time is up: over
                  ▲        │
                  │        └── the nameplate is gone: claimed again ──▶ the try is there again
                  └──────────────────────────────────────────────────────────┘

A registry that keeps nameplates in memory forgets them with a restart.  Between the inviter's
answer and the joiner's look at it, that would leave one of the two with a contact who knows nothing
of it.  So the answer is kept, also between two runs, and left again: the very same one, for the
very same try.  Whatever else stands there is no business of ours: the invitation was used.

The answer to a try that showed no knowledge of the secret is left until the registry has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.logger import Logger

from p2pchat.errors import RegistryError
from p2pchat.interfaces import INameplates
from p2pchat.peer.kept_invitations import MAX_KEPT, KeptAnswer
from p2pchat.runtime import Runtime
from p2pchat.wire.nameplates import Claim

ATTENTIVE = 600.0  # seconds for which one is looked at often; later, when a registry returns

_log = Logger()


@attrs.define(eq=False)
class _Given:
    """One of them."""

    kept: KeptAnswer
    since: float  # on the clock
    is_busy: bool = False


@attrs.define(eq=False)
class GivenAnswers:
    """
    The answers of one node.

    :ivar nameplates: returns those at a registry.
    :ivar save: keeps what changed.
    """

    _runtime: Runtime
    nameplates: Callable[[str], INameplates]
    save: Callable[[], object]
    _given: dict[str, _Given] = attrs.Factory(dict)  # by nameplate

    @property
    def kept(self) -> tuple[KeptAnswer, ...]:
        """What the next run goes on with."""
        return tuple(one.kept for one in self._given.values())

    def __bool__(self) -> bool:
        return bool(self._given)

    def restore(self, kept: Iterable[KeptAnswer]) -> None:
        """Go on with those of the last run."""
        for one in kept:
            self._hold(one)

    def _hold(self, kept: KeptAnswer) -> _Given:
        if len(self._given) >= MAX_KEPT:
            del self._given[next(iter(self._given))]
        found = _Given(kept, self._runtime.clock.seconds())
        self._given[kept.nameplate] = found
        return found

    def give(self, kept: KeptAnswer) -> None:
        """Let the registry have an answer."""
        given = self._hold(kept)
        self.save()
        given.is_busy = True
        self._run(given, self._complete(given))

    def arrived(self, peer_id: str) -> None:
        """A peer is connected: it needs no answer any more."""
        self._drop([one for one in self._given.values() if one.kept.peer_id == peer_id])

    def look(self) -> None:
        """Make sure that all are there: a registry may have forgotten them."""
        self._look(list(self._given.values()))

    def look_attentively(self) -> None:
        """Do so with those that were given not long ago."""
        since = self._runtime.clock.seconds() - ATTENTIVE
        self._look([one for one in self._given.values() if one.since >= since])

    def answered(self, nameplate: str) -> None:
        """There may be something at a nameplate of ours."""
        self._look([one for one in self._given.values() if one.kept.nameplate == nameplate])

    def _look(self, given: list[_Given]) -> None:
        now = self._runtime.wall_time()
        self._drop([one for one in given if one.kept.expires_at <= now])
        for one in given:
            if self._given.get(one.kept.nameplate) is one and not one.is_busy:
                one.is_busy = True
                self._run(one, self._follow(one))

    def _run(self, given: _Given, doing: Deferred[None]) -> None:
        def done(result: Any) -> Any:
            given.is_busy = False
            return result

        doing.addBoth(done)
        doing.addErrback(lambda failure: _log.failure("an answer to a joiner", failure))

    def _drop(self, given: list[_Given]) -> None:
        for one in given:
            self._given.pop(one.kept.nameplate, None)
        if given:
            self.save()

    @inlineCallbacks
    def _follow(self, given: _Given) -> Any:
        kept = given.kept
        nameplates = self.nameplates(kept.server)
        try:
            state = yield nameplates.look(kept.nameplate)
        except RegistryError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                yield self._claim_again(given, nameplates)
            return
        if state.completion is None and state.response == kept.response:
            yield self._complete(given)

    @inlineCallbacks
    def _complete(self, given: _Given) -> Any:
        kept = given.kept
        try:
            yield self.nameplates(kept.server).complete(kept.completion)
        except RegistryError as error:
            is_final = 400 <= error.status < 500 and error.status != HTTPStatus.TOO_MANY_REQUESTS
            if not (is_final and kept.completion.is_burnt):
                return
        if kept.completion.is_burnt:
            self._drop([given])

    @inlineCallbacks
    def _claim_again(self, given: _Given, nameplates: INameplates) -> Any:
        kept = given.kept
        if kept.completion.is_burnt:  # it has ended there
            self._drop([given])
            return
        left = int(kept.expires_at - self._runtime.wall_time())
        try:
            yield nameplates.claim(Claim(kept.nameplate, kept.message, max(1, left)))
            given.since = self._runtime.clock.seconds()
        except RegistryError as error:
            _log.debug("a nameplate can't be claimed again: {error}", error=error)
