"""Tests of the memory of transfers."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from p2pchat.interfaces import ITransferStore
from p2pchat.peer.storage.kept_transfers import (
    KeptFile,
    KeptTransfer,
    SourceFile,
    TransferMembers,
)
from p2pchat.peer.storage.transfer_table import EphemeralTransfers, TransferTable
from tests.peer.storage.cases import DatabaseCase

SOURCE = SourceFile("a", "", 5, 1_796_040_000_000_000_001, 2**63)
OURS = KeptTransfer(
    "bob", True, TransferMembers(b"1" * 16, "a", False, 1, 5, "/home/a", 5, "", (SOURCE,))
)
THEIRS = KeptTransfer("bob", False, TransferMembers(b"1" * 16, "ä b", True, 2, 9, "/d"))
FILES = {0: KeptFile(3, b"r" * 32), 1: KeptFile(1, b"s" * 32, True)}


class TransferStoreContract:
    """What holds for every memory of transfers; ``store`` is the one that is tried."""

    store: Any
    successResultOf: Any
    assertEqual: Any

    def again(self) -> list[KeptTransfer]:
        """Return what is kept."""
        loaded: Deferred[list[KeptTransfer]] = self.store.load()
        found: list[KeptTransfer] = self.successResultOf(loaded)
        return found

    def test_interface(self) -> None:
        """It is one."""
        verifyObject(ITransferStore, self.store)

    def test_kept(self) -> None:
        """What is put is there again, both directions of one name apart."""
        for one in (OURS, THEIRS):
            self.successResultOf(self.store.put(one))
        self.assertEqual(self.again(), [OURS, THEIRS])

    def test_changed(self) -> None:
        """What changes of one stays one, with its files."""
        self.successResultOf(self.store.put(THEIRS))
        self.successResultOf(self.store.put_files(THEIRS, FILES))
        members = attrs.evolve(THEIRS.members, place="b (2)")
        changed = attrs.evolve(THEIRS, members=members, is_cancelled=True)
        self.successResultOf(self.store.put(changed))
        [found] = self.again()
        self.assertEqual((found, dict(found.files)), (changed, FILES))

    def test_files(self) -> None:
        """What has come of a file takes the place of what had."""
        self.successResultOf(self.store.put(THEIRS))
        self.successResultOf(self.store.put_files(THEIRS, {0: KeptFile(1, b"q" * 32)}))
        self.successResultOf(self.store.put_files(THEIRS, FILES))
        self.successResultOf(self.store.put_files(OURS, FILES))  # that isn't kept any more
        [found] = self.again()
        self.assertEqual(dict(found.files), FILES)

    def test_removed(self) -> None:
        """What is removed is gone, and may be again."""
        for one in (OURS, THEIRS):
            self.successResultOf(self.store.put(one))
        self.successResultOf(self.store.put_files(THEIRS, FILES))
        self.successResultOf(self.store.remove(THEIRS))
        self.successResultOf(self.store.remove(THEIRS))
        self.assertEqual(self.again(), [OURS])
        self.successResultOf(self.store.put(THEIRS))
        self.assertEqual(dict(self.again()[1].files), {})


class TableTests(TransferStoreContract, DatabaseCase):
    """The tables of the database."""

    def setUp(self) -> None:
        super().setUp()
        self.open()

    def open(self) -> None:
        """Open the database."""
        database = self.open_database()
        database.start()
        self.store = TransferTable(database)

    def test_interface(self) -> None:
        """It is one."""
        verifyObject(ITransferStore, self.store)

    def test_lasts(self) -> None:
        """It is there after the program was killed."""
        self.successResultOf(self.store.put(OURS))
        self.kill()
        self.open()
        self.assertEqual(self.again(), [OURS])

    def test_unreadable(self) -> None:
        """A row that can't be understood is left out, and the others are there."""
        for one in (OURS, THEIRS):
            self.successResultOf(self.store.put(one))
        self.kill()
        with self.file.opened() as connection:
            connection.execute("UPDATE transfer SET members = '{}' WHERE is_ours")
        self.open()
        self.assertEqual(self.again(), [THEIRS])


class EphemeralTests(TransferStoreContract, DatabaseCase):
    """The memory of a node that keeps nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.store = EphemeralTransfers()

    def test_interface(self) -> None:
        """It is one."""
        verifyObject(ITransferStore, self.store)
