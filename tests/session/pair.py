"""
Two endpoints, joined by a fake wire and a registry that only carries documents.

They are whole but for sockets, signatures and a reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

import attrs

from p2pchat import events
from p2pchat.identity.keys import Identity
from p2pchat.session.approval import AcceptPolicy
from p2pchat.session.conversation_events import EntriesWaiting
from p2pchat.session.endpoint import Endpoint
from p2pchat.session.peer_session import PeerSession
from p2pchat.session.service_stream import ServiceStream
from p2pchat.session.stages import (
    DocumentReady,
    MailboxLearned,
    RegistriesLearned,
    SessionContext,
    StoreRequest,
    StreamStirred,
)
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.path_hint import PathHint
from p2pchat.traversal.relays import Relays
from p2pchat.traversal.routes import CHAT_SOCKET, PORTION, Datagram
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import PeerDocument
from p2pchat.wire.messages import Mailbox, Registries
from tests.identity.people import ALICE, BOB
from tests.session.link_ends import CERTIFICATE
from tests.traversal.fake_wire import FakeWire, Link

HEARTBEAT = 15.0  # seconds
DELIVERY = 0.02  # seconds that a document takes
TURN = 0.005  # seconds between two looks at what documents there are
WALL = 1_800_000_000.0
ADDRESSES = {"alice": ("198.51.100.1", 1001), "bob": ("198.51.100.2", 2002)}

_Event = TypeVar("_Event")


@attrs.define
class Known:
    """What a person keeps of another."""

    is_contact: bool = False
    is_muted: bool = False
    is_blocked: bool = False
    reached: PathHint | None = None


@attrs.define(eq=False)
class Peer:
    """
    A `Station` with everything that one peer has for another.

    :ivar other: the id of the other one.
    :ivar known: what is kept of the other one.
    :ivar reads: whether somebody takes the lines that come.
    :ivar told: events for user interfaces.
    :ivar learned: what the other one said of its mailbox.
    :ivar lists: what it said of its registries.
    :ivar posted: documents that were sent, ever.
    :ivar serve: looks at a stream that is stirred.
    :ivar first_flights: QUIC packets sent that begin a handshake.
    """

    name: str
    endpoint: Endpoint
    other: str
    known: Known
    reads: bool = True
    serve: Callable[[ServiceStream], None] = lambda _stream: None
    told: list[events.SessionEvent] = attrs.Factory(list)
    learned: list[Mailbox] = attrs.Factory(list)
    lists: list[str] = attrs.Factory(list)
    posted: list[PeerDocument] = attrs.Factory(list)
    sent: list[Datagram] = attrs.Factory(list)
    _post: list[PeerDocument] = attrs.Factory(list)
    _inbox: list[tuple[float, PeerDocument]] = attrs.Factory(list)
    _next_beat: float = 0.0

    @property
    def session(self) -> PeerSession:
        """The session with the other one."""
        return self.endpoint.ensure_session(self.other)

    @property
    def agent(self) -> Agent:
        """The traversal."""
        return self.endpoint.agent

    @property
    def welcome(self) -> bool:
        """Whether offers are accepted without asking."""
        return self.endpoint.policy is AcceptPolicy.ALL

    @welcome.setter
    def welcome(self, is_welcome: bool) -> None:
        self.endpoint.policy = AcceptPolicy.ALL if is_welcome else AcceptPolicy.ASK

    def call(self, now: float) -> None:
        """Call the other one."""
        self.endpoint.call(self.other, "", now)

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram."""
        self.endpoint.receive_batch(CHAT_SOCKET, [data], source, now)

    def take_document(self, body: PeerDocument, now: float) -> None:
        """Receive a document, a moment later."""
        self._inbox.append((now + DELIVERY, body))

    def receive_document(self, body: PeerDocument, now: float) -> None:
        """Receive a document at once."""
        self.endpoint.receive_document(self.other, body, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        while self._inbox and self._inbox[0][0] <= now:
            self.receive_document(self._inbox.pop(0)[1], now)
        if now >= self._next_beat:
            self._next_beat = now + HEARTBEAT
            self.endpoint.beat(now)
        self.endpoint.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        times = [self._next_beat, self.endpoint.get_timer()]
        times += [self._inbox[0][0]] if self._inbox else []
        return min(time for time in times if time is not None)

    def outgoing(self, now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent; events are taken as they come."""
        outgoing: list[Datagram] = []
        while len(portion := self.endpoint.datagrams_to_send(now)) >= PORTION:
            outgoing += portion
        outgoing += portion
        while (event := self.endpoint.next_event()) is not None:
            if isinstance(event, DocumentReady):
                self._post.append(event.body)
                self.posted.append(event.body)
            elif isinstance(event, StoreRequest) and isinstance(event.event, EntriesWaiting):
                batch = self.session.conversation.next_unstored(event.event.are_ours)
                if batch.entries:
                    self.endpoint.stored(self.other, batch, now)
                outgoing += self.endpoint.datagrams_to_send(now)
            elif isinstance(event, StreamStirred):
                self.serve(event.stream)
                outgoing += self.endpoint.datagrams_to_send(now)
            elif isinstance(event, MailboxLearned):
                self.learned.append(event.mailbox)
            elif isinstance(event, RegistriesLearned):
                self.lists.append(event.document)
            elif isinstance(event, events.SessionEvent):
                self.told.append(event)
                if self.reads and isinstance(event, events.MessageReceived):
                    self.endpoint.read(self.other, event.id, now)
                    outgoing += self.endpoint.datagrams_to_send(now)
        self.sent += outgoing
        return outgoing

    def posted_now(self, now: float) -> list[PeerDocument]:
        """Take what is to be sent, and return the documents, which then don't go out."""
        self.outgoing(now)
        return self.take_post()

    def take_post(self) -> list[PeerDocument]:
        """Return, and forget, the documents that go out."""
        post, self._post = self._post, []
        return post

    # -- what a test asks

    def events(self, kind: type[_Event]) -> list[_Event]:
        """Return the events of one kind, in order."""
        return [event for event in self.told if isinstance(event, kind)]

    def texts(self) -> list[str]:
        """Return the lines that were shown."""
        return [event.text for event in self.events(events.MessageReceived)]

    @property
    def first_flights(self) -> int:
        """How many QUIC packets that begin a connection were sent."""
        return sum(one.data[0] & 0xF0 == 0xC0 for one in self.sent)


class Pair:
    """
    Alice and Bob; Alice's id is the lower one.

    :ivar registry_is_up: while it isn't, documents are lost.
    :ivar mailboxes: what each lets the other know of its own, by name; None: neither has any.
    :ivar lists: what each lets the other know of its registries, likewise.
    """

    def __init__(
        self,
        seed: int = 1,
        attempts: int = 3,
        mailboxes: dict[str, Mailbox] | None = None,
        lists: dict[str, Registries] | None = None,
    ) -> None:
        self.wire = FakeWire(seed)
        self.mailboxes, self.lists = mailboxes, lists
        self.registry_is_up = True
        low, high = sorted((ALICE, BOB), key=lambda one: one.peer_id)
        self.identities = {"alice": low, "bob": high}
        self.alice = self.peer("alice", low, high, attempts)
        self.bob = self.peer("bob", high, low, attempts)
        self.path: Link = self.join()

    def peer(
        self,
        name: str,
        identity: Identity,
        other: Identity,
        attempts: int = 3,
        username: str = "",
    ) -> Peer:
        """Make somebody, and let the wire end there; as after a restart."""
        random = Random(f"{name} {self.wire.now}")
        gathering = DualGathering((ADDRESSES[name],), random.randbytes)
        agent = Agent(gathering, Relays(random.randbytes), False, random.randbytes)
        context = SessionContext(
            *(identity, CERTIFICATE, username or name, attempts, agent),
            lambda now: WALL + now,
            random.randbytes,
            mailbox_for=self._mailbox(name),
            registries_for=self._list(name),
        )
        known = Known()
        endpoint = Endpoint(context, AcceptPolicy.ALL, HEARTBEAT, lambda _peer_id: known)
        made = Peer(name, endpoint, other.peer_id, known)
        self.wire.attach(made, ADDRESSES[name])
        return made

    def _mailbox(self, name: str) -> Callable[[str], Mailbox | None] | None:
        known = self.mailboxes
        return None if known is None else lambda _peer_id: known.get(name)

    def _list(self, name: str) -> Callable[[str], Registries | None] | None:
        known = self.lists
        return None if known is None else lambda _peer_id: known.get(name)

    def join(self, link: Link | None = None) -> Link:
        """Let datagrams pass between the two."""
        return self.wire.link(ADDRESSES["alice"], ADDRESSES["bob"], link)

    def join_for_checks(self) -> None:
        """Let checks pass, and nothing of a link."""
        self.join(Link(most=200))

    def part(self) -> None:
        """Let no datagram pass."""
        self.wire.cut(ADDRESSES["alice"], ADDRESSES["bob"])

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.wire.now + seconds
        while self.wire.now < end:
            quiet = self.wire.quiet()
            turn = TURN if self._carry() else max(TURN, quiet)
            self.wire.run(min(turn, end - self.wire.now))
        self._carry()

    def run_until(self, happened: Callable[[], object], within: float = 10.0) -> float:
        """Let time pass until something has happened; returns the seconds."""
        start = self.wire.now
        while not happened():
            if self.wire.now - start > within:
                raise AssertionError(f"not within {within} seconds: {self.describe()}")
            self.run(TURN)
        return self.wire.now - start

    def connect(self) -> None:
        """Let Alice call and wait until both talk."""
        self.alice.call(self.wire.now)
        self.run_until(lambda: self.alice.session.is_open and self.bob.session.is_open)

    def say(self, speaker: Peer, text: str) -> str:
        """Let somebody say a line."""
        return speaker.session.say(text, WALL, self.wire.now)

    def chat(self, within: float = 5.0) -> float:
        """Let both say a line; returns the seconds until both were read."""
        sides = ((self.alice, self.bob), (self.bob, self.alice))
        wanted = [(reader, self.say(speaker, f"{self.wire.now:.3f}")) for speaker, reader in sides]
        return self.run_until(
            lambda: all(
                name in [event.id for event in reader.events(events.MessageReceived)]
                for reader, name in wanted
            ),
            within,
        )

    def describe(self) -> list[object]:
        """Return what both were told, for a person who looks for a mistake."""
        return [
            (one.session.stage, one.told, one.session.report(self.wire.now)) for one in self.both
        ]

    @property
    def both(self) -> tuple[Peer, Peer]:
        """Alice and Bob."""
        return self.alice, self.bob

    def _carry(self) -> bool:
        """Take documents to their readers; tell whether there were any."""
        found = False
        for sender, reader in ((self.alice, self.bob), (self.bob, self.alice)):
            for body in sender.take_post():
                found = True
                if self.registry_is_up:
                    reader.take_document(body, self.wire.now)
        return found
