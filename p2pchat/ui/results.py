"""
Results of commands, as values beside the node's own events (:mod:`p2pchat.events`).

Part of the same stable interface, with the ``event`` of the JSON lines at the head of each.
"""

from __future__ import annotations

import attrs

from p2pchat.events import SPARSE, Named, NatRead
from p2pchat.peer.service_infos import GrantInfo, OfferedInfo, OpenStreamInfo
from p2pchat.peer.settings import ContactInfo, ConversationInfo, RegistryInfo, TransferInfo
from p2pchat.peer.signaling import PeerRecord
from p2pchat.peer.storage.history import HistoryLine
from p2pchat.session.connection_report import ConnectionReport

# Words of Trouble, beside the registry's reasons.
WHO = "who"  # nobody, or nobody single, is meant
TOO_LONG = "too-long"  # the text, or the line of the input
TOO_MANY = "too-many"  # lines that wait for delivery
STORAGE = "storage"  # what was said can't be kept, read or deleted
COMMAND = "command"  # there is no such command, or it takes something else
INPUT = "input"  # a line of JSON that says nothing
ON_MESSAGE = "on-message"  # the command of this option fails
FILES = "files"  # they can't be sent, or that is no transfer
INVITATION = "invitation"  # it can't be made, or used
INTERNAL = "internal"  # a fault of this program; its log has the traceback


class Result(Named):
    """The result of a command."""

    __slots__ = ()


@attrs.frozen
class CommandList(Result, event="help"):
    """The commands, each with its meaning."""

    commands: tuple[tuple[str, str], ...]


@attrs.frozen
class PeerList(Result, event="peers"):
    """The records of those who let themselves be listed."""

    peers: tuple[PeerRecord, ...]


@attrs.frozen
class ContactList(Result, event="contacts"):
    """Contacts, and whoever is muted or blocked."""

    contacts: tuple[ContactInfo, ...]


@attrs.frozen
class InvitationMade(Result, event="invitation"):
    """
    An invitation of ours, to be given to one friend: a secret.

    ``petname`` is what the contact will be called, "" for what it calls itself.  ``service`` is
    what whoever joins may open, for ``seconds``, ``None``: until it is revoked.
    """

    line: str
    nameplate: str
    spoken: bool
    expires_at: float  # seconds since 1970
    petname: str = ""
    service: str = attrs.field(default="", metadata=SPARSE)
    seconds: float | None = attrs.field(default=None, metadata=SPARSE)


@attrs.frozen
class Joined(Result, event="joined"):
    """An invitation was used: this is who made it."""

    peer_id: str
    name: str


@attrs.frozen
class OpenInvitation:
    """An open invitation of ours, without its secret; ``petname`` as in :class:`InvitationMade`."""

    nameplate: str
    petname: str
    spoken: bool
    expires_at: float  # seconds since 1970


@attrs.frozen
class Me(Result, event="me"):
    """Ourselves, the registries, our conversations, and our open invitations."""

    peer_id: str
    username: str
    server: str
    conversations: tuple[ConversationInfo, ...]
    stored: int = 0  # bytes of what was said, on the disk
    invitations: tuple[OpenInvitation, ...] = ()
    registries: tuple[RegistryInfo, ...] = ()


@attrs.frozen
class GrantList(Result, event="grants"):
    """The grants of our services that are good."""

    grants: tuple[GrantInfo, ...]


@attrs.frozen
class ServiceList(Result, event="services"):
    """The services that we offer; or, of a peer, those that it lets us open."""

    services: tuple[OfferedInfo, ...]
    peer_id: str = ""
    name: str = ""


@attrs.frozen
class StreamList(Result, event="streams"):
    """The streams of services that are open, ours and theirs."""

    streams: tuple[OpenStreamInfo, ...]


@attrs.frozen
class PrivacySwitches(Result, event="privacy"):
    """Switches of what contacts are let know beside what is said, as in PrivacyInfo."""

    receipts: bool
    typing: bool
    invisible: bool


@attrs.frozen
class History(Result, event="history"):
    """
    The last lines of a conversation, in order.

    ``opened`` is set where nobody asked: the conversation became the current one.  ``before`` is
    the id of the line that they come before, where they aren't the last of all.
    """

    peer_id: str
    name: str
    lines: tuple[HistoryLine, ...]
    opened: bool = attrs.field(default=False, metadata=SPARSE)
    before: str = attrs.field(default="", metadata=SPARSE)


@attrs.frozen
class Found(Result, event="found"):
    """The newest lines, of whatever conversation, that have some words."""

    words: str
    lines: tuple[HistoryLine, ...]


@attrs.frozen
class WaitingLines(Result, event="outbox"):
    """The lines of ours that the other sides don't have yet; of everybody where nobody is named."""

    lines: tuple[HistoryLine, ...]


@attrs.frozen
class Withdrawn(Result, event="withdrawn"):
    """
    A line that waited was taken back: nobody gets it.

    ``changes`` are edits of it that waited, too, and are gone with it.
    """

    peer_id: str
    name: str
    id: str
    text: str
    changes: tuple[str, ...] = attrs.field(default=(), metadata=SPARSE)


@attrs.frozen
class Exported(Result, event="exported"):
    """A conversation was written to a file."""

    peer_id: str
    name: str
    file: str
    count: int  # of lines


@attrs.frozen
class Wiped(Result, event="wiped"):
    """All that was said with a peer is gone from the disk, but what still waits for it."""

    peer_id: str
    name: str


@attrs.frozen
class FilesSent(Result, event="sending"):
    """A file or folder that is offered from now on; events tell what becomes of it."""

    transfer: TransferInfo


@attrs.frozen
class TransferList(Result, event="transfers"):
    """The transfers of files that are under way or wait, oldest first."""

    transfers: tuple[TransferInfo, ...]


@attrs.frozen
class Nat(NatRead, Result):
    """The reading of our NAT, as the event ``nat`` has it."""


@attrs.frozen
class Explanation(Result, event="why"):
    """The explanation of a connection or of its failure, as sentences and as values."""

    peer_id: str
    name: str
    story: tuple[str, ...]
    facts: ConnectionReport = attrs.Factory(ConnectionReport)


@attrs.frozen
class CurrentConversation(Result, event="current"):
    """The conversation that plain lines go to from now on; none, where ``peer_id`` is empty."""

    peer_id: str
    name: str


@attrs.frozen
class Rejected(Result, event="rejected"):
    """A call that was declined."""

    peer_id: str
    name: str


@attrs.frozen
class More:
    """A wish for the rest of a folded message; only a console folds."""
