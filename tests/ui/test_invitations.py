"""Invitations on a console and for programs: what is asked, said, and kept nowhere."""

from __future__ import annotations

import json

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import InvitationRefused, RegistryError
from p2pchat.peer.settings import ContactInfo, InvitationInfo
from p2pchat.ui import results
from p2pchat.ui.json_lines import JsonLines
from p2pchat.ui.layout import Colour
from p2pchat.ui.line_editor import LineEditor
from p2pchat.ui.wording import Wording
from p2pchat.wire.nameplates import LONGEST
from tests.ui.fake_node import ALICE, BOB, CAROL, FakeNode
from tests.ui.listing_front_end import ListingFrontEnd
from tests.ui.test_console import StdioCase

LINE = "p2pchat:join/" + "a" * 45 + "@http://203.0.113.7:8000"
INFO = InvitationInfo(LINE, "a2b3c4d5e6f7g", False, 1_800_000_000.0, "bob")


class AskingTests(SynchronousTestCase):
    """Commands reach the node's invitations."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.front_end = ListingFrontEnd(self.node)
        self.asked, self.results = self.node.invitations.asked, self.node.invitations.results

    def type(self, line: str) -> str:
        """Type a line; return the complaint, if there is one."""
        before = len(self.front_end.shown)
        self.front_end.requests.type(line)
        new = self.front_end.shown[before:]
        return "".join(one.reason for one in new if isinstance(one, events.Trouble))

    def test_invite(self) -> None:
        """The line is shown, and asked for as was said."""
        self.results.append(INFO)
        self.assertEqual(self.type("/invite bob --for 2h"), "")
        self.assertEqual(self.asked, [("invite", "bob", 7200, False, "")])
        shown = results.InvitationMade(LINE, "a2b3c4d5e6f7g", False, 1_800_000_000.0, "bob")
        self.assertEqual(self.front_end.shown, [shown])

    def test_contact(self) -> None:
        """For a contact the person is asked first; only --replace goes on."""
        self.assertIn("/invite carol --replace", self.type("/invite carol"))
        self.assertEqual(self.asked, [])
        self.results.append(INFO)
        self.type("/invite carol --replace")
        self.assertEqual(self.asked, [("invite", "carol", LONGEST, False, CAROL)])
        self.assertIn("needs the name of a contact", self.type("/invite dave --replace"))

    def test_failures(self) -> None:
        """What goes wrong is said, with its word."""
        self.results += [InvitationRefused("16 are open"), RegistryError("no", 0, "registry")]
        self.assertIn("16 are open", self.type("/invite"))
        self.assertEqual(self.front_end.shown[-1].word, results.INVITATION)
        self.type("/invite")
        self.assertEqual(self.front_end.shown[-1].word, "registry")
        self.assertIn("--for takes", self.type("/invite --for tea"))

    def test_uninvite(self) -> None:
        """By a name, or none."""
        self.type("/uninvite")
        self.results.append(InvitationRefused("say which"))
        self.assertIn("say which", self.type("/uninvite bob"))
        self.assertEqual(self.asked, [("withdraw", ""), ("withdraw", "bob")])

    def test_join(self) -> None:
        """Who was met becomes current, unless the person has chosen another."""
        self.results.append(BOB)
        self.type(f"/join {LINE}")
        self.assertEqual(self.asked, [("join", LINE)])
        self.assertEqual(self.front_end.requests.cursor.current, BOB)

    def test_pasted_alone(self) -> None:
        """A line without the command is said to nobody, and the person reads what to do."""
        complaint = self.type(LINE)
        self.assertIn("/join", complaint)
        self.assertNotIn("aaaa", complaint)

    def test_open(self) -> None:
        """/me has the open ones, without their secrets."""
        self.node.invitations.infos.append(INFO)
        self.type("/me")
        [me] = self.front_end.shown
        self.assertEqual(me.invitations[0].nameplate, INFO.nameplate)
        self.assertNotIn("aaaa", repr(me))
        rows = [row for one in Wording("alice").say(me) for row in one.rows]
        self.assertIn("  invitation for bob (a2b3c4d5e6f7g), until ", "\n".join(rows))

    def test_name(self) -> None:
        """/name hands on both names."""
        self.type("/name carol my carol")
        self.assertEqual(self.node.asked, [("rename", "carol my carol")])


class VerifyTests(SynchronousTestCase):
    """/verify and its answers."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.front_end = ListingFrontEnd(self.node)
        self.type = self.front_end.requests.type

    def test_answers(self) -> None:
        """The words that were shown last are meant by yes and no."""
        self.type("/verify yes")
        self.assertIn("no words were compared", self.front_end.shown[-1].reason)
        self.type("/verify")
        self.assertIn("no current conversation", self.front_end.shown[-1].reason)
        self.node.begin(BOB)
        self.type("/verify")
        self.type("/verify carol")
        self.node.tell(events.VerificationWords(CAROL, "carol", ("a", "b", "c", "d")))
        self.type("/verify YES")
        self.type("/verify no")
        expected = [("verify", BOB), ("verify", "carol"), ("same", CAROL), ("different", CAROL)]
        self.assertEqual(self.node.asked, expected)

    def test_said(self) -> None:
        """The words stand alone, and what to do about them."""
        entries = Wording("alice").say(events.VerificationWords(BOB, "bob", ("a", "b", "c", "d")))
        rows = [row for one in entries for row in one.rows]
        self.assertEqual(rows[1], "a b c d")
        self.assertIn("/verify yes", rows[2])


