"""Tests of :mod:`p2pchat.ui.commands`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui import commands
from p2pchat.ui.commands import parse


class ParseTests(SynchronousTestCase):
    """Every line means something, or says why it doesn't."""

    def test_commands(self) -> None:
        """Each command has its value; WHO is optional where that makes sense."""
        for line, command in {
            "/help": commands.Help(),
            "/peers": commands.ListPeers(),
            "/connect bob": commands.Connect("bob"),
            "/Connect  Bob the Builder ": commands.Connect("Bob the Builder"),
            "/accept": commands.Accept(),
            "/accept bob": commands.Accept("bob"),
            "/reject": commands.Reject(),
            "/to bob": commands.SwitchTo("bob"),
            "/disconnect": commands.Disconnect(),
            "/me": commands.ShowMe(),
            "/nat": commands.ShowNat(),
            "/why bob": commands.ShowWhy("bob"),
            "/quit": commands.Quit(),
        }.items():
            self.assertEqual(parse(line), command)

    def test_text(self) -> None:
        """What isn't a command is said; two slashes say one; indentation stays."""
        self.assertEqual(parse("  hi there "), commands.Say("  hi there"))
        self.assertEqual(parse("//me"), commands.Say("/me"))
        self.assertEqual(parse("/quit\nis how you leave"), commands.Say("/quit\nis how you leave"))

    def test_nothing(self) -> None:
        """An empty line is nothing."""
        self.assertIsNone(parse(""))
        self.assertIsNone(parse("  "))

    def test_mistakes(self) -> None:
        """A wrong command names the nearest; a missing or superfluous WHO is said."""
        for line, part in {
            "/hlep": "did you mean /help",
            "/q": "did you mean /quit",
            "/xyzzy": "/help lists them",
            "/": "/help lists them",
            "/connect": "/connect whom?",
            "/peers now": "takes nothing",
            "/" + "q" * 10**6: "no command with a name as long as /qqq",
            "/to " + "b" * 10**6: "not 1,000,000 characters",
        }.items():
            mistake = parse(line)
            assert isinstance(mistake, commands.Mistake)
            self.assertIn(part, mistake.reason)

    @given(st.text())
    def test_any_line(self, line: str) -> None:
        """No line raises."""
        parse(line)
        parse("/" + line)
