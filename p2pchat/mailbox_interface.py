"""The seam of mailboxes at a registry, as a peer uses them (:mod:`p2pchat.interfaces`: others)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import Interface

if TYPE_CHECKING:  # the values that pass a seam belong to the layers on its sides
    from p2pchat.peer.registry_mailbox import DepositKeys
    from p2pchat.wire.mailbox import Mail, MailboxState, Prekeys


class IMailbox(Interface):
    """
    Mailboxes at one registry (:mod:`p2pchat.wire.mailbox`).

    Each Deferred may fail with :class:`p2pchat.errors.RegistryError`.
    """

    def publish(prekeys: Prekeys) -> Deferred[MailboxState]:
        """Show our prekeys to whoever may leave something for us."""

    def allow(tokens: Sequence[bytes]) -> Deferred[MailboxState]:
        """Say who may, by the hashes of tokens: these and no others."""

    def fetch() -> Deferred[Mail]:
        """Return a Deferred of what waits longest in our mailbox."""

    def acknowledge(names: Sequence[bytes]) -> Deferred[MailboxState]:
        """Say which envelopes are stored, by their names; they are deleted."""

    def deposit(
        peer_id: str, token: bytes, seal: Callable[[DepositKeys], bytes], replaces: str = ""
    ) -> Deferred[tuple[str, float]]:
        """
        Leave an envelope in a peer's mailbox, without a word of who we are.

        :param token: what the peer gave us.
        :param seal: returns the envelope; called once the peer's keys are known.
        :param replaces: the name of an earlier envelope of ours, in whose place this one comes.

        A Deferred of the envelope's name, and of when it is deleted, in seconds since 1970.
        """
