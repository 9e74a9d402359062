"""What a person can set about a peer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError
from p2pchat.peer.settings import AcceptPolicy, NodeSettings
from p2pchat.wire.documents import MAX_USERNAME


class SettingsTests(SynchronousTestCase):
    """Defaults, and what is refused."""

    def test_defaults(self) -> None:
        """A name is all that is needed; strangers are asked about."""
        settings = NodeSettings("alice")
        self.assertIs(settings.accept, AcceptPolicy.ASK)
        self.assertFalse(settings.publish_address)
        self.assertEqual(settings.port, 0)

    def test_username(self) -> None:
        """A name fits a document, and isn't blank."""
        NodeSettings("x" * MAX_USERNAME)
        for name in ("", "  ", "\t", "x" * (MAX_USERNAME + 1)):
            self.assertRaises(ConfigurationError, NodeSettings, name)
