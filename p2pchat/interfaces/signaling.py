"""The seams by which a node finds others and sends them documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:  # the values that pass a seam belong to the layers on its sides
    from p2pchat.peer.registry_mailbox import DepositKeys
    from p2pchat.peer.signaling import PeerRecord, SignalingContext
    from p2pchat.wire.addresses import Scope
    from p2pchat.wire.documents import PeerDocument
    from p2pchat.wire.mailbox import Mail, MailboxState, Prekeys
    from p2pchat.wire.nameplates import Claim, Completion, NameplateState, PakeResponse


class ISignaling(Interface):
    """
    A way to find peers, and to exchange documents with them before there is a path: a registry.

    What happens goes to the ``receive`` of the context that it is started with, as one of
    ``p2pchat.peer.signaling.SignalingEvent``.  A node may use several.
    """

    name: str = Attribute("What people call it: the URL of a registry.")
    nameplates: INameplates | None = Attribute("Where invitations meet, if it has that.")
    mailbox: IMailbox | None = Attribute("Where things wait for who is away, if it may have that.")
    is_local: bool = Attribute("Whether peers that it finds may be on this machine.")
    scope: Scope = Attribute("How near it is.")

    def start(context: SignalingContext) -> None:
        """Let ourselves be found, and documents reach us, from now on."""

    def stop() -> Deferred[None]:
        """
        Let no document reach us any more, deliver what was sent, and end what shows us to others.

        A Deferred fires when all is closed; it may be cancelled.  One that wasn't started, and was
        only asked, is closed, too.
        """

    def refresh() -> bool:
        """
        Connect anew at once, as the network may have changed; tell whether that wasn't under way.

        What is sent waits until it is done: answers couldn't reach us.  Where another program with
        our identity is reached in our place, it is taken over.
        """

    def update() -> None:
        """What the context describes has changed: show it."""

    def now() -> float:
        """Return seconds since 1970, by the clock that documents are dated and judged by."""

    def rtt() -> float:
        """Return the seconds of a round trip to what carries documents, 0 while unknown."""

    def find(peer_id: str) -> Deferred[PeerRecord | None]:
        """Return a Deferred of a peer's record, or of None; may fail with ``RegistryError``."""

    def peers(username: str = "", prefix: str = "") -> Deferred[list[PeerRecord]]:
        """
        Return a Deferred of records of those who let themselves be listed; may fail likewise.

        :param username: only those of this name.
        :param prefix: only those whose id begins so.
        """

    def presence(peer_ids: Sequence[str]) -> Deferred[Mapping[str, bool]]:
        """Return a Deferred of whether peers, MAX_ASKED at most, are online, by id; or fail."""

    def send(peer_id: str, body: PeerDocument) -> Deferred[None]:
        """
        Seal and sign a document and deliver it, after those that went to this peer before.

        A Deferred fires when it was delivered, or fails with ``RegistryError``.
        """


class INameplates(Interface):
    """
    Nameplates, at which two who share an invitation meet (:mod:`p2pchat.wire.nameplates`).

    Each Deferred may fail with :class:`p2pchat.errors.RegistryError`.
    """

    def claim(claim: Claim) -> Deferred[Any]:
        """Claim a nameplate, or the same again."""

    def look(name: str) -> Deferred[NameplateState]:
        """Return a Deferred of what stands at a nameplate; it fails with 404 where none is."""

    def respond(name: str, response: PakeResponse) -> Deferred[Any]:
        """Leave the one try of a joiner; it fails with 409 where another was left."""

    def complete(completion: Completion) -> Deferred[Any]:
        """Answer it."""

    def release(name: str) -> Deferred[Any]:
        """Take a nameplate of ours away."""


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
