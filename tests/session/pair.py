"""
Two dialogues with two agents, joined by a fake wire and a registry that only carries documents.

What a node does between its machines is done here in a few lines, without sockets, signatures or
a reactor.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeVar

import attrs

from p2pchat import events
from p2pchat.identity.keys import Identity
from p2pchat.session.dialogue import Dialogue
from p2pchat.session.surroundings import Surroundings
from p2pchat.traversal.agent import Agent, LinkDatagram
from p2pchat.traversal.datagrams import Datagram
from p2pchat.traversal.dual_stack import DualGathering
from p2pchat.traversal.punching import PathMoved, RoundEnded
from p2pchat.traversal.relays import Relays
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Delivered
from tests.identity.people import ALICE, BOB
from tests.session.link_ends import CERTIFICATE
from tests.traversal.fake_wire import FakeWire, Link

HEARTBEAT = 15.0  # seconds
POST = 0.02  # seconds that a document takes
WALL = 1_800_000_000.0
ADDRESSES = {"alice": ("198.51.100.1", 1001), "bob": ("198.51.100.2", 2002)}

_Event = TypeVar("_Event")


@attrs.define(eq=False)
class Peer:
    """
    A `Station` with everything that one peer has for another.

    :ivar welcome: whether offers are accepted without asking.
    :ivar reads: whether somebody takes the lines that come.
    :ivar told: events.
    :ivar posted: documents that were sent, ever.
    :ivar first_flights: QUIC packets sent that begin a handshake.
    """

    name: str
    agent: Agent
    dialogue: Dialogue
    welcome: bool = True
    reads: bool = True
    told: list[events.DialogueEvent] = attrs.Factory(list)
    posted: list[Delivered] = attrs.Factory(list)
    sent: list[Datagram] = attrs.Factory(list)
    _post: list[Delivered] = attrs.Factory(list)
    _inbox: list[tuple[float, Delivered]] = attrs.Factory(list)
    _next_beat: float = 0.0

    def receive(self, data: bytes, source: Address, now: float) -> None:
        """Take a datagram."""
        self.agent.receive_datagram(data, source, now)
        self._settle(now)

    def take_document(self, body: Delivered, now: float) -> None:
        """Receive a document, a moment later."""
        self._inbox.append((now + POST, body))

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        while self._inbox and self._inbox[0][0] <= now:
            self.dialogue.receive_document(self._inbox.pop(0)[1], self.welcome, now)
        if now >= self._next_beat:
            self._next_beat = now + HEARTBEAT
            self.dialogue.beat(now)
        for machine in (self.agent, self.dialogue):
            due = machine.get_timer()
            if due is not None and due <= now:
                machine.handle_timer(now)
        self._settle(now)

    def get_timer(self) -> float | None:
        """Return when to call handle_timer."""
        times = [self._next_beat, self.agent.get_timer(), self.dialogue.get_timer()]
        times += [self._inbox[0][0]] if self._inbox else []
        return min(time for time in times if time is not None)

    def outgoing(self, now: float) -> list[Datagram]:
        """Return, and forget, what is to be sent."""
        self._settle(now)
        outgoing = self.dialogue.datagrams_to_send(now) + self.agent.datagrams_to_send(now)
        self._settle(now)
        self.sent += outgoing
        return outgoing

    def take_post(self) -> list[Delivered]:
        """Return, and forget, the documents that go out."""
        post, self._post = self._post, []
        return post

    def _settle(self, now: float) -> None:
        while (event := self.agent.next_event()) is not None:
            if isinstance(event, PathMoved):
                self.dialogue.path_moved(event.ufrag, event.path, now)
            elif isinstance(event, RoundEnded):
                self.dialogue.round_ended(event.ufrag, event.confirmed, now)
            elif isinstance(event, LinkDatagram) and self.dialogue.owns(event.ufrag):
                self.dialogue.receive_link_datagram(event.data, event.route, now)
        while (told := self.dialogue.next_event()) is not None:
            self.told.append(told)
            if self.reads and isinstance(told, events.MessageReceived):
                self.dialogue.read(told.id, now)
        documents = self.dialogue.take_documents()
        self._post += documents
        self.posted += documents

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
    """

    def __init__(self, seed: int = 1, attempts: int = 3) -> None:
        self.wire = FakeWire(seed)
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
        around = Surroundings(
            *(identity, CERTIFICATE, username or name, attempts, agent),
            lambda now: WALL + now,
            random.randbytes,
        )
        made = Peer(name, agent, Dialogue(other.peer_id, "", around))
        self.wire.attach(made, ADDRESSES[name])
        return made

    def join(self, link: Link | None = None) -> Link:
        """Let datagrams pass between the two."""
        return self.wire.link(ADDRESSES["alice"], ADDRESSES["bob"], link)

    def part(self) -> None:
        """Let no datagram pass."""
        self.wire.cut(ADDRESSES["alice"], ADDRESSES["bob"])

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.wire.now + seconds
        while self.wire.now < end:
            self._carry()
            self.wire.run(min(0.005, end - self.wire.now))
        self._carry()

    def run_until(self, happened: Callable[[], object], within: float = 10.0) -> float:
        """Let time pass until something has happened; returns the seconds."""
        start = self.wire.now
        while not happened():
            if self.wire.now - start > within:
                raise AssertionError(f"not within {within} seconds: {self.describe()}")
            self.run(0.005)
        return self.wire.now - start

    def connect(self) -> None:
        """Let Alice call and wait until both talk."""
        self.alice.dialogue.call(self.wire.now)
        self.run_until(lambda: self.alice.dialogue.is_open and self.bob.dialogue.is_open)

    def say(self, speaker: Peer, text: str) -> str:
        """Let somebody say a line."""
        return speaker.dialogue.say(text, WALL, self.wire.now)

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
        return [(one.dialogue.stage, one.told, one.dialogue.story()) for one in self.both]

    @property
    def both(self) -> tuple[Peer, Peer]:
        """Alice and Bob."""
        return self.alice, self.bob

    def _carry(self) -> None:
        for sender, reader in ((self.alice, self.bob), (self.bob, self.alice)):
            for body in sender.take_post():
                if self.registry_is_up:
                    reader.take_document(body, self.wire.now)
