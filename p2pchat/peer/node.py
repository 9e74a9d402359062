"""
One peer of the network: the socket, the registration, and a dialogue with everybody we talk to.

Owns the meeting of the pure machines with the world::

    PeerSockets, RelayStreams ─ datagrams ─▶ Agent driver
         └─ PathMoved, RoundEnded, LinkDatagram ─▶ the dialogue that the attempt belongs to
    signaling ─ documents, verified ─▶ the dialogue of their author
    dialogues ─ bodies ─▶ signaling;   ─ events ─▶ listeners

Refuses documents that aren't signed, fresh, new and for us, anything of who is blocked, and more
than MAX_STRANGERS waiting offers of strangers.  Nothing that comes from outside raises out of here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat import events
from p2pchat.errors import ConfigurationError, WhoError
from p2pchat.identity.certificates import make_certificate
from p2pchat.identity.documents import Acceptance
from p2pchat.interfaces import INode, ISignaling
from p2pchat.natcheck.reading import read_nat
from p2pchat.peer.agent_adapter import AgentAdapter
from p2pchat.peer.driver import Driver
from p2pchat.peer.event_queue import EventQueue
from p2pchat.peer.failed_calls import FailedCalls
from p2pchat.peer.people import People
from p2pchat.peer.profile import Profile
from p2pchat.peer.settings import AcceptPolicy, ContactInfo, ConversationInfo, NodeSettings
from p2pchat.peer.signaling import (
    DocumentReceived,
    PeerRecord,
    RelaysOffered,
    SignalingAvailable,
    SignalingContext,
    SignalingEvent,
    SignalingGroup,
    SignalingLost,
    Undeliverable,
)
from p2pchat.runtime import Runtime
from p2pchat.session.dialogue import Dialogue
from p2pchat.session.quic import warm_up
from p2pchat.session.story import Story
from p2pchat.session.surroundings import Surroundings
from p2pchat.traversal.agent import AgentEvent, LinkDatagram
from p2pchat.traversal.gathering import CandidatesChanged, NetworkReturned
from p2pchat.traversal.path_hint import PathHint
from p2pchat.traversal.punching import PathMoved, RoundEnded
from p2pchat.wire.documents import Offer, Refusal, Registration

MAX_STRANGERS = 32  # offers of strangers that may wait for the person
MAX_OVER = 64  # dialogues that are over, and of which the person may ask why
WATCH_INTERVAL = 1.0  # seconds between looks at this machine's addresses
TIDY_INTERVAL = 15.0  # seconds for which dialogues that are over may stay
FAREWELL = 2.5  # seconds for goodbyes when the node stops

_log = Logger()


@implementer(INode)
class Node:
    """
    The node; its public methods are those of :class:`p2pchat.interfaces.INode`.

    :param runtime: network, time and randomness.
    :param settings: what the person set.
    :param profile: identity and contacts.
    :param signaling: by which peers are found and offers sent, the usual one first.
    """

    def __init__(
        self,
        runtime: Runtime,
        settings: NodeSettings,
        profile: Profile,
        signaling: Sequence[ISignaling],
    ) -> None:
        self.settings = settings
        self.peer_id = profile.identity.peer_id
        self.username = settings.username
        self._runtime = runtime
        self._events = EventQueue(self._taken)
        self._signaling = SignalingGroup(signaling, runtime.clock)
        self.server = self._signaling.name
        self._people = People(
            self.peer_id, profile.contacts, self._signaling, self._alive, self._tell
        )
        self._failed_calls = FailedCalls(self._signaling, runtime.clock, self._announce)
        self._network = AgentAdapter(
            runtime, settings.relay_only, self._signaling.is_local, self._agent_said
        )
        self._agent = self._network.agent
        self._surroundings = Surroundings(
            profile.identity,
            make_certificate(runtime.random_bytes(32), runtime.wall_time()),
            settings.username,
            settings.retries,
            self._agent,
            lambda now: now + (self._signaling.now() - runtime.clock.seconds()),
            runtime.random_bytes,
        )
        self._dialogues: dict[str, Driver] = {}
        self._owners: dict[str, Driver] = {}  # by attempt, since the last heartbeat
        self._heartbeat = LoopingCall(self._beat)
        self._heartbeat.clock = runtime.clock
        self._watch = LoopingCall(self._watch_interfaces)
        self._watch.clock = runtime.clock
        self._tidy = LoopingCall(self._forget_strangers)
        self._tidy.clock = runtime.clock
        self._nat = self.nat()
        self._candidates = self._agent.candidates()
        self._stopping = False

    # -- life

    def listen(self, listener: Callable[[events.NodeEvent], None]) -> IPushProducer:
        """Call ``listener`` with each event from now on; what is returned can pause that."""
        return self._events.subscribe(listener)

    def unlisten(self, listener: Callable[[events.NodeEvent], None]) -> None:
        """Never call ``listener`` again."""
        self._events.unsubscribe(listener)

    def start(self) -> Deferred[None]:
        """Bind the socket and begin to register."""
        return maybeDeferred(self._start)

    def _start(self) -> None:
        try:
            self._network.bind(self.settings.port)
        except CannotListenError as error:
            raise ConfigurationError(
                f"UDP port {self.settings.port} can't be used ({error.socketError}): "
                "is another p2ppeer running? Give another --port, or 0 for any"
            ) from None
        warm_up(self._surroundings.certificate, self._runtime.clock.seconds())
        self._begin_heartbeat(self.settings.heartbeat)
        self._watch.start(WATCH_INTERVAL, now=False).addErrback(self._watch_failed)
        self._tidy.start(TIDY_INTERVAL, now=False).addErrback(self._watch_failed)
        self._signaling.start(
            SignalingContext(
                Acceptance(frozenset({self.peer_id})),
                self._registration,
                self._people.is_blocked,
                self._expects,
                self._signaled,
            )
        )

    def stop(self) -> Deferred[None]:
        """Say goodbye to everybody and the registry."""
        if self._stopping or not self._network.is_bound:
            return succeed(None)
        self._stopping = True
        done: Deferred[None] = self._stop()
        return done

    @inlineCallbacks
    def _stop(self) -> Any:
        self._failed_calls.stop()
        for rhythm in (self._heartbeat, self._watch, self._tidy):
            if rhythm.running:
                rhythm.stop()
        for driver in list(self._dialogues.values()):
            driver.machine.disconnect(self._now())
            driver.step()
        leaving = DeferredList([self._goodbyes(), self._signaling.stop()], consumeErrors=True)
        yield leaving.addTimeout(FAREWELL, self._runtime.clock)
        for driver in self._dialogues.values():
            driver.stop()
        yield self._network.close()

    @inlineCallbacks
    def _goodbyes(self) -> Any:
        """Let goodbyes arrive at those whom we talk with."""
        while any(driver.machine.is_alive for driver in self._dialogues.values()):
            yield deferLater(self._runtime.clock, 0.05)

    def _now(self) -> float:
        return self._runtime.clock.seconds()

    def _tell(self, event: events.NodeEvent) -> None:
        match event:
            case events.PathLost():  # a NAT that rebooted has cut the event stream, too
                self._refresh_signaling()
            case events.Connected(peer_id) if not event.resumed:
                self._failed_calls.release(peer_id)
                self._announce(event)
                self._people.connected(self._dialogues[peer_id].machine)
                return
            case events.Calling(peer_id) | events.OfferReceived(peer_id):
                self._failed_calls.release(peer_id)  # in the order in which things happened
            case events.CallFailed() if event.reason == "no-path" and not self._stopping:
                self._failed_calls.hold(event)
                return
        self._announce(event)

    def _announce(self, event: events.NodeEvent) -> None:
        event = self._people.describe(event)
        if isinstance(event, events.OfferEnded):
            self._people.forget_call(event.peer_id)
        self._events.put(event)

    def _taken(self, lines: list[events.MessageReceived]) -> None:
        """Confirm lines to their authors: every front end has had them."""
        for line in lines:
            driver = self._dialogues.get(line.peer_id)
            if driver is not None:
                driver.machine.read(line.id, self._now())
        for peer_id in {line.peer_id for line in lines} & set(self._dialogues):
            self._dialogues[peer_id].step()

    # -- what the person wants

    @inlineCallbacks
    def connect(self, who: str) -> Any:
        """Call a peer; a Deferred of its id fires when the offer is on its way."""
        peer_id, name = yield self._people.look_up(who)
        yield self._signaling.available()
        if self._stopping:
            raise WhoError("this program is leaving")
        driver = self._dialogue(peer_id, name)
        self._people.accepted(peer_id)
        driver.machine.call(self._now())
        driver.step()
        return peer_id

    def _keep(self, peer_id: str, memory: PathHint) -> None:
        try:
            self._people.contacts.remember_path(peer_id, memory)
        except OSError as error:  # a hint is lost; the person has nothing to do about it
            _log.warn("how a contact was reached can't be kept: {error}", error=error)

    def _alive(self) -> list[Dialogue]:
        machines = (driver.machine for driver in self._dialogues.values())
        return [one for one in machines if one.is_alive]

    def find(self, who: str) -> str:
        """Return the id of the conversation, call or waiting offer meant."""
        return self._people.find(who)

    def find_known(self, who: str) -> str:
        """Return the id of a conversation, named by a whole id or by a contact's name."""
        return self._people.find_known(who)

    def _driver(self, peer_id: str) -> Driver:
        driver = self._dialogues.get(peer_id)
        if driver is None or not driver.machine.is_alive:
            raise WhoError(f"no conversation with {peer_id}")
        return driver

    def accept(self, who: str) -> str:
        """Accept the waiting offer of a peer."""
        driver = self._asking(who)
        self._people.accepted(driver.machine.peer_id)
        driver.machine.accept(self._now())
        driver.step()
        return str(driver.machine.peer_id)

    def reject(self, who: str) -> str:
        """Decline the waiting offer of a peer."""
        driver = self._asking(who)
        driver.machine.reject(self._now())
        driver.step()
        self._people.forget_call(driver.machine.peer_id)
        return str(driver.machine.peer_id)

    def _asking(self, who: str) -> Driver:
        driver = self._driver(self.find(who))
        if not driver.machine.is_asking:
            raise WhoError(f"{driver.machine.name or who} isn't waiting for an answer")
        return driver

    def send(self, peer_id: str, text: str) -> str:
        """Put a line into a conversation; returns the message id."""
        driver = self._driver(peer_id)
        name: str = driver.machine.say(text, self._signaling.now(), self._now())
        driver.step()
        return name

    def disconnect(self, peer_id: str) -> None:
        """End a conversation or a call."""
        driver = self._driver(peer_id)
        driver.machine.disconnect(self._now())
        driver.step()

    def forget(self, who: str) -> str:
        """Let a contact be a stranger again; returns its id."""
        peer_id = self._people.forget(who)
        if peer_id in self._dialogues:
            self._dialogues[peer_id].machine.approval.disown()
        return peer_id

    def mute(self, who: str, on: bool = True) -> str:
        """Let calls of a peer make no sound, or a sound again; returns its id."""
        return self._people.mute(who, on)

    def block(self, who: str, on: bool = True) -> str:
        """Take nothing of a peer any more, ending what is under way, or again; returns its id."""
        peer_id = self._people.block(who, on)
        if on and any(one.peer_id == peer_id for one in self._alive()):
            self.disconnect(peer_id)
        return peer_id

    # -- what the person asks

    def conversations(self) -> list[ConversationInfo]:
        """Return what is under way."""
        return self._people.conversations()

    def contacts(self) -> list[ContactInfo]:
        """Return whom the person knows, has muted or has blocked."""
        return self._people.listing()

    def peers(self) -> Deferred[list[PeerRecord]]:
        """Return a Deferred of the records of those who let themselves be listed."""
        listed: Deferred[list[PeerRecord]] = self._signaling.peers()
        return listed.addCallback(self._people.described)

    def nat(self) -> events.NatRead:
        """Return what is known of our NAT now."""
        return read_nat(self._agent)

    @property
    def dialogues(self) -> int:
        """How many peers something is kept of."""
        return len(self._dialogues)

    @property
    def attempts(self) -> int:
        """How many attempts to reach somebody are kept."""
        return self._agent.attempts

    def why(self, peer_id: str) -> Story:
        """Return the story since the last call."""
        driver = self._dialogues.get(peer_id)
        if driver is None:
            raise WhoError(f"nothing was tried with {peer_id} yet")
        story: Story = driver.machine.story()
        return story

    # -- the socket

    def _agent_said(self, event: AgentEvent) -> None:
        match event:
            case CandidatesChanged():
                self._candidates_changed()
            case NetworkReturned():
                self._network_returned()
            case PathMoved() | RoundEnded() | LinkDatagram():
                self._dialogue_concerned(event)

    def _owner(self, ufrag: str) -> Driver | None:
        """Return the dialogue of an attempt; looked for once, not with each datagram."""
        found = self._owners.get(ufrag)
        if found is None or not found.machine.owns(ufrag):
            drivers = self._dialogues.values()
            found = next((one for one in drivers if one.machine.owns(ufrag)), None)
            if found is not None:
                self._owners[ufrag] = found
        return found

    def _dialogue_concerned(self, event: PathMoved | RoundEnded | LinkDatagram) -> None:
        driver = self._owner(event.ufrag)
        if driver is None:
            return
        now = self._now()
        match event:
            case LinkDatagram(_, data, route):
                driver.machine.receive_link_datagram(data, route, now)
            case PathMoved(ufrag, path):
                driver.machine.path_moved(ufrag, path, now)
            case RoundEnded(ufrag, confirmed):
                driver.machine.round_ended(ufrag, confirmed, now)
        driver.step()

    def _network_returned(self) -> None:
        """The network is back: reach the registry and the lost peers now, not when a pause ends."""
        self._signaling.retry()
        self._agent.relays.refresh(self._now())
        for driver in list(self._dialogues.values()):
            driver.machine.network_returned(self._now())
            driver.step()

    def _candidates_changed(self) -> None:
        gathering = self._agent.gathering
        if (gathering.is_complete or gathering.is_blocked) and self.nat() != self._nat:
            self._nat = self.nat()
            self._tell(self._nat)
        if self._agent.candidates() != self._candidates:
            self._candidates = self._agent.candidates()
            for driver in list(self._dialogues.values()):
                driver.machine.candidates_changed(self._now())
                driver.step()
        if self.settings.publish_address and gathering.is_complete:
            self._signaling.update()

    def _beat(self) -> None:
        for driver in list(self._dialogues.values()):
            try:
                driver.machine.beat(self._now())
            finally:
                driver.step()

    def _begin_heartbeat(self, interval: float) -> None:
        self._heartbeat.start(interval, now=False).addErrback(self._heartbeat_failed)

    def _adapt_heartbeat(self) -> None:
        """Beat as often as our NAT needs it to keep the path's mapping."""
        interval = self._agent.gathering.keepalive.within(self.settings.heartbeat)
        if self._heartbeat.running and self._heartbeat.interval != interval:
            self._heartbeat.interval = interval
            self._heartbeat.reset()

    def _watch_failed(self, failure: Failure) -> None:
        _log.failure("what is done again and again is done no more", failure)

    def _heartbeat_failed(self, failure: Failure) -> None:
        _log.failure("a heartbeat failed", failure)
        if not self._stopping:
            self._begin_heartbeat(self.settings.heartbeat)  # until a step adapts it

    def _watch_interfaces(self) -> None:
        """Notice another network, as from Wi-Fi to mobile, before silence tells."""
        if not self._network.read_interfaces():
            return
        self._refresh_signaling()
        for driver in list(self._dialogues.values()):
            driver.machine.network_changed(self._now())
            driver.step()
        self._network.step()

    # -- signaling

    def _registration(self) -> Registration:
        shown = self._agent.gathering.reflexive_addresses if self.settings.publish_address else ()
        mapping = self._agent.gathering.traits().mapping.value
        return Registration(self.username, mapping, shown, listed=self.settings.listed)

    def _signaled(self, event: SignalingEvent) -> None:
        match event:
            case SignalingAvailable():
                self._signaling_available(event)
            case RelaysOffered(relays, credentials):
                self._agent.relays.configure(relays, credentials)
            case SignalingLost(reason, retry_in):
                self._tell(events.RegistryLost(reason, round(retry_in, 1)))
            case DocumentReceived():
                self._document_received(event)
            case Undeliverable():
                self._undeliverable(event)
            case events.Trouble():
                self._tell(event)

    def _signaling_available(self, event: SignalingAvailable) -> None:
        self._agent.gathering.set_servers(event.stun, self._now())
        self._network.step()
        if event.is_new:
            mapped = self._agent.gathering.reflexive_addresses
            port = mapped[0][1] if mapped else 0
            self._tell(
                events.Registered(self.peer_id, self.username, event.name, event.address, port)
            )

    def _refresh_signaling(self) -> None:
        """Make sure that answers can reach us before an offer goes out."""
        if self._signaling.refresh():
            self._network.refresh()

    def _document_received(self, event: DocumentReceived) -> None:
        peer_id, body = event.author, event.body
        if isinstance(body, Offer) and not self._may_call(peer_id, body):
            return
        driver = self._dialogues.get(peer_id)
        if driver is None and isinstance(body, Offer):
            driver = self._dialogue(peer_id, "")
        if driver is not None:
            driver.machine.approval.is_contact = self._people.is_contact(peer_id)
            driver.machine.receive_document(body, self._welcome(peer_id), self._now())
            driver.step()

    def _expects(self, peer_id: str) -> bool:
        """Tell whether a document of a peer is more than a stranger's knock at the door."""
        driver = self._dialogues.get(peer_id)
        is_under_way = driver is not None and driver.machine.is_alive
        return self._people.is_contact(peer_id) or (
            is_under_way and driver is not None and not driver.machine.is_asking
        )

    def _may_call(self, peer_id: str, offer: Offer) -> bool:
        """Decide whether an offer is taken: contacts always are, strangers within limits."""
        driver, now = self._dialogues.get(peer_id), self._now()
        is_contact = self._people.is_contact(peer_id)
        if self._welcome(peer_id) or (driver is not None and driver.machine.approval.holds(now)):
            if driver is not None or self._agent.has_room(is_contact, now):
                return True
        else:
            is_waiting = driver is not None and driver.machine.is_asking
            if is_contact or is_waiting or self._strangers() < MAX_STRANGERS:
                return self._people.called(peer_id, is_waiting, now)
        busy = Refusal(offer.session, "busy")
        if self._people.may_send(peer_id, busy, now):
            self._signaling.send(peer_id, busy)
        return False

    def _welcome(self, peer_id: str) -> bool:
        policy = self.settings.accept
        known = policy is AcceptPolicy.CONTACTS and self._people.is_contact(peer_id)
        return known or policy is AcceptPolicy.ALL

    def _undeliverable(self, event: Undeliverable) -> None:
        driver = self._dialogues.get(event.peer_id)
        if driver is not None and not self._stopping:
            driver.machine.undeliverable(event.document, self._now())
            driver.step()

    # -- dialogues

    def _dialogue(self, peer_id: str, name: str) -> Driver:
        driver = self._dialogues.get(peer_id)
        if driver is None:
            machine = Dialogue(peer_id, name, self._surroundings)
            machine.memory = self._people.contacts[peer_id].reached
            driver = Driver(
                machine,
                self._runtime.clock,
                self._network.send,
                self._tell,
                lambda: self._stepped(machine),
            )
            self._dialogues[peer_id] = driver
        elif name and not driver.machine.name:
            driver.machine.told.name = name
        return driver

    def _stepped(self, machine: Dialogue) -> None:
        """Let out what a dialogue's step caused: checks first, then documents."""
        self._network.step()
        self._adapt_heartbeat()
        if machine.memory is not None:
            self._keep(machine.peer_id, machine.memory)
        for body in machine.take_documents():
            if self._people.may_send(machine.peer_id, body, self._now()):
                self._signaling.send(machine.peer_id, body)

    def _strangers(self) -> int:
        waiting = [
            driver.machine for driver in self._dialogues.values() if driver.machine.is_asking
        ]
        return sum(not self._people.is_contact(machine.peer_id) for machine in waiting)

    def _forget_strangers(self) -> None:
        """Drop dialogues that are over; of those that the person wanted, the last stay a while."""
        self._owners.clear()
        over = [one for one in self._dialogues.items() if one[1].machine.is_over(self._now())]
        wanted = [peer_id for peer_id, driver in over if driver.machine.approval.was_wanted]
        kept = set(wanted[-MAX_OVER:])
        for peer_id, driver in over:
            if peer_id not in kept:
                driver.stop()
                del self._dialogues[peer_id]
                self._people.forget_call(peer_id)
