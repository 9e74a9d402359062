"""Tests of :mod:`p2pchat.ui.commands`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import InvitationRefused
from p2pchat.ui.commands import Command, InviteOptions, Mistake, Say, Verb, is_secret, parse
from p2pchat.wire.nameplates import LONGEST


class InviteTests(SynchronousTestCase):
    """Options of /invite, and the invitation of /join."""

    def test_options(self) -> None:
        """A name with blanks, a time, and flags, in any order."""
        for text, expected in (
            ("", InviteOptions()),
            ("my bob", InviteOptions("my bob")),
            ("--for 2h my --spoken bob", InviteOptions("my bob", 7200, True)),
            ("--for 90m", InviteOptions("", 5400)),
            ("bob --replace", InviteOptions("bob", LONGEST, False, True)),
            ("--for 24h", InviteOptions("", LONGEST)),
        ):
            self.assertEqual(InviteOptions.parse(text), expected, text)

    def test_refused(self) -> None:
        """What makes no sense is said."""
        for text, why in (
            ("--for", "such as 30m"),
            ("--for 25h", "24h at most"),
            ("--for 0m", "24h at most"),
            ("--for ever", "such as 30m"),
            ("--often", "knows no --often"),
            ("0b0b0b0b", "can't be a contact's name"),
        ):
            with self.assertRaises(InvitationRefused) as caught:
                InviteOptions.parse(text)
            self.assertIn(why, str(caught.exception), text)

    def test_join(self) -> None:
        """An invitation may be long and broken, and is in no complaint."""
        line = "p2pchat:join/abc\n  def@http://r.test:8000"
        self.assertEqual(parse(f"/join {line}"), Command(Verb.JOIN, line))
        self.assertEqual(parse(f"/JOIN {'x' * 3000}"), Command(Verb.JOIN, "x" * 3000))
        for wrong in (f"/jion {line}", f"/join {line}{'x' * 5000}", f"/peers {line[:16]}"):
            meant = parse(wrong)
            self.assertNotIn("abc", getattr(meant, "reason", ""), wrong)
        self.assertIsInstance(parse("/join"), Mistake)
        self.assertIsInstance(parse("/name"), Mistake)

    def test_texts(self) -> None:
        """An answer or an edit may have several lines, and be as long as a text."""
        text = "two\nlines " + "x" * 30_000
        self.assertEqual(parse(f"/reply #3 {text}"), Command(Verb.REPLY, f"#3 {text}"))
        self.assertEqual(parse(f"/edit {text}"), Command(Verb.EDIT, text))

    def test_secret(self) -> None:
        """Lines that must not be kept are told from others."""
        for line in ("/join 123456 able able able", "/JOIN x", "see p2pchat:join/abc"):
            self.assertTrue(is_secret(line), line)
        self.assertFalse(is_secret("/connect bob"))


class ParseTests(SynchronousTestCase):
    """Every line means something, or says why it doesn't."""

    def test_commands(self) -> None:
        """Each command has its value; WHO is optional where that makes sense."""
        for line, command in {
            "/help": Command(Verb.HELP),
            "/peers": Command(Verb.PEERS),
            "/connect bob": Command(Verb.CONNECT, "bob"),
            "/Connect  Bob the Builder ": Command(Verb.CONNECT, "Bob the Builder"),
            "/accept": Command(Verb.ACCEPT),
            "/accept bob": Command(Verb.ACCEPT, "bob"),
            "/reject": Command(Verb.REJECT),
            "/to bob": Command(Verb.TO, "bob"),
            "/disconnect": Command(Verb.DISCONNECT),
            "/me": Command(Verb.ME),
            "/nat": Command(Verb.NAT),
            "/why bob": Command(Verb.WHY, "bob"),
            "/history bob 5": Command(Verb.HISTORY, "bob 5"),
            "/history": Command(Verb.HISTORY),
            "/outbox": Command(Verb.OUTBOX),
            "/export bob x": Command(Verb.EXPORT, "bob x"),
            "/wipe bob": Command(Verb.WIPE, "bob"),
            "/search some wor*": Command(Verb.SEARCH, "some wor*"),
            "/quit": Command(Verb.QUIT),
        }.items():
            self.assertEqual(parse(line), command)

    def test_text(self) -> None:
        """What isn't a command is said; two slashes say one; indentation stays."""
        self.assertEqual(parse("  hi there "), Say("  hi there"))
        self.assertEqual(parse("//me"), Say("/me"))
        self.assertEqual(parse("/quit\nis how you leave"), Say("/quit\nis how you leave"))

    def test_broken_id(self) -> None:
        """A line break in a pasted id makes no text of a command: the line isn't sent."""
        bob = "0b0b0b0b-0000-8000-8000-00000000beef"
        for pasted in (f"{bob[:20]}\n{bob[20:]}", f"Bob\n<{bob}>"):
            self.assertEqual(parse(f"/connect {pasted}\n"), Command(Verb.CONNECT, pasted))
        self.assertEqual(parse(f"/connect\n{bob}\n"), Command(Verb.CONNECT, bob))
        self.assertEqual(parse(f"/hm {bob}\n!"), Say(f"/hm {bob}\n!"))

    def test_nothing(self) -> None:
        """An empty line is nothing."""
        self.assertIsNone(parse(""))
        self.assertIsNone(parse("  "))

    def test_mistakes(self) -> None:
        """A wrong command names the nearest; a missing or superfluous WHO is said."""
        for line, part in {
            "/hlep": "did you mean /help?",
            "/q": "did you mean /quit?",
            "/xyzzy": "/help lists them",
            "/": "/help lists them",
            "/connect": "/connect needs a name",
            "/peers now": "takes no argument",
            "/" + "q" * 10**6: "Unknown command /qqq",
            "/to " + "b" * 10**6: "not 1,000,000 characters",
        }.items():
            mistake = parse(line)
            assert isinstance(mistake, Mistake)
            self.assertIn(part, mistake.reason)

    @given(st.text())
    def test_any_line(self, line: str) -> None:
        """No line raises."""
        parse(line)
        parse("/" + line)
