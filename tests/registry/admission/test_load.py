"""The load meter, and the work that follows from it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.admission.load import EASE, LAG, SHARE, WINDOW, LoadMeter
from p2pchat.wire.work import MAX_DIFFICULTY, MIN_DIFFICULTY


def flooded(rate: int, seconds: int, load: LoadMeter | None = None) -> LoadMeter:
    """Return the load after so many strangers a second, from 0 on."""
    load = load or LoadMeter(onset=10)
    for number in range(rate * seconds):
        load.count_stranger(number / rate)
    return load


class OnsetTests(SynchronousTestCase):
    """When work is asked, and how much."""

    def test_rest(self) -> None:
        """At rest, and below each onset, there is no work."""
        load = flooded(9, 60)
        load.measure(SHARE[0] - 0.01, 0.0, 60.0)
        self.assertEqual((LoadMeter().difficulty, load.difficulty), (0, 0))

    def test_strangers(self) -> None:
        """A flood of strangers costs work, the more the faster they come, up to the most."""
        asked = [flooded(rate, 60).difficulty for rate in (11, 20, 40, 80, 1000)]
        self.assertEqual(asked, [MIN_DIFFICULTY, 16, 18, MAX_DIFFICULTY, MAX_DIFFICULTY])

    def test_burst(self) -> None:
        """As many at once as come in WINDOW at the onset are no pressure; a restart is met so."""
        load = LoadMeter(onset=10)
        for _ in range(int(10 * WINDOW) - 1):
            load.count_stranger(5.0)
        self.assertEqual(load.difficulty, 0)
        load.count_stranger(5.0)
        self.assertEqual(load.difficulty, MIN_DIFFICULTY)

    def test_restart(self) -> None:
        """Those who come before it counts don't make it ask, nor do they later."""
        load = LoadMeter(onset=1, counts_from=30)
        for number in range(1000):
            load.count_stranger(29.0 + number / 1001)
        load.measure(0.0, 0.0, 30.0)
        self.assertEqual(load.difficulty, 0)
        for _ in range(10):
            load.count_stranger(30.0)
        self.assertEqual(load.difficulty, MIN_DIFFICULTY)

    def test_share(self) -> None:
        """A directory that fills up costs work, the most when it is full."""
        asked = []
        for share in (0.79, 0.8, 0.9, 1.0):
            load = LoadMeter()
            load.measure(share, 0.0, 1.0)
            asked.append(load.difficulty)
        self.assertEqual(asked, [0, MIN_DIFFICULTY, 17, MAX_DIFFICULTY])

    def test_lag(self) -> None:
        """One pause, however long, is nothing; an event loop that is always late is load."""
        load = LoadMeter()
        load.measure(0.0, 60.0, 1.0)
        self.assertEqual(load.difficulty, 0)
        for second in range(2, 60):
            load.measure(0.0, LAG[1], float(second))
        self.assertEqual(load.difficulty, MAX_DIFFICULTY)

    def test_never(self) -> None:
        """An operator who doesn't want it gets none."""
        load = flooded(1000, 10, LoadMeter(onset=0))
        load.measure(1.0, 60.0, 10.0)
        self.assertEqual(load.difficulty, 0)


class EndTests(SynchronousTestCase):
    """How pressure ends: a bit at a time, and only when all is well."""

    def relieve(self, load: LoadMeter, since: int, share: float = 0.0) -> list[int]:
        """Return the difficulty at each second of the next two minutes."""
        asked = []
        for second in range(since, since + 120):
            load.measure(share, 0.0, float(second))
            asked.append(load.difficulty)
        return asked

    def test_eases(self) -> None:
        """It falls a bit each EASE seconds, to the least, then to none."""
        asked = self.relieve(flooded(1000, 20), 20)
        steps = sorted(set(asked), reverse=True)
        self.assertEqual(steps, [*range(MAX_DIFFICULTY, MIN_DIFFICULTY - 1, -1), 0])
        for bits in range(MIN_DIFFICULTY, MAX_DIFFICULTY):
            self.assertEqual(asked.count(bits), EASE)

    def test_hysteresis(self) -> None:
        """Between its end and its beginning a measure keeps pressure up, and doesn't begin it."""
        between = (SHARE[0] + SHARE[2]) / 2
        self.assertEqual(self.relieve(flooded(1000, 20), 20, between)[-1], MIN_DIFFICULTY)
        self.assertEqual(self.relieve(LoadMeter(), 20, between)[-1], 0)

    @settings(max_examples=100)
    @given(
        st.lists(
            st.tuples(st.floats(0, 30), st.booleans(), st.floats(0, 1), st.floats(0, 5)),
            max_size=60,
        )
    )
    def test_range(self, steps: list[tuple[float, bool, float, float]]) -> None:
        """Whatever happens: no work or work within the bounds, and no fall by more than a bit."""
        load, now, before = LoadMeter(onset=0.5), 0.0, 0
        for wait, stranger, share, lag in steps:
            now += wait
            if stranger:
                load.count_stranger(now)
            else:
                load.measure(share, lag, now)
            asked = load.difficulty
            self.assertIn(asked, {0, *range(MIN_DIFFICULTY, MAX_DIFFICULTY + 1)})
            self.assertGreaterEqual(asked, before - 1 if before > MIN_DIFFICULTY else 0)
            before = asked
