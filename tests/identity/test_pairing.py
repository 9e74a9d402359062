"""
Pairing: who has the same invitation learns the other's key; whoever hasn't, or changes anything,
burns it and learns nothing.
"""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.identity.pairing import Inviter, Joiner, PairingStage
from p2pchat.wire.documents import Card, RecordKey
from p2pchat.wire.invitations import Invitation
from p2pchat.wire.nameplates import Completion, PakeResponse
from tests.identity.people import ALICE, BOB, CAROL, sealing_key

NOW = 1_800_000_000.0
LINK = Invitation.link("http://192.0.2.1:8000", bytes(range(24)))
OTHER = attrs.evolve(LINK, secret="a" * 26)
SERVERS = ("http://192.0.2.1:8000", "https://registry.example")


def card(of: Identity, name: str = "somebody") -> Card:
    """Return what somebody says of himself."""
    return Card(name, (sealing_key(of).record_key,), SERVERS)


def inviter(invitation: Invitation = LINK, seed: int = 1) -> Inviter:
    """Return Alice's side."""
    return Inviter(ALICE, invitation, bytes([seed]) * 32)


def joiner(invitation: Invitation = LINK, identity: Identity = BOB, seed: int = 2) -> Joiner:
    """Return Bob's side, or another's."""
    return Joiner(identity, invitation, bytes([seed]) * 32)


def pair(alice: Inviter, bob: Joiner) -> tuple[Any, Any]:
    """Let two pair; returns whom each of them met."""
    response = bob.respond(alice.message, card(BOB, "bob"), NOW)
    completion, who = alice.receive(response, card(ALICE, "alice"), NOW)
    return who, bob.receive(completion)


class PairingTests(SynchronousTestCase):
    """Two who have the same line."""

    def test_paired(self) -> None:
        """Each learns the other's id, keys, name and registries; the key is proved."""
        alice, bob = inviter(), joiner()
        bob_met, alice_met = pair(alice, bob)
        self.assertEqual((bob_met.peer_id, bob_met.card), (BOB.peer_id, card(BOB, "bob")))
        expected = attrs.evolve(card(ALICE, "alice"), reader=BOB.peer_id)
        self.assertEqual((alice_met.peer_id, alice_met.card), (ALICE.peer_id, expected))
        self.assertEqual((alice.stage, bob.stage), (PairingStage.PAIRED, PairingStage.PAIRED))

    def test_restarted(self) -> None:
        """An inviter that was started again goes on where it was."""
        self.assertEqual(inviter().message, inviter().message)
        response = joiner().respond(inviter().message, card(BOB), NOW)
        completion, who = inviter().receive(response, card(ALICE), NOW)
        again = joiner()
        again.respond(inviter().message, card(BOB), NOW)
        self.assertEqual(again.receive(completion).peer_id, ALICE.peer_id)
        self.assertIsNotNone(who)

    def test_lengths(self) -> None:
        """The length of a sealed card tells of a name in steps of 256 bytes only."""
        lengths = {
            len(joiner().respond(inviter().message, card(BOB, "b" * count), NOW).card)
            for count in (1, 5, 20)
        }
        self.assertEqual(len(lengths), 1)
        [length] = lengths
        self.assertEqual(length % 256, 16)

    def test_long_card(self) -> None:
        """A card that is too long isn't sealed."""
        keys = (RecordKey("enc", "x", "y" * 2048),) * 2
        with self.assertRaises(LocalProtocolError):
            joiner().respond(inviter().message, attrs.evolve(card(BOB), keys=keys), NOW)


