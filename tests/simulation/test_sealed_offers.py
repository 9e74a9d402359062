"""Sealed offers between whole peers: where their key comes from, and what a changed one costs."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.components import proxyForInterface
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.identity.sealing import OVERHEAD, SHORTER, STEP, SealingKey
from p2pchat.identity.signed_documents import MAX_DOCUMENT
from p2pchat.interfaces import IRegistryStore
from p2pchat.wire.documents import Document, Sealed
from tests.simulation.world import Person, World


class ReadingStore(proxyForInterface(IRegistryStore)):  # type: ignore[misc]
    """
    The store of a world's registry, whose operator keeps what is to be delivered.

    :ivar kept: each document, and its compact form.
    """

    def __init__(self, world: World) -> None:
        super().__init__(world.registry.store)
        self.kept: list[tuple[Document, str]] = []

    def deliver(self, peer_id: str, document: Document, token: str) -> Deferred[Any]:
        """Keep it, and deliver it."""
        self.kept.append((document, token))
        delivered: Deferred[Any] = self.original.deliver(peer_id, document, token)
        return delivered


class SealedOffersTests(SynchronousTestCase):
    """Alice and Bob, both at one registry, and what it was asked."""

    def setUp(self) -> None:
        self.world = World(31)
        self.store = ReadingStore(self.world)
        self.world.registry.store = self.store
        self.alice, self.bob = self.world.couple()

    def looked_up(self) -> int:
        """Return how often a single record was asked for."""
        answers = self.world.registry.metrics.answers
        return answers["GET", "/peer/{peer_id}", 200]

    def call(self, who: str) -> int:
        """Let Alice call Bob by this name or id; returns the attempts."""
        before = len(self.alice.events(events.Calling))
        self.world.result(self.alice.node.connect(who))
        self.world.wait(lambda: self.alice.is_connected_to(self.bob), awaited="a conversation")
        return len(self.alice.events(events.Calling)) - before

    def again(self, person: Person, **changes: object) -> Person:
        """Start somebody's program again, with some of its files changed."""
        self.world.result(person.node.stop())
        profile = attrs.evolve(person.profile, **changes)  # type: ignore[arg-type]
        started = self.world.start_on(person.host, person.name, profile)
        self.world.settle(started)
        return started

    def test_by_name(self) -> None:
        """The look-up of a name brings the key, too; the called side has it from the offer."""
        self.assertEqual((self.call("bob"), self.looked_up()), (1, 0))

    def test_by_id(self) -> None:
        """For an id the key is looked up, once."""
        self.assertEqual((self.call(self.bob.node.peer_id), self.looked_up()), (1, 1))

    def test_contact(self) -> None:
        """A contact's key is kept: another run calls without asking for anything."""
        self.call("bob")
        self.alice = self.again(self.alice)
        self.assertEqual((self.call("bob"), self.looked_up()), (1, 0))

    def test_another_key(self) -> None:
        """A contact who lost its key is reached by the second attempt; the person reads why."""
        self.call("bob")
        self.alice = self.again(self.alice)
        other = SealingKey.from_seed(b"\x05" * 32)
        self.bob = self.again(self.bob, sealing_key=other)
        before = len(self.alice.events(events.Trouble))
        self.assertEqual((self.call("bob"), self.looked_up()), (2, 1))
        (trouble,) = self.alice.events(events.Trouble)[before:]
        self.assertIn(self.bob.node.peer_id, trouble.reason)
        self.assertIn("sealed to a key that their program has no more", trouble.reason)
        kept = self.alice.profile.contacts[self.bob.node.peer_id].keys
        self.assertEqual(kept, (other.record_key,))

    def test_what_the_registry_reads(self) -> None:
        """Who wrote to whom, when, and steps of lengths: no type, no address, no name."""
        self.call("bob")
        documents = [document for document, _ in self.store.kept]
        self.assertGreaterEqual(len(documents), 3)
        for document in documents:
            assert isinstance(document.body, Sealed)
            over = (len(document.body.ciphertext) - OVERHEAD) % STEP
            self.assertIn(over, (0, STEP - SHORTER))
        lengths = {len(one.body.ciphertext) for one in documents if isinstance(one.body, Sealed)}
        self.assertIn(OVERHEAD + STEP, lengths)
        for _, token in self.store.kept:
            self.assertLess(len(token), MAX_DOCUMENT)
