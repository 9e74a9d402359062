"""
Two people who share nothing but one line meet behind two NATs; whoever hasn't that line, or comes
too late, doesn't.
"""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import InvitationRefused
from p2pchat.identity.keys import Identity
from p2pchat.identity.pairing import Inviter
from p2pchat.peer.grants import InvitedGrant
from p2pchat.peer.kept_invitations import KINDS, KeptInvitation, KeptInvitations, KeptTry
from p2pchat.peer.profile import load_profile
from p2pchat.peer.settings import InvitationInfo
from p2pchat.registry.store.memory import MemoryStore
from p2pchat.registry.store.nameplate_table import Nameplate, NameplateTable
from p2pchat.session.approval import AcceptPolicy
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import Card
from p2pchat.wire.invitations import Invitation, parse_invitation
from p2pchat.wire.nameplates import PakeResponse
from p2pchat.wire.strict_json import dumps, loads
from tests.cases import each
from tests.simulation.behaviour import PORT_RESTRICTED_CONE
from tests.simulation.link import SEVERED
from tests.simulation.world import Person, World
from tests.wire.word_list import WORDS

DAY = 86_400


class InvitationCase(SynchronousTestCase):
    """Alice and Bob, each behind a NAT; both are asked about calls."""

    def setUp(self) -> None:
        self.world = World(11)
        self.alice = self.person("alice")
        self.bob = self.person("bob")
        self.world.settle(self.alice, self.bob)

    def person(self, name: str, **settings: Any) -> Person:
        """Start somebody behind a NAT of his own."""
        nat = self.world.nat(PORT_RESTRICTED_CONE)
        return self.world.person(name, nat, accept=AcceptPolicy.ASK, **settings)

    def invite(
        self, name: str = "", seconds: int = DAY, spoken: bool = False, replaces: str = ""
    ) -> InvitationInfo:
        """Let Alice make an invitation."""
        made = self.alice.node.invitations.invite(name, seconds, spoken, replaces)
        info: InvitationInfo = self.world.result(made)
        return info

    def refused(self, joined: Deferred[str], within: float = 60.0) -> str:
        """Return the sentence with which an invitation is refused."""
        with self.assertRaises(InvitationRefused) as caught:
            self.world.result(joined, within)
        return str(caught.exception)

    def assert_together(self) -> None:
        """The two are connected, and each is a contact of the other's, by invitation."""
        self.world.wait(
            lambda: self.alice.is_connected_to(self.bob) and self.bob.is_connected_to(self.alice),
            30,
            "both connected",
        )
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            [info] = one.node.contacts()
            self.assertEqual((info.peer_id, info.contact), (other.node.peer_id, True))
            self.assertEqual(info.met, "invitation")
            self.assertEqual(
                [e.accepted for e in one.events(events.OfferReceived)], [True] * (one is self.alice)
            )

    def ended(self, person: Person) -> list[str]:
        """Return how somebody's invitations ended."""
        return [one.reason for one in person.events(events.InvitationEnded)]


