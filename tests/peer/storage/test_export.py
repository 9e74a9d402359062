"""A conversation as a file."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from p2pchat.errors import StorageFailed
from p2pchat.peer.storage.history import EXPORTED
from tests.peer.storage.cases import OUR_LOG, PEER, DatabaseCase, entry, theirs


class ExportTests(DatabaseCase):
    """``/export``."""

    def setUp(self) -> None:
        super().setUp()
        self.store = self.open_store()
        self.target = Path(self.mktemp())

    def test_all(self) -> None:
        """Every line is there, in order, as an object of JSON; the file is the owner's alone."""
        count = EXPORTED * 2 + 7
        self.append(self.store, *[theirs(f"line {n}", n) for n in range(1, count + 1)])
        self.append(self.store, entry("é\n日", 1, lamport=count + 1))
        self.successResultOf(self.store.confirmed(PEER, OUR_LOG, 1))
        written = self.successResultOf(self.store.export([PEER], str(self.target)))
        lines = [json.loads(line) for line in self.target.read_text("utf-8").splitlines()]
        self.assertEqual((written, len(lines)), (count + 1, count + 1))
        self.assertEqual([line["text"] for line in lines[:2]], ["line 1", "line 2"])
        last = lines[-1]
        self.assertEqual((last["text"], last["ours"], last["delivered"]), ("é\n日", True, True))
        self.assertNotIn("name", last)
        self.assertEqual(stat.S_IMODE(self.target.stat().st_mode), 0o600)

    def test_there_already(self) -> None:
        """A file that is there stays as it is."""
        self.target.write_text("precious")
        failed = self.store.export([PEER], str(self.target))
        reason = self.failureResultOf(failed, StorageFailed).getErrorMessage()
        self.assertIn("File exists; name another file", reason)
        self.assertEqual(self.target.read_text(), "precious")

    def test_full_disk(self) -> None:
        """One that can't be written whole isn't there."""
        self.append(self.store, theirs("line", 1))
        failed = self.store.export([PEER], "/dev/full/x")
        self.failureResultOf(failed, StorageFailed)
