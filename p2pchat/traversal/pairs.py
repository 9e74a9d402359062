"""
Candidate pairs, the checklist of an attempt (RFC 8445 section 6.1.2), and the path.

A pair is one of our bases (the chat socket, a relay, or one of many sockets:
:mod:`p2pchat.traversal.routes`) and one remote address.  It is *valid* in a round that brings a
response from the very address that the check went to (sections 7.2.5.2.1 and 7.2.5.3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from p2pchat.traversal.link_proof import LinkProof, usable
from p2pchat.traversal.path_hint import PathMethod
from p2pchat.traversal.remote_candidates import RemoteCandidates
from p2pchat.traversal.report import PairReport, in_ms, milliseconds
from p2pchat.traversal.routes import CHAT_SOCKET, RELAYS, SOCKETS, Fragmentation, Route
from p2pchat.traversal.size_probe import SizeProbe
from p2pchat.traversal.strategy import by_likelihood
from p2pchat.wire.addresses import Address, Family, family, format_address
from p2pchat.wire.documents import Candidate, CandidateType

HEADERS = {Family.IPV4: 28, Family.IPV6: 48}  # bytes before a UDP payload, without options
MAX_PAIRS = 80  # 32 candidates from two bases, and addresses that checks come from
RESEND_AFTER = (0.02, 0.02, 0.03, 0.04, 0.06, 0.1, 0.15, 0.2, 0.25)  # seconds, the last repeats
MANY_SENDS, SLOW_RESEND = 30, 1.0  # after so many, six seconds, a round is a long one: seconds
RELAY_WAIT = 0.5  # seconds before a candidate is checked from our relay: its own side is to check
# our relayed address first.  Else our check is a stranger's packet to its NAT, which no low TTL can
# stop here; a Linux NAT without a firewall would then map later datagrams to another port.


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
    :ivar proof: whether it carries the link.
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
    proof: LinkProof = attrs.Factory(LinkProof)

    @property
    def ends(self) -> tuple[str, Address]:
        """Our base and the remote address."""
        return self.route.base, self.route.address

    @property
    def is_relayed(self) -> bool:
        """Whether a relay carries it, ours or theirs."""
        return self.route.is_relayed or self.type is CandidateType.RELAYED

    @property
    def may_fragment(self) -> bool:
        """Whether routers could fragment what goes over it: those of IPv4 can."""
        return not self.route.is_relayed and family(self.route.address[0]) is Family.IPV4

    @property
    def is_local(self) -> bool:
        """Whether it leads to an address of the other machine itself."""
        return self.type is CandidateType.HOST and not self.is_relayed

    def is_valid(self, since: float) -> bool:
        """Tell whether a check was answered since then, when the round began."""
        return self.answered_at is not None and self.answered_at >= since

    def begin_round(self, now: float) -> None:
        """Begin a round, with a check at once."""
        self.check_again(now)
        self.proof.begin_round(now)

    def check_again(self, now: float) -> None:
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
        wait = SLOW_RESEND if self.sends >= MANY_SENDS else wait
        self.sends, self.checks_sent, self.due = self.sends + 1, self.checks_sent + 1, now + wait

    def check_answered(self, rtt: float, round_started: float, now: float) -> None:
        """Note that a check of this round was answered."""
        self.rtt = min(rtt, self.rtt) if self.is_valid(round_started) else rtt
        self.answered_at, self.due = now, self.due if self.nominating else None
        self.first_answered = now if self.first_answered is None else self.first_answered

    def method(self, is_probed: bool) -> PathMethod:
        """Return how a path over it was made; ``is_probed``: port probing has met its address."""
        if self.is_relayed:
            return PathMethod.RELAY
        if self.route.base.startswith(SOCKETS):
            return PathMethod.MANY_SOCKETS
        return PathMethod.PORT_PROBING if is_probed else PathMethod.PLAIN

    def note_local(
        self, mapped: Address | None, hosts: Sequence[Address], reflexive: Sequence[Address]
    ) -> None:
        """
        Note what our end is.

        :param mapped: where the other side saw us.
        :param hosts: our host candidates' addresses.
        :param reflexive: our server-reflexive ones.
        """
        if self.route.is_relayed:
            self.local = CandidateType.RELAYED
        elif mapped in hosts:
            self.local = CandidateType.HOST
        elif mapped in reflexive:
            self.local = CandidateType.SERVER_REFLEXIVE
        else:
            self.local = CandidateType.PEER_REFLEXIVE

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
            self.proof.word,
            self.proof.largest and self.proof.largest + HEADERS[family(self.route.address[0])],
        )


@attrs.frozen
class SentCheck:
    """
    A check that wasn't answered yet.

    :ivar nominated: whether by USE-CANDIDATE in it.
    :ivar probe: what it is a padded check of, or a control where it isn't ``padded``.
    """

    pair: Pair
    at: float
    nominated: bool = False
    probe: SizeProbe | None = None
    padded: int = 0
    fragmentation: Fragmentation = Fragmentation.AS_KNOWN


@attrs.define(eq=False)
class Checklist:
    """
    The pairs of one attempt: which there are, and which checks are due.

    :ivar remote: the candidates of the other side.
    :ivar families: those in which this machine has an address.
    :ivar proofs: what other attempts know of where checks go.
    :ivar bases: of which pairs are made.
    :ivar reflexive: our server-reflexive addresses, which say whether the other side is near.
    :ivar relay_wait: seconds before a candidate is checked from our relay.
    :ivar pairs: by where their checks go; the likeliest are checked first.
    """

    remote: RemoteCandidates
    families: frozenset[Family]
    bases: tuple[str, ...] = (CHAT_SOCKET,)
    reflexive: tuple[Address, ...] = ()
    proofs: Mapping[Route, LinkProof] = attrs.Factory(dict)
    relay_wait: float = RELAY_WAIT
    pairs: dict[Route, Pair] = attrs.Factory(dict)

    def add(self, candidates: Iterable[Candidate], now: float) -> list[Pair]:
        """
        Pair these remote candidates with our bases, and return the new pairs.

        Known and forbidden ones are left out.
        """
        known = len(self.pairs)
        new = [candidate for candidate in candidates if self.remote.add(candidate)]
        for candidate in by_likelihood(new, self.reflexive, self.families):
            for base in self.bases:
                self._pair_up(candidate, base, now)
        return list(self.pairs.values())[known:]

    def set_relays(self, relays: tuple[str, ...]) -> list[str]:
        """Take our relay bases of now, and drop the pairs of others; returns the new bases."""
        new = [base for base in relays if base not in self.bases]
        gone = {base for base in self.bases if base.startswith(RELAYS)} - set(relays)
        self.pairs = {route: one for route, one in self.pairs.items() if route.base not in gone}
        self.bases = (*(base for base in self.bases if base not in gone), *new)
        return new

    @property
    def relays(self) -> list[str]:
        """Our relay bases."""
        return [base for base in self.bases if base.startswith(RELAYS)]

    def pair_with(self, bases: Iterable[str], now: float) -> None:
        """Pair all remote candidates with these bases."""
        for base in bases:
            for candidate in self.remote.kept:
                self._pair_up(candidate, base, now)

    def pair_of(self, source: Route, kind: CandidateType, now: float) -> Pair | None:
        """
        Return the pair that a check came over, a new one if need be; ``None``: too many.

        :param kind: the type of the source where it is no candidate.
        """
        remote = self.remote.get(source.address, kind)
        return self.pairs.get(source) or self._add_pair(remote, source.base, now)

    def _pair_up(self, candidate: Candidate, base: str, now: float) -> None:
        pair = self.pairs.get(Route(candidate.address, base))
        if pair is None and self._reaches(candidate.address, base):
            self._add_pair(candidate, base, now)
        elif pair is not None and pair.type is CandidateType.PEER_REFLEXIVE:
            pair.type = candidate.type  # a check came from there before we were told of it

    def _reaches(self, address: Address, base: str) -> bool:
        """Tell whether what leaves from this base can get there at all."""
        if base.startswith(RELAYS):
            return self.remote.is_at_relay(address)
        return family(address[0]) in self.families

    def _add_pair(self, candidate: Candidate, base: str, now: float) -> Pair | None:
        """Return the new pair; ``None`` where there are too many."""
        if len(self.pairs) >= MAX_PAIRS:
            return None
        # Their NAT has no mapping for our relay before it has checked it.  A relay is no NAT.
        waits = base.startswith(RELAYS) and candidate.type is not CandidateType.RELAYED
        begin = now + self.relay_wait if waits else now
        route = Route(candidate.address, base)
        pair = self.pairs[route] = Pair(route, candidate.type, begin, due=begin)
        if route in self.proofs:
            pair.proof = attrs.evolve(self.proofs[route], probe=None)
        return pair

    def begin_round(self, now: float) -> None:
        """Make a check of every pair due."""
        for pair in self.pairs.values():
            pair.begin_round(now)

    def end_round(self) -> None:
        """Check no pair any more."""
        for pair in self.pairs.values():
            pair.end_round()

    def valid(self, since: float) -> list[Pair]:
        """Return the valid pairs of the round that began then."""
        return [pair for pair in self.pairs.values() if pair.is_valid(since)]

    def due(self, now: float) -> list[Pair]:
        """Return the pairs whose check is due, the least checked first: all get their checks."""
        due = [one for one in self.pairs.values() if one.due is not None and now >= one.due]
        return sorted(due, key=lambda one: one.sends)

    def get_timer(self) -> float | None:
        """Return when the next check is due."""
        due = [one.due for one in self.pairs.values() if one.due is not None]
        return min(due, default=None)

    def next_probe(self) -> float | None:
        """Return when the next padded check is due."""
        probes = [one.proof.probe for one in self.pairs.values() if one.proof.probe is not None]
        return min((one.due for one in probes if one.due is not None), default=None)

    def reports(self, began: float) -> tuple[PairReport, ...]:
        """Return what was tried, pair by pair; ``began`` as in :meth:`Pair.report`."""
        return tuple(pair.report(began) for pair in self.pairs.values())

    def probed(self, now: float) -> list[tuple[Pair, SizeProbe]]:
        """Return the pairs of which a size is probed now, and how far that is."""
        running = ((pair, pair.proof.running(now)) for pair in self.pairs.values())
        return [(pair, probe) for pair, probe in running if probe is not None]

    def usable(self, since: float) -> list[Pair]:
        """Return those valid pairs of the round that the path may be chosen from."""
        return usable(self.valid(since), tuple(self.pairs.values()))


@attrs.frozen
class Path:
    """The pair that carries the traffic, as it was when it was selected."""

    address: Address
    local: CandidateType
    remote: CandidateType
    rtt: float  # seconds
    base: str = CHAT_SOCKET
    is_fragmented: bool = False  # its datagrams have to be fragmented on the way

    @classmethod
    def of(cls, pair: Pair) -> Path:
        """Return the path over a pair."""
        route, is_fragmented = pair.route, pair.proof.is_fragmented
        return cls(route.address, pair.local, pair.type, pair.rtt, route.base, is_fragmented)

    @property
    def route(self) -> Route:
        """Where its traffic goes."""
        return Route(self.address, self.base)

    @property
    def fragmentation(self) -> Fragmentation:
        """How its datagrams may be fragmented."""
        return Fragmentation.ALLOWED if self.is_fragmented else Fragmentation.AS_KNOWN

    @property
    def is_relayed(self) -> bool:
        """Whether a relay carries it, ours or theirs."""
        return CandidateType.RELAYED in {self.local, self.remote}

    @property
    def may_be_nearer(self) -> bool:
        """Whether it goes through a NAT or a relay, and so perhaps further than it has to."""
        return {self.local, self.remote} != {CandidateType.HOST}
