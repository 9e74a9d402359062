"""
One attempt to find a path to a peer: an offer, an answer, and the checks that follow.

::

    offering side                                      answering side
    describe()        ── offer ─────────────────────▶
                                                       agree(offer)
                                                       begin(): checks, low TTL
                      ◀───────────────────── answer ── describe()
    agree(answer)
    begin()           ── candidates, began ─────────▶  full TTL
    update()          ── candidates ────────────────▶  add_candidates()
    add_candidates()  ◀───────────────── candidates ── update()

Every attempt has a new session name, ephemeral key and username fragment, so that nothing of an
old one can be used again.  The key of the checks and the secret of the link's handshake come from
both sides' ephemeral keys (:mod:`p2pchat.identity.exchange`).

Owns both sides' descriptions, the checks (:mod:`p2pchat.traversal.punching`, which the agent
drives) and the report of them.  Who is called, who accepts, what is retried and what is delivered
is decided in :mod:`p2pchat.session.call`.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.identity.exchange import Exchange, PeerIds
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.checks import CheckCredentials
from p2pchat.traversal.nat import NatTraits
from p2pchat.traversal.path_hint import PathHint, PathMethod, is_predicted
from p2pchat.traversal.punching import AttemptPhase, Punching
from p2pchat.traversal.remote_candidates import MAX_KEPT
from p2pchat.traversal.report import AttemptReport, NatReport, in_ms, milliseconds
from p2pchat.traversal.strategy import choose
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    Candidate,
    Candidates,
    CandidateType,
    Description,
)

MAX_TRIP = 10.0  # seconds for a document and its answer that count; no network is known as slow
MAX_REPEATS = 8  # times in an attempt that new addresses of theirs make us send ours again


@attrs.define(eq=False)
class Attempt:
    """
    The machine of one attempt.

    :ivar agent: the traversal of our socket.
    :ivar peer_ids: of both sides.
    :ivar session: the name that all documents of the attempt carry.
    :ivar is_offering: whether the offer is ours.
    :ivar began: when the offer was made or received.
    :ivar hint: how this peer was reached last.
    :ivar rtt: seconds of a round trip from us to the registry, 0 while unknown.
    :ivar ufrag: our username fragment.
    :ivar is_over: whether it has been given up.
    :ivar handshake_secret: for one link, once both descriptions are there; empty before.
    """

    agent: Agent
    peer_ids: PeerIds
    session: str
    is_offering: bool
    began: float
    hint: PathHint | None
    _random_bytes: Callable[[int], bytes]
    rtt: float = 0.0
    ufrag: str = attrs.Factory(
        lambda self: self.agent.new_ufrag(self.peer_ids.remote), takes_self=True
    )
    is_over: bool = False
    handshake_secret: bytes = attrs.field(default=b"", repr=False)
    _exchange: Exchange = attrs.Factory(
        lambda self: Exchange.from_seed(self._random_bytes(32)), takes_self=True
    )
    _local: tuple[Candidate, ...] = ()  # as sent last
    _remote: Description | None = None
    _credentials: CheckCredentials | None = None
    _remote_nat: NatTraits | None = None
    _checks: Punching | None = None
    _checks_began: float | None = None
    _remote_addresses: set[Address] = attrs.Factory(set)  # the first MAX_KEPT
    _updated: bool = False  # our candidates changed after our offer or answer
    _repeats: int = 0

    # -- what goes out

    def describe(self, username: str, link: str, now: float) -> Description:
        """Return our side's description, for an offer or answer."""
        self._local = self.agent.candidates(self.peer_ids.remote)
        key, nat = self._exchange.public_key, self.agent.gathering.traits().words()
        rtt = int(in_ms(min(self.rtt, MAX_TRIP)))
        pause = int(in_ms(self.agent.guessing_pause(self.ufrag, self.peer_ids.remote, now)))
        return Description(username, key, self.ufrag, self._local, link, nat, rtt=rtt, pause=pause)

    def update(self) -> Candidates:
        """Return the CANDIDATES that follow an offer or answer when our candidates have changed."""
        self._local, self._updated = self.agent.candidates(self.peer_ids.remote), True
        return Candidates(self.session, self._local, False, self.agent.gathering.traits().words())

    @property
    def untold(self) -> frozenset[CandidateType]:
        """The types of those candidates of ours by now that the other side hasn't been told of."""
        new = set(self.agent.candidates(self.peer_ids.remote)) - set(self._local)
        return frozenset(one.type for one in new)

    # -- the checks

    def agree(self, remote: Description) -> None:
        """
        Derive the secrets of the attempt: the other side's description is there.

        :raises RemoteProtocolError: its ephemeral key is unfit.
        """
        secrets = self._exchange.secrets(
            remote.exchange, self.session, self.peer_ids, self.is_offering
        )
        self.handshake_secret = secrets.handshake
        self._credentials = CheckCredentials(self.ufrag, remote.ufrag, secrets.checks)
        self._remote = remote

    @property
    def trip(self) -> float:
        """Seconds that a document and its answer take over the registry, 0 while unknown."""
        theirs = 0 if self._remote is None else self._remote.rtt / 1000
        return min(self.rtt + theirs, MAX_TRIP)

    def prolong(self, now: float) -> None:
        """Check for longer: the other side hasn't had our answer yet."""
        if self._checks is not None:
            self._checks.prolong(now)

    def begin(self, has_priority: bool, flight: tuple[bytes, ...], now: float) -> None:
        """
        Begin to check the other side's candidates.

        :param has_priority: whether the peer is a contact, or our person called or accepted it.
        :param flight: datagrams that follow the first checks to the likeliest addresses.
        """
        remote, credentials = self._remote, self._credentials
        assert remote is not None and credentials is not None
        self._remote_nat, self._checks_began = NatTraits.read(remote.nat), now
        self._note(remote.candidates)
        self._checks = self.agent.punch(
            credentials,
            remote.candidates,
            self._remote_nat,
            now,
            not self.is_offering,  # the answering side checks first, with a low TTL
            hint=self.hint,
            has_priority=has_priority,
            peer_id=self.peer_ids.remote,
            trip=self.trip,
            they_guess_at=now + remote.pause / 1000,
            flight=flight,
        )

    def add_candidates(self, update: Candidates, now: float) -> bool:
        """
        Take more candidates of the other side; return whether :meth:`update` is to be sent again.

        New addresses hint at a new network over there.  Our last update may then have gone down an
        event stream that was dead already, so it is repeated, MAX_REPEATS times at most.
        """
        if self._checks is None:
            return False
        is_new = self._note(update.candidates)
        repeats = is_new and self._updated and self._repeats < MAX_REPEATS
        self._repeats += repeats
        self._checks.add_candidates(update.candidates, now)
        if update.began:
            self._checks.remote_began(now)
        if update.nat.mapping:
            self._remote_nat = NatTraits.read(update.nat)
            self.agent.learn(self.ufrag, self._remote_nat, now)
        return repeats

    def _note(self, candidates: tuple[Candidate, ...]) -> bool:
        """Note remote addresses; return whether any is new."""
        addresses = dict.fromkeys(one.address for one in candidates)
        new = [address for address in addresses if address not in self._remote_addresses]
        kept = new[: MAX_KEPT - len(self._remote_addresses)]
        self._remote_addresses.update(kept)
        return bool(kept)

    @property
    def is_checking(self) -> bool:
        """Whether a round of checks is on: the first one, or one for a better path."""
        return self._checks is not None and self._checks.phase is AttemptPhase.CHECKING

    def give_up(self) -> None:
        """End the checks, and the path that they may have found."""
        self.is_over, self._checks = True, None
        self.agent.forget(self.ufrag)

    # -- what came of it

    @property
    def method(self) -> PathMethod | None:
        """How the path was found, ``None`` without one."""
        checks, remote_nat = self._checks, self._remote_nat
        if checks is None or checks.path is None or remote_nat is None:
            return None
        path, local_nat = checks.path, self.agent.gathering.traits()
        if checks.method is PathMethod.PLAIN and is_predicted(
            local_nat, path.local, remote_nat, path.remote
        ):
            return PathMethod.PREDICTED
        return checks.method

    @property
    def _is_relayed(self) -> bool:
        return self.agent.uses_relays_only(self.peer_ids.remote)

    def next_hint(self, wall: float) -> PathHint | None:
        """
        Return the hint for the next call, from how the path was found; ``None`` without one.

        :param wall: seconds since 1970.
        """
        method, remote_nat = self.method, self._remote_nat
        if method is None or remote_nat is None or self._is_relayed:
            return None
        return PathHint(method, self.agent.gathering.traits().mapping, remote_nat.mapping, wall)

    def report(self, origin: float, failure: str = "") -> AttemptReport:
        """
        Return a report of the attempt so far.

        :param origin: the time that milliseconds count from.
        :param failure: why it is given up, or "".
        """
        gathering, remote_nat, checks = self.agent.gathering, self._remote_nat, self._checks
        local_nat, hint = gathering.traits(), self.hint
        nat = NatReport.of(local_nat, gathering.is_blocked, self._local)
        began = in_ms(self.began - origin)
        if remote_nat is None or checks is None:
            return AttemptReport(nat, None, self.is_offering, began, failure=failure)
        fits = hint is not None and hint.fits(local_nat, remote_nat)
        return AttemptReport(
            nat,
            NatReport.of(remote_nat, False, checks.checklist.remote.kept),
            self.is_offering,
            began,
            milliseconds(self._checks_began, origin),
            choose(local_nat, remote_nat).value,
            hint.method.value if hint is not None and fits else "",
            checks.checklist.reports(origin),
            checks.guessing_report(origin),
            "" if self.method is None else self.method.value,
            not checks.first_round_over and not failure,
            failure,
        )


def extended(description: Description, update: Candidates) -> Description:
    """Return an offer's description with candidates that came before it was accepted."""
    found = dict.fromkeys((*description.candidates, *update.candidates))
    nat = update.nat if update.nat.mapping else description.nat
    return attrs.evolve(description, candidates=tuple(found)[:MAX_CANDIDATES], nat=nat)
