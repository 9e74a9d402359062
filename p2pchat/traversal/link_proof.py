"""
Proof that a candidate pair carries the link, as far as is known: decided here, and nowhere else.

That small checks pass proves nothing of that.  Some paths let no packet through that is as long as
QUIC's first ones, which have BASE_SIZE bytes (RFC 9000 section 14.1), and some firewalls none that
is QUIC.  So the pair in use is probed beside the link's first flight, and the link says whether it
gets through::

    TRUSTED ── the probe is answered ────────────────────────▶ PROVED
       ├─ small checks pass, those of BASE_SIZE don't ───────▶ TOO_SMALL
       └─ the link isn't heard, and a check after that passes ▶ SILENT
    PROVED ── either, later ── TOO_SMALL or SILENT
    TOO_SMALL ── in a round after AGAIN, the probe is answered ──▶ PROVED
    SILENT ── in a round after AGAIN ──▶ TRUSTED

Where IPv4 packets of BASE_SIZE pass in fragments only, the pair is PROVED, and *fragmented*.  A
pair that is TOO_SMALL or SILENT isn't used while there is another; and while there is one, others
are used that share the fewest ends with silent ones, and of those the proved ones first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Protocol, TypeVar

import attrs

from p2pchat.traversal.size_probe import BASE_SIZE, ProbeState, SizeProbe, SizeSearch

AGAIN = (15.0, 60.0, 300.0)  # seconds until an unfit pair is tried again; the last repeats


class Fitness(Enum):
    """Fitness of a pair for the link; the module docstring has the table."""

    TRUSTED = "trusted"
    PROVED = "proved"
    TOO_SMALL = "too-small"
    SILENT = "silent"


UNFIT = frozenset({Fitness.TOO_SMALL, Fitness.SILENT})


@attrs.define(eq=False)
class LinkProof:
    """
    The machine of one pair.

    :ivar is_fragmented: whether its datagrams have to be fragmented on the way.
    :ivar largest: bytes of UDP payload that pass whole, where those of BASE_SIZE don't; 0: unknown.
    :ivar probe: the one of this round.
    """

    fitness: Fitness = Fitness.TRUSTED
    is_fragmented: bool = False
    largest: int = 0
    probe: SizeProbe | None = None
    _again_at: float = 0.0
    _unheard_at: float | None = None  # when the link should have been heard
    _failures: int = 0  # in a row
    _has_carried: bool = False  # the link was heard over it
    _search: SizeSearch | None = None

    @property
    def is_fit(self) -> bool:
        """Whether the pair may carry the link."""
        return self.fitness not in UNFIT

    @property
    def word(self) -> str:
        """What is known against it, as :class:`p2pchat.traversal.report.PairReport` has it."""
        against = "" if self.is_fit else self.fitness.value
        return "fragmented" if self.is_fragmented else against

    def begin_round(self, now: float) -> None:
        """Give an unfit pair another try, if it is time."""
        if self.running(now) is None:
            self.probe = None
        if self.fitness is Fitness.SILENT and now >= self._again_at:
            self.fitness = Fitness.TRUSTED

    def running(self, now: float) -> SizeProbe | None:
        """Return the probe that goes on."""
        return self.probe if self.probe is not None and self.probe.is_on(now) else None

    def begin_probe(self, rtt: float, may_fragment: bool, now: float) -> None:
        """Probe with BASE_SIZE, unless that was done in this round, or there is no use in it."""
        waits = self.fitness is Fitness.TOO_SMALL and now < self._again_at
        if self.probe is None and self.fitness is not Fitness.SILENT and not waits:
            self.probe = SizeProbe(BASE_SIZE, rtt, may_fragment, now)

    def probe_size(self, size: int, rtt: float, now: float) -> bool:
        """Probe with another size, as soon as BASE_SIZE is decided; tells whether that begins."""
        begins = self.probe is not None and self.probe.due is None and self.is_fit
        if begins:
            self.probe = SizeProbe(size, rtt, False, now)
        return begins

    def take(self, probe: SizeProbe, now: float) -> None:
        """Take what a probe has found."""
        if probe.state is ProbeState.LOST and probe.size == BASE_SIZE:
            self.fail(Fitness.TOO_SMALL, now)
        elif probe.size >= BASE_SIZE and probe.state in {ProbeState.CARRIED, ProbeState.FRAGMENTED}:
            self.is_fragmented = probe.state is ProbeState.FRAGMENTED
            self.fitness = Fitness.PROVED
            self.largest = self.largest if self.is_fragmented else 0

    def search(self, probe: SizeProbe, now: float) -> None:
        """Look for the largest size that passes whole, with what a probe has found."""
        is_small = self.fitness is Fitness.TOO_SMALL or self.is_fragmented
        if probe.size == BASE_SIZE:
            self._search = SizeSearch() if is_small and not self.largest else None
        if self._search is None:
            return
        self._search.take(probe)
        if probe is self.probe:  # it isn't, where its answer is late
            following = self._search.next_probe(probe.rtt, now)
            self.probe = following or probe
            self.largest = self._search.carried if following is None else 0

    def fail(self, fitness: Fitness, now: float) -> None:
        """Take the pair for unfit until AGAIN."""
        self.fitness, self.is_fragmented = fitness, False
        self._unheard_at, self._has_carried = None, False
        self._again_at = now + AGAIN[min(self._failures, len(AGAIN) - 1)]
        self._failures += 1

    def link_unheard(self, now: float) -> None:
        """The link should have been heard by now; if a check passes, it won't be."""
        if self.is_fit and self._unheard_at is None:
            self._unheard_at = now

    def link_heard(self) -> None:
        """The link was heard over it."""
        self._failures, self._unheard_at, self._has_carried = 0, None, True

    def shared_ends(
        self, ends: tuple[object, object], silent: Iterable[tuple[object, object]]
    ) -> int:
        """Count the ends that silent pairs have, too; that is no fault of one that carries."""
        if self._has_carried:
            return 0
        ours, theirs = {one for one, _ in silent}, {one for _, one in silent}
        return (ends[0] in ours) + (ends[1] in theirs)

    def check_answered(self, sent_at: float, now: float) -> None:
        """A check passed, which would have met whatever holds up the link."""
        if self._unheard_at is not None and sent_at >= self._unheard_at:
            self.fail(Fitness.SILENT, now)


class Proved(Protocol):
    """Something with a proof: a pair."""

    @property
    def proof(self) -> LinkProof:
        """Whether it carries the link."""

    @property
    def ends(self) -> tuple[object, object]:
        """What it leads from and to."""


_Pair = TypeVar("_Pair", bound=Proved)


def usable(valid: Iterable[_Pair], known: Sequence[_Pair]) -> list[_Pair]:
    """
    Return those of the valid pairs that the path may be chosen from.

    :param known: all pairs.
    """
    fit = [pair for pair in valid if pair.proof.is_fit]
    unfit = [pair for pair in known if not pair.proof.is_fit]
    if not fit or not unfit:
        return fit
    # What holds up the link is on our side or on theirs, so what shares an end with a silent pair
    # comes after what shares none.
    silent = [pair.ends for pair in unfit if pair.proof.fitness is Fitness.SILENT]
    shared = [pair.proof.shared_ends(pair.ends, silent) for pair in fit]
    fit = [pair for pair, count in zip(fit, shared, strict=True) if count == min(shared)]
    return [pair for pair in fit if pair.proof.fitness is Fitness.PROVED] or fit
