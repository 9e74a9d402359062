"""
Every event that a node tells its front ends: one value each.

The classes are a stable interface: ``--json`` prints each as one object whose ``event`` is the
word at its head and whose members are its fields.  Fields may be added; none is renamed or
removed.

``peer_id`` is proved by a signature, ``name`` is what the peer calls itself and proves nothing.
``milliseconds`` count from the person's command or the incoming offer that began it all.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

SPARSE = {"sparse": True}  # a field that programs don't see while it has its default


class Named:
    """A value that programs get as an object of JSON; ``NAME`` is what they call it."""

    __slots__ = ()

    NAME: ClassVar[str]

    def __init_subclass__(cls, event: str = "") -> None:
        """Take the name from the head of a class; attrs makes each class again, without it."""
        if event:
            cls.NAME = event


class NodeEvent(Named):
    """Something that a node tells."""

    __slots__ = ()


@attrs.frozen
class SessionEvent(NodeEvent):
    """Something about one peer."""

    peer_id: str


@attrs.frozen
class PeerEvent(SessionEvent):
    """The same, with what the peer calls itself."""

    name: str


@attrs.frozen
class Calling(PeerEvent, event="calling"):
    """
    An offer goes out: attempt ``attempt`` of ``attempts``.

    ``attempts`` is 0 where a path is looked for while a conversation is open: a lost one, until
    patience ends, or a better one than a relay's.  ``contact`` and ``mistaken_for`` are as in
    :class:`Connected`.
    """

    attempt: int
    attempts: int
    contact: bool = False
    mistaken_for: str = ""


@attrs.frozen
class Rings(PeerEvent, event="ringing"):
    """The other side got the offer and asks its person."""


@attrs.frozen
class OfferReceived(PeerEvent, event="offer"):
    """
    Somebody wants to talk; where ``accepted`` is false, a person must say ``/accept``.

    ``quiet`` is set where the person needn't be disturbed: who called a moment ago calls again, or
    is muted, or too many strangers call at once.  ``contact`` and ``mistaken_for`` are as in
    :class:`Connected`.
    """

    accepted: bool
    quiet: bool = False
    contact: bool = False
    mistaken_for: str = ""


@attrs.frozen
class Checking(PeerEvent, event="checking"):
    """Both sides' candidates are known and checks are under way."""

    addresses: tuple[str, ...]


@attrs.frozen
class PathFound(PeerEvent, event="path"):
    """
    A check was answered: this path carries the conversation from now on.

    ``packets`` says what becomes of those that a link needs: ``fragmented``, where they pass in
    fragments only; ``too-small``, where no direct path carries them, and a relay does; else "".
    """

    local: str  # candidate type of our end: host, srflx, prflx, relay
    remote: str  # candidate type of the other end
    address: str
    milliseconds: float
    rtt_ms: float
    packets: str = ""


@attrs.frozen
class Connected(PeerEvent, event="connected"):
    """
    The other side proved who it is; what is typed arrives now.

    ``contact`` tells whether the person knows this id.  ``mistaken_for`` is the id of a contact
    whose name this one has, or one that looks like it, without being that contact; else "".
    ``key_exchange`` is TLS's of the link, ``X25519MLKEM768`` or ``X25519``.  ``packets`` is as in
    :class:`PathFound`, which may know more a moment later.
    """

    milliseconds: float
    resumed: bool  # the conversation went on where it was; nobody needs to be told twice
    contact: bool = False
    mistaken_for: str = ""
    key_exchange: str = ""
    packets: str = ""


@attrs.frozen
class Renamed(PeerEvent, event="renamed"):
    """
    A peer calls itself otherwise than it did when it was called, accepted or connected.

    ``name`` is how it is shown from now on: a contact keeps the name that it has here.
    """

    username: str  # what it calls itself now
    before: str  # what it called itself
    contact: bool = False
    mistaken_for: str = ""


@attrs.frozen
class MessageSent(SessionEvent, event="sent"):
    """
    A message of ours is stored, and goes out as soon as there is a path.

    ``reply_to``, ``edits`` and ``deletes`` are ids of a line that it answers, or changes.
    """

    id: str
    text: str
    reply_to: str = attrs.field(default="", metadata=SPARSE)
    edits: str = attrs.field(default="", metadata=SPARSE)
    deletes: str = attrs.field(default="", metadata=SPARSE)


