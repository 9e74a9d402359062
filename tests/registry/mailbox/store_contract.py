"""What every store of mailboxes promises; the tests of each store bring it to life."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import inlineCallbacks
from zope.interface.verify import verifyObject

from p2pchat.interfaces import IMailboxStore
from p2pchat.registry.mailbox.outcomes import (
    GivenPrekeys,
    KeptEnvelope,
    LeftEnvelope,
    MailboxOutcome,
    PublishedPrekeys,
)
from p2pchat.registry.mailbox.tables import MAX_GIVEN
from p2pchat.wire.mailbox import (
    DAY,
    FETCH_BYTES,
    KEPT,
    MAILBOX_BYTES,
    MAX_ENVELOPE,
    MAX_FETCHED,
    MIN_ENVELOPE,
    TOKEN_BYTES,
    TOKEN_ENVELOPES,
    Mail,
    MailboxState,
    envelope_name,
    token_hash,
)
from tests.registry.store.store_contract import ALICE, BOB

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as _TestCase
else:
    _TestCase = object  # so that nobody runs the contract itself

TOKEN, ANOTHER = (token_hash(bytes([number]) * 32) for number in (1, 2))
CAPACITY = 8 * 1024 * 1024  # bytes

_numbers = count(1)


def envelope(size: int = 2048) -> bytes:
    """Return an envelope that never was before."""
    return next(_numbers).to_bytes(8, "big").ljust(size, b"e")


def prekeys(issued_at: float = 100.0, one_time: int = 50, document: str = "a.b.c") -> Any:
    """Return prekeys."""
    return PublishedPrekeys(document, one_time, issued_at, 35.0 * DAY)


def left(
    octets: bytes, token: bytes = TOKEN, replaces: bytes = b"", peer: str = ALICE
) -> LeftEnvelope:
    """Return a deposit."""
    return LeftEnvelope(peer, token, octets, replaces and envelope_name(replaces))


class MailboxContract(_TestCase):
    """``self.store``, whose time ``self.pass_time`` moves; ``self.streams`` are its process's."""

    store: Any
    streams: Any

    def pass_time(self, seconds: float) -> Any:
        """Let time pass."""
        raise NotImplementedError

    @inlineCallbacks
    def open_mailbox(self, *tokens: bytes, peer: str = ALICE) -> Any:
        """Make a mailbox with these tokens."""
        yield self.store.publish(peer, prekeys())
        yield self.store.allow(peer, tokens or (TOKEN,), 100.0)

    @inlineCallbacks
    def deposit(self, *args: Any, **fields: Any) -> Any:
        """Leave an envelope that is kept; return it."""
        octets = args[0] if args else envelope()
        kept = yield self.store.deposit(left(octets, *args[1:], **fields))
        self.assertIsInstance(kept, KeptEnvelope)
        return octets

    @inlineCallbacks
    def fill(self, token: bytes, size: int = MAX_ENVELOPE) -> Any:
        """Leave as much as may be left; return the reason why no more."""
        while True:
            kept = yield self.store.deposit(left(envelope(size), token))
            if isinstance(kept, MailboxOutcome):
                return kept

    def test_interface(self) -> None:
        """It is a store."""
        verifyObject(IMailboxStore, self.store)
        self.assertGreaterEqual(len(self.store.permit_key), 16)

    @inlineCallbacks
    def test_whole(self) -> Any:
        """From prekeys to what is fetched in order, and gone when that was stored."""
        self.assertIsNone((yield self.store.state(ALICE)))
        made = yield self.store.publish(ALICE, prekeys())
        self.assertEqual(made, MailboxState(0, 50, 0))
        self.assertEqual((yield self.store.allow(ALICE, [TOKEN], 1.0)), MailboxState(0, 50, 1))
        given = yield self.store.give(ALICE, TOKEN)
        self.assertEqual(given, GivenPrekeys("a.b.c", 0))
        first = yield self.deposit()
        second = yield self.deposit()
        mail = yield self.store.fetch(ALICE)
        self.assertEqual(mail, Mail(MailboxState(2, 49, 1), (first, second)))
        again = yield self.store.fetch(ALICE)
        self.assertEqual(again, mail)
        names = [envelope_name(first), envelope_name(b"another")]
        self.assertEqual((yield self.store.acknowledge(ALICE, names)), MailboxState(1, 49, 1))
        mail = yield self.store.fetch(ALICE)
        self.assertEqual(mail.envelopes, (second,))

    @inlineCallbacks
    def test_told(self) -> Any:
        """The owner's stream is told what its mailbox has."""
        yield self.listen()
        yield self.open_mailbox()
        yield self.deposit()
        yield self.deposit()
        yield self.until(lambda: len(self.streams.announced) == 2)
        said = '{"waiting":2,"one_time":50,"tokens":1}'
        self.assertEqual(self.streams.announced[-1], (ALICE, said))

    def listen(self) -> Any:
        """Open Alice's stream."""
        self.streams.live[ALICE] = []

    def until(self, happened: Any) -> Any:
        """Wait until something has happened."""
        self.assertTrue(happened())

    @inlineCallbacks
    def test_unknown(self) -> Any:
        """An unknown mailbox, an unknown token and a dropped one are one and the same."""
        yield self.open_mailbox(TOKEN, ANOTHER)
        yield self.store.allow(ALICE, [ANOTHER], 200.0)
        for peer, token in ((BOB, TOKEN), (ALICE, token_hash(b"no")), (ALICE, TOKEN)):
            given = yield self.store.give(peer, token)
            self.assertIs(given, MailboxOutcome.UNKNOWN)
            kept = yield self.store.deposit(left(envelope(), token, peer=peer))
            self.assertIs(kept, MailboxOutcome.UNKNOWN)
        for asked in (
            self.store.fetch(BOB),
            self.store.acknowledge(BOB, [bytes(16)]),
            self.store.allow(BOB, [TOKEN], 1.0),
        ):
            self.assertIs((yield asked), MailboxOutcome.UNKNOWN)

    @inlineCallbacks
    def test_dropped_token(self) -> Any:
        """What was left by a token that is dropped stays."""
        yield self.open_mailbox()
        octets = yield self.deposit()
        yield self.store.allow(ALICE, [], 200.0)
        mail = yield self.store.fetch(ALICE)
        self.assertEqual(mail.envelopes, (octets,))

    @inlineCallbacks
    def test_one_time_keys(self) -> Any:
        """Each is given once; one token doesn't get them all; new prekeys have new ones."""
        tokens = [token_hash(bytes([number]) * 32) for number in range(10)]
        yield self.open_mailbox(*tokens)
        given = []
        for token in tokens[:6]:
            for _ in range(MAX_GIVEN + 1):
                given.append((yield self.store.give(ALICE, token)).one_time)
        found = [one for one in given if one is not None]
        self.assertEqual(found, list(range(50)))
        self.assertEqual(given[: MAX_GIVEN + 1], [*range(MAX_GIVEN), None])
        yield self.store.publish(ALICE, prekeys(101.0, 2, "d.e.f"))
        again = yield self.store.give(ALICE, tokens[0])
        self.assertEqual(again, GivenPrekeys("d.e.f", 0))

    @inlineCallbacks
    def test_older_documents(self) -> Any:
        """What was signed before what is there changes nothing, nor does the same once more."""
        yield self.open_mailbox()
        yield self.store.give(ALICE, TOKEN)
        older = yield self.store.publish(ALICE, prekeys(99.0))
        self.assertIs(older, MailboxOutcome.SUPERSEDED)
        older = yield self.store.allow(ALICE, [], 99.0)
        self.assertIs(older, MailboxOutcome.SUPERSEDED)
        same = yield self.store.publish(ALICE, prekeys())
        self.assertEqual(same, MailboxState(0, 49, 1))

    @inlineCallbacks
    def test_same_again(self) -> Any:
        """The same envelope again is there once, and no longer than it was."""
        yield self.open_mailbox()
        octets = yield self.deposit()
        yield self.pass_time(DAY)
        kept = yield self.store.deposit(left(octets))
        self.assertLess(abs(kept.expires_in - (KEPT - DAY)), 60)
        self.assertEqual(kept.state.waiting, 1)

    @inlineCallbacks
    def test_replaced(self) -> Any:
        """One takes the place of another of its token; of another's it takes none."""
        yield self.open_mailbox(TOKEN, ANOTHER)
        first = yield self.deposit()
        foreign = yield self.deposit(envelope(), ANOTHER)
        second = yield self.deposit(envelope(), TOKEN, first)
        third = yield self.deposit(envelope(), TOKEN, foreign)
        fourth = yield self.deposit(envelope(), TOKEN, first)  # which is gone: taken all the same
        again = yield self.deposit(fourth, TOKEN, first)
        self.assertEqual(again, fourth)
        mail = yield self.store.fetch(ALICE)
        self.assertEqual(mail.envelopes, (foreign, second, third, fourth))

    @inlineCallbacks
    def test_token_quota(self) -> Any:
        """By one token so many bytes, and so many envelopes, wait; a replacement needs no more."""
        yield self.open_mailbox(TOKEN, ANOTHER)
        last = yield self.deposit(envelope(TOKEN_BYTES // 4))
        self.assertIs((yield self.fill(TOKEN)), MailboxOutcome.TOKEN_FULL)
        self.assertEqual((yield self.store.state(ALICE)).waiting, 4)
        yield self.deposit(envelope(TOKEN_BYTES // 4), TOKEN, last)
        self.assertIs((yield self.fill(ANOTHER, MIN_ENVELOPE)), MailboxOutcome.TOKEN_FULL)
        self.assertEqual((yield self.store.state(ALICE)).waiting, 4 + TOKEN_ENVELOPES)

    @inlineCallbacks
    def test_mailbox_quota(self) -> Any:
        """In one mailbox so many bytes wait, and there is room again when they are fetched."""
        tokens = [token_hash(bytes([number]) * 32) for number in range(20)]
        yield self.open_mailbox(*tokens)
        for token in tokens[: MAILBOX_BYTES // TOKEN_BYTES]:
            self.assertIs((yield self.fill(token)), MailboxOutcome.TOKEN_FULL)
        kept = yield self.store.deposit(left(envelope(), tokens[-1]))
        self.assertIs(kept, MailboxOutcome.MAILBOX_FULL)
        mail = yield self.store.fetch(ALICE)
        yield self.store.acknowledge(ALICE, [envelope_name(one) for one in mail.envelopes])
        yield self.deposit(envelope(), tokens[-1])

    @inlineCallbacks
    def test_portions(self) -> Any:
        """So much is fetched at once, in few bytes or few envelopes."""
        yield self.open_mailbox(TOKEN, ANOTHER)
        yield self.fill(TOKEN)
        yield self.fill(ANOTHER, MIN_ENVELOPE)
        mail = yield self.store.fetch(ALICE)
        self.assertEqual(sum(len(one) for one in mail.envelopes), FETCH_BYTES)
        yield self.store.acknowledge(ALICE, [envelope_name(one) for one in mail.envelopes])
        yield self.open_mailbox(TOKEN, ANOTHER)
        yield self.fill(TOKEN, MIN_ENVELOPE)
        mail = yield self.store.fetch(ALICE)
        self.assertEqual((len(mail.envelopes), mail.state.waiting), (MAX_FETCHED, 200))

    @inlineCallbacks
    def test_full(self) -> Any:
        """The store is bounded; where it is full an owner can still fetch, and drop tokens."""
        full, number = False, 0
        while not full:
            number += 1
            peer = f"{number:08x}-0000-8000-8000-000000000000"
            yield self.open_mailbox(peer=peer)
            kept = yield self.store.deposit(left(envelope(MAX_ENVELOPE), peer=peer))
            full = kept is MailboxOutcome.FULL
            self.assertLess(number, CAPACITY // MAX_ENVELOPE + 1)
        self.assertGreater(number, CAPACITY // MAX_ENVELOPE // 2)
        first = "00000001-0000-8000-8000-000000000000"
        mail = yield self.store.fetch(first)
        yield self.store.acknowledge(first, [envelope_name(one) for one in mail.envelopes])
        yield self.store.allow(first, [], 200.0)
        yield self.deposit(envelope(MAX_ENVELOPE), peer=peer)

    @inlineCallbacks
    def test_expires(self) -> Any:
        """An envelope goes after its time, and the mailbox when nobody comes to it any more."""
        yield self.open_mailbox()
        yield self.deposit()
        yield self.pass_time(KEPT - 60)
        self.assertEqual(len((yield self.store.fetch(ALICE)).envelopes), 1)
        yield self.pass_time(120)
        self.assertEqual((yield self.store.fetch(ALICE)).envelopes, ())
        yield self.pass_time(21 * DAY)  # the prekeys end
        self.assertIs((yield self.store.give(ALICE, TOKEN)), MailboxOutcome.NO_PREKEYS)
        yield self.pass_time(14 * DAY + 120)
        self.assertIsNone((yield self.store.state(ALICE)))
        self.assertIs((yield self.store.give(ALICE, TOKEN)), MailboxOutcome.UNKNOWN)
        yield self.open_mailbox()
        self.assertEqual((yield self.store.state(ALICE)), MailboxState(0, 50, 1))

    @inlineCallbacks
    def test_swept(self) -> Any:
        """What has had its time takes no room, and is counted no more."""
        yield self.open_mailbox()
        yield self.deposit()
        yield self.pass_time(60)
        counts = yield self.counted(envelopes=1)
        self.assertEqual((counts.mailboxes, counts.envelopes), (1, 1))
        yield self.pass_time(50 * DAY)
        counts = yield self.counted(mailboxes=0)
        self.assertEqual((counts.mailboxes, counts.envelopes), (0, 0))

    @inlineCallbacks
    def counted(self, **expected: int) -> Any:
        """Sweep until the store has counted this."""
        for _ in range(50):
            yield self.pass_time(15)
            counts = self.store.counts()
            if counts and all(attrs.asdict(counts)[name] == n for name, n in expected.items()):
                return counts
        self.fail(f"{self.store.counts()} is not {expected}")
