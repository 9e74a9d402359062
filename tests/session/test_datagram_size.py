"""Which sizes of datagrams are tried on a path, and when."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.session.datagram_size import AGAIN, SIZES, WORTH, DatagramSize
from p2pchat.session.qh3_connection import DATAGRAM_SIZE


class DatagramSizeTests(SynchronousTestCase):
    """The search on one path after another."""

    def setUp(self) -> None:
        self.size = DatagramSize()

    def search(self, most: int) -> list[int]:
        """Let a path of so many bytes be searched; returns what was tried."""
        tried = []
        while (size := self.size.next_probe()) is not None:
            tried.append(size)
            self.assertIsNone(self.size.next_probe(), "one at a time")
            self.size.probed(size, size <= most)
        return tried

    def test_pays(self) -> None:
        """Nothing is tried before it pays, and what isn't proved isn't used."""
        self.size.sent(WORTH - 1)
        self.assertIsNone(self.size.next_probe())
        self.size.sent(1)
        self.assertEqual(self.size.next_probe(), SIZES[0])
        self.assertEqual(self.size.proved, DATAGRAM_SIZE)

    def test_ends(self) -> None:
        """One size after the other is tried, up to the first that isn't carried, or the last."""
        self.size.sent(WORTH)
        self.assertEqual(self.search(1472), [1372, 1452, 8952])
        self.assertEqual(self.size.proved, 1452)
        self.size.sent(100 * WORTH)
        self.assertEqual(self.search(1472), [])
        self.size.path_changed()
        self.assertEqual(self.size.proved, DATAGRAM_SIZE)
        self.size.sent(WORTH)
        self.assertEqual(self.search(65_535), list(SIZES))
        self.assertEqual(self.size.proved, SIZES[-1])

    def test_last(self) -> None:
        """It is told when the search is over, and not what concerns another one."""
        self.size.sent(WORTH)
        first = self.size.next_probe()
        assert first is not None
        self.assertFalse(self.size.probed(SIZES[1], True))
        self.assertFalse(self.size.probed(first, True))
        second = self.size.next_probe()
        assert second is not None
        self.assertTrue(self.size.probed(second, False))

    def test_no_answer(self) -> None:
        """A probe that nothing comes of is made again, much later."""
        self.size.sent(WORTH)
        self.assertEqual(self.size.next_probe(), SIZES[0])
        self.size.sent(AGAIN * WORTH - 1)
        self.assertIsNone(self.size.next_probe())
        self.size.sent(1)
        self.assertEqual(self.size.next_probe(), SIZES[0])

    def test_black_hole(self) -> None:
        """Where large ones went missing, they are tried again, later each time."""
        worth = WORTH
        for _ in range(3):
            self.size.sent(worth)
            self.assertEqual(len(self.search(65_535)), len(SIZES))
            self.size.lost()
            self.assertEqual(self.size.proved, DATAGRAM_SIZE)
            worth *= AGAIN
            self.size.sent(worth - 1)
            self.assertIsNone(self.size.next_probe())
            self.size.sent(1 - worth)