class MeetingTests(InvitationCase):
    """Those who have the line."""

    def test_link(self) -> None:
        """They see who it is before the contact is kept, and are connected without a question."""
        info = self.invite("my bob")
        begun = self.world.internet.clock.seconds()
        met = self.world.result(self.bob.node.invitations.join(f"please join: {info.line}!"))
        self.assertEqual(met, self.alice.node.peer_id)
        self.assert_together()
        self.assertLess(self.world.internet.clock.seconds() - begun, 5)
        self.assertEqual([one.name for one in self.alice.node.contacts()], ["my bob"])
        self.assertEqual([one.name for one in self.bob.node.contacts()], ["alice"])
        for one, invited in ((self.alice, True), (self.bob, False)):
            kinds = [type(event) for event in one.told]
            self.assertLess(kinds.index(events.Paired), kinds.index(events.ContactChanged))
            self.assertEqual([e.invited for e in one.events(events.Paired)], [invited])
        self.assertEqual(self.alice.events(events.Renamed) + self.bob.events(events.Renamed), [])
        self.alice.say("hello", self.bob)
        self.world.wait(lambda: self.bob.texts() == ["hello"], awaited="hello")

    def test_spoken(self) -> None:
        """A few words do the same, at the same registry."""
        info = self.invite(spoken=True)
        self.assertRegex(info.line, r"^[0-9]{6}(-[a-z]+){3}$")
        self.world.result(self.bob.node.invitations.join(info.line.replace("-", " ").upper()))
        self.assert_together()

    @each(False, True)
    def test_grant(self, spoken: bool) -> None:
        """Whoever joins may open what the line says, and nothing else; both are told."""
        invite = self.alice.node.invitations.invite
        made = invite("", DAY, spoken, grant=InvitedGrant("web", 3600.0))
        line = self.world.result(made).line
        self.assertEqual(line.endswith("?grant=web"), not spoken)
        self.world.result(self.bob.node.invitations.join(line))
        self.assert_together()
        (grant,) = self.alice.node.services.grants()
        self.assertEqual((grant.service, grant.peer_id), ("web", self.bob.node.peer_id))
        assert grant.seconds is not None
        self.assertTrue(3500 < grant.seconds <= 3600)
        self.assertEqual(self.bob.node.services.grants(), [])
        self.assertEqual([one.service for one in self.alice.events(events.Paired)], ["web"])
        known = "" if spoken else "web"  # words say no more than who
        self.assertEqual([one.service for one in self.bob.events(events.Paired)], [known])

    def test_grant_is_kept(self) -> None:
        """An invitation with a grant outlives the program with it."""
        made = self.alice.node.invitations.invite("", DAY, False, grant=InvitedGrant("web"))
        line = self.world.result(made).line
        self.world.result(self.alice.node.stop())
        self.alice = self.restart(self.alice)
        self.world.settle(self.alice)
        self.world.result(self.bob.node.invitations.join(line))
        self.assert_together()
        (grant,) = self.alice.node.services.grants()
        self.assertEqual((grant.service, grant.seconds), ("web", None))

    def test_inviter_is_away(self) -> None:
        """Who joins while the inviter has no network meets her when she is back."""
        info = self.invite()
        self.alice.host.link = SEVERED
        joined = self.bob.node.invitations.join(info.line)
        self.world.internet.run(120)
        self.assertEqual(len(self.bob.events(events.InvitationWaits)), 1)
        self.alice.host.link = None
        self.world.result(joined, 120)
        self.assert_together()

    def kept(self, person: Person) -> KeptInvitations:
        """Return the invitations that somebody's program keeps now."""
        found: dict[str, Deferred[Any]] = {one: person.profile.secrets.all(one) for one in KINDS}
        secrets = {kind: self.successResultOf(one).values() for kind, one in found.items()}
        return KeptInvitations.from_secrets(secrets)

    def restart(self, person: Person) -> Person:
        """Start somebody's program again, with what it kept last."""
        profile = attrs.evolve(person.profile, invitations=self.kept(person))
        again = self.world.start_on(person.host, person.name, profile, accept=AcceptPolicy.ASK)
        return again

    def test_inviter_restarted(self) -> None:
        """An invitation outlives the program that made it, and is kept only while it is open."""
        info = self.invite("my bob")
        self.alice.host.kill()
        joined = self.bob.node.invitations.join(info.line)
        self.world.internet.run(30)
        self.assertEqual([one.line for one in self.kept(self.alice).open], [info.line])
        self.alice.host.boot()
        self.alice = self.restart(self.alice)
        self.world.result(joined, 60)
        self.assert_together()
        self.assertEqual(self.kept(self.alice), KeptInvitations())
        self.assertEqual([one.name for one in self.alice.node.contacts()], ["my bob"])

    def test_joiner_restarted(self) -> None:
        """Who left while the inviter was away meets her all the same when he is back."""
        info = self.invite()
        self.alice.host.link = SEVERED
        self.bob.node.invitations.join(info.line).addErrback(lambda _left: None)
        self.world.internet.run(30)
        self.world.result(self.bob.node.stop())
        self.bob.host.kill()
        self.alice.host.link = None
        self.world.wait(lambda: self.alice.events(events.Paired), 120, "the pairing")
        self.bob.host.boot()
        self.bob = self.restart(self.bob)
        self.assert_together()
        self.assertEqual(self.kept(self.bob), KeptInvitations())

    def test_registry_restarted(self) -> None:
        """A registry that has forgotten the nameplate gets it again."""
        info = self.invite()
        self.world.host.kill()
        self.world.internet.run(1)
        self.world.host.boot()
        self.world.boot_registry()
        self.world.internet.run(60)
        self.world.result(self.bob.node.invitations.join(info.line))
        self.assert_together()

    def test_registry_forgets_answer(self) -> None:
        """A registry that restarts between both answers leaves nobody with half a contact."""
        info = self.invite()
        joined = self.bob.node.invitations.join(info.line)
        self.world.wait(lambda: self.alice.events(events.Paired), awaited="Alice's answer")
        self.bob.host.link = SEVERED
        self.world.internet.run(1)
        self.world.host.kill()
        self.world.internet.run(1)
        self.world.host.boot()
        self.world.boot_registry()
        self.bob.host.link = None
        self.world.result(joined, 120)
        self.assert_together()

    def test_known_already(self) -> None:
        """Who is a contact already keeps the name that it has, and counts as met by invitation."""
        self.world.result(self.bob.node.invitations.join(self.invite("robert").line))
        self.assert_together()
        self.world.result(self.bob.node.invitations.join(self.invite().line))
        self.assert_together()
        self.assertEqual([one.name for one in self.alice.node.contacts()], ["robert"])

    def test_another_registry(self) -> None:
        """Who uses another registry, or one that isn't there, is found at the inviter's, too."""
        profile = load_profile(None, self.world.random.randbytes)
        nat = self.world.nat(PORT_RESTRICTED_CONE)
        self.bob = self.world.person("bob", nat, profile, server="http://203.0.113.99:8000")
        self.world.internet.run(20)
        self.assertEqual(self.bob.events(events.Registered), [])
        info = self.invite()
        self.world.result(self.bob.node.invitations.join(info.line))
        self.assert_together()
        self.assertEqual(profile.remembered.server, self.world.url)
        registered = self.bob.events(events.Registered)
        self.assertEqual([one.server for one in registered], [self.world.url])
        lost = len(self.bob.events(events.RegistryLost))
        self.world.internet.run(60)
        self.assertEqual(len(self.bob.events(events.RegistryLost)), lost)
        made = self.world.result(self.bob.node.invitations.invite("carol", DAY, False))
        self.assertIn(self.world.url, made.line)  # there is no other to invite to

    def test_namesake(self) -> None:
        """A second of a name gets a name of its own."""
        other = self.person("bob")
        self.world.settle(other)
        self.world.result(self.bob.node.invitations.join(self.invite().line))
        self.world.result(other.node.invitations.join(self.invite().line))
        names = {one.name: one.peer_id for one in self.alice.node.contacts()}
        self.assertEqual(names, {"bob": self.bob.node.peer_id, "bob 2": other.node.peer_id})

    def test_replaced(self) -> None:
        """An invitation for a contact's new key lets that take the place of the old one."""
        self.world.result(self.bob.node.invitations.join(self.invite("my bob").line))
        new = self.person("bob")
        self.world.settle(new)
        former = self.bob.node.peer_id
        self.world.result(new.node.invitations.join(self.invite("my bob", replaces=former).line))
        [info] = self.alice.node.contacts()
        self.assertEqual((info.name, info.peer_id), ("my bob", new.node.peer_id))
        self.assertEqual(self.alice.profile.contacts[info.peer_id].before, (former,))
        changes = [one.change for one in self.alice.events(events.ContactChanged)]
        self.assertEqual(changes, ["introduced", "replaced", "introduced"])


