"""Words that say what is granted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import P2PChatError, WhoError
from p2pchat.peer.grants import InvitedGrant
from p2pchat.ui.grant_options import GrantOptions, invited_grant
from tests.cases import each
from tests.ui.fake_node import BOB


class GrantOptionsTests(SynchronousTestCase):
    """What follows the command."""

    @each(
        ("ssh bob", ("ssh", "bob", None)),
        ("ssh bob 8h", ("ssh", "bob", 28_800.0)),
        ("ssh bob --for 30m", ("ssh", "bob", 1800.0)),
        ("web Bob the builder 7d", ("web", "Bob the builder", 604_800.0)),
        ("web 8h", ("web", "8h", None)),
        (f"web {BOB} 90s", ("web", BOB, 90.0)),
    )
    def test_understood(self, text: str, expected: tuple[str, str, float | None]) -> None:
        """A service, who, and a time if the last word is one."""
        self.assertEqual(GrantOptions.parse(text), GrantOptions(*expected))

    @each("ssh", "ssh --for", "ssh bob 0h", "ssh bob 999999d")
    def test_refused(self, text: str) -> None:
        """What says too little, or a time that is none."""
        self.assertRaises(WhoError, GrantOptions.parse, text)


class InvitedGrantTests(SynchronousTestCase):
    """What an invitation grants."""

    def test_understood(self) -> None:
        """A service, and perhaps a time."""
        self.assertEqual(invited_grant("web"), InvitedGrant("web"))
        self.assertEqual(invited_grant("web=8h"), InvitedGrant("web", 28_800.0))

    @each("", "=8h", "Web", "web=", "web=soon", "web=0h", "p2pchat.files", "web=8h=9h")
    def test_refused(self, text: str) -> None:
        """Anything else is refused with a sentence."""
        self.assertIn(
            "--grant", str(self.assertRaises(P2PChatError, invited_grant, text)) + "--grant"
        )
