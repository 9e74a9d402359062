"""
Results of commands, as values beside the node's own events (:mod:`p2pchat.events`).

Part of the same stable interface: ``NAME`` is the ``event`` of the JSON lines.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from p2pchat.events import NatRead
from p2pchat.peer.settings import ContactInfo, ConversationInfo
from p2pchat.peer.signaling import PeerRecord
from p2pchat.session.connection_report import ConnectionReport

# Words of Trouble, beside the registry's reasons.
WHO = "who"  # nobody, or nobody single, is meant
TOO_LONG = "too-long"  # the text, or the line of the input
TOO_MANY = "too-many"  # lines that wait for delivery
COMMAND = "command"  # there is no such command, or it takes something else
INPUT = "input"  # a line of JSON that says nothing
INTERNAL = "internal"  # a fault of this program; its log has the traceback


@attrs.frozen
class CommandList:
    """The commands, each with its meaning."""

    NAME: ClassVar[str] = "help"

    commands: tuple[tuple[str, str], ...]


@attrs.frozen
class PeerList:
    """The records of those who let themselves be listed."""

    NAME: ClassVar[str] = "peers"

    peers: tuple[PeerRecord, ...]


@attrs.frozen
class ContactList:
    """Contacts, and whoever is muted or blocked."""

    NAME: ClassVar[str] = "contacts"

    contacts: tuple[ContactInfo, ...]


@attrs.frozen
class Me:
    """Ourselves, the registry, and our conversations."""

    NAME: ClassVar[str] = "me"

    peer_id: str
    username: str
    server: str
    conversations: tuple[ConversationInfo, ...]


@attrs.frozen
class Nat(NatRead):
    """The reading of our NAT, as the event ``nat`` has it."""


@attrs.frozen
class Explanation:
    """The explanation of a connection or of its failure, as sentences and as values."""

    NAME: ClassVar[str] = "why"

    peer_id: str
    name: str
    story: tuple[str, ...]
    facts: ConnectionReport = attrs.Factory(ConnectionReport)


@attrs.frozen
class CurrentConversation:
    """The conversation that plain lines go to from now on; none, where ``peer_id`` is empty."""

    NAME: ClassVar[str] = "current"

    peer_id: str
    name: str


@attrs.frozen
class Rejected:
    """A call that was declined."""

    NAME: ClassVar[str] = "rejected"

    peer_id: str
    name: str


@attrs.frozen
class More:
    """A wish for the rest of a folded message; only a console folds."""


Result = (
    CommandList | PeerList | ContactList | Me | Nat | Explanation | CurrentConversation | Rejected
)
