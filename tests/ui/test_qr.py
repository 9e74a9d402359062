"""QR codes on a terminal: what is drawn is the code."""

from __future__ import annotations

import segno
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.qr import BORDER, qr_rows

LINE = "p2pchat:join/" + "a" * 45 + "@http://203.0.113.7:8000"


class QrTests(SynchronousTestCase):
    """Rows of half blocks."""

    def test_drawn(self) -> None:
        """Each half block is a module of the code, light ones drawn, with a light border."""
        rows = qr_rows(LINE)
        halves = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}
        drawn = []
        for row in rows:
            drawn += [[halves[one][half] for one in row] for half in (0, 1)]
        made = segno.make(LINE, error="l", micro=False, boost_error=False)
        code = [list(row) for row in made.matrix]
        size = len(code)
        inside = [row[BORDER : BORDER + size] for row in drawn[BORDER : BORDER + size]]
        self.assertEqual(inside, code)
        self.assertEqual(set(drawn[0]), {0})

    def test_room(self) -> None:
        """An invitation fits on a terminal of 80 columns and 24 rows, and one of 40 columns."""
        rows = qr_rows(LINE)
        self.assertLessEqual(len(rows), 21)
        self.assertEqual({len(row) for row in rows}, {len(rows[0])})
        self.assertLess(len(rows[0]), 40)
