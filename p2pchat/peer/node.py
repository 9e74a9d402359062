"""
One peer of the network: sockets, files and signaling around one :class:`Endpoint`.

Owns the meeting of the pure machine with the world::

    sockets, relay streams ─ datagrams ─▶ Endpoint ─ events ─▶ people ─▶ listeners
    signaling ─ documents, verified ────▶    │
    signaling ◀─ documents to send ──────────┘

and the rhythms: heartbeats, looks at this machine's addresses, tidying up.  Decides nothing that
the endpoint could.  Nothing that comes from outside raises out of here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import deferLater
from twisted.logger import Logger
from zope.interface import implementer

from p2pchat import events
from p2pchat.errors import ConfigurationError, LocalProtocolError, WhoError
from p2pchat.identity.signed_documents import Acceptance
from p2pchat.interfaces import IHistory, IMessageStore, INode, ISignaling
from p2pchat.natcheck.reading import read_nat
from p2pchat.peer.endpoint_adapter import EndpointAdapter
from p2pchat.peer.ephemeral_store import EphemeralStore, NoHistory
from p2pchat.peer.event_queue import EventQueue
from p2pchat.peer.failed_calls import LOOKED_AFTER, FailedCalls
from p2pchat.peer.indications import Indications
from p2pchat.peer.invitations import InvitationContext, Invitations
from p2pchat.peer.journal import Journal
from p2pchat.peer.keeping import Keeping
from p2pchat.peer.last_writes import close_store
from p2pchat.peer.mail import NodeMail
from p2pchat.peer.meetings import Meetings
from p2pchat.peer.new_endpoint import new_endpoint
from p2pchat.peer.new_services import new_services
from p2pchat.peer.outbox import TICK, Outbox
from p2pchat.peer.people import People
from p2pchat.peer.presence import PAUSE, ContactPresence
from p2pchat.peer.profile import Profile
from p2pchat.peer.retention import INTERVAL as RETENTION_INTERVAL
from p2pchat.peer.retention import Retention
from p2pchat.peer.rhythms import Rhythms
from p2pchat.peer.sealing_keys import SealingKeys
from p2pchat.peer.settings import ContactInfo, ConversationInfo, NodeSettings, RegistryInfo
from p2pchat.peer.signaling import (
    DocumentReceived,
    MailWaiting,
    NameplateAnswered,
    OfferDelivered,
    PeerRecord,
    RelaysOffered,
    SignalingAvailable,
    SignalingContext,
    SignalingEvent,
    SignalingGroup,
    SignalingLost,
    Undeliverable,
)
from p2pchat.peer.transfers.new_transfers import new_transfers
from p2pchat.peer.whereabouts import Whereabouts, registries_of
from p2pchat.peer.word_list import word_list
from p2pchat.runtime import Runtime
from p2pchat.session.connection_report import ConnectionReport, Ending
from p2pchat.session.endpoint import EndpointEvent, HeartbeatChanged
from p2pchat.session.peer_session import PeerSession
from p2pchat.session.quic import warm_up
from p2pchat.session.stages import (
    DocumentReady,
    MailboxLearned,
    PathFailed,
    PathLearned,
    RegistriesLearned,
    SignalingDoubted,
    StoreRequest,
    StreamStirred,
    WordsReady,
)
from p2pchat.session.stored import About
from p2pchat.traversal.agent import SocketsReleased
from p2pchat.traversal.gathering import CandidatesChanged, NetworkReturned
from p2pchat.traversal.relays import StreamChange
from p2pchat.wire.addresses import Scope
from p2pchat.wire.documents import Registration

WATCH_INTERVAL = 1.0  # seconds between looks at this machine's addresses and routes
TIDY_INTERVAL = 15.0  # seconds for which sessions that are over may stay
VERIFICATION_WORDS = 4  # 44 bits, of which whoever is in the middle has one guess
FAREWELL = 1.8  # seconds for goodbyes when the node stops: nobody waits for two
NO_RELAY = "no registry of yours names a relay: with them nothing goes until one does (/nat)"

_log = Logger()


@implementer(INode)
class Node:
    """
    The node; its public methods are those of :class:`p2pchat.interfaces.INode`.

    :param runtime: network, time and randomness.
    :param settings: what the person set.
    :param profile: identity and contacts.
    :param signaling: by which peers are found and offers sent, the usual one first.
    :param another: makes a way to another registry, by its URL, that may be as near as this.
    :param store: of what is said; without one nothing of it outlives the program.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: NodeSettings,
        profile: Profile,
        signaling: Sequence[ISignaling],
        store: IMessageStore | None = None,
        *,
        another: Callable[[str, Scope], ISignaling] | None = None,
    ) -> None:
        self.settings = settings
        self.peer_id = profile.identity.peer_id
        self.username = settings.username
        self._runtime = runtime
        self._events = EventQueue(self._taken)
        named_by = partial(registries_of, profile.contacts, settings.relay_only)
        self._signaling = SignalingGroup(
            list(signaling), runtime.clock, another, named_by, self.peer_id
        )
        self._store = EphemeralStore() if store is None else store
        self.history: IHistory = IHistory(self._store, NoHistory())
        self._keeping = Keeping(profile, runtime.clock, self._announce)
        self._keys = SealingKeys(profile.sealing_key, profile.contacts)
        self._whereabouts = Whereabouts(
            *(profile.identity, profile.contacts, self._keys, self._signaling, runtime)
        )
        mails = settings.mails and self._store.is_lasting
        self._mail = NodeMail(
            *(runtime, profile, self._signaling, self._announce, mails, settings.relay_only)
        )
        self._endpoint = new_endpoint(
            *(runtime, settings, profile, self._signaling),
            is_lasting=self._store.is_lasting,
            registries_for=self._whereabouts.describe,
            mailbox_for=self._mail.mailbox_for if self._store.is_lasting else None,
        )
        self._adapter = EndpointAdapter(
            runtime, self._endpoint, self._react, self._translation_changed
        )
        parts = runtime, profile, self._signaling, self._adapter
        self.services, self._streams = new_services(*parts, tell=self._announce)
        self._make_parts(profile)
        self.invitations = Invitations(self._invitation_context(profile))
        self._kept_invitations = profile.invitations
        self._rhythms = Rhythms(runtime.clock)
        clocks = (runtime.wall_time, self._signaling.now)
        self._retention = Retention(self.history, settings.keep, clocks)
        self._nat = self.nat()
        self._stopping = self._closing = False  # the latter: sockets are about to close

    def _make_parts(self, profile: Profile) -> None:
        """Make what stands around the endpoint."""
        endpoint, driver, signaling = self._endpoint, self._adapter.driver, self._signaling
        clock, contacts, tell = self._runtime.clock, profile.contacts, self._announce
        self._people = People(self.peer_id, contacts, signaling, endpoint, tell)
        self._journal = Journal(self._store, endpoint, driver, clock, tell, self._mail.stored)
        self._presence = ContactPresence(contacts, endpoint, signaling, clock, signaling.now, tell)
        self._outbox = Outbox(
            *(contacts, endpoint, clock, self._call_quietly, self._presence.ask, self._mail.away)
        )
        self._presence.there = self._outbox.there
        parts, files = (self._runtime, profile, self.services, self._people), self.settings.files
        self.transfers = new_transfers(*parts, settings=files, tell=tell, outbox=self._outbox)
        self.indications = Indications(contacts, endpoint, driver, clock, signaling.update)
        self._mail.attach(endpoint, driver, self._outbox.waiting)
        self._failed_calls = FailedCalls(signaling, clock, self._tell_failed)
        self._meetings = Meetings(
            *(self._people, endpoint, driver, signaling, self._keeping.add_registry),
            *(self.settings.relay_only, self.connect, self.services.grant),
        )

    @property
    def server(self) -> str:
        """What people call our registries."""
        return self._signaling.name

    def _invitation_context(self, profile: Profile) -> InvitationContext:
        return InvitationContext(
            self._runtime,
            profile.identity,
            lambda: self._signaling.servers,
            self._signaling.nameplates_at,
            lambda: self._whereabouts.card(self.username),
            self._signaling.available,
            self._meetings.met,
            self._announce,
            self._keeping.save_invitations,
        )

    # -- life

    def listen(self, listener: Callable[[events.NodeEvent], None]) -> IPushProducer:
        """Call ``listener`` with each event from now on; what is returned can pause that."""
        return self._events.subscribe(listener)

    def unlisten(self, listener: Callable[[events.NodeEvent], None]) -> None:
        """Never call ``listener`` again."""
        self._events.unsubscribe(listener)

    def now(self) -> float:
        """Return seconds since 1970, by the clock that conversations go by."""
        return self._signaling.now()

    def start(self) -> Deferred[None]:
        """Read what is kept, bind the socket and begin to register."""
        loaded = maybeDeferred(self._store.load).addCallback(self._endpoint.kept.update)
        loaded.addCallback(lambda _: self._mail.load())
        return loaded.addCallback(lambda _: self.transfers.load()).addCallback(self._start)

    def _start(self, _loaded: object) -> None:
        if self._stopping:
            return
        try:
            self._adapter.bind(self.settings.port)
        except CannotListenError as error:
            raise ConfigurationError(
                f"UDP port {self.settings.port} can't be used ({error.socketError}): "
                "is another p2ppeer running? Give another --port, or 0 for any"
            ) from None
        warm_up(self._endpoint.context.certificate, self._runtime.clock.seconds())
        begin, clock = self._rhythms.begin, self._runtime.clock
        self._heartbeat = begin(self._beat, self.settings.heartbeat)
        begin(self._watch_interfaces, WATCH_INTERVAL)
        begin(lambda: self._endpoint.tidy(clock.seconds()), TIDY_INTERVAL)
        begin(self._presence.look, PAUSE)
        begin(self.services.tidy, TIDY_INTERVAL)
        if self._store.is_lasting:
            begin(self._outbox.look, TICK)
            begin(self._mail.look, TICK)
            begin(self._retention.enforce, RETENTION_INTERVAL)
        self._keeping.start()
        self.services.access.start()
        self.invitations.restore(self._kept_invitations)
        self._signaling.start(
            SignalingContext(
                Acceptance(frozenset({self.peer_id}), self._runtime.clock.seconds),
                self._keys,
                self._registration,
                self._people.is_blocked,
                self._endpoint.expects,
                self._signaled,
            )
        )

    def stop(self) -> Deferred[None]:
        """Say goodbye to everybody and the registry."""
        if self._stopping:
            return succeed(None)
        self._stopping = True
        done: Deferred[None] = self._stop() if self._adapter.is_bound else self._close_store()
        return done

    def _close_store(self) -> Deferred[None]:
        """Let the last lines be written, for a while; they were told to be waiting."""
        self._keeping.stop()
        return close_store(self._store, self._runtime.clock)

    @inlineCallbacks
    def _stop(self) -> Any:
        access, others = self.services.access, (self.invitations, self.transfers, self._rhythms)
        for one in (self._failed_calls, access, *others):
            one.stop()
        self._presence.save()
        self.indications.flush()
        with self._adapter.driver as now:
            for session in self._endpoint.alive():
                session.disconnect(now)
        ends = [self._mail.stop(), self._goodbyes(), self._signaling.stop()]
        yield DeferredList(ends, consumeErrors=True).addTimeout(FAREWELL, self._runtime.clock)
        self._closing = True
        self._journal.stop()
        yield self._adapter.close()
        yield self._close_store()

    @inlineCallbacks
    def _goodbyes(self) -> Any:
        """Let goodbyes arrive at those whom we talk with."""
        while self._endpoint.alive():
            yield deferLater(self._runtime.clock, 0.05)

    # -- what the endpoint says

    def _react(self, event: EndpointEvent) -> None:
        match event:
            case events.MessageReceived() | events.MessageSent() | events.MessageDelivered():
                self._announce(event)  # first: these come by the thousand
            case StoreRequest(peer_id, wanted):
                self._journal.take(peer_id, wanted)
            case StreamStirred(stream):
                self._streams.stirred(stream)
            case SocketsReleased() | StreamChange():
                self._adapter.change(event)
            case _ if not self._closing:
                self._act(event)

    def _act(self, event: EndpointEvent) -> None:
        match event:
            case DocumentReady(peer_id, body):
                self._signaling.send(peer_id, body)
            case WordsReady(peer_id, digest):
                self._people.compare(peer_id, word_list().spell(digest, VERIFICATION_WORDS))
            case RegistriesLearned(peer_id, document):
                self._whereabouts.take(peer_id, document)
            case MailboxLearned(peer_id, mailbox):
                self._mail.learned(peer_id, mailbox)
            case PathLearned(peer_id, hint):
                self._people.contacts.remember_path(peer_id, hint)
            case PathFailed() | SignalingDoubted():  # a NAT's reboot cuts the event stream, too
                self._refresh_signaling()
            case HeartbeatChanged(interval):
                self._heartbeat.interval = interval
                if self._heartbeat.running:
                    self._heartbeat.reset()
            case NetworkReturned():
                self._signaling.retry()
            case CandidatesChanged():
                self._candidates_changed()
            case events.SessionEvent():
                self._tell(event)

    def _tell(self, event: events.SessionEvent) -> None:
        match event:
            case events.Connected(peer_id) if not event.resumed:
                self._failed_calls.release(peer_id)
                self._tell_at_last(event)
                self._people.connected(self._endpoint.sessions[peer_id])
                self._presence.connected(peer_id)
                self.transfers.linked(peer_id)
                self._mail.happened(event)
                self._people.contacts.remember_key(peer_id, self._keys.key_of(peer_id))
                self.invitations.arrived(peer_id)
                self._whereabouts.connected(peer_id)  # it may be a contact only now
                self._endpoint.registries_changed(peer_id)
                return
            case events.Calling(peer_id) | events.OfferReceived(peer_id):
                self._failed_calls.release(peer_id)  # in the order in which things happened
            case events.CallFailed() if event.reason in LOOKED_AFTER and not self._stopping:
                self._failed_calls.hold(event)
                return
        self._tell_at_last(event)

    def _tell_at_last(self, event: events.SessionEvent) -> None:
        is_service = self.services.links.takes(event)
        if not (self._outbox.takes(event) or is_service):
            self._announce(event)

    def _tell_failed(self, event: events.CallFailed) -> None:
        """Tell that a call failed; ``/why`` says the same."""
        session = self._endpoint.sessions.get(event.peer_id)
        if session is not None and event.reason == "peer-offline":
            session.log.ending = Ending(event.reason, False, False, event.explanation)
        self._tell_at_last(event)

    def _announce(self, event: events.NodeEvent) -> None:
        self._events.put(self._people.describe(event))
        if isinstance(event, events.ContactChanged):
            self.services.contact_changed(event)
            self._mail.happened(event)

    def _taken(self, lines: list[events.Incoming]) -> None:
        """Confirm lines to their authors: every front end has had them."""
        with self._adapter.driver as now:
            for line in lines:
                self._endpoint.read(line.peer_id, line.entry_id, now)

    def _candidates_changed(self) -> None:
        gathering = self._endpoint.agent.gathering
        if (gathering.is_complete or gathering.is_blocked) and self.nat() != self._nat:
            self._nat = self.nat()
            self._announce(self._nat)
        if self.settings.publish_address and gathering.is_complete:
            self._signaling.update()

    def _beat(self) -> None:
        with self._adapter.driver as now:
            self._endpoint.beat(now)

    def _watch_interfaces(self) -> None:
        """Notice another network, as from Wi-Fi to mobile, before silence tells."""
        rerouting = self._adapter.read_interfaces()
        if rerouting.is_move:
            self._refresh_signaling()  # before anything goes out on connections that may be dead
        with self._adapter.driver as now:
            if rerouting.hosts:
                self._endpoint.network_changed(rerouting, now)

    def _translation_changed(self, before: bool) -> None:
        """Take another way to IPv4: a first one may reach a registry, later ones cut it off."""
        if not self._rhythms.is_running:
            return  # before the start, or after the end
        self._watch_interfaces()
        if before:
            self._refresh_signaling()
        else:
            self._signaling.retry()

    # -- what the person wants

    @inlineCallbacks
    def connect(self, who: str) -> Any:
        """Call a peer; a Deferred of its id fires when the offer is on its way."""
        peer_id, name = yield self._people.look_up(who)
        yield self._signaling.available(peer_id)
        if self._stopping:
            raise WhoError("this program is leaving")
        self._adapter.look_for_translation()
        self._outbox.wanted(peer_id)
        with self._adapter.driver as now:
            self._endpoint.call(peer_id, name, now)
        return peer_id

    def _call_quietly(self, peer_id: str) -> None:
        """Call a contact for whom lines wait."""
        if not self._stopping:
            with self._adapter.driver as now:
                self._endpoint.call(peer_id, "", now)

    def find(self, who: str) -> str:
        """Return the id of the conversation, call or waiting offer meant."""
        return self._people.find(who)

    def find_known(self, who: str) -> str:
        """Return the id of a conversation, named by a whole id or by a contact's name."""
        return self._people.find_known(who)

    def _session(self, peer_id: str) -> PeerSession:
        session = self._endpoint.live_session(peer_id)
        if session is None:
            raise WhoError(f"no conversation with {peer_id}")
        return session

    def accept(self, who: str) -> str:
        """Accept the waiting offer of a peer."""
        session = self._asking(who)
        with self._adapter.driver as now:
            self._endpoint.accept(session, now)
        return session.peer_id

    def reject(self, who: str) -> str:
        """Decline the waiting offer of a peer."""
        session = self._asking(who)
        with self._adapter.driver as now:
            session.reject(now)
        return session.peer_id

    def _asking(self, who: str) -> PeerSession:
        session = self._session(self.find(who))
        if not session.is_offered:
            raise WhoError(f"{session.name or who} isn't waiting for an answer")
        return session

    def send(self, peer_id: str, text: str, about: About | None = None) -> str:
        """Put a line into a conversation; returns the message id."""
        if self._endpoint.live_session(peer_id) is None and self._people.may_wait(peer_id):
            session = self._endpoint.ensure_session(peer_id)
        else:
            session = self._session(peer_id)
        name = session.say(text, self._signaling.now(), self._runtime.clock.seconds(), about)
        self._journal.said(session)
        if not session.is_alive:
            self._outbox.said(peer_id)
        return name

    def withdraw(self, peer_id: str, id: str) -> list[str]:
        """Take back a line that waits for a contact who is away, and its changes; returns those."""
        session = self._endpoint.ensure_session(peer_id)
        if session.is_alive:
            raise LocalProtocolError("a connection is under way: the line may have gone out")
        with self._adapter.driver as now:
            changes = session.conversation.withdraw(id)
            session.settle(now)
        return changes

    def kept_until(self, peer_id: str, id: str) -> float | None:
        """Return how long a line of ours is kept at a registry, ``None`` where it isn't."""
        return self._mail.until(peer_id, id)

    def disconnect(self, peer_id: str) -> None:
        """End a conversation or a call."""
        session = self._session(peer_id)
        self._outbox.left(peer_id)
        with self._adapter.driver as now:
            session.disconnect(now)

    def whom(self, who: str) -> str:
        """Return the id of a peer who is known, here, or named by the whole id."""
        return self._people.whom(who)

    def forget(self, who: str) -> str:
        """Let a contact be a stranger again; returns its id."""
        peer_id = self._people.forget(who)
        if (session := self._endpoint.sessions.get(peer_id)) is not None:
            session.approval.disown()
        return peer_id

    def verify(self, who: str) -> str:
        """Let both persons see words to compare; returns the peer's id."""
        session = self._session(self.find(who))
        if not session.is_open:
            raise WhoError("words are compared while you are connected: /connect first")
        with self._adapter.driver as now:
            if not self._endpoint.verify(session, now):
                raise WhoError("their program is older and shows no words: it must be updated")
        return session.peer_id

    def verified(self, peer_id: str, same: bool) -> None:
        """Keep what the person says of the words."""
        self._people.verified(peer_id, same)

    def rename(self, who_and_name: str) -> str:
        """Give a contact another name; returns its id."""
        return self._people.rename(who_and_name)

    def contact_of(self, name: str) -> str:
        """Return the id of the contact that is called so, or ""."""
        return self._people.contact_of(name)

    def relay_only(self, who: str, on: bool) -> str:
        """Hide our addresses from a contact, or no more; returns its id."""
        peer_id = self._people.relay_only(who, on)
        if on and not self.nat().relays:
            self._announce(events.Trouble(NO_RELAY))
        return peer_id

    def mute(self, who: str, on: bool = True) -> str:
        """Let calls and messages of a peer make no sound, or one again; returns its id."""
        return self._people.mute(who, on)

    def block(self, who: str, on: bool = True) -> str:
        """Take nothing of a peer any more, ending what is under way, or again; returns its id."""
        peer_id = self._people.block(who, on)
        if on and (session := self._endpoint.live_session(peer_id)) is not None:
            with self._adapter.driver as now:
                session.disconnect(now, "you blocked them")
        return peer_id

    # -- what the person asks

    def conversations(self) -> list[ConversationInfo]:
        """Return what is under way."""
        return self._people.conversations()

    def contacts(self) -> list[ContactInfo]:
        """Return whom the person knows, has muted or has blocked."""
        return self._presence.described(self._people.listing())

    def peers(self) -> Deferred[list[PeerRecord]]:
        """Return a Deferred of the records of those who let themselves be listed."""
        listed: Deferred[list[PeerRecord]] = self._signaling.peers()
        return listed.addCallback(self._people.described)

    def registries(self) -> list[RegistryInfo]:
        """Return our registries, and how each is."""
        return self._mail.described(self._signaling.infos())

    def nat(self) -> events.NatRead:
        """Return what is known of our NAT now."""
        return read_nat(self._endpoint.agent)

    @property
    def sessions(self) -> int:
        """How many peers something is kept of."""
        return len(self._endpoint.sessions)

    @property
    def attempts(self) -> int:
        """How many attempts to reach somebody are kept."""
        return self._endpoint.agent.attempts

    def why(self, peer_id: str) -> ConnectionReport:
        """Return the report since the last call."""
        session = self._endpoint.sessions.get(peer_id)
        if session is None:
            raise WhoError(f"nothing was tried with {peer_id} yet")
        return session.report(self._runtime.clock.seconds())

    # -- signaling

    def _registration(self) -> Registration:
        gathering = self._endpoint.agent.gathering
        shown = gathering.reflexive_addresses if self.settings.publish_address else ()
        mapping = gathering.traits().mapping.value
        keys, privacy = (self._keys.own.record_key,), self._endpoint.context.privacy
        given = None, self.settings.listed, keys, not privacy.is_invisible
        return Registration(self.username, mapping, shown, *given)

    def _signaled(self, event: SignalingEvent) -> None:
        match event:
            case SignalingAvailable():
                self._signaling_available(event)
                self.invitations.look()
            case NameplateAnswered(nameplate):
                self.invitations.answered(nameplate)
            case MailWaiting(server):
                self._mail.arrived(server)
            case RelaysOffered(relays, credentials):
                self._endpoint.agent.relays.configure(relays, credentials)
            case SignalingLost(reason, retry_in):
                where = event.name, event.others
                self._announce(events.RegistryLost(reason, round(retry_in, 1), *where))
            case DocumentReceived(author, body):
                with self._adapter.driver as now:
                    self._endpoint.receive_document(author, body, now)
            case OfferDelivered(peer_id, attempt):
                if (session := self._endpoint.sessions.get(peer_id)) is not None:
                    with self._adapter.driver as now:
                        session.delivered(attempt, now)
            case Undeliverable(peer_id, document) if not self._stopping:
                if (session := self._endpoint.sessions.get(peer_id)) is not None:
                    with self._adapter.driver as now:
                        session.undeliverable(document, now)
            case events.Trouble():
                self._announce(event)

    def _signaling_available(self, event: SignalingAvailable) -> None:
        gathering = self._endpoint.agent.gathering
        with self._adapter.driver as now:
            gathering.set_servers(event.stun, now)
            if event.is_new:
                self._endpoint.signaling_returned(now)
        if event.is_new:
            self._retention.enforce()
            self._adapter.look_for_translation()
            mapped = gathering.reflexive_addresses
            port = mapped[0][1] if mapped else 0
            self._announce(
                events.Registered(self.peer_id, self.username, event.name, event.address, port)
            )

    def _refresh_signaling(self) -> None:
        """Make sure that answers can reach us before an offer goes out."""
        if self._signaling.refresh():
            with self._adapter.driver as now:
                self._endpoint.refresh(now)
