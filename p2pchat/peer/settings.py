"""Settings of a node that a person can make, checked and with defaults."""

from __future__ import annotations

import unicodedata

import attrs

from p2pchat.errors import ConfigurationError, RemoteProtocolError
from p2pchat.peer.grants import InvitedGrant
from p2pchat.session.approval import AcceptPolicy
from p2pchat.wire.usernames import check_username

DEFAULT_SERVER = "http://127.0.0.1:8000"
DEFAULT_HEARTBEAT = 15.0  # seconds; RFC 4787 asks of a NAT at least 120, many keep 30
DEFAULT_RETRIES = 3
AWAY = "away"  # a state of ConversationInfo: lines wait, and the other side isn't there


def in_normal_form(name: str) -> str:
    """Write a name as it is compared, however a keyboard composes it."""
    return " ".join(unicodedata.normalize("NFKC", name).split())


def _username(given: str) -> str:
    name = in_normal_form(given)
    try:
        return check_username(name)
    except RemoteProtocolError as error:
        raise ConfigurationError(f"--username {name!r}: {error}") from None


def _check_privacy(instance: NodeSettings, _field: object, value: bool) -> None:
    if value and instance.publish_address:
        raise ConfigurationError("--relay-only and --publish-address exclude each other")


@attrs.frozen
class FileSettings:
    """
    The places of files that are offered.

    :ivar downloads: the folder that they come into when the person accepts them; "": the user's.
    :ivar accepted: the folder that contacts' files come into unasked, or "".
    :ivar most: bytes that this folder may hold by that; what is beyond is asked for.
    """

    downloads: str = ""
    accepted: str = ""
    most: int = 10_000_000_000


@attrs.frozen
class NodeSettings:
    """
    The settings of one node.

    :ivar server: URL of the registry.
    :ivar port: UDP port to bind, 0 for any.
    :ivar heartbeat: seconds between PINGs.
    :ivar retries: how often a call is tried.
    :ivar relay_only: tell, use and contact no address but those of relays.
    :ivar mails: let what waits be left at registries, for contacts and for us.
    :ivar keep: days for which what was said is kept; ``None``: for ever.
    :ivar receipts: let contacts know what was read, and learn it of them.
    :ivar typing: let them know that something is being typed, and learn it.
    :ivar invisible: let no registry show us to anybody.
    :ivar files: what becomes of those that are offered.
    :ivar requires_pq: refuse links whose key exchange isn't post-quantum.
    :ivar publish_address: show our server-reflexive address to everybody in the record.
    :ivar listed: stand in the registry's list, and be found by name; else by our whole id only.
    """

    username: str = attrs.field(converter=_username)
    server: str = DEFAULT_SERVER
    port: int = 0
    accept: AcceptPolicy = AcceptPolicy.CONTACTS
    heartbeat: float = DEFAULT_HEARTBEAT
    retries: int = DEFAULT_RETRIES
    publish_address: bool = False
    listed: bool = True
    requires_pq: bool = False
    keep: float | None = None
    mails: bool = True
    receipts: bool = True
    typing: bool = True
    invisible: bool = False
    files: FileSettings = FileSettings()
    relay_only: bool = attrs.field(default=False, validator=_check_privacy)


@attrs.frozen
class ConversationInfo:
    """
    One conversation, call or waiting offer, for a list on a screen.

    :ivar name: of a contact, the one that it has here; of others, what they call themselves.
    :ivar state: ``calling``, ``ringing``, ``offered`` (waits for our ``/accept``), ``open``,
        ``reconnecting``, or ``away``: lines wait for one who isn't there.
    :ivar path: candidate types and address of the path, or "".
    :ivar rtt_ms: round-trip time of the last heartbeat or check; 0 while unknown.
    :ivar undelivered: lines of ours that the other side hasn't confirmed.
    :ivar mistaken_for: the id of a contact for whom this one could be taken by its name, or "".
    :ivar quiet: a call that waits and that the person wasn't disturbed by.
    """

    peer_id: str
    name: str
    state: str
    path: str = ""
    rtt_ms: float = 0.0
    undelivered: int = 0
    contact: bool = False
    mistaken_for: str = ""
    quiet: bool = False


