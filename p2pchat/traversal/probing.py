"""
Probing of one attempt's pairs: which are probed in a round, with what size, and by which checks.

The path in use is probed once it is valid, and where any pair is unfit, all valid ones are
(:mod:`p2pchat.traversal.link_proof`).  Another size may be asked for, of the path in use; and what
is the largest that passes is looked for where that is less than the link needs, for people to read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from p2pchat.traversal.pairs import Checklist, Pair, SentCheck
from p2pchat.traversal.routes import Fragmentation
from p2pchat.traversal.size_probe import ProbeState, SizeProbe

RETRY_DELAY = 0.05  # seconds until a check that the limits held back is due again


@attrs.define(eq=False)
class Probing:
    """
    The machine; a child of :class:`p2pchat.traversal.punching.Punching`.

    :ivar checklist: the pairs.
    :ivar send: takes a check of a probe, bytes 0 for a control, and the time; tells whether it may
        go.
    """

    checklist: Checklist
    send: Callable[[Pair, SizeProbe, int, Fragmentation, float], bool]
    _wanted: int = 0  # bytes, of the path in use
    _asked: SizeProbe | None = None  # the probe with the last of them

    def ask(self, size: int) -> None:
        """Probe the path in use with this size as soon as that can be."""
        self._wanted = size

    def begin(self, in_use: Pair | None, valid: Sequence[Pair], now: float) -> None:
        """Begin the probes of these valid pairs that there is a use for."""
        is_doubted = not all(pair.proof.is_fit for pair in self.checklist.pairs.values())
        for pair in (one for one in valid if is_doubted or one is in_use):
            pair.proof.begin_probe(pair.rtt, pair.may_fragment, now)
        wanted = self._wanted if in_use in valid else 0
        if wanted and in_use is not None and in_use.proof.probe_size(wanted, in_use.rtt, now):
            self._wanted, self._asked = 0, in_use.proof.probe

    def send_due(self, now: float) -> None:
        """Send what is due."""
        for pair, probe in self.checklist.probed(now):
            if probe.due is not None and now >= probe.due:
                self._send(pair, probe, now)

    def _send(self, pair: Pair, probe: SizeProbe, now: float) -> None:
        """Send a padded check, and what goes out beside it."""
        size = probe.size
        # A system that knows better than to send it whole would say nothing of the path.
        kinds = [(size, Fragmentation.FORBIDDEN)]
        kinds += [(0, Fragmentation.AS_KNOWN)] if probe.has_control else []
        kinds += [(size, Fragmentation.ALLOWED)] if probe.tries_fragments else []
        for padded, fragmentation in kinds:
            if not self.send(pair, probe, padded, fragmentation, now):
                probe.held_back(RETRY_DELAY, now)
                return
        probe.check_sent(now)

    def end(self) -> None:
        """Probe no more."""
        for pair in self.checklist.pairs.values():
            if pair.proof.probe is not None:
                pair.proof.probe.end()

    def take(self, sent: SentCheck, octets: int, now: float) -> tuple[int, bool] | None:
        """
        Take the size of an answer to a check.

        Returns a size that was asked for and whether it is carried, once that is found out.
        """
        probe, proof = sent.probe, sent.pair.proof
        could_fragment = sent.fragmentation is Fragmentation.ALLOWED
        if probe is None or not probe.take(sent.padded, octets, could_fragment, now):
            return None
        proof.take(probe, now)
        if not sent.pair.is_relayed:
            proof.search(probe, now)
        if probe is self._asked:
            return probe.size, probe.state is ProbeState.CARRIED
        if self._wanted < probe.size or proof.is_fit:
            return None
        wanted, self._wanted = self._wanted, 0
        return wanted, False
