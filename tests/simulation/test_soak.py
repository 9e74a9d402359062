"""A thousand random worlds, each judged by the oracle."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.soak import Plan, Soak, SoakFailed

WORLDS = 1_000


class SoakTests(SynchronousTestCase):
    """See :mod:`tests.simulation.soak`; a failure names the seeds, and how to replay them."""

    def test_random_worlds(self) -> None:
        """Who can be joined is joined, and nothing said is lost, doubled or turned round."""
        outcomes: Counter[str] = Counter()
        failures = []
        for seed in range(WORLDS):
            try:
                outcomes[Soak(Plan.of(seed)).run()] += 1
            except SoakFailed as failure:
                failures.append(str(failure))
        self.assertEqual([], failures[:3], f"{len(failures)} worlds failed")
        self.assertEqual({"joined", "apart"}, set(outcomes))
