"""
Every seam of p2pchat: zope interfaces, and a protocol for the machines.

A machine does no I/O and reads no clock: its adapter hands it datagrams and the time, and takes
from it datagrams, events and the time of its next wish.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from zope.interface import Attribute, Interface

if TYPE_CHECKING:  # the values that pass a seam belong to the layers on its sides
    from p2pchat.events import NatRead, NodeEvent
    from p2pchat.mailbox_interface import IMailbox
    from p2pchat.peer.settings import (
        ContactInfo,
        ConversationInfo,
        InvitationInfo,
        PrivacyInfo,
        RegistryInfo,
    )
    from p2pchat.peer.signaling import PeerRecord, SignalingContext
    from p2pchat.peer.storage.history import HistoryLine
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
    from p2pchat.session.connection_report import ConnectionReport
    from p2pchat.session.stored import About, ConversationState, EntryRange, LogHead, StoredEntry
    from p2pchat.traversal.routes import Datagram
    from p2pchat.wire.addresses import Scope
    from p2pchat.wire.documents import Document, PeerDocument
    from p2pchat.wire.entries import Known
    from p2pchat.wire.mailbox import Mail, MailboxState
    from p2pchat.wire.nameplates import Claim, Completion, NameplateState, PakeResponse

_Event_co = TypeVar("_Event_co", covariant=True)


class IMachine(Protocol[_Event_co]):
    """A pure protocol machine, as its driver sees it; inputs are methods of its own."""

    def handle_timer(self, now: float) -> None:
        """Do what is due; called at or after the time of :meth:`get_timer`."""

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called, in seconds, or ``None``."""

    def datagrams_to_send(self, now: float) -> Sequence[Datagram]:
        """Return, and forget, the datagrams that wait; fewer than PORTION are all of them."""

    def next_event(self) -> _Event_co | None:
        """Return, and forget, the oldest event, or ``None``."""


class INode(Interface):
    """One peer of the network, as its user interfaces and other programs see it."""

    peer_id: str = Attribute("Our peer id.")
    username: str = Attribute("What we call ourselves.")
    server: str = Attribute("URL of the registry, or of several, in words.")
    invitations: IInvitations = Attribute("What two people meet by.")
    history: IHistory = Attribute("What was said.")
    indications: IIndications = Attribute("What contacts are let know beside that.")

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


class IInvitations(Interface):
    """The invitations of a node; what becomes of them are events."""

    def open() -> list[InvitationInfo]:
        """Return the open ones of ours."""

    def invite(
        name: str, seconds: int, is_spoken: bool, replaces: str = ""
    ) -> Deferred[InvitationInfo]:
        """
        Make an invitation.

        :param name: what its contact is to be called, or "": what it calls itself.
        :param replaces: id of the contact whose key is to be replaced, or "".

        It fails with :class:`p2pchat.errors.InvitationRefused` or ``RegistryError``.
        """

    def arrived(peer_id: str) -> None:
        """A peer is connected, and so has our answer, if it waited for one."""

    def withdraw(which: str) -> Deferred[InvitationInfo]:
        """Take an open one back, by its nameplate or name, or the only one; fails likewise."""

    def join(line: str) -> Deferred[str]:
        """Use one of somebody's; a Deferred of the peer id of who made it; fails likewise."""


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


