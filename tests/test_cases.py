"""Tests of :mod:`tests.cases`."""

from __future__ import annotations

from twisted.trial.reporter import TestResult
from twisted.trial.runner import TestLoader
from twisted.trial.unittest import SynchronousTestCase

from tests.cases import each


class EachTests(SynchronousTestCase):
    """A test for each case."""

    def test_cases(self) -> None:
        """The loader finds them all, each begins anew, and one that fails is one that fails."""
        seen: list[tuple[int, int]] = []

        class Sums(SynchronousTestCase):
            def setUp(self) -> None:
                self.sum = 0

            @each((1, 2), (3, 3), 4)
            def test_sum(self, first: int, second: int = 1) -> None:
                """Sum."""
                self.sum += first
                seen.append((self.sum, second))
                self.assertNotEqual(first, second)

        suite, result = TestLoader().loadClass(Sums), TestResult()
        self.assertEqual(
            [one.id().rpartition(".")[2] for one in suite],
            ["test_sum_0", "test_sum_1", "test_sum_2"],
        )
        suite.run(result)
        self.assertEqual(seen, [(1, 2), (3, 3), (4, 1)])
        self.assertEqual(
            [test.id().rpartition(".")[2] for test, _ in result.failures], ["test_sum_1"]
        )
        self.assertEqual((result.testsRun, len(result.errors)), (3, 0))
