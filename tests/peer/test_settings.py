"""What a person can set about a peer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.peer.settings import NodeSettings
from p2pchat.session.approval import AcceptPolicy
from p2pchat.wire.usernames import MAX_USERNAME


class SettingsTests(SynchronousTestCase):
    """Defaults, and what is refused."""

    def test_defaults(self) -> None:
        """A name is all that is needed; the person is asked about strangers."""
        settings = NodeSettings("alice")
        self.assertIs(settings.accept, AcceptPolicy.CONTACTS)
        self.assertFalse(settings.publish_address)
        self.assertTrue(settings.listed)
        self.assertEqual(settings.port, 0)

    def test_username(self) -> None:
        """A name fits a document, and isn't blank."""
        NodeSettings("x" * MAX_USERNAME)
        for name in ("", "  ", "\t", "x" * (MAX_USERNAME + 1)):
            self.assertRaises(ConfigurationError, NodeSettings, name)

    def test_spelling(self) -> None:
        """However a keyboard composes a name, it is written in one way."""
        self.assertEqual(NodeSettings(" Zoe\u0308  Mu\u0308ller").username, "Zoë Müller")

    def test_name_like_id(self) -> None:
        """A name that could be taken for an id is refused, and the sentence says which."""
        error = self.assertRaises(ConfigurationError, NodeSettings, "c9ab0cae")
        self.assertIn("'c9ab0cae': a username must not look like a peer id", str(error))
