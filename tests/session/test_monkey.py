"""
What no order of things may do: raise, leave something behind, or tell an end that had no beginning.

Two endpoints get documents, frames, commands, losses and pauses in a random order.  Bob breaks
rules: his documents come mutilated, and his frames when nobody expects them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from random import Random
from typing import Any, cast

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import RemoteProtocolError
from p2pchat.session.approval import AcceptPolicy
from p2pchat.session.call_events import DeliveryFailure
from p2pchat.session.control import Control
from p2pchat.session.conversation import Conversation
from p2pchat.session.stages import LINGERING, Stage
from p2pchat.traversal.own_addresses import Rerouting
from p2pchat.wire import entries, messages
from p2pchat.wire.documents import Answer, Offer, PeerDocument
from p2pchat.wire.framing import encode_frames
from tests.cases import each
from tests.session.pair import Pair, Peer
from tests.traversal.fake_wire import Link

SEEDS = (16, 44, 60, 109, 116)  # each of them once found a fault
STEPS = 80
PAUSES = (0.005, 0.011, 0.03, 0.1, 0.5, 1.0, 3.0, 16.0)
MOVED = Rerouting(frozenset(), is_move=True)
REASONS = ("unknown-peer", "peer-offline", "too-many-requests")

# For each event: what must have been told before, and how things stand after it.
_TELLS: dict[type[events.SessionEvent], dict[str, str]] = {
    events.Calling: {"end": "call", "call": "call", "open": "open"},
    events.OfferReceived: {"end": "call", "call": "call"},
    events.Rings: {"call": "call", "open": "open"},
    events.Checking: {"call": "call", "open": "open"},
    events.PathFound: {"call": "call", "open": "open"},
    events.Connected: {"call": "open", "open": "open"},
    events.PathLost: {"open": "open"},
    events.Disconnected: {"open": "end"},
    events.CallFailed: {"call": "end"},
    events.OfferEnded: {"call": "end"},
}


@attrs.define(eq=False)
class OddControl(Control):
    """Says what it is given before what it has to say."""

    odd: list[messages.ControlMessage] = attrs.Factory(list)

    def next_messages(self, now: float) -> list[messages.ControlMessage]:
        """Return what goes out next."""
        found = [*self.odd, *super().next_messages(now)]
        self.odd.clear()
        return found


@attrs.define(eq=False)
class OddConversation:
    """A conversation that writes what it is given before what it has to say."""

    inner: Conversation
    odd: list[bytes]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    @property
    def their_key(self) -> bytes:
        """The key of the other side."""
        return self.inner.their_key

    @their_key.setter
    def their_key(self, key: bytes) -> None:
        self.inner.their_key = key

    def next_bytes(self, most: int, enough: int, now: float) -> bytes:
        """Return what goes out next."""
        odd = encode_frames(self.odd)
        self.odd.clear()
        return odd + self.inner.next_bytes(most - len(odd), enough, now)


class Monkey:
    """Does one thing after another, and looks what came of it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.pair = Pair(seed)
        self.odd: list[messages.ControlMessage] = []  # what Bob says next
        self.odd_frames: list[bytes] = []
        self.documents: list[PeerDocument] = []  # that both sent lately
        self.told: dict[Peer, str] = dict.fromkeys(self.pair.both, "end")
        self.wrong: list[tuple[str, str, object]] = []  # whom, what before, what then
        acts: list[tuple[int, Callable[[Peer], object]]] = [
            (30, lambda _one: self.pair.run(self.random.choice(PAUSES))),
            (5, lambda one: one.call(self.now)),
            (4, lambda one: one.endpoint.accept(one.session, self.now)),
            (1, self.reject),
            (2, lambda one: one.session.disconnect(self.now)),
            (4, lambda one: self.pair.say(one, self.random.choice("ab") * 5000)),
            (12, self.receive),
            (3, self.undeliverable),
            (8, self.say_odd),
            (2, lambda _one: self.pair.part()),
            (4, lambda _one: self.pair.join()),
            (1, lambda _one: self.pair.join(Link(0.02, 0.01, 0.2, 0.1))),
            (2, self.change_policy),
            (2, lambda one: one.endpoint.network_changed(MOVED, self.now)),
            (2, lambda one: one.session.network_returned(self.now)),
            (2, lambda one: one.session.candidates_changed(self.now)),
            (2, lambda one: one.endpoint.beat(self.now)),
            (1, lambda one: one.endpoint.tidy(self.now)),
            (2, self.switch_registry),
            (1, lambda one: one.session.approval.disown()),
        ]
        self.weights = [weight for weight, _ in acts]
        self.acts = [act for _, act in acts]

    @property
    def now(self) -> float:
        """The time on the wire."""
        return self.pair.wire.now

    def step(self) -> None:
        """Do one thing."""
        (act,) = self.random.choices(self.acts, self.weights)
        act(self.random.choice(self.pair.both))
        self.settle()

    def settle(self) -> None:
        """Let both say what they have to say, and judge it."""
        self.pair.run(0.0001)
        for one in self.pair.both:
            for event in one.told:
                before = self.told[one]
                after = _TELLS.get(type(event), {before: before}).get(before)
                if after is None:
                    self.wrong.append((one.name, before, event))
                self.told[one] = after or before
            one.told.clear()
            self.documents += one.posted
            one.posted.clear()
        del self.documents[:-16]
        control = self.pair.bob.session.link.control
        if not isinstance(control, OddControl):
            conversation = OddConversation(control.conversation, self.odd_frames)
            made = OddControl(control.username, cast(Any, conversation), odd=self.odd)
            self.pair.bob.session.link.control = made

    # -- what a person does, and what happens to them

    def reject(self, one: Peer) -> None:
        """Decline an offer, of which nothing more is told."""
        if one.session.is_offered:
            one.session.reject(self.now)
            self.settle()
            self.told[one] = "end"

    def change_policy(self, one: Peer) -> None:
        """Accept others without asking; the other may be a contact."""
        one.endpoint.policy = self.random.choice(list(AcceptPolicy))
        one.known.is_contact = self.random.random() < 0.5

    def switch_registry(self, _one: Peer) -> None:
        """Let documents be lost, or no more."""
        self.pair.registry_is_up = not self.pair.registry_is_up

    def undeliverable(self, one: Peer) -> None:
        """Let the registry refuse a document."""
        if self.documents:
            body, reason = self.random.choice(self.documents), self.random.choice(REASONS)
            wait = self.random.choice((None, 1.0, 20.0))
            one.session.undeliverable(DeliveryFailure(body, reason, "no", wait), self.now)

    # -- what Bob does

    def receive(self, _one: Peer) -> None:
        """Let a document of some call come to Alice, whole or mutilated."""
        if not self.documents:
            return
        body = self.random.choice(self.documents)
        names = [f"new at {self.now}", "odd", self.random.choice(self.documents).session]
        if self.random.random() < 0.4:
            body = attrs.evolve(body, session=self.random.choice(names))
        if isinstance(body, Offer | Answer) and self.random.random() < 0.5:
            links = ("", "odd", self.pair.alice.session.link.name)
            described = body.description
            mutilated = [attrs.evolve(described, link=link) for link in links]
            mutilated.append(attrs.evolve(described, exchange=bytes(32)))
            mutilated.append(attrs.evolve(described, candidates=()))
            body = attrs.evolve(body, description=self.random.choice(mutilated))
        with contextlib.suppress(RemoteProtocolError):  # an unfit answer; its receiver knows it
            self.pair.alice.receive_document(body, self.now)

    def say_odd(self, _one: Peer) -> None:
        """Let Bob say a frame that nothing calls for."""
        number, stream = self.random.randrange(5), self.random.randrange(12)
        frames: list[messages.ControlMessage] = [
            messages.Hello("bob", self.random.choice(((), ("odd",)))),
            messages.Disconnect(
                self.random.choice(("left", "closed")), "odd", (messages.Written(stream, number),)
            ),
            messages.Ping(number),
            messages.Pong(number),
            messages.Credit(stream, number),
            messages.StreamRefusal(stream, "odd"),
            messages.Proof(bytes(32), bytes(64)),
        ]
        ours, theirs = (one.session.conversation for one in (self.pair.bob, self.pair.alice))
        log = self.random.choice((ours.log, b"o" * 16))
        head = (ours.id, ours.author, ours.author, log, number + 1, bytes(32), number, 0)
        odd = [
            entries.encode_have([entries.Item(theirs.author, theirs.log, 1, number)]),
            entries.encode_have([entries.Item(ours.author, log, number, number)]),
            entries.ENTRY + entries.LogEntry(*head, "odd", (), b"odd").encode(),
            self.random.randbytes(number * 50),
        ]
        if self.random.random() < 0.5:
            self.odd.append(self.random.choice(frames))
        else:
            self.odd_frames.append(self.random.choice(odd))
        self.pair.bob.session.notify()

    def end(self) -> None:
        """Let both leave, and all that was under way come to its end."""
        self.odd.clear()
        self.odd_frames.clear()
        self.pair.registry_is_up = False
        self.pair.run(0.1)
        for one in self.pair.both:
            one.session.disconnect(self.now)
        self.pair.run(LINGERING + 20)
        self.settle()


class MonkeyTests(SynchronousTestCase):
    """Alice, whatever Bob, the registry, the network and both persons do."""

    def check(self, alice: Peer) -> None:
        """Assert what holds in each stage."""
        session = alice.session
        waits = session.get_timer() is not None or alice.agent.attempts
        if session.is_alive:
            self.assertTrue(session.link or waits, f"nothing leads out of {session.stage}")
        else:
            self.assertFalse(session.link)
            self.assertEqual((session.path, session.get_timer()), (None, None))
            self.assertEqual(alice.agent.attempts, 0)

    @each(*SEEDS)
    def test_anything(self, seed: int) -> None:
        """Nothing raises, every stage can be left, and a session that is over holds nothing."""
        monkey = Monkey(seed)
        for _ in range(STEPS):
            monkey.step()
            self.assertEqual([one for one in monkey.wrong if one[0] == "alice"], [])
            self.check(monkey.pair.alice)
        monkey.end()
        self.assertIs(monkey.pair.alice.session.stage, Stage.ENDED)
        self.check(monkey.pair.alice)