class RefusalTests(SynchronousTestCase):
    """Those who haven't, or not all of it."""

    def assert_burnt(self, response: PakeResponse, alice: Inviter | None = None) -> Completion:
        """The response burns the invitation, and is answered with nothing."""
        alice = alice or inviter()
        completion, who = alice.receive(response, card(ALICE), NOW)
        self.assertIsNone(who)
        self.assertEqual(completion, Completion(alice.invitation.nameplate))
        self.assertIs(alice.stage, PairingStage.BURNT)
        return completion

    def test_wrong_secret(self) -> None:
        """A guess burns the invitation; both know."""
        bob = joiner(OTHER)
        completion = self.assert_burnt(bob.respond(inviter().message, card(BOB), NOW))
        self.assertRaises(RemoteProtocolError, bob.receive, completion)
        self.assertIs(bob.stage, PairingStage.BURNT)

    def test_bound(self) -> None:
        """Registry, nameplate and parameters belong to what both must have."""
        for changed in (
            attrs.evolve(LINK, server="http://192.0.2.2:8000"),
            attrs.evolve(LINK, server="https://192.0.2.1:8000"),
            attrs.evolve(LINK, nameplate="a" * 13),
            attrs.evolve(LINK, parameters="group=x"),
        ):
            self.assert_burnt(joiner(changed).respond(inviter().message, card(BOB), NOW))

    def test_once(self) -> None:
        """Each side tries once, and nothing after its end."""
        alice, bob = inviter(), joiner()
        pair(alice, bob)
        response = joiner(seed=3).respond(inviter().message, card(BOB), NOW)
        with self.assertRaises(LocalProtocolError):
            alice.receive(response, card(ALICE), NOW)
        with self.assertRaises(LocalProtocolError):
            bob.respond(inviter().message, card(BOB), NOW)
        for side in (inviter(), joiner()):
            side.end()
            self.assertIs(side.stage, PairingStage.ENDED)
            self.assertRaises(LocalProtocolError, side.end)

    def test_not_a_point(self) -> None:
        """A message that is none, our own, or of the wrong side burns, whatever it is."""
        ours = inviter().message
        for bad in (bytes(33), ours, b"B" + bytes(32), b"A" + b"\xff" * 32, b"B" + ours[1:]):
            self.assert_burnt(PakeResponse(bad, bytes(32), bytes(100)))
            self.assertRaises(RemoteProtocolError, joiner().respond, bytes(33), card(BOB), NOW)

    def test_others_key(self) -> None:
        """A card that another signed for another pairing is worth nothing in this one."""
        carols = joiner(identity=CAROL, seed=4)
        carols.respond(inviter().message, card(CAROL), NOW)
        mine = joiner().respond(inviter().message, card(BOB), NOW)
        theirs = joiner(identity=CAROL, seed=4).respond(inviter().message, card(CAROL), NOW)
        self.assert_burnt(attrs.evolve(mine, card=theirs.card))
        self.assert_burnt(attrs.evolve(mine, confirmation=theirs.confirmation))

    @settings(max_examples=12, deadline=None)
    @given(
        st.sampled_from(["message", "confirmation", "card"]), st.integers(0), st.integers(1, 255)
    )
    def test_changed_response(self, member: str, place: int, bits: int) -> None:
        """A registry that changes one byte of a try burns it, and that is all."""
        response = joiner().respond(inviter().message, card(BOB), NOW)
        self.assert_burnt(
            attrs.evolve(response, **{member: _changed(getattr(response, member), place, bits)})
        )

    @settings(max_examples=12, deadline=None)
    @given(st.sampled_from(["confirmation", "card"]), st.integers(0), st.integers(1, 255))
    def test_changed_completion(self, member: str, place: int, bits: int) -> None:
        """Of the answer too; the joiner keeps nobody."""
        changes: dict[str, Any]
        alice, bob = inviter(), joiner()
        response = bob.respond(alice.message, card(BOB), NOW)
        completion, _ = alice.receive(response, card(ALICE), NOW)
        changes = {member: _changed(getattr(completion, member), place, bits)}
        with self.assertRaises(RemoteProtocolError):
            bob.receive(attrs.evolve(completion, **changes))
        self.assertIs(bob.stage, PairingStage.BURNT)

    def test_swapped_keys(self) -> None:
        """A registry that puts itself in the middle, with messages of its own, gains nothing."""
        middle = Invitation.link(LINK.server, LINK.nameplate.encode() + bytes(16))
        middle = attrs.evolve(middle, nameplate=LINK.nameplate)
        false_inviter = Inviter(CAROL, middle, bytes(32))
        bob = joiner()
        response = bob.respond(false_inviter.message, card(BOB), NOW)
        answer, who = false_inviter.receive(response, card(CAROL), NOW)
        self.assertIsNone(who)  # it doesn't even learn who joined
        self.assertRaises(RemoteProtocolError, bob.receive, answer)
        self.assert_burnt(
            Joiner(CAROL, middle, bytes(32)).respond(inviter().message, card(CAROL), NOW)
        )

    def test_completion_for_another(self) -> None:
        """The answer to one joiner is none to another who knows the secret, too."""
        alice, bob = inviter(), joiner()
        completion, _ = alice.receive(bob.respond(alice.message, card(BOB), NOW), card(ALICE), NOW)
        carol = joiner(identity=CAROL, seed=2)
        carol.respond(alice.message, card(CAROL), NOW)
        self.assertRaises(RemoteProtocolError, carol.receive, completion)


def _changed(data: bytes, place: int, bits: int) -> bytes:
    at = place % len(data)
    return data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :]
