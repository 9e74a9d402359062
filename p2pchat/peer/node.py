"""
One peer of the network: the socket, the registration, and a dialogue with everybody we talk to.

Owns the meeting of the pure machines with the world::

    PeerSockets, RelayStreams ─ datagrams ─▶ Agent driver
         └─ PathMoved, RoundEnded, LinkDatagram ─▶ the dialogue that the attempt belongs to
    Lease ─ documents, verified ─▶ the dialogue of their author
    dialogues ─ bodies ─▶ signed, delivered by the registry;   ─ events ─▶ listeners

Refuses documents that aren't signed, fresh, new and for us, anything of who is blocked, and more
than MAX_STRANGERS waiting offers of strangers.  Nothing that comes from outside raises out of here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, inlineCallbacks, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.errors import (
    ConfigurationError,
    RegistryError,
    WhoError,
)
from p2pchat.identity.certificates import make_certificate
from p2pchat.identity.documents import Acceptance
from p2pchat.interfaces import INode
from p2pchat.natcheck.reading import read_nat
from p2pchat.peer import events
from p2pchat.peer.absence import Absence
from p2pchat.peer.agent_adapter import AgentAdapter
from p2pchat.peer.driver import Driver
from p2pchat.peer.event_queue import EventQueue
from p2pchat.peer.names import Names
from p2pchat.peer.people import People
from p2pchat.peer.post import Post
from p2pchat.peer.presence import FailedCalls
from p2pchat.peer.registration import Lease, Listener, keep_registered
from p2pchat.peer.registry_client import RegistryClient
from p2pchat.peer.settings import AcceptPolicy, ContactInfo, ConversationInfo, NodeSettings
from p2pchat.peer.state import State
from p2pchat.peer.stun_servers import NamedServers
from p2pchat.runtime import Runtime
from p2pchat.session.call import Undelivered
from p2pchat.session.dialogue import Dialogue
from p2pchat.session.quic import warm_up
from p2pchat.session.story import Story
from p2pchat.session.surroundings import Surroundings
from p2pchat.traversal.agent import (
    AgentEvent,
    CandidatesChanged,
    LinkDatagram,
    NetworkReturned,
    PathMoved,
    RoundEnded,
)
from p2pchat.traversal.path_hint import PathHint
from p2pchat.traversal.reachability import is_on_this_machine
from p2pchat.wire.addresses import readable_ip
from p2pchat.wire.documents import (
    Delivered,
    Offer,
    Refusal,
    Registration,
)
from p2pchat.wire.strict_json import JsonObject
from p2pchat.wire.turn import Credentials

MAX_STRANGERS = 32  # offers of strangers that may wait for the person
MAX_OVER = 64  # dialogues that are over, and of which the person may ask why
WATCH_INTERVAL = 1.0  # seconds between looks at this machine's addresses
TIDY_INTERVAL = 15.0  # seconds for which dialogues that are over may stay
MAX_PAGE = 200  # records of one page, which is as many as a registry gives
FAREWELL = 2.5  # seconds for goodbyes when the node stops

_log = Logger()


@implementer(INode)
class Node:
    """
    The node; its public methods are those of :class:`p2pchat.interfaces.INode`.

    :param runtime: network, time and randomness.
    :param settings: what the person set.
    :param state: identity and contacts.
    """

    def __init__(self, runtime: Runtime, settings: NodeSettings, state: State) -> None:
        self.settings = settings
        self.peer_id = state.identity.peer_id
        self.username = settings.username
        self.server = settings.server
        self._runtime = runtime
        self._state = state
        self._events = EventQueue(self._taken)
        self._client = RegistryClient(settings.server, state.identity, runtime, self._complain)
        self._people = People(state.contacts, self._client, self._alive, self._tell)
        self._failed_calls = FailedCalls(self._client, runtime.clock, self._announce)
        self._post = Post(
            self._client,
            Acceptance(frozenset({self.peer_id})),
            self._arrived,
            self._returned,
            self._complain,
            self._people.is_blocked,
            self._expects,
        )
        self._servers = NamedServers(Names(runtime))
        self._network = AgentAdapter(
            runtime, settings.relay_only, is_on_this_machine(settings.server), self._agent_said
        )
        self._agent = self._network.agent
        self._surroundings = Surroundings(
            state.identity,
            make_certificate(runtime.random_bytes(32), runtime.wall_time()),
            settings.username,
            settings.retries,
            self._agent,
            lambda now: now + (self._client.now() - runtime.clock.seconds()),
            runtime.random_bytes,
        )
        self._dialogues: dict[str, Driver] = {}
        self._owners: dict[str, Driver] = {}  # by attempt, since the last heartbeat
        self._lease: Lease = keep_registered(
            self._client,
            runtime,
            self._registration,
            Listener(self._registered, self._registry_lost, self._post.receive, self._renewed),
        )
        self._heartbeat = LoopingCall(self._beat)
        self._heartbeat.clock = runtime.clock
        self._watch = LoopingCall(self._watch_interfaces)
        self._watch.clock = runtime.clock
        self._tidy = LoopingCall(self._forget_strangers)
        self._tidy.clock = runtime.clock
        self._nat = self.nat()
        self._candidates = self._agent.candidates()
        self._absence = Absence(runtime.clock)
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
        self._lease.start()

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
        self._absence.release()
        for rhythm in (self._heartbeat, self._watch, self._tidy):
            if rhythm.running:
                rhythm.stop()
        self._lease.stop()
        for driver in list(self._dialogues.values()):
            driver.machine.disconnect(self._now())
            driver.step()
        leaving = self._leave().addTimeout(FAREWELL, self._runtime.clock)
        yield leaving.addErrback(lambda failure: failure.trap(RegistryError, TimeoutError))
        for driver in self._dialogues.values():
            driver.stop()
        yield self._network.close()
        yield self._client.close()

    @inlineCallbacks
    def _leave(self) -> Any:
        """Let goodbyes and refusals arrive, and only then delete our record."""
        self._post.release()
        while self._post.under_way or any(
            driver.machine.is_alive for driver in self._dialogues.values()
        ):
            yield deferLater(self._runtime.clock, 0.05)
        if self._absence.is_over:  # else it can't be reached, or the record is another program's
            yield self._client.remove()

    def _now(self) -> float:
        return self._runtime.clock.seconds()

    def _tell(self, event: events.NodeEvent) -> None:
        match event:
            case events.PathLost():
                self._renew_stream()
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

    def _complain(self, sentence: str) -> None:
        self._tell(events.Trouble(sentence))

    # -- what the person wants

    @inlineCallbacks
    def connect(self, who: str) -> Any:
        """Call a peer; a Deferred of its id fires when the offer is on its way."""
        if self._lease.is_displaced:  # answers would reach the other program
            self._lease.refresh()
        peer_id, name = yield self._people.look_up(who)
        yield self._absence.passed()
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
        name: str = driver.machine.say(text, self._client.now(), self._now())
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

    @inlineCallbacks
    def peers(self) -> Any:
        """Return a Deferred of the first page of records."""
        page = yield self._client.peers()
        records = page.get("peers")
        return self._people.records(records[:MAX_PAGE] if isinstance(records, list) else [])

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
        if not self._absence.is_over and not self._lease.is_displaced:
            self._lease.refresh()
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
            self._lease.renew()

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
        self._renew_stream()
        for driver in list(self._dialogues.values()):
            driver.machine.network_changed(self._now())
            driver.step()
        self._network.step()

    # -- the registry

    def _registration(self) -> Registration:
        shown = self._agent.gathering.reflexive_addresses if self.settings.publish_address else ()
        mapping = self._agent.gathering.traits().mapping.value
        return Registration(self.username, mapping, shown, listed=self.settings.listed)

    def _renewed(self, answer: JsonObject) -> None:
        """Relay credentials are short-lived: take the new ones."""
        configured = self._configure_relays(answer.get("turn"))
        configured.addErrback(lambda failure: _log.failure("configuration", failure))

    def _registered(self, answer: JsonObject) -> None:
        self._configure(answer).addErrback(lambda failure: _log.failure("configuration", failure))

    @inlineCallbacks
    def _configure(self, answer: JsonObject) -> Any:
        """Take what the registry says of STUN and relays."""
        servers = yield self._servers.stun(answer.get("stun"), self._client.scope)
        self._agent.gathering.set_servers(servers, self._now())
        yield self._configure_relays(answer.get("turn"))
        self._network.step()
        self._post.release()
        if not self._absence.is_over:
            self._tell_registered(answer)
        self._absence.end()

    @inlineCallbacks
    def _configure_relays(self, offered: object) -> Any:
        """Take the relays and the credentials that the registry gives out."""
        credentials = Credentials.read(offered)
        if isinstance(offered, dict) and credentials is not None:
            servers = yield self._servers.relays(offered.get("urls"), self._client.scope)
            self._agent.relays.configure(servers, credentials)

    def _tell_registered(self, answer: JsonObject) -> None:
        mapped = self._agent.gathering.reflexive_addresses
        self._tell(
            events.Registered(
                self.peer_id,
                self.username,
                self.server,
                readable_ip(answer.get("ip")) or readable_ip(answer.get("your_ip")),
                mapped[0][1] if mapped else 0,
            )
        )

    def _renew_stream(self) -> None:
        """
        Make sure that answers can reach us before an offer goes out.

        What loses a path, a NAT that rebooted or another network, silences the event stream too.
        """
        if not self._post.is_held:
            self._post.hold()
            self._client.close()  # what is kept may be as dead as the path
            self._network.refresh()
            self._lease.refresh()

    def _registry_lost(self, reason: str, retry_in: float) -> None:
        self._absence.begin()
        self._post.release()
        self._tell(events.RegistryLost(reason, round(retry_in, 1)))

    def _arrived(self, peer_id: str, body: Delivered) -> None:
        if self._people.is_blocked(peer_id):
            return
        is_offer = isinstance(body, Offer)
        if is_offer and not self._may_call(peer_id, body):
            return
        driver = self._dialogue(peer_id, "") if is_offer else self._dialogues.get(peer_id)
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

    def _may_call(self, peer_id: str, offer: Delivered) -> bool:
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
            self._post.deliver(peer_id, busy)
        return False

    def _welcome(self, peer_id: str) -> bool:
        policy = self.settings.accept
        known = policy is AcceptPolicy.CONTACTS and self._people.is_contact(peer_id)
        return known or policy is AcceptPolicy.ALL

    def _returned(self, peer_id: str, body: Delivered, error: RegistryError) -> None:
        driver = self._dialogues.get(peer_id)
        if driver is not None and not self._stopping:
            document = Undelivered(body, error.reason, str(error), error.retry_after)
            driver.machine.undeliverable(document, self._now())
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
                self._post.deliver(machine.peer_id, body)

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
