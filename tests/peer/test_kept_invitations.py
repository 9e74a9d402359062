"""Kept invitations: they round trip, and what can't be understood is said."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.errors import RemoteProtocolError
from p2pchat.interfaces import IInvitations
from p2pchat.peer.kept_invitations import (
    ANSWER,
    INVITATION,
    KINDS,
    TRY,
    KeptAnswer,
    KeptInvitation,
    KeptInvitations,
    KeptTry,
)
from p2pchat.wire.nameplates import Completion, PakeResponse
from p2pchat.wire.strict_json import dumps
from tests.simulation.world import World

LINE = "p2pchat:join/secret@registry.example"
KEPT = KeptInvitations(
    (
        KeptInvitation(LINE, "https://registry.example", b"s" * 32, 5.0, "bob", "id"),
        KeptInvitation(LINE, "https://registry.example", b"t" * 32, 6.0),
    ),
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
        """What is kept is read; no secret is in what is shown of it, or in its name."""
        rows = KEPT.rows()
        self.assertEqual([kind for kind, _ in rows], [INVITATION, INVITATION, TRY, ANSWER])
        values = list(rows.values())
        found = {INVITATION: values[1::-1], TRY: values[2:3], ANSWER: values[3:]}
        self.assertEqual(KeptInvitations.from_secrets(found), KEPT)
        self.assertNotIn("secret", repr(KEPT))
        self.assertNotIn((b"s" * 32).hex(), str(list(rows)))

    def test_file_of_before(self) -> None:
        """A file that an older program wrote is read."""
        self.assertEqual(KeptInvitations.decode(dumps({"v": 1, **KEPT.to_json()})), KEPT)

    def test_malformed(self) -> None:
        """A newer version, and nonsense, are refused."""
        for data in (b"", b"{}", b'{"v":2}', b'{"v":1,"open":[{}],"tries":[]}'):
            self.assertRaises(RemoteProtocolError, KeptInvitations.decode, data)
            for kind in KINDS:
                found = {**dict.fromkeys(KINDS, ()), kind: [data]}
                self.assertRaises(RemoteProtocolError, KeptInvitations.from_secrets, found)


class InterfaceTests(SynchronousTestCase):
    """The invitations of a node."""

    def test_interface(self) -> None:
        """They provide IInvitations."""
        person = World(1).person("alice")
        self.assertTrue(verifyObject(IInvitations, person.node.invitations))
