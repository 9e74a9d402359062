"""What every store of the registry promises; the tests of each store bring it to life."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred, inlineCallbacks
from zope.interface.verify import verifyObject

from p2pchat.errors import ReplayedDocument
from p2pchat.identity.sealing import OVERHEAD, SHORTER, STEP
from p2pchat.interfaces import IRegistryStore
from p2pchat.registry.admission.rates import Rate
from p2pchat.registry.admission.solicited import AWAITED, WEIGHT
from p2pchat.registry.event_streams import EventStreams
from p2pchat.registry.refusals import Refused
from p2pchat.registry.store.directory import Delivery, Record
from p2pchat.registry.store.nameplate_table import MAX_OF_PEER, Nameplate, NameplateOutcome
from p2pchat.wire.documents import Body, Document, Registration, Sealed

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as _TestCase
else:
    _TestCase = object  # so that nobody runs the contract itself

LEASE = 20.0  # seconds; a busy machine must be able to do a few things within a third of it
CAPACITY = 5  # records
UNKNOWN = "f0000000-0000-8000-8000-000000000000"
ALICE, BOB, CAROL = (f"{number}0000000-0000-8000-8000-000000000000" for number in range(1, 4))

# What strangers may send a peer: so many documents of this length, and then one a minute.
PART = "x" * 1000
PARTS = 40
UNSOLICITED = Rate(len(PART) / 60, PARTS * len(PART) + 200)

SHORT, OFFER = Sealed(bytes(OVERHEAD + STEP - SHORTER)), Sealed(bytes(OVERHEAD + STEP))

_nonces = count()


@attrs.define(eq=False)
class FakeStreams(EventStreams):
    """
    Streams that only remember.

    :ivar live: what was delivered to each peer that has a stream.
    :ivar deaf: peers whose streams turn out to be gone.
    :ivar full: peers whose streams have no room.
    :ivar ended: which streams were ended, with which events.
    :ivar announced: which peers were to look at which nameplates.
    """

    live: dict[str, list[str]] = attrs.Factory(dict)
    deaf: set[str] = attrs.Factory(set)
    full: set[str] = attrs.Factory(set)
    ended: list[tuple[str, str]] = attrs.Factory(list)
    announced: list[tuple[str, str]] = attrs.Factory(list)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.live))

    def __contains__(self, peer_id: str) -> bool:
        return peer_id in self.live

    def deliver(self, peer_id: str, token: str, written_at: float | None = None) -> Delivery:
        """Remember a document."""
        if peer_id not in self.live or peer_id in self.deaf:
            return Delivery.OFFLINE
        if peer_id in self.full:
            return Delivery.FULL
        self.live[peer_id].append(token)
        return Delivery.TAKEN

    def announce(self, peer_id: str, name: str, data: str) -> None:
        """Remember what a peer was told."""
        if peer_id in self.live:
            self.announced.append((peer_id, data))

    def end(self, peer_id: str, name: str) -> None:
        """Remember an end."""
        if self.live.pop(peer_id, None) is not None:
            self.ended.append((peer_id, name))


@attrs.frozen
class Process:
    """A store, and the streams of the process that has it."""

    store: Any
    streams: FakeStreams

    @inlineCallbacks
    def register(self, peer_id: str, username: str = "x", **fields: Any) -> Any:
        """Register a peer; returns its record."""
        body, token = Registration(username, **fields), f"{peer_id}.{next(_nonces)}.signature"
        record = Record.of(peer_id, body, "192.0.2.1", 5.0, registration=token)
        online = yield self.store.register(record, self.document(peer_id))
        if body.visible:
            assert online == (yield self.is_online(peer_id))
        return record

    @inlineCallbacks
    def listen(self, peer_id: str, after: int | None = None) -> Any:
        """Open a peer's stream."""
        found = yield self.store.subscribe(peer_id, self.document(peer_id), after)
        if found:
            self.streams.end(peer_id, "superseded")
            self.streams.live[peer_id] = []
        return found

    def hang_up(self, peer_id: str) -> None:
        """Close a peer's stream."""
        del self.streams.live[peer_id]
        self.store.unsubscribe(peer_id)

    def deliver(self, document: Document, to: str, token: str = "token") -> Deferred[Delivery]:
        """Deliver a document."""
        delivered: Deferred[Delivery] = self.store.deliver(to, document, token)
        return delivered

    def claim(
        self, owner: str, name: str, lifetime: int = 60, message: str = "A", source: str = "s"
    ) -> Deferred[NameplateOutcome]:
        """Claim a nameplate."""
        wanted = Nameplate(name, owner, source, "http://r.test:80", message)
        claimed: Deferred[NameplateOutcome] = self.store.claim(
            wanted, lifetime, self.document(owner)
        )
        return claimed

    @inlineCallbacks
    def is_online(self, peer_id: str) -> Any:
        """Return what anybody may see of it."""
        found = yield self.store.find(peer_id)
        return found is not None and found.online

    def document(self, by: str, body: Body = SHORT) -> Document:
        """Return a document that nobody has seen."""
        issued_at = self.store.runtime.wall_time()
        return Document(by, "anybody", issued_at, f"nonce-{next(_nonces)}", body)

    @inlineCallbacks
    def fill(self, author: str, to: str, body: Body = SHORT) -> Any:
        """Send one document after another, until it isn't taken; return what happened, in order."""
        outcomes: list[Delivery] = []
        while not outcomes or outcomes[-1] is Delivery.TAKEN:
            outcomes.append((yield self.deliver(self.document(author, body), to, PART)))
            assert len(outcomes) < 20, outcomes
        return outcomes