class SecretTests(SynchronousTestCase):
    """An invitation is kept nowhere."""

    def test_history(self) -> None:
        """No line that has one comes back, however it is typed."""
        editor = LineEditor()
        for line in ("one", f"/join {LINE}", "/join 123456 able able able", LINE, "/JOIN x"):
            editor.receive(f"{line}\r".encode())
        editor.receive(b"\x1b[A")
        self.assertEqual(editor.text, "one")
        editor.receive(b"\x1b[A")
        self.assertEqual(editor.text, "one")

    def test_shown(self) -> None:
        """Nor in what is written of the values that have it."""
        self.assertNotIn("aaaa", repr(INFO))


class ProgramTests(StdioCase):
    """A program that joins."""

    def test_json(self) -> None:
        """What it joins by is in no line that it reads; what it invites by is in one."""
        self.join(JsonLines(self.runtime))
        self.node.invitations.results += [BOB, InvitationRefused("no"), INFO]
        for request, command in enumerate((f"/join {LINE}", f"/join {LINE}", "/invite bob")):
            line = json.dumps({"command": command, "id": request})
            self.stdio.dataReceived(f"{line}\n".encode())
        *joining, invited = [json.loads(one) for one in self.written().splitlines()]
        self.assertNotIn("aaaa", json.dumps(joining))
        self.assertEqual({one["request"] for one in joining}, {0, 1})
        self.assertEqual((invited["event"], invited["line"]), ("invitation", LINE))


class WordingTests(SynchronousTestCase):
    """What a person reads."""

    def said(self, value: object, room: tuple[int, int] | None = None) -> list[str]:
        """Return the rows that are said."""
        wording = Wording("alice", room=None if room is None else lambda: room)
        return [row for one in wording.say(value) for row in one.rows]

    def test_line(self) -> None:
        """The line stands alone; the QR code where there is room."""
        made = results.InvitationMade(LINE, "a2b3c4d5e6f7g", False, 1_800_000_000.0, "bob")
        first, *rest = self.said(made)
        self.assertRegex(first, r"Give this line to bob and nobody else.* once, until \d\d:\d\d on")
        self.assertEqual(rest, [LINE])
        wording = Wording("alice", room=lambda: (80, 24))
        entries = wording.say(made)
        codes = [one for one in entries if one.colour is Colour.CODE]
        self.assertGreater(len(codes), 15)
        self.assertFalse(any(one.stamped for one in codes))
        for room in ((30, 24), (80, 15), (0, 0)):
            self.assertEqual(len(self.said(made, room)), 2, room)

    def test_spoken(self) -> None:
        """What is to be said has no code."""
        made = results.InvitationMade("123456-able-able-able", "123456", True, 0.0)
        first, line = self.said(made, (80, 24))
        self.assertIn("Say this to one friend", first)
        self.assertEqual(line, "123456-able-able-able")

    def test_met(self) -> None:
        """Both read who it is, and that addresses are told."""
        [said] = self.said(events.Paired(BOB, "bob", True))
        self.assertIn("bob (b0b00000) joined by your invitation.", said)
        [said] = self.said(events.Paired(BOB, "bob", False))
        self.assertIn("You were invited by bob (b0b00000).", said)
        self.assertIn("addresses", said)

    def test_ended(self) -> None:
        """Why an invitation ended is said, and whose it was."""
        for reason, explanation in (("burnt", "a wrong secret was tried"), ("expired", "too late")):
            [said] = self.said(events.InvitationEnded("123456", "bob", reason, explanation))
            self.assertEqual(said, f"Your invitation for bob ended: {explanation}.")
        [said] = self.said(events.InvitationWaits("123456", 0.0))
        self.assertIn("isn't there at the moment", said)

    def test_contacts(self) -> None:
        """The list says how each was met, and whether words were compared."""
        carol = ContactInfo(CAROL, "carol", True, met="invitation")
        [row] = self.said(results.ContactList((carol,)))
        self.assertTrue(row.endswith("by invitation"), row)
        [row] = self.said(results.ContactList((attrs.evolve(carol, verified=True),)))
        self.assertIn("verified, by invitation", row)

    def test_changes(self) -> None:
        """Each change of a contact has its sentence."""
        for change in ("introduced", "replaced", "renamed", "verified", "unverified"):
            changed = events.ContactChanged(ALICE, "bob", change, True, False, False)
            [said] = self.said(changed)
            self.assertNotIn("has changed", said)
