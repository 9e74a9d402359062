"""The stores that keep nothing."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import StorageFailed
from p2pchat.interfaces import IHistory, IMessageStore, ISecretStore
from p2pchat.peer.ephemeral_store import (
    EphemeralRows,
    EphemeralSecrets,
    EphemeralStore,
    NoHistory,
)
from p2pchat.peer.storage.profile_rows import IProfileRows
from p2pchat.session.stored import EntryRange, LogHead
from tests.peer.secrets_contract import SecretsContract


class EphemeralStoreTests(SynchronousTestCase):
    """What it answers."""

    def test_at_once(self) -> None:
        """It confirms at once, and has nothing."""
        store = EphemeralStore()
        self.assertTrue(verifyObject(IMessageStore, store))
        self.assertFalse(store.is_lasting)
        self.assertEqual(self.successResultOf(store.load()), {})
        self.assertEqual(self.successResultOf(store.append("peer", [])), ())
        for done in (
            store.replace("peer", LogHead(b"author", b"log"), []),
            store.confirmed("peer", b"log", 1),
            store.close(),
        ):
            self.assertIsNone(self.successResultOf(done))
        wanted = EntryRange(b"author", b"log", 1, 9)
        self.assertEqual(self.successResultOf(store.entries("peer", wanted, 1000)), [])


class EphemeralRowsTests(SynchronousTestCase):
    """Contacts and settings of a program that keeps nothing."""

    def test_at_once(self) -> None:
        """They are confirmed at once."""
        rows = EphemeralRows()
        self.assertTrue(verifyObject(IProfileRows, rows))
        for put in (rows.put_contacts, rows.put_settings, rows.put_grants):
            self.assertIsNone(self.successResultOf(put({"a": "1", "b": None})))


class NoHistoryTests(SynchronousTestCase):
    """What was said, where nothing is kept."""

    def test_nothing(self) -> None:
        """Who asks for it is told how to keep it; who doesn't hears nothing."""
        history = NoHistory()
        self.assertTrue(verifyObject(IHistory, history))
        for asked in (
            history.last("peer", 9),
            history.search("word"),
            history.waiting(""),
            history.export(["peer"], "file"),
            history.wipe("peer"),
        ):
            reason = self.failureResultOf(asked, StorageFailed).getErrorMessage()
            self.assertIn("start with --state DIR", reason)
        self.assertEqual(self.successResultOf(history.earlier("peer", 9)), [])
        self.assertIsNone(self.successResultOf(history.delete_older(0.0)))
        self.assertEqual(history.size(), 0)


class EphemeralSecretsTests(SecretsContract, SynchronousTestCase):
    """Secrets of a program that keeps nothing."""

    def setUp(self) -> None:
        self.store = EphemeralSecrets()

    def secrets(self) -> ISecretStore:
        """Return the store."""
        return self.store
