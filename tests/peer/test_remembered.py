"""Options that are remembered."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.peer.remembered import Remembered, as_rows

URLS = tuple(f"http://r{number}.example" for number in range(8))


class RememberedTests(SynchronousTestCase):
    """What the next start knows."""

    def test_rows(self) -> None:
        """Each is a row of its own, and read as it was."""
        for one in (Remembered(), Remembered('zoë \\ "', URLS[0], URLS[1:3])):
            self.assertEqual(Remembered.from_rows(one.rows()), one)
        self.assertEqual(Remembered().rows()["servers"], "[]")
        self.assertEqual(as_rows({"x": [1, "a"]}), {"x": '[1,"a"]'})

    def test_newer(self) -> None:
        """Rows of a newer program are no trouble."""
        self.assertEqual(
            Remembered.from_rows({"newer": "[1]", "username": '"bob"'}).username, "bob"
        )

    def test_malformed(self) -> None:
        """A row that can't be understood is refused."""
        for rows in (
            *(
                {"username": "1"},
                {"username": ""},
                {"username": '" "'},
                {"server": '"r.example:1"'},
            ),
            *({"servers": '"x"'}, {"username": '"a","server":"b"'}, {"username": "\x00"}),
        ):
            self.assertRaises(RemoteProtocolError, Remembered.from_rows, rows)

    def test_updated(self) -> None:
        """What is given counts; registries that are given are all of them."""
        before = Remembered("alice", URLS[0], URLS[1:3])
        self.assertEqual(before.updated(Remembered("bob")), Remembered("bob", URLS[0], URLS[1:3]))
        after = before.updated(Remembered("alice", URLS[5]))
        self.assertEqual(after, Remembered("alice", URLS[5]))
        self.assertEqual(set(after.changed_from(before)), {"server", "servers"})
        self.assertEqual(Remembered.from_rows(before.rows() | after.changed_from(before)), after)
        self.assertEqual(after.changed_from(after), {})

    def test_registries(self) -> None:
        """The first registry of an invitation is the usual one; beside it are four at most."""
        known = Remembered()
        for url in URLS:
            known = known.with_registry(url)
        self.assertEqual((known.server, known.servers), (URLS[0], URLS[4:]))
        for url in (URLS[0], URLS[7]):
            self.assertEqual(known.with_registry(url), known)
