"""The seams of what a registry keeps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

if TYPE_CHECKING:  # the values that pass a seam belong to the layers on its sides
    from p2pchat.registry.mailbox.outcomes import (
        GivenPrekeys,
        KeptEnvelope,
        LeftEnvelope,
        MailboxCounts,
        MailboxOutcome,
        PublishedPrekeys,
    )
    from p2pchat.registry.store.directory import Delivery, Page, PublicRecord, Record
    from p2pchat.registry.store.nameplate_table import Nameplate, NameplateOutcome
    from p2pchat.wire.documents import Document
    from p2pchat.wire.mailbox import Mail, MailboxState


class IRegistryStore(Interface):
    """
    The registry's memory: records for one lease each, who is online, which nonces were used.

    Several processes may share one store; each tells it of the streams that are attached to itself.

    ``document`` is of a proved author, fresh and meant for us; the method takes its nonce in the
    same step as it does its work, and forgets it where the work wasn't done.  The Deferreds of
    methods with a document fail with :class:`p2pchat.errors.ReplayedDocument` where it was used
    before.  Each Deferred may fail with :class:`p2pchat.registry.refusals.Refused`: there is no
    room, or the store can't be reached; and each may be cancelled.
    """

    def start() -> None:
        """Begin to work; the other methods may be called before the store can be reached."""

    def stop() -> Deferred[None]:
        """End; a Deferred fires when all is closed."""

    def is_available() -> bool:
        """Tell whether the store can be reached now."""

    def wall_time() -> float:
        """Return seconds since 1970, by the clock that all processes that share the store go by."""

    def sweep() -> None:
        """Do what is due; called every second."""

    def register(record: Record, document: Document) -> Deferred[bool]:
        """
        Hold a record of the author for one lease.

        A Deferred fires with whether the peer is online.
        """

    def renew(peer_id: str, renewal: str, ip: str) -> Deferred[bool]:
        """
        Hold a peer's record for one more lease, as it is.

        A Deferred fires with whether there is a record of this peer, with this token and ip.
        """

    def find(peer_id: str) -> Deferred[PublicRecord | None]:
        """Return a Deferred of what anybody may see of a peer, or of None."""

    def online(peer_ids: Sequence[str]) -> Deferred[frozenset[str]]:
        """Return a Deferred of those of some peers that are online and let it be seen."""

    def page(after: str, limit: int, username: str | None) -> Deferred[Page]:
        """
        Return a Deferred of a Page of at most ``limit`` records with ids greater than ``after``.

        It has only peers of this name, whatever its case, where one is given.
        """

    def remove(peer_id: str, document: Document) -> Deferred[bool]:
        """
        End a record and the peer's stream, whichever process it is attached to.

        A Deferred fires with whether there was one.
        """

    def subscribe(peer_id: str, document: Document, after: int | None = None) -> Deferred[bool]:
        """
        Let the peer's documents come to this process, which opens its stream now.

        A stream of the peer elsewhere ends as superseded; what it was given after the document
        with this number comes here, too.  A Deferred fires with whether the
        peer is registered: it must be.
        """

    def unsubscribe(peer_id: str) -> None:
        """Note that the peer's stream here has ended."""

    def deliver(peer_id: str, document: Document, token: str) -> Deferred[Delivery]:
        """
        Put a document, ``token`` in compact form, on the stream of the peer that it is for.

        A Deferred fires with TAKEN only if a live stream took it.  It is UNSOLICITED where the peer
        has never called or answered the author, and such authors have used up what they share
        (``--unsolicited-rate``).
        """

    def claim(
        nameplate: Nameplate, lifetime: int, document: Document
    ) -> Deferred[NameplateOutcome]:
        """Give a nameplate to the author of a document, who must be registered, for so long."""

    def nameplate(name: str) -> Deferred[tuple[Nameplate, float] | None]:
        """Return a Deferred of a nameplate and of the seconds that it stays, or of None."""

    def respond(name: str, response: str) -> Deferred[NameplateOutcome]:
        """Write what a joiner leaves at a nameplate, and let its owner's stream say so."""

    def complete(name: str, completion: str, document: Document) -> Deferred[NameplateOutcome]:
        """Write what the owner of a nameplate, the author of the document, answers."""

    def release(name: str, document: Document) -> Deferred[NameplateOutcome]:
        """Take a nameplate of the document's author away."""

    def accept(document: Document) -> Deferred[bool]:
        """Take a document that asks for nothing here; tell whether its author is registered."""

    def count() -> Deferred[int | None]:
        """
        Return a Deferred of how many records there are, or of None: nobody can tell now.

        It has fired already; a shared store may say what was true some seconds ago.
        """

    def share() -> float | None:
        """Return the share that is taken of the records that there may be; None: as above."""


class IMailboxStore(Interface):
    """
    The mailboxes of a registry: prekeys, hashes of tokens, envelopes, and how much may be left.

    Each Deferred may fail with :class:`p2pchat.registry.refusals.Refused`, where the store can't be
    used at the moment; and each may be cancelled.  What was answered lasts as the store does.

    :ivar permit_key: random bytes, the same for all processes that share the store; b"" while they
        aren't known.
    """

    permit_key: bytes = Attribute("See above.")

    def start() -> None:
        """
        Begin to work.

        :raises ConfigurationError: it can't.
        """

    def stop() -> Deferred[None]:
        """End; a Deferred fires when all is closed."""

    def sweep() -> None:
        """Do what is due; called every second."""

    def counts() -> MailboxCounts | None:
        """Return what was counted some seconds ago, or None: nobody can tell."""

    def state(peer_id: str) -> Deferred[MailboxState | None]:
        """Return a Deferred of the state of a mailbox, or of None: there is none."""

    def publish(peer_id: str, prekeys: PublishedPrekeys) -> Deferred[MailboxState | MailboxOutcome]:
        """Take an owner's prekeys, and make the mailbox if there is none."""

    def allow(
        peer_id: str, tokens: Iterable[bytes], issued_at: float
    ) -> Deferred[MailboxState | MailboxOutcome]:
        """
        Take the hashes of all tokens that are good from now on.

        :param issued_at: when the owner signed them, seconds since 1970.
        """

    def give(peer_id: str, token: bytes) -> Deferred[GivenPrekeys | MailboxOutcome]:
        """Give prekeys, with a one-time key if one is left, to one who has a token of this hash."""

    def deposit(deposit: LeftEnvelope) -> Deferred[KeptEnvelope | MailboxOutcome]:
        """Keep an envelope, and let the owner's stream say so; one that is there already stays."""

    def fetch(peer_id: str) -> Deferred[Mail | MailboxOutcome]:
        """Return a Deferred of what waits longest; it stays."""

    def acknowledge(
        peer_id: str, names: Iterable[bytes]
    ) -> Deferred[MailboxState | MailboxOutcome]:
        """Delete envelopes by their names."""
