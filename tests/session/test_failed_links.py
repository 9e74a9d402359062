"""Links on which no conversation comes about, and ends that aren't who was meant."""

from __future__ import annotations

import attrs

from p2pchat import events
from p2pchat.identity.keys import Identity
from p2pchat.session import qh3_connection
from p2pchat.session.control import Control
from p2pchat.session.explanation import sentences
from p2pchat.session.link import PROOF_DEADLINE
from p2pchat.session.stages import LINGERING
from p2pchat.wire.messages import ControlMessage, Ping
from tests.identity.people import CAROL
from tests.session.pair import Peer
from tests.session.test_peer_session import SessionCase


class RudeControl(Control):
    """One who says no HELLO first."""

    def next_messages(self, now: float) -> list[ControlMessage]:
        """Return what goes out next."""
        return [Ping(1), *super().next_messages(now)]


class NoConversationTests(SessionCase):
    """A link on which no conversation comes about."""

    def test_rule_broken(self) -> None:
        """Of a peer who breaks the rules at once both read why nothing came of it."""
        session = self.bob.session
        session.link.control = RudeControl("bob", session.conversation)
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.bob.events(events.Disconnected), 5)
        (failed,) = self.alice.events(events.CallFailed)
        (ended,) = self.bob.events(events.Disconnected)
        self.assertEqual((failed.reason, ended.reason), ("protocol-error",) * 2)
        self.assertIn("PING before HELLO", failed.explanation)
        self.assertEqual(self.alice.events(events.Connected), [])
        self.pair.run(2 * LINGERING)
        self.assertFalse(self.alice.session.is_alive or self.bob.session.is_alive)

    def test_no_path(self) -> None:
        """The link of an attempt that found no path has no say in the next one."""
        self.pair.part()
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.alice.events(events.Checking))
        around = self.pair.identities
        self.bob = self.pair.bob = self.pair.peer("bob", around["bob"], around["alice"])
        self.bob.welcome = False  # restarted, Bob's program asks him
        self.pair.run_until(lambda: self.alice.events(events.Rings), 20)
        self.pair.run(2 * PROOF_DEADLINE)
        self.assertEqual(len(self.alice.events(events.Calling)), 2)
        self.assertEqual(self.alice.session.shown_stage, "ringing")

    def test_hung_up(self) -> None:
        """Who hangs up while the link is being proved is told so."""
        self.pair.join_for_checks()
        self.alice.call(self.now)
        self.pair.run_until(lambda: self.bob.events(events.PathFound))
        self.bob.session.disconnect(self.now)
        self.bob.outgoing(self.now)
        (ended,) = self.bob.events(events.CallFailed)
        self.assertEqual((ended.reason, ended.ours), ("cancelled", True))
        self.assertFalse(self.bob.session.is_alive)


@attrs.frozen(eq=False)
class Impostor(Identity):
    """One who has a key, and claims an id that it doesn't make."""

    claimed: str

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        object.__setattr__(self, "peer_id", self.claimed)


class IdentityTests(SessionCase):
    """The offer is signed, and so is the link."""

    def answering(self, identity: Identity) -> None:
        """Let somebody answer in Bob's place."""
        around = self.pair.identities
        self.bob = self.pair.bob = self.pair.peer("bob", identity, around["alice"])
        self.bob.welcome = True
        self.alice.call(self.now)

    def test_other_answerer(self) -> None:
        """One who answers under another id, which the offer wasn't for, finds no path to us."""
        self.answering(CAROL)
        self.pair.run_until(lambda: self.alice.events(events.CallFailed), 30)
        self.assertEqual(self.alice.events(events.CallFailed)[0].reason, "no-path")
        self.assertEqual(self.alice.events(events.PathFound), [])

    def test_other_key_on_the_link(self) -> None:
        """One who answers the offer but can't prove that key on the link isn't connected to."""
        self.answering(Impostor(CAROL.private_key, self.pair.identities["bob"].peer_id))
        self.pair.run_until(lambda: self.alice.events(events.CallFailed), PROOF_DEADLINE + 5)
        self.assertEqual(self.alice.events(events.CallFailed)[0].reason, "not-proved")
        self.assertEqual(self.alice.events(events.Connected), [])
        self.assertFalse(self.alice.session.is_alive)

    def test_no_proof_in_time(self) -> None:
        """A link on which nothing is proved in time is no wrong proof: the caller tries again."""
        self.pair.join_for_checks()
        self.alice.call(self.now)
        self.pair.run_until(lambda: len(self.alice.events(events.Calling)) == 2, 20)
        self.pair.join()
        self.pair.run_until(lambda: self.alice.session.is_open and self.bob.session.is_open, 20)
        self.assertEqual(self.alice.events(events.CallFailed), [])
        self.pair.chat()

    def test_stranger_on_the_socket(self) -> None:
        """QUIC from an address that no authentic check came from reaches no link."""
        self.pair.connect()
        flight = self.alice.outgoing(self.now)
        elsewhere = ("203.0.113.66", 666)
        self.bob.receive(b"\xc0\0\0\0\1\x08" + bytes(1194), elsewhere, self.now)
        self.bob.receive(b"\x40" + bytes(50), elsewhere, self.now)
        self.assertEqual(flight, [])
        self.pair.chat()


class KeyExchangeTests(SessionCase):
    """A side that requires a post-quantum key exchange, and one that knows none."""

    def setUp(self) -> None:
        super().setUp()
        self.take(self.bob, ("X25519",))

    def take(self, one: Peer, key_exchanges: tuple[str, ...]) -> None:
        """Let somebody take these and no others."""
        context = attrs.evolve(one.endpoint.context, key_exchanges=key_exchanges)
        one.endpoint.context = context

    def test_taken(self) -> None:
        """Where nobody requires more, both are told what the link has."""
        self.pair.connect()
        for one in (self.alice, self.bob):
            (connected,) = one.events(events.Connected)
            self.assertEqual(connected.key_exchange, "X25519")
            self.assertIn("key exchange: X25519", sentences(one.session.report(0.0)))

    def test_refused(self) -> None:
        """Where one does both read why there is no conversation, and nobody calls again."""
        self.take(self.alice, qh3_connection.QUANTUM_SAFE)
        self.alice.call(self.now)
        self.pair.run(10)
        for one in (self.alice, self.bob):
            (failed,) = one.events(events.CallFailed)
            self.assertEqual((failed.reason, failed.ours), ("no-handshake", False))
            self.assertIn("X25519MLKEM768", failed.explanation)
            self.assertFalse(one.session.is_alive)
        self.assertEqual(len(self.alice.events(events.Calling)), 1)
