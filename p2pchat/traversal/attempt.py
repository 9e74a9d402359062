"""
One attempt to find a path to a peer: an offer, an answer, and the checks that follow.

::

    offering side                                          answering side
    Attempt                                                Attempt, named like the offer
      describe()  ──── offer: Description, session ────▶
                  ◀─── answer: Description ──────────────    describe()
      begin(theirs) ── candidates: began ──────────────▶     begin(theirs)
      update()   ◀──── candidates: news of either side ─▶    hear(news)
              checks: p2pchat.traversal.punching, driven by the Agent

Every attempt has a new session name, ephemeral key and username fragment, so nothing of an old one
can be used again.  The two ephemeral keys make the key of the checks.

Owns no delivery and no decision: who is called, whether it is accepted and what follows a failure
is :mod:`p2pchat.session.call`'s, which carries the descriptions in its offers and answers.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.identity.exchange import Exchange
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.path_hint import PathHint, PathMethod, is_predicted
from p2pchat.traversal.punching import Credentials, Phase, Punching
from p2pchat.traversal.remote_candidates import MAX_KEPT
from p2pchat.traversal.report import AttemptReport, NatReport, in_ms, milliseconds
from p2pchat.traversal.strategy import choose
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import MAX_CANDIDATES, Candidate, Candidates, Description

MAX_REPEATS = 8  # times in an attempt that news of theirs makes us send our candidates again


@attrs.define(eq=False)
class Attempt:
    """
    The machine of one attempt.

    :ivar agent: the traversal of our socket.
    :ivar session: the name that all documents of the attempt carry.
    :ivar is_offering: whether the offer is ours.
    :ivar began: when the offer was made, or came.
    :ivar remembered: how this peer was reached last.
    :ivar ufrag: our username fragment.
    :ivar is_over: whether it was given up.
    """

    agent: Agent
    session: str
    is_offering: bool
    began: float
    remembered: PathHint | None
    _random_bytes: Callable[[int], bytes]
    ufrag: str = attrs.Factory(lambda self: self.agent.new_ufrag(), takes_self=True)
    is_over: bool = False
    _exchange: Exchange = attrs.Factory(
        lambda self: Exchange.from_seed(self._random_bytes(32)), takes_self=True
    )
    _ours: tuple[Candidate, ...] = ()  # as they were sent last
    _theirs: NatTraits | None = None
    _checks: Punching | None = None
    _checks_began: float | None = None
    _heard: set[Address] = attrs.Factory(set)  # theirs, the first MAX_KEPT
    _has_updated: bool = False  # ours changed after they were sent in offer or answer
    _repeats: int = 0

    # -- what goes out

    def describe(self, username: str, link: str) -> Description:
        """Return our side as an offer or answer carries it."""
        self._ours = self.agent.candidates()
        key, nat = self._exchange.public_key, self.agent.gathering.traits().words()
        return Description(username, key, self.ufrag, self._ours, link, nat)

    def update(self) -> Candidates:
        """Return our candidates and NAT as they are now, to follow an offer or answer."""
        self._ours, self._has_updated = self.agent.candidates(), True
        return Candidates(self.session, self._ours, False, self.agent.gathering.traits().words())

    # -- the checks

    def begin(self, theirs: Description, known: bool, now: float) -> None:
        """
        Begin to check.

        :param known: whether the peer is a contact, or our person called or accepted it.
        :raises RemoteProtocolError: their ephemeral key is unfit.
        """
        key = self._exchange.integrity_key(theirs.exchange, self.session, self.is_offering)
        self._theirs, self._checks_began = NatTraits.read(theirs.nat), now
        self._note(theirs.candidates)
        self._checks = self.agent.punch(
            Credentials(self.ufrag, theirs.ufrag, key),
            theirs.candidates,
            self._theirs,
            now,
            not self.is_offering,  # the answering side checks first, with a low TTL
            recalled=self.remembered,
            known=known,
        )

    def hear(self, news: Candidates, now: float) -> bool:
        """
        Take what the other side adds while checks are on; tells whether to send ours again.

        New addresses are a sign of a new network there.  An update of ours may have gone down an
        event stream that was dead by then, so it is repeated, MAX_REPEATS times at most.
        """
        if self._checks is None:
            return False
        is_news = self._note(news.candidates)
        self._repeats += is_news and self._has_updated
        self._checks.add_candidates(news.candidates, now)
        if news.began:
            self._checks.remote_began(now)
        if news.nat.mapping:
            self._theirs = NatTraits.read(news.nat)
            self.agent.learn(self.ufrag, self._theirs, now)
        return is_news and self._has_updated and self._repeats <= MAX_REPEATS

    def _note(self, candidates: tuple[Candidate, ...]) -> bool:
        """Note their addresses; tells whether any is new."""
        addresses = dict.fromkeys(one.address for one in candidates)
        news = [address for address in addresses if address not in self._heard]
        kept = news[: MAX_KEPT - len(self._heard)]
        self._heard.update(kept)
        return bool(kept)

    @property
    def is_checking(self) -> bool:
        """Whether checks go out now, be it for a better path."""
        return self._checks is not None and self._checks.phase is Phase.CHECKING

    def give_up(self) -> None:
        """End the checks, and the path if they found one."""
        self.is_over, self._checks = True, None
        self.agent.forget(self.ufrag)

    # -- what came of it

    @property
    def method(self) -> PathMethod | None:
        """What made the path."""
        checks, theirs = self._checks, self._theirs
        if checks is None or checks.path is None or theirs is None:
            return None
        path, ours = checks.path, self.agent.gathering.traits()
        if checks.method is PathMethod.PLAIN and is_predicted(
            ours, path.local, theirs, path.remote
        ):
            return PathMethod.PREDICTED
        return checks.method

    def hint(self, wall: float) -> PathHint | None:
        """
        Return how the path came about, for the next call; ``None`` if there is nothing to learn.

        :param wall: seconds since 1970.
        """
        method, theirs = self.method, self._theirs
        if method is None or theirs is None or self.agent.relay_only:
            return None
        return PathHint(method, self.agent.gathering.traits().mapping, theirs.mapping, wall)

    def report(self, origin: float, failure: str = "") -> AttemptReport:
        """
        Return what was tried.

        :param origin: when the call began; times count from then.
        :param failure: why nothing came of it.
        """
        gathering, theirs, checks = self.agent.gathering, self._theirs, self._checks
        ours, remembered = gathering.traits(), self.remembered
        nat = NatReport.of(ours, gathering.is_blocked, self._ours)
        began = in_ms(self.began - origin)
        if theirs is None or checks is None:
            return AttemptReport(nat, None, self.is_offering, began, failure=failure)
        fits = remembered is not None and remembered.fits(ours, theirs)
        return AttemptReport(
            nat,
            NatReport.of(theirs, False, checks.candidates),
            self.is_offering,
            began,
            milliseconds(self._checks_began, origin),
            choose(ours, theirs).value,
            remembered.method.value if remembered is not None and fits else "",
            checks.pair_reports(origin),
            checks.burst_report(origin),
            "" if self.method is None else self.method.value,
            not checks.has_settled and not failure,
            failure,
        )


def extended(description: Description, news: Candidates) -> Description:
    """Return an offer's description with what its author added before the checks began."""
    known = dict.fromkeys((*description.candidates, *news.candidates))
    nat = news.nat if news.nat.mapping else description.nat
    return attrs.evolve(description, candidates=tuple(known)[:MAX_CANDIDATES], nat=nat)
