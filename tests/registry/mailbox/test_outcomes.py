"""Values of stores of mailboxes: what could betray something isn't shown."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.mailbox.outcomes import LeftEnvelope


class DepositTests(SynchronousTestCase):
    """What somebody leaves."""

    def test_shown(self) -> None:
        """An envelope doesn't get into a log."""
        self.assertNotIn("secret", repr(LeftEnvelope("peer", b"hash", b"secret")))