class StoreContract(_TestCase):
    """One process's view, to be mixed into a test case that makes ``process``."""

    process: Process

    def pass_time(self, seconds: float) -> Deferred[Any]:
        """Let time pass, and what is due be done."""
        raise NotImplementedError

    @inlineCallbacks
    def refused(self, deferred: Deferred[Any], kind: type[Exception]) -> Any:
        """Wait for the exception of this kind."""
        return (yield self.assertFailure(deferred, kind))

    def eventually(self, happened: Any) -> Deferred[Any]:
        """Wait until something has happened."""
        raise NotImplementedError

    def test_interface(self) -> None:
        """It is a store."""
        self.assertTrue(verifyObject(IRegistryStore, self.process.store))

    @inlineCallbacks
    def test_found(self) -> Any:
        """What was registered is found as it was, and offline; nobody else is."""
        places = (("192.0.2.1", 5), ("2001:db8::1", 6))
        record = yield self.process.register(ALICE, "Zoë\n& 😀", nat="x", addresses=places)
        found = yield self.process.store.find(ALICE)
        self.assertEqual((found.record, found.online), (record, False))
        self.assertIsNone((yield self.process.store.find(BOB)))

    @inlineCallbacks
    def test_pages(self) -> Any:
        """Pages have every record once, in the order of ids, and end."""
        for peer_id in (CAROL, ALICE, BOB):
            yield self.process.register(peer_id)
        page = yield self.process.store.page("", 2, None)
        self.assertEqual([one.record.peer_id for one in page.records], [ALICE, BOB])
        self.assertEqual(page.next, BOB)
        page = yield self.process.store.page(BOB, 2, None)
        self.assertEqual([one.record.peer_id for one in page.records], [CAROL])
        self.assertIsNone(page.next)

    @inlineCallbacks
    def test_names(self) -> Any:
        """A page of a name has those who have it now."""
        for peer_id in (ALICE, BOB, CAROL):
            yield self.process.register(peer_id, "one")
        yield self.process.register(BOB, "two")
        yield self.process.listen(CAROL)
        page = yield self.process.store.page("", 9, "one")
        shown = [(one.record.peer_id, one.online) for one in page.records]
        self.assertEqual(shown, [(ALICE, False), (CAROL, True)])
        page = yield self.process.store.page("", 9, "nobody")
        self.assertEqual((page.records, page.next), ([], None))

    @inlineCallbacks
    def test_registration(self) -> Any:
        """Whoever is looked for, by id or by name, is found with what was signed last."""
        for number, username in enumerate(("one", "two")):
            record = yield self.process.register(ALICE, username, nat=f"{number}")
            found = yield self.process.store.find(ALICE)
            for spelt in (username, username.upper(), f"{username[0].upper()}{username[1:]}"):
                (named,) = (yield self.process.store.page("", 9, spelt)).records
            self.assertEqual((found.record, named.record), (record, record))

    @inlineCallbacks
    def test_unlisted(self) -> Any:
        """Who wants to be in no list is found by the whole id, and counts like anybody."""
        for peer_id in (ALICE, BOB):
            yield self.process.register(peer_id, "one", listed=False)
        yield self.process.register(CAROL, "one")
        for listed, ids in ((True, [BOB, CAROL]), (False, [CAROL]), (True, [BOB, CAROL])):
            yield self.process.register(BOB, "one", listed=listed)
            for name in (None, "one"):
                page = yield self.process.store.page("", 9, name)
                self.assertEqual([one.record.peer_id for one in page.records], ids)
        yield self.process.listen(ALICE)
        alice = yield self.process.store.find(ALICE)
        self.assertEqual((alice.record.listed, alice.online), (False, True))
        for number in range(CAPACITY - 3):
            other = f"5{number}000000-0000-8000-8000-000000000000"
            yield self.process.register(other, listed=False)
        yield self.refused(self.process.register(UNKNOWN), Refused)
        removed = yield self.process.store.remove(ALICE, self.process.document(ALICE))
        self.assertTrue(removed)
        self.assertIsNone((yield self.process.store.find(ALICE)))
        yield self.process.register(UNKNOWN)

    @inlineCallbacks
    def test_online(self) -> Any:
        """Of many those are told who listen and let it be seen, whatever they are registered as."""
        for peer_id in (ALICE, BOB, CAROL):
            yield self.process.register(peer_id, listed=peer_id != ALICE)
        for peer_id in (ALICE, BOB):
            yield self.process.listen(peer_id)
        everybody = [CAROL, BOB, UNKNOWN, ALICE]
        online = self.process.store.online
        self.assertEqual((yield online(everybody)), {ALICE, BOB})
        self.assertEqual((yield online([])), frozenset())
        yield self.process.register(ALICE, visible=False)
        self.assertEqual((yield online(everybody)), {BOB})
        self.process.hang_up(BOB)
        self.assertEqual((yield online(everybody)), frozenset())
        yield self.process.register(ALICE)
        self.assertEqual((yield online(everybody)), {ALICE})

    @inlineCallbacks
    def test_invisible(self) -> Any:
        """One who wants to be invisible is found by nobody, and heard by whom it called."""
        yield self.process.register(ALICE, "one", visible=False)
        yield self.process.register(BOB, "two")
        for peer_id in (ALICE, BOB):
            yield self.process.listen(peer_id)
        self.assertIsNone((yield self.process.store.find(ALICE)))
        page = yield self.process.store.page("", 9, None)
        self.assertEqual([one.record.peer_id for one in page.records], [BOB])
        answer = self.process.document(BOB)
        self.assertIs((yield self.process.deliver(answer, ALICE)), Delivery.UNKNOWN_PEER)
        call = self.process.document(ALICE, OFFER)
        self.assertIs((yield self.process.deliver(call, BOB)), Delivery.TAKEN)
        self.assertIs((yield self.process.deliver(answer, ALICE)), Delivery.TAKEN)
        self.assertGreater(AWAITED, LEASE)

    @inlineCallbacks
    def test_renewed(self) -> Any:
        """A record is prolonged as it is, by its token from its address, and by nothing else."""
        store = self.process.store
        record = Record.of(ALICE, Registration("x"), "192.0.2.1", 5.0, "token")
        yield store.register(record, self.process.document(ALICE))
        yield self.process.register(BOB)
        yield self.pass_time(LEASE * 0.7)
        for peer_id, token, ip in (
            (ALICE, "other", "192.0.2.1"),
            (ALICE, "", "192.0.2.1"),
            (ALICE, "token", "192.0.2.2"),
            (BOB, "", "192.0.2.1"),
            (CAROL, "token", "192.0.2.1"),
        ):
            self.assertFalse((yield store.renew(peer_id, token, ip)))
        self.assertTrue((yield store.renew(ALICE, "token", "192.0.2.1")))
        yield self.pass_time(LEASE * 0.6)
        self.assertIsNone((yield store.find(BOB)))
        self.assertEqual((yield store.find(ALICE)).record, record)
        yield self.pass_time(LEASE * 1.1)
        self.assertFalse((yield store.renew(ALICE, "token", "192.0.2.1")))

    @inlineCallbacks
    def test_lease_ends(self) -> Any:
        """A record that isn't renewed is gone after a lease, from every page."""
        yield self.process.register(ALICE)
        yield self.process.register(BOB)
        yield self.pass_time(LEASE * 0.7)
        yield self.process.register(BOB)
        yield self.pass_time(LEASE * 0.6)
        self.assertIsNone((yield self.process.store.find(ALICE)))
        page = yield self.process.store.page("", 9, "x")
        self.assertEqual([one.record.peer_id for one in page.records], [BOB])
        yield self.pass_time(LEASE * 1.1)
        yield self.pass_time(LEASE)
        self.assertEqual((yield self.process.store.count()), 0)

    @inlineCallbacks
    def test_removed(self) -> Any:
        """A removal ends record and stream; there is nothing left to remove."""
        yield self.process.register(ALICE)
        yield self.process.listen(ALICE)
        document = self.process.document(ALICE)
        self.assertTrue((yield self.process.store.remove(ALICE, document)))
        self.assertEqual(self.process.streams.ended, [(ALICE, "removed")])
        self.assertFalse((yield self.process.store.remove(ALICE, document)))
        self.assertEqual((yield self.process.store.page("", 9, "x")).records, [])
        yield self.process.register(ALICE)
        yield self.refused(self.process.store.remove(ALICE, document), ReplayedDocument)

    @inlineCallbacks
    def test_full(self) -> Any:
        """When there is no room strangers are refused, and may send the same again."""
        for number in range(CAPACITY):
            yield self.process.register(f"peer-{number}")
        record = Record.of(ALICE, Registration("x"), "192.0.2.1", 0.0)
        document = self.process.document(ALICE)
        refusal = yield self.refused(self.process.store.register(record, document), Refused)
        self.assertEqual(refusal.problem.reason, "registry-full")
        yield self.process.register("peer-0")
        yield self.process.store.remove("peer-0", self.process.document("peer-0"))
        yield self.process.store.register(record, document)
        yield self.refused(self.process.store.register(record, document), ReplayedDocument)

    @inlineCallbacks
    def test_subscribed(self) -> Any:
        """Who is registered may listen, and is online until the stream ends."""
        document = self.process.document(ALICE)
        self.assertFalse((yield self.process.store.subscribe(ALICE, document)))
        yield self.process.register(ALICE)
        self.assertTrue((yield self.process.store.subscribe(ALICE, document)))
        yield self.refused(self.process.store.subscribe(ALICE, document), ReplayedDocument)
        yield self.process.listen(ALICE)
        self.assertTrue((yield self.process.is_online(ALICE)))
        yield self.process.register(ALICE)
        self.process.hang_up(ALICE)
        self.assertFalse((yield self.process.is_online(ALICE)))

    @inlineCallbacks
    def test_delivered(self) -> Any:
        """A document goes from one who is registered to one who listens, once."""
        document = self.process.document(ALICE)
        for expected in (Delivery.UNKNOWN_AUTHOR, Delivery.UNKNOWN_PEER, Delivery.OFFLINE):
            self.assertIs((yield self.process.deliver(document, BOB)), expected)
            yield self.process.register(BOB if expected is Delivery.UNKNOWN_PEER else ALICE)
        yield self.process.listen(BOB)
        self.assertIs((yield self.process.deliver(document, BOB, "one")), Delivery.TAKEN)
        yield self.refused(self.process.deliver(document, BOB, "two"), ReplayedDocument)
        self.assertEqual(self.process.streams.live[BOB], ["one"])

    @inlineCallbacks
    def test_not_taken(self) -> Any:
        """What a stream refused wasn't delivered, and may come again."""
        yield self.process.register(ALICE)
        yield self.process.register(BOB)
        yield self.process.listen(BOB)
        self.process.streams.deaf.add(BOB)
        document = self.process.document(ALICE)
        self.assertIs((yield self.process.deliver(document, BOB)), Delivery.OFFLINE)
        self.process.streams.deaf.clear()
        self.process.streams.full.add(BOB)
        self.assertIs((yield self.process.deliver(document, BOB)), Delivery.FULL)
        self.process.streams.full.clear()
        self.assertIs((yield self.process.deliver(document, BOB)), Delivery.TAKEN)

    @inlineCallbacks
    def meet(self) -> Any:
        """Let three listen who never wrote to each other."""
        for peer_id in (ALICE, BOB, CAROL):
            yield self.process.register(peer_id)
            yield self.process.listen(peer_id)

    @inlineCallbacks
    def pass_by(self, number: int) -> Any:
        """Let one who was never here send Bob a document, and go; return what happened to it."""
        peer_id = f"6{number:07}-0000-8000-8000-000000000000"
        for registered in (peer_id, *((ALICE, BOB, CAROL) if number % 10 == 0 else ())):
            yield self.process.register(registered)
        document = self.process.document(peer_id)
        outcome = yield self.process.deliver(document, BOB, PART)
        yield self.process.store.remove(peer_id, self.process.document(peer_id))
        return outcome

    @inlineCallbacks
    def test_unsolicited(self) -> Any:
        """Strangers share what they may send a peer; whom it called sends what it likes."""
        yield self.meet()
        for number in range(PARTS):
            self.assertIs((yield self.pass_by(number)), Delivery.TAKEN)
        self.assertIs((yield self.pass_by(PARTS)), Delivery.UNSOLICITED)
        again = self.process.document(ALICE)
        self.assertIs((yield self.process.deliver(again, BOB, PART)), Delivery.UNSOLICITED)
        yield self.process.deliver(self.process.document(BOB, OFFER), CAROL, "x")
        for _ in range(2 * PARTS):
            document = self.process.document(CAROL)
            self.assertIs((yield self.process.deliver(document, BOB, PART)), Delivery.TAKEN)
        self.assertIs((yield self.process.deliver(again, BOB, PART)), Delivery.UNSOLICITED)

    @inlineCallbacks
    def test_share(self) -> Any:
        """One stranger can't use up what others may send, whatever kind of document it sends."""
        yield self.meet()
        share = PARTS // (WEIGHT + 1) + 1  # the last one needs room for itself only
        for author, body in ((ALICE, SHORT), (CAROL, OFFER)):
            outcomes = yield self.process.fill(author, BOB, body)
            self.assertEqual(outcomes, [Delivery.TAKEN] * share + [Delivery.UNSOLICITED])
            share -= 1  # of what is left
        for number in range(PARTS // 2):
            self.assertIs((yield self.pass_by(number)), Delivery.TAKEN)
        outcomes = yield self.process.fill(ALICE, CAROL)
        self.assertGreater(len(outcomes), share, "what one had of Bob's budget counts there only")

    @inlineCallbacks
    def test_many_insist(self) -> Any:
        """A dozen that never stop leave room for the first documents of others."""
        yield self.meet()
        insisting = [f"5{number:07}-0000-8000-8000-000000000000" for number in range(12)]
        taken = 0
        for _ in range(5):
            yield self.process.register(BOB)
            for peer_id in insisting:
                yield self.process.register(peer_id)
                document = self.process.document(peer_id)
                outcome = yield self.process.deliver(document, BOB, PART)
                taken += outcome is Delivery.TAKEN
                yield self.process.store.remove(peer_id, self.process.document(peer_id))
        self.assertLess(taken, PARTS * 3 // 4)
        for number in range(PARTS // 4):
            self.assertIs((yield self.pass_by(number)), Delivery.TAKEN)

    @inlineCallbacks
    def test_not_taken_of_share(self) -> Any:
        """What is refused for want of room uses nothing of anybody's share up."""
        yield self.meet()
        for number in range(PARTS):
            yield self.pass_by(number)
        self.assertEqual((yield self.process.fill(ALICE, BOB)), [Delivery.UNSOLICITED])
        self.assertGreater(len((yield self.process.fill(ALICE, CAROL))), 1)

    @inlineCallbacks
    def test_nameplate(self) -> Any:
        """A nameplate is claimed, answered, completed and released; its owner's stream is told."""
        process, store = self.process, self.process.store
        self.assertEqual((yield process.claim(ALICE, "123456")), NameplateOutcome.UNREGISTERED)
        yield process.register(ALICE)
        yield process.listen(ALICE)
        self.assertIsNone((yield store.nameplate("123456")))
        self.assertEqual((yield store.respond("123456", "B")), NameplateOutcome.UNKNOWN)
        self.assertEqual((yield process.claim(ALICE, "123456")), NameplateOutcome.DONE)
        document = process.document
        unanswered = yield store.complete("123456", "C", document(ALICE))
        self.assertEqual(unanswered, NameplateOutcome.UNANSWERED)
        self.assertEqual((yield store.respond("123456", "B")), NameplateOutcome.DONE)
        yield self.eventually(lambda: process.streams.announced)
        self.assertEqual(process.streams.announced, [(ALICE, "123456")])
        self.assertEqual(
            (yield store.complete("123456", "C", document(ALICE))), NameplateOutcome.DONE
        )
        found, left = yield store.nameplate("123456")
        expected = Nameplate("123456", ALICE, "s", "http://r.test:80", "A", "B", "C")
        self.assertEqual(found, expected)
        self.assertTrue(50 < left <= 60, left)
        self.assertEqual((yield store.release("123456", document(ALICE))), NameplateOutcome.DONE)
        self.assertIsNone((yield store.nameplate("123456")))
        self.assertEqual((yield store.release("123456", document(ALICE))), NameplateOutcome.UNKNOWN)

    @inlineCallbacks
    def test_nameplate_once(self) -> Any:
        """What stands there stays: the same again does no harm, anything else is refused."""
        process, store, document = self.process, self.process.store, self.process.document
        for peer_id in (ALICE, BOB):
            yield process.register(peer_id)
        yield process.claim(ALICE, "123456")
        self.assertEqual((yield process.claim(ALICE, "123456")), NameplateOutcome.DONE)
        self.assertEqual(
            (yield process.claim(ALICE, "123456", message="X")), NameplateOutcome.TAKEN
        )
        self.assertEqual((yield process.claim(BOB, "123456")), NameplateOutcome.TAKEN)
        for answer, outcome in (
            ("B", NameplateOutcome.DONE),
            ("B", NameplateOutcome.DONE),
            ("X", NameplateOutcome.USED),
        ):
            self.assertEqual((yield store.respond("123456", answer)), outcome)
        for by, answer, outcome in (
            (BOB, "C", NameplateOutcome.NOT_YOURS),
            (ALICE, "C", NameplateOutcome.DONE),
            (ALICE, "C", NameplateOutcome.DONE),
            (ALICE, "X", NameplateOutcome.USED),
        ):
            self.assertEqual((yield store.complete("123456", answer, document(by))), outcome)
        self.assertEqual((yield store.release("123456", document(BOB))), NameplateOutcome.NOT_YOURS)

    @inlineCallbacks
    def test_nameplate_documents(self) -> Any:
        """A document of an owner is used once; one that did nothing may come again."""
        process, store = self.process, self.process.store
        yield process.register(ALICE)
        used = process.document(ALICE)
        self.assertEqual((yield store.release("123456", used)), NameplateOutcome.UNKNOWN)
        yield process.claim(ALICE, "123456")
        self.assertEqual((yield store.release("123456", used)), NameplateOutcome.DONE)
        yield process.claim(ALICE, "123456")
        yield self.refused(store.release("123456", used), ReplayedDocument)

    @inlineCallbacks
    def test_nameplates_of_one(self) -> Any:
        """A peer has so many, and another one when the first has expired."""
        process = self.process
        yield process.register(ALICE)
        for number in range(MAX_OF_PEER):
            lifetime = 60 if number else 1
            claimed = yield process.claim(ALICE, f"{number:06}", lifetime)
            self.assertEqual(claimed, NameplateOutcome.DONE)
        self.assertEqual((yield process.claim(ALICE, "999999")), NameplateOutcome.TOO_MANY)
        yield self.pass_time(1.1)
        self.assertIsNone((yield process.store.nameplate("000000")))
        self.assertEqual((yield process.claim(ALICE, "999999")), NameplateOutcome.DONE)
