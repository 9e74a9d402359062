"""
Candidate pairs (RFC 8445 section 6.1.2), and the path that one of them becomes.

A pair is one of our bases (the chat socket, a relay, or one of many sockets:
:mod:`p2pchat.traversal.routes`) and one remote address.  It is *valid* in a round that brings a
response from the very address that the check went to (sections 7.2.5.2.1 and 7.2.5.3.2).
"""

from __future__ import annotations

import attrs

from p2pchat.traversal.report import PairReport, in_ms, milliseconds
from p2pchat.traversal.routes import CHAT_SOCKET, Route
from p2pchat.wire.addresses import Address, format_address
from p2pchat.wire.documents import CandidateType

RESEND_AFTER = (0.02, 0.02, 0.03, 0.04, 0.06, 0.1, 0.15, 0.2, 0.25)  # seconds, the last repeats


@attrs.define(eq=False)
class Pair:
    """
    The checks on one pair.

    :ivar route: where they go.
    :ivar type: what the remote address is.
    :ivar not_before: when checks may begin.
    :ivar due: when the next check goes out; ``None``: not in this round.
    :ivar sends: checks sent in this round.
    :ivar answered_at: when a check was answered last.
    :ivar rtt: round-trip time in seconds, the shortest of the round.
    :ivar local: what our end is, by where the other side saw us.
    :ivar nominating: whether our USE-CANDIDATE hasn't been answered.
    :ivar nomination: the number of our nomination, or 0.
    """

    route: Route
    type: CandidateType
    not_before: float = 0.0
    due: float | None = None
    sends: int = 0
    checks_sent: int = 0
    checks_received: int = 0
    first_sent: float | None = None
    first_answered: float | None = None
    answered_at: float | None = None
    rtt: float = 0.0
    local: CandidateType = CandidateType.HOST
    nominating: bool = False
    nomination: int = 0

    @property
    def is_relayed(self) -> bool:
        """Whether a relay carries it, ours or theirs."""
        return self.route.is_relayed or self.type is CandidateType.RELAYED

    @property
    def is_local(self) -> bool:
        """Whether it leads to an address of the other machine itself."""
        return self.type is CandidateType.HOST and not self.is_relayed

    def is_valid(self, since: float) -> bool:
        """Tell whether a check was answered since then, when the round began."""
        return self.answered_at is not None and self.answered_at >= since

    def begin_round(self, now: float) -> None:
        """Check at once, or as soon as checks may begin, and then fast."""
        self.sends, self.due = 0, max(now, self.not_before)

    def end_round(self) -> None:
        """Check no more."""
        self.due, self.nominating = None, False

    def nominate(self, number: int, now: float) -> None:
        """Check with USE-CANDIDATE, until that is answered."""
        self.nomination, self.nominating = number, True
        self.sends, self.due = 0, now

    def check_sent(self, now: float) -> None:
        """Note that a check went out."""
        self.first_sent = now if self.first_sent is None else self.first_sent
        wait = RESEND_AFTER[min(self.sends, len(RESEND_AFTER) - 1)]
        self.sends, self.checks_sent, self.due = self.sends + 1, self.checks_sent + 1, now + wait

    def check_answered(self, rtt: float, round_started: float, now: float) -> None:
        """Note that a check of this round was answered."""
        self.rtt = min(rtt, self.rtt) if self.is_valid(round_started) else rtt
        self.answered_at, self.due = now, self.due if self.nominating else None
        self.first_answered = now if self.first_answered is None else self.first_answered

    def report(self, began: float) -> PairReport:
        """Return what became of it; ``began`` is the time that milliseconds count from."""
        answered = milliseconds(self.first_answered, began)
        return PairReport(
            self.route.base,
            self.type.value,
            format_address(self.route.address),
            milliseconds(self.first_sent, began),
            self.checks_sent,
            self.checks_received,
            answered,
            None if answered is None else in_ms(self.rtt),
        )


@attrs.frozen
class Path:
    """The pair that carries the traffic, as it was when it was selected."""

    address: Address
    local: CandidateType
    remote: CandidateType
    rtt: float  # seconds
    base: str = CHAT_SOCKET

    @classmethod
    def of(cls, pair: Pair) -> Path:
        """Return the path over a pair."""
        return cls(pair.route.address, pair.local, pair.type, pair.rtt, pair.route.base)

    @property
    def route(self) -> Route:
        """Where its traffic goes."""
        return Route(self.address, self.base)

    @property
    def is_relayed(self) -> bool:
        """Whether a relay carries it, ours or theirs."""
        return CandidateType.RELAYED in {self.local, self.remote}