class IMessageStore(Interface):
    """
    Memory of one node's conversations.

    Every Deferred fails with :class:`p2pchat.errors.StorageFailed` where the store can't do it now.
    Nothing of a call that failed is kept, and the same may be asked again.  Calls about one peer
    take effect in the order in which they are made.
    """

    is_lasting: bool = Attribute(
        "Whether what is stored outlives the program: then it is confirmed when it is stored, else "
        "when somebody has read it."
    )

    def load() -> Deferred[Mapping[str, ConversationState]]:
        """Return a Deferred of what every conversation goes on from, by peer id; called once."""

    def append(peer_id: str, entries: Sequence[StoredEntry]) -> Deferred[Collection[StoredEntry]]:
        """
        Store entries of one conversation, ours and theirs, in order; all of them or none.

        A Deferred fires when they are committed; only then ours go out, and theirs are shown and
        confirmed.  One that is here already (author, log, number) stays as it is.  It fires with
        those that say again what is here in another place: nobody is shown them as new.
        """

    def replace(peer_id: str, head: LogHead, entries: Sequence[StoredEntry]) -> Deferred[None]:
        """
        Store entries of ours in the place of those of a log of ours, in one step.

        Those of the log of ``head`` that come after it are forgotten: the other side has others
        with these numbers, because ours was put back to where it had been, or they are taken back.
        ``entries`` say again what is still to be said, in the same log or another one; or are none.
        """

    def confirmed(peer_id: str, log: bytes, number: int) -> Deferred[None]:
        """Note that the other side has our entries of ``log`` up to ``number``."""

    def mark_read(peer_id: str, marks: Sequence[Known]) -> Deferred[None]:
        """Note how far logs were read, ours by the other side and theirs by us; it only rises."""

    def entries(peer_id: str, wanted: EntryRange, most_bytes: int) -> Deferred[list[bytes]]:
        """
        Return a Deferred of entries as they came, for a side that lacks them.

        They are those from the first one wanted on, without a gap: as many as have at most
        ``most_bytes``, but one where it is longer; none where the first isn't here any more.
        """

    def close() -> Deferred[None]:
        """Finish what was asked; a Deferred fires when all is written and closed."""


class IHistory(Interface):
    """History of a node's conversations; each Deferred may fail with ``StorageFailed``."""

    def last(peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Return a Deferred of the last lines of a conversation, in order; a bounded part."""

    def earlier(peer_id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Return a Deferred of those of them that were stored before this program began."""

    def before(id: str, count: int) -> Deferred[list[HistoryLine]]:
        """Return a Deferred of the last lines before that of an id, in its conversation."""

    def line(id: str) -> Deferred[HistoryLine | None]:
        """Return a Deferred of the line of an id, if it is here."""

    def search(words: str) -> Deferred[list[HistoryLine]]:
        """
        Return a Deferred of the newest lines of all conversations that have all of these words.

        A word that ends with ``*`` stands for all that begin so.
        """

    def waiting(peer_id: str) -> Deferred[list[HistoryLine]]:
        """Return a Deferred of lines of ours that a peer doesn't have; of everybody for ""."""

    def export(peer_ids: Sequence[str], path: str) -> Deferred[int]:
        """
        Write all that was said with some peers into a new file, a JSON object a line.

        A Deferred fires with how many lines there are.
        """

    def wipe(peer_id: str) -> Deferred[None]:
        """
        Delete for good what was said with a peer, but lines of ours that it doesn't have yet.

        A Deferred fires when it is gone from the disk; it is shown no more before.
        """

    def delete_older(wall_time: float) -> Deferred[None]:
        """Delete for good what was stored before a time, in seconds since 1970, likewise."""

    def size() -> int:
        """Return how many bytes the disk has of all that."""


class ISecretStore(Interface):
    """
    Small secrets of a node, such as private prekeys and tokens: each has a name among its kind.

    Every Deferred fails with :class:`p2pchat.errors.StorageFailed` where the store can't do it now.
    Changes take effect in the order in which they are made, once the node's store has loaded.
    """

    def put(kind: str, name: str, value: bytes) -> Deferred[None]:
        """Keep a secret, instead of what had its name; a Deferred fires when it is committed."""

    def delete(kind: str, names: Collection[str]) -> Deferred[None]:
        """
        Forget secrets; names that aren't there are nothing to forget.

        A Deferred fires when that is committed.  Within a minute nothing of them is on the disk.
        """

    def all(kind: str) -> Deferred[Mapping[str, bytes]]:
        """Return a Deferred of the secrets of a kind that are committed, by name."""


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


class IChildProcess(Interface):
    """A program that runs for us, with whatever it has started itself."""

    def terminate() -> None:
        """Ask it to end."""

    def kill() -> None:
        """End it."""


class IProcessStarter(Interface):
    """The starting of programs."""

    def start(
        arguments: Sequence[str],
        variables: Mapping[str, str],
        text: bytes,
        ended: Callable[[str], None],
    ) -> IChildProcess:
        """
        Start a program, which gets nothing of ours but these.

        :param variables: beside those of our own environment.
        :param text: for its stdin; what it writes is thrown away.
        :param ended: called once, when it has ended: how, in words, "" for a success.
        :raises OSError: it can't be started.
        """
