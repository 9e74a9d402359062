"""Mailboxes at a registry, as a peer asks for them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat.mailbox_interface import IMailbox
from p2pchat.peer.registry_mailbox import RegistryMailbox


class InterfaceTests(SynchronousTestCase):
    """What it promises."""

    def test_interface(self) -> None:
        """It is a mailbox."""
        client = None
        verifyObject(IMailbox, RegistryMailbox(client, lambda: client))  # type: ignore[arg-type, return-value]
