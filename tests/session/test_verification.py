"""Words of a link: the same on both sides, and others where somebody is between them."""

from __future__ import annotations

from random import Random

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.verification import INTERVAL, Verification, VerificationStage
from p2pchat.wire.messages import Commitment, Reveal
from tests.identity.people import ALICE, BOB, CAROL

BINDING = b"b" * 32
KEYS = {"alice": ALICE.public_key, "bob": BOB.public_key, "carol": CAROL.public_key}
_random = Random(7)


@attrs.define(eq=False)
class Side:
    """One side of a link, and what its person compares."""

    name: str
    other: str
    binding: bytes = BINDING
    digests: list[bytes] = attrs.Factory(list)
    machine: Verification = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.machine = Verification(KEYS[self.name], _random.randbytes, self.digests.append)
        self.machine.link_opened(self.binding, KEYS[self.other])

    def say(self) -> list[Commitment | Reveal]:
        """Return what goes out."""
        said = []
        while (message := self.machine.next_message()) is not None:
            said.append(message)
        return said


def settle(one: Side, other: Side, now: float = 0.0) -> None:
    """Carry what the two say to each other until nothing is said."""
    is_quiet = False
    while not is_quiet:
        is_quiet = True
        for author, reader in ((one, other), (other, one)):
            for message in author.say():
                is_quiet = False
                reader.machine.receive(message, now)


class VerificationTests(SynchronousTestCase):
    """Two machines; the test is the link."""

    def setUp(self) -> None:
        self.alice, self.bob = Side("alice", "bob"), Side("bob", "alice")

    def test_same(self) -> None:
        """Whoever begins, both or one, both compare the same, and another the next time."""
        self.alice.machine.start(0.0)
        settle(self.alice, self.bob)
        self.assertEqual(len(self.alice.digests), 1)
        self.assertEqual(self.alice.digests, self.bob.digests)
        for side in (self.alice, self.bob):
            side.machine.start(1.0)
        settle(self.alice, self.bob, 1.0)
        self.assertEqual(self.alice.digests, self.bob.digests)
        self.assertEqual(len(set(self.alice.digests)), 2)
        self.assertIs(self.alice.machine.stage, VerificationStage.COMPARED)

    def test_bound(self) -> None:
        """Another link, or another key, makes other words of the same nonces."""
        for other in (
            Side("bob", "alice", b"x" * 32),
            Side("bob", "carol"),
            Side("carol", "alice"),
        ):
            alice = Side("alice", "bob")
            alice.machine.start(0.0)
            with self.subTest(other=other.name):
                try:
                    settle(alice, other)
                except RemoteProtocolError:
                    continue  # a commitment is to a key, too
                self.assertNotEqual(alice.digests, other.digests)

    def test_in_the_middle(self) -> None:
        """Whoever has a link to each, and all the time, is committed before anybody reveals."""
        to_alice, to_bob = Side("carol", "alice"), Side("carol", "bob")
        alice, bob = Side("alice", "carol"), Side("bob", "carol")
        alice.machine.start(0.0)
        settle(alice, to_alice)
        settle(to_bob, bob)
        to_bob.machine.start(0.0)
        settle(to_bob, bob)
        self.assertEqual((len(alice.digests), len(bob.digests)), (1, 1))
        self.assertNotEqual(alice.digests, bob.digests)

    def test_other_nonce(self) -> None:
        """A nonce that wasn't committed to is refused."""
        self.alice.machine.start(0.0)
        [commitment] = self.alice.say()
        self.bob.machine.receive(commitment, 0.0)
        with self.assertRaises(RemoteProtocolError):
            self.bob.machine.receive(Reveal(b"x" * 32), 0.0)
        self.assertEqual(self.bob.digests, [])

    def test_order(self) -> None:
        """What comes out of order is refused."""
        with self.assertRaises(RemoteProtocolError):
            self.alice.machine.receive(Reveal(bytes(32)), 0.0)
        self.alice.machine.start(0.0)
        with self.assertRaises(RemoteProtocolError):
            self.alice.machine.receive(Reveal(bytes(32)), 0.0)
        self.alice.machine.receive(Commitment(bytes(32)), 0.0)
        with self.assertRaises(RemoteProtocolError):
            self.alice.machine.receive(Commitment(bytes(32)), 0.0)

    def test_again_and_again(self) -> None:
        """A person is shown words once in a while, however often the other side wants it."""
        now = 0.0
        for _ in range(100):
            self.alice.machine.start(now)
            settle(self.alice, self.bob, now)
            now += 1.0
            self.bob.machine.beat(now)
        self.assertLessEqual(len(self.bob.digests), 100 / INTERVAL + 1)
        self.assertEqual(self.alice.digests, self.bob.digests)

    def test_new_link(self) -> None:
        """A new link begins anew."""
        self.alice.machine.start(0.0)
        self.alice.machine.link_opened(BINDING, KEYS["bob"])
        self.assertEqual(self.alice.say(), [])
        self.bob.machine.start(0.0)
        settle(self.alice, self.bob, 20.0)
        self.assertEqual(self.alice.digests, self.bob.digests)

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.builds(Commitment, st.binary(min_size=32, max_size=32))
            | st.builds(Reveal, st.binary(min_size=32, max_size=32))
        )
    )
    def test_anything(self, said: list[Commitment | Reveal]) -> None:
        """Whatever is said, nobody is shown words that weren't committed to."""
        alice = Side("alice", "bob")
        alice.machine.start(0.0)
        for message in said:
            try:
                alice.machine.receive(message, 0.0)
            except RemoteProtocolError:
                break
        self.assertEqual(alice.digests, [])
