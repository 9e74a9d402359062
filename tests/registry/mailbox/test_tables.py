"""The tables of mailboxes under whatever is asked in whatever order, with restarts in between."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import attrs
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.mailbox.outcomes import (
    GivenPrekeys,
    KeptEnvelope,
    LeftEnvelope,
    MailboxOutcome,
    PublishedPrekeys,
)
from p2pchat.registry.mailbox.sqlite_store import SqliteMailboxes
from p2pchat.registry.mailbox.tables import MAX_GIVEN
from p2pchat.runtime import Runtime
from p2pchat.wire.mailbox import DAY, KEPT, TOKEN_BYTES, MailboxState, envelope_name, token_hash
from tests.registry.store.store_contract import FakeStreams

OWNERS = ("alice", "bob")
TOKENS = tuple(token_hash(bytes([number])) for number in range(3))
ENVELOPES = tuple(bytes([number]) * 30_000 for number in range(12))  # so that a quota has eight
ONE_TIME = 12  # keys of a document: more than one token gets
CAPACITY = 16 * 1024 * 1024  # bytes: there is always room


@attrs.define
class Model:
    """
    A mailbox as it should be.

    :ivar mail: token and end of each envelope, in the order of their coming.
    """

    ends: float
    until: float
    document: str
    given: int = 0
    tokens: dict[bytes, int] = attrs.Factory(dict)
    mail: dict[bytes, tuple[bytes, float]] = attrs.Factory(dict)


class StoreMachine(RuleBasedStateMachine):
    """Owners and depositors do anything, at any time; a dictionary says what there should be."""

    looked = 0  # how often, in all runs

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.clock, self.wall, self.now, self.issued = Clock(), 1.8e9, 0.0, 0.0
        self.boxes: dict[str, Model] = {}
        self.store = self.boot()

    def teardown(self) -> None:
        """End."""
        self.store.stop()
        shutil.rmtree(self.directory)

    def boot(self) -> SqliteMailboxes:
        """Start a process."""
        self.clock = Clock()
        runtime = Runtime(None, self.clock, lambda: self.wall, os.urandom, list)
        file = self.directory / "mail"
        store = SqliteMailboxes(runtime, FakeStreams(), file, CAPACITY, in_thread=False)
        store.start()
        return store

    def got(self, deferred: Any) -> Any:
        """Return what a Deferred has."""
        found: list[Any] = []
        deferred.addBoth(found.append)
        return found[0]

    def box(self, owner: str) -> Model | None:
        """Return a mailbox that is there."""
        found = self.boxes.get(owner)
        return found if found and found.until > self.now else None

    @rule(owner=st.sampled_from(OWNERS), days=st.integers(1, 35))
    def publish(self, owner: str, days: int) -> None:
        """New prekeys."""
        self.issued += 1
        document, lifetime = f"document {self.issued}", days * float(DAY)
        published = PublishedPrekeys(document, ONE_TIME, self.issued, lifetime)
        self.got(self.store.publish(owner, published))
        ends, box = self.now + lifetime, self.box(owner)
        if box is None:
            self.boxes[owner] = Model(ends, ends + KEPT, document)
        else:
            box.ends, box.until, box.document, box.given = ends, ends + KEPT, document, 0
            box.tokens = dict.fromkeys(box.tokens, 0)

    @rule(owner=st.sampled_from(OWNERS), tokens=st.sets(st.sampled_from(TOKENS)))
    def allow(self, owner: str, tokens: set[bytes]) -> None:
        """Some tokens are good, the others no more."""
        self.issued += 1
        answer, box = self.got(self.store.allow(owner, tokens, self.issued)), self.box(owner)
        assert (answer is MailboxOutcome.UNKNOWN) == (box is None)
        if box is not None:
            box.tokens = {one: box.tokens.get(one, 0) for one in tokens}

    @rule(owner=st.sampled_from(OWNERS), token=st.sampled_from(TOKENS))
    def give(self, owner: str, token: bytes) -> None:
        """A depositor asks for prekeys."""
        answer, box = self.got(self.store.give(owner, token)), self.box(owner)
        if box is None or token not in box.tokens:
            assert answer is MailboxOutcome.UNKNOWN
        elif box.ends <= self.now:
            assert answer is MailboxOutcome.NO_PREKEYS
        elif box.given < ONE_TIME and box.tokens[token] < MAX_GIVEN:
            assert answer == GivenPrekeys(box.document, box.given)
            box.given, box.tokens[token] = box.given + 1, box.tokens[token] + 1
        else:
            assert answer == GivenPrekeys(box.document, None)

    @rule(
        owner=st.sampled_from(OWNERS),
        token=st.sampled_from(TOKENS),
        number=st.integers(0, 11),
        replaced=st.none() | st.integers(0, 11),
    )
    def deposit(self, owner: str, token: bytes, number: int, replaced: int | None) -> None:
        """Something is left, perhaps in the place of something else, perhaps once more."""
        envelope = ENVELOPES[number]
        replaces = b"" if replaced is None else envelope_name(ENVELOPES[replaced])
        left = LeftEnvelope(owner, token, envelope, replaces)
        answer, box = self.got(self.store.deposit(left)), self.box(owner)
        if box is None or token not in box.tokens:
            assert answer is MailboxOutcome.UNKNOWN
            return
        name = envelope_name(envelope)
        if name not in box.mail:
            if box.mail.get(replaces, (b"",))[0] != token:
                replaces = b""
            others = sum(whose == token for whose, _ in box.mail.values()) - bool(replaces)
            if (others + 1) * len(envelope) > TOKEN_BYTES:
                assert answer is MailboxOutcome.TOKEN_FULL
                return
            box.mail.pop(replaces, None)
            box.mail[name] = (token, self.now + KEPT)
            box.until = max(box.until, self.now + KEPT)
        assert isinstance(answer, KeptEnvelope)
        assert abs(answer.expires_in - (box.mail[name][1] - self.now)) < 1
        assert answer.state.waiting == len(box.mail)

    @rule(owner=st.sampled_from(OWNERS), some=st.sets(st.integers(0, 11), max_size=3))
    def acknowledge(self, owner: str, some: set[int]) -> None:
        """The owner has stored some, or says so."""
        names = [envelope_name(ENVELOPES[one]) for one in some]
        answer, box = self.got(self.store.acknowledge(owner, names)), self.box(owner)
        assert (answer is MailboxOutcome.UNKNOWN) == (box is None)
        if box is not None:
            box.mail = {name: one for name, one in box.mail.items() if name not in names}

    @rule(days=st.sampled_from([0.5, 3.0, 14.0, 40.0]))
    def pass_time(self, days: float) -> None:
        """Time passes, and what is due goes."""
        self.clock.advance(days * DAY)
        self.wall += days * DAY
        self.now += days * DAY
        self.store.sweep()
        self.boxes = {owner: box for owner, box in self.boxes.items() if box.until > self.now}
        for box in self.boxes.values():
            box.mail = {name: one for name, one in box.mail.items() if one[1] > self.now}

    @rule(off=st.sampled_from([0.0, 600.0, -1e6]))
    def restart(self, off: float) -> None:
        """The registry ends and comes back, a while later or with a clock that was set back."""
        self.store.stop()
        self.wall += off
        self.now += max(0.0, off)
        self.store = self.boot()

    @invariant()
    def everything_there(self) -> None:
        """What should be there is, in its order, and nothing else."""
        StoreMachine.looked += 1
        for owner in OWNERS:
            box, mail = self.box(owner), self.got(self.store.fetch(owner))
            if box is None:
                assert mail is MailboxOutcome.UNKNOWN
                continue
            names = [envelope_name(one) for one in mail.envelopes]
            assert names == list(box.mail)[: len(names)]
            assert len(names) == min(len(box.mail), 8)  # which are as much as is fetched at once
            state = MailboxState(len(box.mail), ONE_TIME - box.given, len(box.tokens))
            assert mail.state == state


class AnyOrderTests(SynchronousTestCase):
    """Whatever happens, and in whatever order."""

    def test_any_order(self) -> None:
        """What is there is what should be, after each step."""
        steps = settings(max_examples=25, stateful_step_count=40, deadline=None)
        run_state_machine_as_test(StoreMachine, settings=steps)
        self.assertGreater(StoreMachine.looked, 0)
