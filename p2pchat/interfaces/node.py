"""The seams of a node, towards its front ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import Attribute, Interface

if TYPE_CHECKING:  # the values that pass a seam belong to the layers on its sides
    from p2pchat.events import NatRead, NodeEvent
    from p2pchat.interfaces.services import INodeServices
    from p2pchat.interfaces.storage import IHistory
    from p2pchat.interfaces.transfers import ITransfers
    from p2pchat.peer.grants import InvitedGrant
    from p2pchat.peer.settings import (
        ContactInfo,
        ConversationInfo,
        InvitationInfo,
        PrivacyInfo,
        RegistryInfo,
    )
    from p2pchat.peer.signaling import PeerRecord
    from p2pchat.session.connection_report import ConnectionReport
    from p2pchat.session.stored import About


class INode(Interface):
    """One peer of the network, as its user interfaces and other programs see it."""

    peer_id: str = Attribute("Our peer id.")
    username: str = Attribute("What we call ourselves.")
    server: str = Attribute("URL of the registry, or of several, in words.")
    invitations: IInvitations = Attribute("What two people meet by.")
    history: IHistory = Attribute("What was said.")
    indications: IIndications = Attribute("What contacts are let know beside that.")
    services: INodeServices = Attribute("What programs offer to peers, and reach at peers.")
    transfers: ITransfers = Attribute("Files, of ours and for us.")

    def listen(listener: Callable[[NodeEvent], None]) -> IPushProducer:
        """
        Call ``listener`` with each event from now on; there may be any number of listeners.

        What is returned is the producer of these events: a front end whose output isn't read
        pauses it.  Its events wait then; a line of a peer is confirmed to its author, who sends a
        bounded number of them ahead, when every listener was called with it.  The other listeners
        and everything else go on.
        """

    def unlisten(listener: Callable[[NodeEvent], None]) -> None:
        """Never call ``listener`` again; what waits for it is dropped."""

    def now() -> float:
        """Return seconds since 1970, by the clock that conversations go by: the registry's."""

    def start() -> Deferred[None]:
        """Bind the socket and begin to register; a Deferred fires once the socket is bound."""

    def stop() -> Deferred[None]:
        """Say goodbye to everybody and the registry; a Deferred fires when all is closed."""

    def connect(who: str) -> Deferred[str]:
        """
        Call a peer: an id, a contact's name, or a name at the registry.

        A Deferred of the peer id fires when the offer is on its way; it fails with
        :class:`p2pchat.errors.WhoError` or :class:`p2pchat.errors.RegistryError`.  What follows
        are events.
        """

    def accept(who: str) -> str:
        """Accept the waiting offer of a peer; returns its id, or raises ``WhoError``."""

    def reject(who: str) -> str:
        """Decline the waiting offer of a peer; returns its id, or raises ``WhoError``."""

    def send(peer_id: str, text: str, about: About | None = None) -> str:
        """
        Put a line into a conversation; returns the message id.

        It is delivered as soon as there is a path.

        :param about: the line that it answers, or changes.
        :raises WhoError: no conversation and no call with this peer.
        :raises LocalProtocolError: the text is too long, or the line isn't ours to change.
        """

    def withdraw(peer_id: str, id: str) -> list[str]:
        """
        Take back a line that waits for a contact who is away; returns the ids of its changes.

        :raises LocalProtocolError: there is none, or it may have gone out.
        """

    def kept_until(peer_id: str, id: str) -> float | None:
        """
        Return how long a line of ours is kept that waits at a registry, ``None`` elsewhere.

        In seconds since 1970.
        """

    def disconnect(peer_id: str) -> None:
        """End a conversation or a call; raises ``WhoError`` where there is none."""

    def find(who: str) -> str:
        """Return the id of the conversation, call or waiting offer meant; raises ``WhoError``."""

    def find_known(who: str) -> str:
        """Return the id of a conversation, by a whole id or a contact's name; or ``WhoError``."""

    def whom(who: str) -> str:
        """Return the id of a peer who is known, here, or named by the whole id; or ``WhoError``."""

    def forget(who: str) -> str:
        """Let a contact be a stranger again; returns its id, or raises ``WhoError``."""

    def verify(who: str) -> str:
        """Let both persons see words to compare, as an event; returns the id, or ``WhoError``."""

    def verified(peer_id: str, same: bool) -> None:
        """Keep what the person says of the words; raises ``WhoError`` where none were shown."""

    def rename(who_and_name: str) -> str:
        """
        Give a contact another name; returns its id, or raises ``WhoError``.

        Both are written one after the other, and may have blanks.
        """

    def contact_of(name: str) -> str:
        """Return the id of the contact that is called so, or ""."""

    def relay_only(who: str, on: bool) -> str:
        """Hide our addresses from a contact, or no more; returns its id, or raises ``WhoError``."""

    def mute(who: str, on: bool = True) -> str:
        """Let calls and messages of a peer make no sound, or one again; returns its id."""

    def block(who: str, on: bool = True) -> str:
        """Take nothing of a peer any more, or again; returns its id, or raises ``WhoError``."""

    def contacts() -> list[ContactInfo]:
        """Return whom the person knows, has muted or has blocked."""

    def conversations() -> list[ConversationInfo]:
        """Return the conversations, calls and waiting offers."""

    def peers() -> Deferred[list[PeerRecord]]:
        """Return a Deferred of the records of those who let themselves be listed."""

    def registries() -> list[RegistryInfo]:
        """Return our registries, and those that we visit, and how each is."""

    def nat() -> NatRead:
        """Return what is known of our NAT now."""

    def why(peer_id: str) -> ConnectionReport:
        """Return the story since the last call; raises ``WhoError`` where there was none."""


class IInvitations(Interface):
    """The invitations of a node; what becomes of them are events."""

    def open() -> list[InvitationInfo]:
        """Return the open ones of ours."""

    def invite(
        name: str,
        seconds: int,
        is_spoken: bool,
        replaces: str = "",
        grant: InvitedGrant | None = None,
    ) -> Deferred[InvitationInfo]:
        """
        Make an invitation.

        :param name: what its contact is to be called, or "": what it calls itself.
        :param replaces: id of the contact whose key is to be replaced, or "".
        :param grant: what whoever joins may open here; ``None``: nothing.

        It fails with :class:`p2pchat.errors.InvitationRefused` or ``RegistryError``.
        """

    def arrived(peer_id: str) -> None:
        """A peer is connected, and so has our answer, if it waited for one."""

    def withdraw(which: str) -> Deferred[InvitationInfo]:
        """Take an open one back, by its nameplate or name, or the only one; fails likewise."""

    def join(line: str) -> Deferred[str]:
        """Use one of somebody's; a Deferred of the peer id of who made it; fails likewise."""


class IIndications(Interface):
    """Indications to contacts, beside what is said."""

    def seen(peer_id: str, id: str) -> None:
        """Somebody has seen a line of a peer, and so all before it."""

    def typing(peer_id: str) -> None:
        """Somebody types a line for a peer; called as often as he does."""

    def switch(what: str, on: bool) -> None:
        """Switch ``receipts``, ``typing`` or ``invisible``; raises WhoError for anything else."""

    def privacy() -> PrivacyInfo:
        """Return how the switches are."""