@attrs.frozen
class MessageReceived(PeerEvent, event="message"):
    """
    A message of theirs, exactly once, in order.

    ``kind`` is "" but where this program doesn't know what it is; ``text`` says so then.
    ``quiet`` is set where the person needn't be disturbed: the author is no contact, or is muted.
    ``reply_to`` is the id of the line that it answers.
    """

    id: str
    text: str
    sent_at: float  # seconds since 1970 by the author's clock
    kind: str = attrs.field(default="", metadata=SPARSE)
    quiet: bool = attrs.field(default=False, metadata=SPARSE)
    reply_to: str = attrs.field(default="", metadata=SPARSE)

    @property
    def entry_id(self) -> str:
        """The id of the entry that tells it."""
        return self.id


@attrs.frozen
class MessageChanged(PeerEvent):
    """A line of theirs was changed by its author; ``change`` is the id of what says so."""

    id: str
    change: str
    sent_at: float  # seconds since 1970 by the author's clock, of the change

    @property
    def entry_id(self) -> str:
        """The id of the entry that tells it."""
        return self.change


@attrs.frozen
class MessageEdited(MessageChanged, event="edited"):
    """A line of theirs says something else from now on."""

    text: str


@attrs.frozen
class MessageDeleted(MessageChanged, event="deleted"):
    """A line of theirs is gone, for good: an edit of it that comes later counts no more."""


Incoming = MessageReceived | MessageChanged  # what they said, and somebody here has to take


@attrs.frozen
class MessageDelivered(SessionEvent, event="delivered"):
    """The other side has this message of ours."""

    id: str
    milliseconds: float  # since it was sent


@attrs.frozen
class MessagesRead(SessionEvent, event="read"):
    """The other person has seen this message of ours, and so those before it."""

    id: str


@attrs.frozen
class PeerTyping(PeerEvent, event="typing"):
    """The other person types at this moment; said again every few seconds while that goes on."""


@attrs.frozen
class Mailed(PeerEvent, event="mailed"):
    """
    Messages of ours wait at a registry for a peer who is away; ``delivered`` follows each.

    :ivar id: of the last of them.
    :ivar until: seconds since 1970; then they wait here again.
    """

    count: int
    id: str
    until: float
    server: str


@attrs.frozen
class NotMailed(PeerEvent, event="not_mailed"):
    """
    Messages for a peer who is away can't be left at a registry; they wait here.

    ``reason`` is a word: ``unknown-mailbox``, ``no-prekeys``, ``token-full``, ``mailbox-full``,
    ``too-long``, ``registry``, or another one of a refusal.
    """

    reason: str
    explanation: str


@attrs.frozen
class DeliveryPaused(PeerEvent, event="paused"):
    """
    Their program stores nothing more of ours before a time: we have sent too much for a day.

    What isn't delivered waits here, and goes then.
    """

    until: float  # seconds since 1970, by their clock


@attrs.frozen
class PathLost(PeerEvent, event="path_lost"):
    """Nothing comes through any more; a new path is being looked for."""

    reason: str


@attrs.frozen
class Disconnected(PeerEvent, event="disconnected"):
    """
    A conversation ended.

    ``ours`` tells whether this side ended it, which no word of the other side can say.  ``reason``
    is ``closed`` where it did, ``left`` (they said so), ``lost`` (patience ended) or a word of the
    chat protocol or of a refusal.  ``waits`` is set where lines for the peer, those that are
    undelivered and what is said from now on, wait until it is there again.
    """

    reason: str
    undelivered: int  # messages of ours that the other side never confirmed
    ours: bool = False
    waits: bool = attrs.field(default=False, metadata=SPARSE)


@attrs.frozen
class CallFailed(PeerEvent, event="failed"):
    """
    No conversation came of a call, or a lost path couldn't be replaced.

    ``reason`` is a word: ``unknown-peer``, ``peer-offline``, ``declined``, ``cancelled``, ``busy``,
    ``no-answer``, ``no-path``, ``registry``, ``not-proved``, ``no-handshake``, ``no-sealing-key``,
    ``unsupported-version``, ``clock``, or another one of a refusal.  ``ours`` tells whether this
    side ended the call.  ``waits`` is as in :class:`Disconnected`.
    """

    reason: str
    explanation: str  # what was tried, why it failed, what to do
    ours: bool = False
    undelivered: int = 0  # messages of ours that wait for the next conversation with this peer
    summary: str = ""  # how the explanation begins: why it failed, and what to do
    waits: bool = attrs.field(default=False, metadata=SPARSE)