class RefusalTests(InvitationCase):
    """Those who haven't the line, or come too late."""

    def test_wrong_word(self) -> None:
        """A wrong word burns the invitation; both are told, and nobody is a contact."""
        info = self.invite(spoken=True)
        figures, *words = info.line.split("-")
        wrong = "-".join((figures, *words[:2], "zoo" if words[2] != "zoo" else "able"))
        why = self.refused(self.bob.node.invitations.join(wrong))
        self.assertIn("mistyped", why)
        self.assertEqual(self.ended(self.alice), ["burnt"])
        why = self.refused(self.bob.node.invitations.join(info.line))  # now the right one
        self.assertIn("used already", why)
        self.assertEqual(self.alice.node.contacts() + self.bob.node.contacts(), [])
        self.assertEqual(self.alice.node.invitations.open(), [])

    def test_second_use(self) -> None:
        """Who comes second is refused, and told so."""
        info = self.invite()
        self.world.result(self.bob.node.invitations.join(info.line))
        carol = self.person("carol")
        self.world.settle(carol)
        self.assertIn("used already", self.refused(carol.node.invitations.join(info.line)))
        self.assertEqual(carol.node.contacts(), [])
        self.assert_together()

    def test_expired(self) -> None:
        """After its time there is nothing, and the inviter is told."""
        info = self.invite(seconds=100)
        self.world.internet.run(101)
        self.assertEqual(self.ended(self.alice), ["expired"])
        failure = self.failure(self.bob.node.invitations.join(info.line))
        self.assertIn("expired", failure.getErrorMessage())

    def test_withdrawn(self) -> None:
        """What was taken back is there no more; a name or nameplate says which."""
        first, second = self.invite("bob"), self.invite("carol")
        invitations = self.alice.node.invitations
        self.assertIn("say which", self.refused(invitations.withdraw("")))
        self.world.result(invitations.withdraw("CAROL"))
        self.assertEqual([one.name for one in invitations.open()], ["bob"])
        self.world.result(invitations.withdraw(""))
        self.assertEqual(self.ended(self.alice), ["withdrawn", "withdrawn"])
        self.assertIn("no invitation", self.refused(invitations.withdraw("")))
        for info in (first, second):
            failure = self.failure(self.bob.node.invitations.join(info.line))
            self.assertIn("taken back", failure.getErrorMessage())

    def test_own(self) -> None:
        """One's own invitation isn't used up by oneself."""
        info = self.invite()
        self.assertIn("your own", self.refused(self.alice.node.invitations.join(info.line)))
        self.world.result(self.bob.node.invitations.join(info.line))

    def test_own_program(self) -> None:
        """Nor by another program of one's own."""
        info = self.invite()
        seed = self.alice.profile.identity
        other = attrs.evolve(self.bob.profile, identity=seed)
        twin = self.world.person("alice", None, other, accept=AcceptPolicy.ASK)
        self.world.internet.run(5)
        self.assertIn("your own", self.refused(twin.node.invitations.join(info.line)))
        self.world.wait(lambda: self.ended(self.alice), 120, "the end")
        self.assertEqual(self.ended(self.alice), ["withdrawn"])
        self.assertEqual(self.alice.node.contacts() + twin.node.contacts(), [])

    def test_changed_file(self) -> None:
        """A file that somebody has changed costs the invitations that can't be read, no more."""
        far = 4e9
        server, seed = self.world.url, b"s" * 32
        good = str(Invitation.link(server, bytes(24)))
        tried = PakeResponse(b"B" + bytes(32), bytes(32), b"card")
        kept = KeptInvitations(
            (KeptInvitation("x", server, seed, far), KeptInvitation(good, server, seed, far)),
            (KeptTry(good, server, seed, far, bytes(33), tried),),
        )
        profile = attrs.evolve(self.bob.profile, invitations=kept)
        carol = self.world.person("carol", None, profile)
        self.assertEqual([one.line for one in carol.node.invitations.open()], [good])

    def test_no_registry(self) -> None:
        """An invitation for a registry that isn't there fails, and the person reads why."""
        line = self.invite().line
        other = parse_invitation(line, "", WORDS)
        moved = str(attrs.evolve(other, server="http://203.0.113.77:8000"))
        failure = self.failure(self.bob.node.invitations.join(moved))
        self.assertIn("http://203.0.113.77:8000", failure.getErrorMessage())
        self.assertEqual(self.ended(self.alice), [])

    def test_many(self) -> None:
        """A person has 16 open invitations; used ones don't count for long."""
        for _ in range(16):
            self.invite()
        why = self.refused(self.alice.node.invitations.invite("", DAY, False))
        self.assertIn("/uninvite", why)

    def failure(self, joined: Deferred[str]) -> Failure:
        """Return the failure of a request."""
        outcome: list[Any] = []
        joined.addBoth(outcome.append)
        self.world.wait(lambda: outcome, 60, "a failure")
        found: Failure = outcome[0]
        return found


