"""Keeping of what a node remembers beside messages."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred

from p2pchat import events
from p2pchat.identity.sealing import SealingKey
from p2pchat.peer.contacts import Contacts
from p2pchat.peer.grants import Grants, ServiceGrant
from p2pchat.peer.keeping import Keeping
from p2pchat.peer.kept_invitations import KINDS, KeptInvitations
from p2pchat.peer.profile import Profile
from p2pchat.peer.remembered import Remembered
from p2pchat.peer.storage.profile_rows import CONTACTS, GRANTS, SETTINGS
from p2pchat.peer.write_behind import RETRY
from tests.identity.people import ALICE, BOB, CAROL
from tests.peer.storage.cases import DatabaseCase
from tests.peer.test_kept_invitations import KEPT


class KeepingTests(DatabaseCase):
    """A profile in a database."""

    def setUp(self) -> None:
        super().setUp()
        self.told: list[events.NodeEvent] = []
        self.profile = Profile(ALICE, SealingKey.from_seed(bytes(32)))
        self.profile.keep_in(self.open_database(), bytes)
        self.keeping = Keeping(self.profile, self.clock, self.told.append)

    def contacts(self) -> Contacts:
        """Return the contacts that are on the disk."""
        return Contacts.from_rows(CONTACTS.read(self.reading.connection))

    def remembered(self) -> Remembered:
        """Return the settings that are."""
        return Remembered.from_rows(SETTINGS.read(self.reading.connection))

    def invitations(self) -> KeptInvitations:
        """Return the invitations that are."""
        found: dict[str, Deferred[Any]] = {one: self.profile.secrets.all(one) for one in KINDS}
        secrets = {kind: self.successResultOf(one).values() for kind, one in found.items()}
        return KeptInvitations.from_secrets(secrets)

    def test_row_each(self) -> None:
        """A change of a contact writes that one, and not the others."""
        kept = self.profile.contacts
        for peer_id, name in ((BOB.peer_id, "bob"), (CAROL.peer_id, "carol")):
            kept.keep(peer_id, name)
        before = self.writing.connection.total_changes
        kept.mute(CAROL.peer_id, "carol", True)
        self.assertEqual(self.writing.connection.total_changes, before + 1)
        self.assertEqual(self.contacts().people(), kept.people())
        kept.forget(BOB.peer_id)
        self.assertEqual(list(self.contacts().people()), [CAROL.peer_id])

    def test_registry(self) -> None:
        """A registry that was joined is known to the next start."""
        for url in ("http://r.example", "http://s.example", "http://s.example"):
            self.keeping.add_registry(url)
        expected = Remembered("", "http://r.example", ("http://s.example",))
        self.assertEqual((self.remembered(), self.profile.remembered), (expected, expected))

    def test_grants(self) -> None:
        """A grant is on the disk with the time at which it was given."""
        grant = ServiceGrant("web", BOB.peer_id, 2e9)
        self.profile.grants.give(grant, 1.9e9)
        found = Grants.from_rows(GRANTS.read(self.reading.connection))
        self.assertEqual((found.all(), found.latest), ([grant], 1.9e9))

    def test_invitations(self) -> None:
        """Invitations are there while they are open, and no longer."""
        for kept in (KEPT, attrs.evolve(KEPT, open=KEPT.open[1:]), KeptInvitations(), KEPT):
            self.successResultOf(self.keeping.save_invitations(kept))
            self.assertEqual(self.invitations(), kept)

    def test_full(self) -> None:
        """On a full disk each is told once, everything goes on, and later all is written."""
        self.successResultOf(self.keeping.save_invitations(KeptInvitations()))
        self.writing.connection.execute("PRAGMA max_page_count = 1")  # it is as long as it is
        self.successResultOf(self.keeping.save_invitations(KEPT))
        self.keeping.add_registry("http://r.example")
        for number in range(400):
            self.profile.contacts.block(f"{number:08x}-0000-8000-8000-000000000000", "x", True)
        self.clock.advance(RETRY)
        self.assertEqual(len(self.profile.contacts.people()), 400)
        (trouble,) = [one for one in self.told if isinstance(one, events.Trouble)]
        self.assertIn("contacts can't be saved", trouble.reason)
        self.assertIn("the disk is full", trouble.reason)
        self.writing.allow_pages(0)
        self.clock.advance(RETRY)
        self.assertEqual(self.contacts().people(), self.profile.contacts.people())
        self.assertEqual(self.invitations(), KEPT)
        self.assertEqual(self.remembered().server, "http://r.example")

    def test_stopped(self) -> None:
        """What couldn't be written is tried once more at the end."""
        self.writing.is_held = True
        self.profile.contacts.keep(BOB.peer_id, "bob")
        self.profile.contacts.keep(CAROL.peer_id, "carol")
        self.keeping.stop()
        while self.writing.waiting:
            self.writing.do_one()
        self.assertEqual(len(self.contacts().people()), 2)