@attrs.frozen
class OfferEnded(PeerEvent, event="offer_ended"):
    """
    An incoming offer that nobody had accepted yet is gone.

    ``reason`` is ``cancelled`` (they took it back) or ``no-answer`` (the person's time is up);
    ``quiet`` is that of the offer.
    """

    reason: str
    quiet: bool = False


@attrs.frozen
class Starting(NodeEvent, event="starting"):
    """
    The program begins to register.

    :ivar state: the state directory; "": all is kept in memory and ends with the program.
    :ivar remembered: what is kept there for the first time or anew: of ``identity``, ``username``,
        ``server`` and ``servers``.
    :ivar further: URLs of the other registries.
    :ivar attached_to: the process of the node, where it isn't this program's own.
    """

    peer_id: str
    username: str
    server: str
    version: str
    state: str = ""
    remembered: tuple[str, ...] = ()
    further: tuple[str, ...] = ()
    attached_to: int = attrs.field(default=0, metadata=SPARSE)


@attrs.frozen
class Leaving(NodeEvent, event="leaving"):
    """Saying goodbye takes a while; what is typed is obeyed no more."""

    seconds: float  # that it may take at most


@attrs.frozen
class Registered(NodeEvent, event="registered"):
    """The registry holds our record; said again after the registry was away."""

    peer_id: str
    username: str
    server: str
    ip: str
    port: int  # of our server-reflexive candidate; 0 while it isn't known


@attrs.frozen
class RegistryLost(NodeEvent, event="registry_lost"):
    """
    A registry can't be reached, or its event stream ended; running conversations go on.

    :ivar retry_in: seconds until the next try.
    :ivar server: its URL.
    :ivar others: URLs of the registries where we are still found.
    """

    reason: str
    retry_in: float
    server: str = ""
    others: tuple[str, ...] = ()


@attrs.frozen
class NatRead(NodeEvent, event="nat"):
    """
    Our NAT, as the registry's STUN service shows it.

    ``mapping`` is ``endpoint-independent``, ``address-or-port-dependent``, ``none`` (the host's
    own address is the mapped one) or ``unknown``.  ``filtering`` is
    ``address-and-port-dependent``, ``endpoint-independent-or-address-dependent`` or ``unknown``;
    ``port_preservation`` ``preserved``, ``changed`` or ``unknown``.
    """

    mapping: str
    address: str  # our server-reflexive transport address, or ""
    detail: str
    filtering: str = "unknown"
    port_preservation: str = "unknown"
    allocation: str = "unknown"  # of new ports: ``one`` for all, by ``step``, ``random``
    step: int = 0  # by which the next port differs from the last one, where there is a rule
    udp_blocked: bool = False  # nothing comes back over UDP
    relays: tuple[str, ...] = ()  # that the registry named, as TURN URLs
    keepalive: float = 0.0  # seconds that nothing should be idle for; 0 while there is no reason


@attrs.frozen
class ContactChanged(PeerEvent, event="contact"):
    """
    A change of what is kept of a peer.

    ``change`` is ``added`` (a contact, by a conversation that the person began or accepted),
    ``introduced`` (one by an invitation), ``replaced`` (by one who has its name now), ``renamed``,
    ``verified``, ``unverified``, ``relay-only``, ``direct``, ``forgotten``, ``muted``,
    ``unmuted``, ``blocked`` or ``unblocked``; the members after it say what holds now.
    """

    change: str
    contact: bool
    muted: bool
    blocked: bool
    met: str = ""  # how a contact was met: ``invitation``, or "": by a conversation
    verified: bool = False  # words were compared


@attrs.frozen
class PresenceChanged(PeerEvent, event="presence"):
    """
    A contact came to a registry, or has gone; of one with a link ``connected`` tells.

    ``state`` is ``registered`` or ``absent``.  ``quiet`` is set where a person needn't be
    disturbed: it has gone, was there when the program began, is muted, or many come at once.
    """

    state: str
    last_seen: float  # when we saw it before that, in seconds since 1970; 0: never
    quiet: bool = False


@attrs.frozen
class Paired(PeerEvent, event="paired"):
    """
    Somebody was met by an invitation; a contact event follows, with the name that is kept.

    ``invited`` tells whether the invitation was ours.  ``replaces`` is the id of the contact whose
    place this one takes, or "".  ``service`` is what the one who joined may open at the other's.
    """

    invited: bool
    replaces: str = ""
    service: str = attrs.field(default="", metadata=SPARSE)


