"""The file of open invitations: it round trips, and what can't be understood is said."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.interfaces import IInvitations
from p2pchat.peer.kept_invitations import KeptAnswer, KeptInvitation, KeptInvitations, KeptTry
from p2pchat.peer.profile import INVITATIONS_FILE, load_profile
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.wire.nameplates import Completion, PakeResponse
from tests.simulation.world import World

LINE = "p2pchat:join/secret@registry.example"
KEPT = KeptInvitations(
    (KeptInvitation(LINE, "https://registry.example", b"s" * 32, 5.0, "bob", "id"),),
    (
        KeptTry(
            *(LINE, "https://registry.example", b"s" * 32, 5.0, b"A" + bytes(32)),
            PakeResponse(b"B" + bytes(32), bytes(32), b"card"),
        ),
    ),
    (
        KeptAnswer(
            *("a" * 13, "https://registry.example", 5.0, "id", b"A" + bytes(32)),
            PakeResponse(b"B" + bytes(32), bytes(32), b"card"),
            Completion("a" * 13, bytes(32), b"card"),
        ),
    ),
)


class KeptInvitationsTests(SynchronousTestCase):
    """Its form."""

    def test_round_trip(self) -> None:
        """What is written is read; no secret is in what is shown of it."""
        self.assertEqual(KeptInvitations.decode(KEPT.encode()), KEPT)
        self.assertNotIn("secret", repr(KEPT))

    def test_malformed(self) -> None:
        """A newer version, and nonsense, are refused."""
        for data in (b"", b"{}", b'{"v":2}', b'{"v":1,"open":[{}],"tries":[]}'):
            self.assertRaises(RemoteProtocolError, KeptInvitations.decode, data)

    def test_file(self) -> None:
        """It is in the state directory, for its owner alone, and found there again."""
        directory = StateDirectory.open(self.mktemp())
        self.addCleanup(directory.close)
        profile = load_profile(directory, os.urandom)
        self.assertEqual(profile.invitations, KeptInvitations())
        profile.save_invitations(KEPT.encode())
        path = directory.path / INVITATIONS_FILE
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(load_profile(directory, os.urandom).invitations, KEPT)
        path.write_bytes(b"x")
        with self.assertRaises(ConfigurationError) as caught:
            load_profile(directory, os.urandom)
        self.assertIn(INVITATIONS_FILE, str(caught.exception))


class InterfaceTests(SynchronousTestCase):
    """The invitations of a node."""

    def test_interface(self) -> None:
        """They provide IInvitations."""
        person = World(1).person("alice")
        self.assertTrue(verifyObject(IInvitations, person.node.invitations))