class HostileRegistryTests(InvitationCase):
    """A registry that would like to be one of the two."""

    def table(self) -> NameplateTable:
        """Return the registry's nameplates."""
        return cast(MemoryStore, self.world.registry.store).nameplates

    def found(self, nameplate: str) -> tuple[Nameplate, float]:
        """Return what stands at a nameplate, and for how long."""
        found = self.table().find(nameplate, self.world.internet.clock.seconds())
        assert found is not None
        return found

    def swap(self, nameplate: str, **changed: str) -> None:
        """Let the registry put something else at a nameplate."""
        table = self.table()
        now = self.world.internet.clock.seconds()
        found, left = self.found(nameplate)
        table.release(nameplate, found.owner, now)
        table.claim(attrs.evolve(found, **changed), now + left, now)

    def test_other_message(self) -> None:
        """With a message of its own it stands in the inviter's place, and gets nothing."""
        info = self.invite()
        mallory = Identity.from_seed(b"m" * 32)
        guess = attrs.evolve(parse_invitation(info.line, "", WORDS), secret="a" * 26)
        false = Inviter(mallory, guess, b"m" * 32)
        self.swap(info.nameplate, message=encode_bytes(false.message))
        joined = self.bob.node.invitations.join(info.line)
        self.world.wait(lambda: self.ended(self.alice), 60, "the end")
        self.assertEqual(self.ended(self.alice), ["burnt"])  # it passed Bob's try on to Alice
        self.assertIn("changed what was sent", self.refused(joined))
        self.assertEqual(self.alice.node.contacts() + self.bob.node.contacts(), [])

    def test_other_answer(self) -> None:
        """It can neither answer for the inviter, nor put another's card in."""
        info = self.invite()
        self.alice.host.link = SEVERED
        joined = self.bob.node.invitations.join(info.line)
        self.world.internet.run(3)
        now = self.world.internet.clock.seconds()
        found, _left = self.found(info.nameplate)
        response = PakeResponse.from_json(loads(found.response.encode()))
        mallory = Identity.from_seed(b"m" * 32)
        guess = attrs.evolve(parse_invitation(info.line, "", WORDS), secret="a" * 26)
        false = Inviter(mallory, guess, b"m" * 32)
        completion, who = false.receive(response, Card("alice"), 0.0)
        self.assertIsNone(who)
        forged = attrs.evolve(completion, confirmation=bytes(32), card=response.card)
        written = dumps(forged.to_json()).decode()
        self.table().complete(info.nameplate, found.owner, written, now)
        self.assertIn("put himself between you", self.refused(joined))
        self.assertEqual(self.bob.node.contacts(), [])

    def test_other_response(self) -> None:
        """A try of its own is a wrong one."""
        info = self.invite()
        now = self.world.internet.clock.seconds()
        tried = PakeResponse(b"B" + bytes(32), bytes(32), bytes(300))
        self.table().respond(info.nameplate, dumps(tried.to_json()).decode(), now)
        self.world.wait(lambda: self.ended(self.alice), 60, "the end")
        self.assertEqual(self.ended(self.alice), ["burnt"])