@attrs.frozen
class RegistryInfo:
    """
    One registry, for a list on a screen.

    :ivar state: ``reachable``, ``away``, ``displaced`` (another program with our identity is
        reached there in our place), ``starting``, or ``guest``: for a while, for a contact's sake.
    :ivar reason: why it can't be reached, or "".
    :ivar rtt_ms: milliseconds of a round trip; 0 while unknown.
    :ivar mail: whether contacts may leave there what waits for us.
    """

    server: str
    state: str
    reason: str = ""
    rtt_ms: float = 0.0
    mail: bool = False


@attrs.frozen
class PrivacyInfo:
    """
    Switches of what contacts are let know beside what is said; each goes for both directions.

    :ivar receipts: how far what they said was read.
    :ivar typing: that something is being typed.
    :ivar invisible: no registry shows us to anybody, and none is asked who is there.
    """

    receipts: bool
    typing: bool
    invisible: bool


@attrs.frozen
class InvitationInfo:
    """
    An open invitation of ours.

    :ivar line: what is given to the friend; a secret.
    :ivar nameplate: by which it is meant, and which is none.
    :ivar expires_at: seconds since 1970.
    :ivar name: what the contact is to be called, or "".
    :ivar replaces: id of the contact whose key is to be replaced, or "".
    :ivar grant: what whoever joins may open; ``None``: nothing.
    """

    line: str = attrs.field(repr=False)
    nameplate: str
    is_spoken: bool
    expires_at: float
    name: str = ""
    replaces: str = ""
    grant: InvitedGrant | None = None


@attrs.frozen
class ContactInfo:
    """
    Somebody whom the person knows, or has muted or blocked, for a list on a screen.

    :ivar state: that of the conversation, or "".
    :ivar met: how a contact was met: ``invitation``, or "": by a conversation.
    :ivar verified: whether words were compared.
    :ivar before: ids of the contacts whose place it took, the latest first.
    :ivar relay_only: it learns no address of ours but those of relays.
    :ivar presence: what is known of a contact now: ``reachable`` (a link is open), ``registered``
        (at a registry, when it was asked last), ``absent`` (not there), or "": nothing.
    :ivar last_seen: when we saw it either way last, in seconds since 1970; 0: never.
    :ivar registries: URLs of those where a contact is found by its own word; none: at ours.
    """

    peer_id: str
    name: str
    contact: bool
    muted: bool = False
    blocked: bool = False
    state: str = ""
    met: str = ""
    verified: bool = False
    before: tuple[str, ...] = ()
    relay_only: bool = False
    presence: str = ""
    last_seen: float = 0.0
    registries: tuple[str, ...] = ()


@attrs.frozen
class TransferInfo:
    """
    A transfer of files, for a list on a screen.

    :ivar id: the same on both sides.
    :ivar number: of the transfer here, while this program runs.
    :ivar title: name of the file or folder.
    :ivar ours: whether we send it.
    :ivar state: ``offered`` (waits for our person), ``waits`` (for theirs, or for them to be
        there), ``active``, or ``stopped``: accepted, and to be gone on with.
    :ivar size: bytes of all; ``None``: not known.
    :ivar done: bytes that the receiver has.
    :ivar rate: bytes a second, 0.0 while not known.
    :ivar left: seconds that the rest takes; ``None``: not known.
    :ivar reason: why it is stopped, in a word, or "".
    :ivar path: where it comes from, or where it is written; "" while nothing is.
    """

    id: str
    number: int
    peer_id: str
    name: str
    title: str
    ours: bool
    state: str
    count: int
    size: int | None
    done: int = 0
    rate: float = 0.0
    left: float | None = None
    reason: str = ""
    path: str = ""
