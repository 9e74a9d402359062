"""
The matrix of NAT kinds as reStructuredText; pure text from the outcomes of runs.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from itertools import combinations_with_replacement

import attrs

#: Of the lab's kinds; "open" is no NAT, and its pairs are counted apart.
KINDS = (
    "open",
    "full-cone",
    "address-restricted",
    "port-restricted",
    "no-firewall",
    "symmetric",
    "double",
    "udp-blocked",
)
PAIRS = tuple(combinations_with_replacement(KINDS, 2))

FIRST_MESSAGE, CHECKS = "first message, ms", "checks alone, ms"
NOTHING = "-"  # where no run joined


@attrs.frozen
class Outcome:
    """One run that joined: milliseconds, and the candidate types of the path in the end."""

    milliseconds: float
    local: str
    remote: str
    moved: bool = False  # the first message went over the relay, before there was a direct path
    fragmented: bool = False  # routers cut packets in pieces

    @property
    def relayed(self) -> bool:
        """Whether a relay carries the path."""
        return "relay" in (self.local, self.remote)


@attrs.frozen
class Runs:
    """All runs of one program for one pair; None is a run that did not join."""

    outcomes: tuple[Outcome | None, ...]

    @property
    def joined(self) -> list[Outcome]:
        """Those that joined."""
        return [outcome for outcome in self.outcomes if outcome is not None]

    @property
    def all_joined(self) -> bool:
        """Whether each did."""
        return bool(self.outcomes) and len(self.joined) == len(self.outcomes)

    @property
    def all_direct(self) -> bool:
        """Whether each joined, and without a relay."""
        return self.all_joined and not any(outcome.relayed for outcome in self.joined)

    @property
    def median(self) -> float:
        """Milliseconds of those that joined; without any, NaN."""
        taken = [outcome.milliseconds for outcome in self.joined]
        return statistics.median(taken) if taken else float("nan")

    def columns(self, round_trip: float = 0.0) -> list[str]:
        """
        Return how many joined, over what, and how soon.

        With a `round_trip`, in milliseconds, the time is expressed in these too.
        """
        times = 2 if round_trip else 1
        if not self.outcomes:
            return [""] * (2 + times)
        score = f"{len(self.joined)} of {len(self.outcomes)}"
        if not self.joined:
            return [score, NOTHING, *[NOTHING] * times]
        trips = [f"{self.median / round_trip:.1f}"] if round_trip else []
        return [score, self._path(), f"{self.median:.0f}", *trips]

    def burden(self) -> str:
        """Return whether paths are relayed, and packets fragmented."""
        words = {
            "relayed": [outcome.relayed for outcome in self.joined],
            "fragmented": [outcome.fragmented for outcome in self.joined],
        }
        return ", ".join(word for word, found in words.items() if any(found)) or NOTHING

    def _path(self) -> str:
        kinds = Counter("relay" if outcome.relayed else "direct" for outcome in self.joined)
        if len(kinds) > 1:
            return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
        types = Counter((o.local, o.remote, o.moved) for o in self.joined).most_common(1)
        local, remote, moved = types[0][0]
        return f"{'relay, then ' if moved else ''}{next(iter(kinds))} ({local}, {remote})"


@attrs.frozen
class Cell:
    """What both programs did with one pair of NATs."""

    left: str
    right: str
    p2pchat: Runs
    aioice: Runs

    @property
    def title(self) -> str:
        """The pair as people write it."""
        return f"{self.left} × {self.right}"  # noqa: RUF001 - a multiplication sign

    @property
    def has_nats(self) -> bool:
        """Whether both sides are behind a NAT: 28 pairs of the full matrix."""
        return "open" not in (self.left, self.right)

    @property
    def may_be_direct(self) -> bool:
        """Whether a direct path can be had at all: UDP at both ends, not both random."""
        pair = (self.left, self.right)
        return "udp-blocked" not in pair and pair != ("symmetric", "symmetric")


def grid(cells: Sequence[Cell], round_trip: float = 0.0, burden: bool = False) -> str:
    """
    Return one row for each pair, as a list-table.

    With a `round_trip`, in milliseconds, times are expressed in these too; with `burden` there is a
    column for it.
    """
    trips = ["round trips"] if round_trip else []
    heavy = ["relayed, fragmented"] if burden else []
    rows = [["NATs", "p2pchat", "path", FIRST_MESSAGE, *trips, *heavy]]
    rows[0] += ["aioice", "path", CHECKS, *trips]
    for cell in cells:
        words = [cell.p2pchat.burden()] if burden else []
        chat, ice = cell.p2pchat.columns(round_trip), cell.aioice.columns(round_trip)
        rows.append([cell.title, *chat, *words, *ice])
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        for n, text in enumerate(row):
            lines.append(f"   {'* -' if n == 0 else '  -'} {text}".rstrip())
    return "\n".join(lines)


def totals(cells: Sequence[Cell]) -> str:
    """Return the sums that matter, as a bullet list."""
    return "\n".join(f"- {sentence}" for sentence in _sentences(cells))


def _sentences(cells: Sequence[Cell]) -> list[str]:
    nats = [cell for cell in cells if cell.has_nats]
    sentences = _scores(nats, "pairs of NATs")
    if len(nats) < len(cells):
        sentences += _scores(cells, "pairs, those with open included,")
    if any(cell.p2pchat.outcomes for cell in cells):
        indirect = [cell for cell in cells if cell.may_be_direct and not cell.p2pchat.all_direct]
        sentences.append(_listed("p2pchat not direct although UDP allows it", indirect))
    return [*sentences, *_race(cells)]


def _scores(cells: Sequence[Cell], what: str) -> list[str]:
    """Return one sentence for each program that was run at all."""
    sentences = []
    for name, runs in (
        ("p2pchat", [cell.p2pchat for cell in cells]),
        ("aioice", [cell.aioice for cell in cells]),
    ):
        joined, direct = sum(r.all_joined for r in runs), sum(r.all_direct for r in runs)
        if any(r.outcomes for r in runs):
            score = f"{joined} of {len(cells)} {what} joined, {direct} direct"
            sentences.append(f"{name}: {score}, in every run")
    return sentences


def _race(cells: Sequence[Cell]) -> list[str]:
    both = [cell for cell in cells if cell.p2pchat.joined and cell.aioice.joined]
    slower = [cell for cell in both if cell.p2pchat.median >= cell.aioice.median]
    if not both:
        return []
    return [
        f"joined by both: {len(both)}; p2pchat's first message before aioice's checks end in "
        f"{len(both) - len(slower)}",
        _listed("p2pchat later than aioice", slower),
    ]


def _listed(title: str, cells: Sequence[Cell]) -> str:
    return f"{title}: {', '.join(cell.title for cell in cells) or 'none'}"
