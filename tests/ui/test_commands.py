"""Tests of :mod:`p2pchat.ui.commands`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.commands import Command, Mistake, Say, Verb, parse


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
