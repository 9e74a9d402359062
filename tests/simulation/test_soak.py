"""Random worlds, each judged by the oracle: a thousand where all are asked for."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from twisted.trial.unittest import SynchronousTestCase

from tests import FIRST_WORLD
from tests.simulation import WHOLE
from tests.simulation.soak import outcome

SEEDS = range(FIRST_WORLD, FIRST_WORLD + (1_000 if WHOLE else 100))
CHUNK = 10  # worlds that a process takes at a time; there are as many as processors


class SoakTests(SynchronousTestCase):
    """See :mod:`tests.simulation.soak`; a failure names the seeds, and how to replay them."""

    def test_random_worlds(self) -> None:
        """Who can be joined is joined, and nothing said is lost, doubled or turned round."""
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            outcomes = Counter(pool.map(outcome, SEEDS, chunksize=CHUNK))
        failures = set(outcomes) - {"joined", "apart"}
        self.assertEqual([], sorted(failures)[:3], f"{len(failures)} worlds failed")
        self.assertEqual({"joined", "apart"}, set(outcomes))