@attrs.frozen
class VerificationWords(PeerEvent, event="verify"):
    """
    Words to compare with a peer, by another way: the other side sees the same now.

    If they differ, somebody is between the two.
    """

    words: tuple[str, ...]


@attrs.frozen
class ServiceOffered(NodeEvent, event="offered"):
    """
    A service of ours is there from now on, for those who have a grant, and for ``allow``.

    ``allow`` has names of contacts, ids, ``contacts`` or ``anyone``.
    """

    service: str
    allow: tuple[str, ...]


@attrs.frozen
class GrantChanged(PeerEvent, event="grant"):
    """
    A key may open a service from now on, or no more.

    ``change`` is ``granted``, ``revoked`` or ``expired``; ``seconds`` for how long, ``None``: until
    it is revoked.  ``name`` is that of a contact, or "".
    """

    service: str
    change: str
    seconds: float | None = None


@attrs.frozen
class ServiceOpened(PeerEvent, event="service_opened"):
    """
    A stream of a service is open: of ours, or where ``ours`` is set, one of theirs that we opened.

    ``path`` is ``direct``, ``relay`` or "".  ``name`` is that of a contact, or "".  ``quiet`` is
    set where the person needn't be disturbed: the same peer opened the same a moment ago.
    """

    service: str
    ours: bool
    path: str
    quiet: bool = False


@attrs.frozen
class ServiceClosed(PeerEvent, event="service_closed"):
    """
    Such a stream has ended; ``received`` and ``sent`` are bytes, ``seconds`` how long it was open.
    """

    service: str
    ours: bool
    path: str
    received: int
    sent: int
    seconds: float
    quiet: bool = False


@attrs.frozen
class InvitationEnded(NodeEvent, event="invitation_ended"):
    """
    An invitation of ours ended, and nobody was met by it.

    ``reason`` is ``expired``, ``withdrawn`` or ``burnt``: somebody tried a wrong secret.
    """

    nameplate: str
    petname: str  # that it was for, or ""
    reason: str
    explanation: str


@attrs.frozen
class InvitationWaits(NodeEvent, event="invitation_waits"):
    """Our try of an invitation is at the registry, and whoever made it isn't there."""

    nameplate: str
    until: float  # seconds since 1970


@attrs.frozen
class Trouble(NodeEvent, event="error"):
    """
    Something that the person should know and that ends nothing.

    ``word`` says for programs what kind it is, "" where it is none of its own.
    """

    reason: str
    word: str = ""


@attrs.frozen
class FilesOffered(PeerEvent, event="files_offered"):
    """
    A contact offers a file or a folder; where ``accepted`` is false, ``/accept`` is needed.

    ``id`` is the transfer's on both sides, ``number`` the one here.  ``size`` is null where it
    isn't known; there are ``most`` bytes then at most.  ``first`` has some of the files.
    """

    id: str
    number: int
    title: str
    folder: bool
    count: int
    size: int | None
    most: int
    first: tuple[tuple[str, int | None], ...]
    accepted: bool
    quiet: bool = False


@attrs.frozen
class TransferChanged(PeerEvent, event="transfer"):
    """
    A transfer goes on, or doesn't.

    ``state`` is ``waits`` (of ours: for the other side), ``active``, ``stopped`` (it goes on by
    itself, from where it is), or one of its ends: ``done``, ``refused``, ``cancelled``.  ``reason``
    is a word: ``disk-full``, ``unwritable``, ``link-lost``, ``busy``, ``protocol``,
    ``not-granted``, ``declined``; ``explanation`` a sentence, or "".  ``path`` is where it comes
    from or is written, ``skipped`` counts files that weren't sent.  ``again`` are bytes that will
    be sent twice because it stopped, as far as this side knows.
    """

    id: str
    number: int
    ours: bool
    title: str
    state: str
    reason: str = ""
    explanation: str = ""
    path: str = ""
    skipped: int = 0
    again: int = 0


@attrs.frozen
class TransferProgress(PeerEvent, event="transfer_progress"):
    """
    The progress of a transfer, each second.

    ``done`` are bytes that the receiver has on its disk, ``rate`` is a second's, ``left`` seconds,
    null while they aren't known.
    """

    id: str
    number: int
    ours: bool
    title: str
    done: int
    size: int | None
    rate: float
    left: float | None


@attrs.frozen
class FileSkipped(PeerEvent, event="file_skipped"):
    """A file that isn't sent: it ``changed`` since it was offered, or is ``unreadable``."""

    id: str
    number: int
    ours: bool
    title: str
    file: str
    reason: str
