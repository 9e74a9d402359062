"""
Who is meant, among whole peers: a friend's name taken by somebody else, and ids that are names.

Alice and Bob talked once, so that they are each other's contacts; then Mallory comes.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.errors import ConfigurationError, RemoteProtocolError, WhoError
from p2pchat.peer.settings import NodeSettings
from p2pchat.session.approval import AcceptPolicy
from p2pchat.wire.documents import Registration
from tests.simulation.behaviour import SYMMETRIC
from tests.simulation.world import Person, World
from tests.ui.listing_front_end import ListingFrontEnd


class NamesCase(SynchronousTestCase):
    """People who ask before they accept."""

    def setUp(self) -> None:
        self.world = World(4)

    def person(self, name: str, **settings: Any) -> Person:
        """Start somebody who asks, and wait until the registry has them."""
        one = self.world.person(name, **{"accept": AcceptPolicy.ASK, **settings})
        self.world.settle(one)
        return one

    def meet(self, caller: Person, called: Person) -> None:
        """Let one call and the other accept."""
        self.world.result(caller.node.connect(called.node.peer_id))
        self.world.wait(lambda: called.events(events.OfferReceived), awaited="the call")
        called.node.accept(caller.node.peer_id)
        self.world.wait(lambda: caller.is_connected_to(called), awaited="a conversation")
        self.world.wait(lambda: called.is_connected_to(caller), awaited="a conversation")

    def part(self, one: Person, other: Person) -> None:
        """End the conversation."""
        one.node.disconnect(other.node.peer_id)
        self.world.internet.run(3)

    def leave(self, person: Person) -> None:
        """End somebody's program."""
        self.world.result(person.node.stop())

    def called(self, person: Person, by: Person) -> events.OfferReceived:
        """Let one call the other, and return what the called reads."""
        before = len(person.events(events.OfferReceived))
        self.world.result(by.node.connect(person.node.peer_id))
        self.world.wait(lambda: len(person.events(events.OfferReceived)) > before, awaited="a call")
        return person.events(events.OfferReceived)[-1]


class TakenNameTests(NamesCase):
    """Somebody else has a friend's name."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.bob = self.person("alice"), self.person("bob")
        self.meet(self.alice, self.bob)
        self.part(self.alice, self.bob)

    def test_contacts(self) -> None:
        """Both became contacts by the conversation, and read that they did."""
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            (told,) = one.events(events.ContactChanged)
            self.assertEqual((told.peer_id, told.change), (other.node.peer_id, "added"))
            self.assertEqual(one.profile.contacts.names(), {other.node.peer_id: other.name})

    def test_friend_is_away(self) -> None:
        """A call by the friend's name never reaches one who took it while the friend is away."""
        self.leave(self.bob)
        mallory = self.person("bob")
        called = self.world.result(self.alice.node.connect("bob"))
        self.assertEqual(called, self.bob.node.peer_id)
        self.alice.node.send(called, "my secret for bob")
        self.world.wait(lambda: self.alice.events(events.CallFailed), awaited="the failure")
        self.world.internet.run(100)
        self.assertEqual((mallory.events(events.OfferReceived), mallory.texts()), ([], []))
        self.assertEqual(self.alice.events(events.CallFailed)[0].undelivered, 1)

    def test_friend_is_there(self) -> None:
        """With both online the name means the friend, and the list tells them apart."""
        mallory = self.person("bob")
        self.assertEqual(self.world.result(self.alice.node.connect("bob")), self.bob.node.peer_id)
        records = {one.peer_id: one for one in self.world.result(self.alice.node.peers())}
        self.assertEqual(records[self.bob.node.peer_id].contact, "bob")
        stranger = records[mallory.node.peer_id]
        self.assertEqual((stranger.contact, stranger.mistaken_for), ("", self.bob.node.peer_id))

    def test_impostor_calls(self) -> None:
        """One who calls under the friend's name is announced as another, and becomes no contact."""
        mallory = self.person("bob")
        offer = self.called(self.alice, mallory)
        self.assertEqual((offer.contact, offer.mistaken_for), (False, self.bob.node.peer_id))
        self.alice.node.accept(mallory.node.peer_id)
        self.world.wait(lambda: mallory.is_connected_to(self.alice), awaited="a conversation")
        connected = self.alice.events(events.Connected)[-1]
        self.assertEqual(connected.mistaken_for, self.bob.node.peer_id)
        self.assertEqual(list(self.alice.profile.contacts.names()), [self.bob.node.peer_id])
        with self.assertRaises(WhoError):
            self.alice.node.find("bob")

    def test_new_key(self) -> None:
        """A friend with a new key is a stranger until the old one is forgotten."""
        self.leave(self.bob)
        again = self.person("bob")
        self.meet(again, self.alice)
        self.part(again, self.alice)
        self.alice.node.forget("bob")
        self.assertEqual(self.alice.node.contacts(), [])
        self.meet(self.alice, again)
        self.assertEqual(self.alice.profile.contacts.names(), {again.node.peer_id: "bob"})
        self.assertEqual(self.alice.node.find("bob"), again.node.peer_id)

    def test_contact_keeps_its_name(self) -> None:
        """A contact that calls itself otherwise keeps its name, and the change is told."""
        self.leave(self.bob)
        host, profile = self.bob.host, self.bob.profile
        robert = self.world.start_on(host, "robert", profile, accept=AcceptPolicy.ASK)
        self.world.settle(robert)
        self.assertEqual(self.called(self.alice, robert).name, "bob")
        self.assertEqual(self.alice.node.find("bob"), robert.node.peer_id)
        self.alice.node.accept("bob")
        self.world.wait(lambda: robert.is_connected_to(self.alice), awaited="a conversation")
        robert.say("hi", self.alice)
        self.world.wait(self.alice.texts, awaited="a line")
        self.assertEqual(self.alice.events(events.MessageReceived)[0].name, "bob")


class IdsTests(NamesCase):
    """What is an id is only ever an id."""

    def test_registry_refuses(self) -> None:
        """A name that looks like an id isn't registered at all."""
        alice = self.person("alice")
        for name in (alice.node.peer_id, alice.node.peer_id[:8], "you to bob", "bob: yes"):
            with self.assertRaises(ConfigurationError) as caught:
                NodeSettings(name)
            self.assertIn(repr(name), str(caught.exception))
            members = Registration(name).to_json()
            self.assertRaises(RemoteProtocolError, Registration.from_json, members)

    def test_prefix(self) -> None:
        """A few digits call nobody; many ask for the whole id; a contact needs eight."""
        alice, bob = self.person("alice"), self.person("bob")
        for length, sentence in ((7, "8 characters"), (8, "16"), (16, "/connect")):
            who = bob.node.peer_id[:length]
            with self.assertRaises(WhoError) as caught:
                self.world.result(alice.node.connect(who))
            self.assertIn(sentence, str(caught.exception))
        self.assertEqual(bob.events(events.OfferReceived), [])
        self.meet(alice, bob)
        self.part(alice, bob)
        called = self.world.result(alice.node.connect(bob.node.peer_id[:8]))
        self.assertEqual(called, bob.node.peer_id)


class CallsOfStrangersTests(NamesCase):
    """Nobody rings as he likes."""

    def test_ringing_and_taking_back(self) -> None:
        """Twelve calls in as many seconds are one ring; the last one can be accepted."""
        alice, mallory = self.person("alice"), self.person("mallory")
        for _ in range(12):
            self.world.result(mallory.node.connect(alice.node.peer_id))
            self.world.internet.run(0.5)
            mallory.node.disconnect(alice.node.peer_id)
            self.world.internet.run(0.5)
        offers = alice.events(events.OfferReceived)
        self.assertEqual([one.quiet for one in offers].count(False), 1)
        self.assertLess(len(offers), 9)
        self.assertTrue(all(one.quiet for one in alice.events(events.OfferEnded)[1:]))

    def test_muted(self) -> None:
        """Who is muted calls without a sound, and can be accepted by the id."""
        alice, bob = self.person("alice"), self.person("bob")
        alice.node.mute(bob.node.peer_id)
        self.assertTrue(self.called(alice, bob).quiet)
        alice.node.accept(bob.node.peer_id[:8])
        self.world.wait(lambda: alice.is_connected_to(bob), awaited="a conversation")

    def test_quiet_messages(self) -> None:
        """What a contact says may disturb, but not what strangers and muted contacts say."""
        alice, bob = self.person("alice"), self.person("bob", accept=AcceptPolicy.ALL)
        self.world.result(alice.node.connect(bob.node.peer_id))
        self.world.wait(lambda: bob.is_connected_to(alice), awaited="a conversation")
        for number, (one, other) in enumerate(((alice, bob), (bob, alice), (bob, alice))):
            one.node.send(other.node.peer_id, f"line {number}")
            self.world.internet.run(1)
            alice.node.mute("bob", True)
        self.assertEqual([one.quiet for one in bob.events(events.MessageReceived)], [True])
        self.assertEqual([one.quiet for one in alice.events(events.MessageReceived)], [True, True])
        alice.node.mute("bob", False)
        bob.node.send(alice.node.peer_id, "loud")
        self.world.internet.run(1)
        self.assertFalse(alice.events(events.MessageReceived)[-1].quiet)

    def test_blocked(self) -> None:
        """Who is blocked reaches nobody, during a conversation and afterwards, until unblocked."""
        alice, bob = self.person("alice"), self.person("bob")
        self.meet(bob, alice)
        alice.node.block("bob")
        self.world.internet.run(3)
        self.assertFalse(bob.is_connected_to(alice))
        self.world.result(bob.node.connect(alice.node.peer_id))
        self.world.wait(lambda: bob.events(events.CallFailed), awaited="the failure")
        self.assertEqual(bob.events(events.CallFailed)[0].reason, "no-answer")
        self.assertEqual(len(alice.events(events.OfferReceived)), 2, "asked and accepted, once")
        with self.assertRaises(WhoError):
            self.world.result(alice.node.connect("bob"))
        alice.node.block("bob", False)
        self.called(alice, bob)

    def test_contact_among_strangers(self) -> None:
        """A flood of throw-away keys keeps no contact from ringing, and no call of ours back."""
        alice, bob = self.person("alice"), self.person("bob")
        self.meet(alice, bob)
        self.part(alice, bob)
        strangers = [self.person(f"stranger {number}") for number in range(36)]
        for one in strangers:
            one.node.connect(alice.node.peer_id)
        self.world.internet.run(1)
        self.assertFalse(self.called(alice, bob).quiet)
        alice.node.accept("bob")
        self.world.wait(lambda: alice.is_connected_to(bob), awaited="a conversation")
        loud = [one for one in alice.events(events.OfferReceived) if not one.quiet]
        self.assertLess(len(loud), 14)


class TypingTests(NamesCase):
    """What is being typed reaches nobody else, with real peers at the other end."""

    def setUp(self) -> None:
        super().setUp()
        self.alice = self.person("alice")
        self.boss = self.person("boss", accept=AcceptPolicy.ALL)
        self.mallory = self.person("mallory", accept=AcceptPolicy.ALL)
        front_end = ListingFrontEnd(self.alice.node)
        self.shown, self.typed = front_end.shown, front_end.requests

    def begin(self, who: Person) -> None:
        """Call somebody as a person does."""
        self.typed.type(f"/connect {who.node.peer_id}")
        self.world.wait(lambda: self.alice.is_connected_to(who), awaited="a conversation")
        self.world.wait(lambda: who.is_connected_to(self.alice), awaited="a conversation")

    def test_reason_of_theirs(self) -> None:
        """Whoever leaves with a word of ours doesn't make another conversation the current one."""
        self.begin(self.boss)
        self.begin(self.mallory)
        self.mallory.node.disconnect(self.alice.node.peer_id)
        self.world.internet.run(3)
        self.typed.type("mallory, I hate my boss")
        self.world.internet.run(3)
        self.assertEqual(self.boss.texts(), [])

    def test_somebody_connects(self) -> None:
        """Whoever connects right after an end gets nothing."""
        self.begin(self.boss)
        self.boss.node.disconnect(self.alice.node.peer_id)
        self.world.internet.run(3)
        self.world.result(self.mallory.node.connect(self.alice.node.peer_id))
        self.world.internet.run(0.5)
        self.alice.node.accept(self.mallory.node.peer_id)
        self.world.wait(lambda: self.alice.is_connected_to(self.mallory), awaited="a conversation")
        self.typed.type("as I said, boss")
        self.assertIn("Not sent: there is no", self.shown[-1].reason)
        self.world.internet.run(3)
        self.assertEqual(self.mallory.texts(), [])


class ChoosingTests(NamesCase):
    """A command that chooses somebody chooses whom the person saw, or nobody."""

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.bob = self.person("alice"), self.person("bob")
        front_end = ListingFrontEnd(self.alice.node)
        self.shown, self.typed = front_end.shown, front_end.requests

    def talk(self, other: Person) -> None:
        """Call somebody as a person does, and let them accept."""
        self.typed.type(f"/connect {other.name}")
        self.world.wait(lambda: other.events(events.OfferReceived), awaited="the call")
        other.node.accept(self.alice.node.peer_id)
        self.world.wait(lambda: self.alice.is_connected_to(other), awaited="a conversation")
        self.world.wait(lambda: other.is_connected_to(self.alice), awaited="a conversation")

    def hang_up(self, caller: Person) -> None:
        """Let a call be taken back."""
        caller.node.disconnect(self.alice.node.peer_id)
        self.world.internet.run(1)

    def test_unseen_call(self) -> None:
        """A call that wasn't shown isn't what /accept means, by itself or by name."""
        mallory = self.person("mallory")
        self.called(self.alice, mallory)
        self.hang_up(mallory)
        self.assertTrue(self.called(self.alice, mallory).quiet)
        self.called(self.alice, self.bob)
        self.hang_up(self.bob)
        for line in ("/accept", "/accept mallory", "hi bob, the door code is 1234"):
            self.typed.type(line)
            self.assertIsInstance(self.shown[-1], events.Trouble)
        self.world.internet.run(5)
        self.assertEqual(mallory.texts(), [])
        self.typed.type(f"/accept {mallory.node.peer_id[:8]}")
        self.world.wait(lambda: self.alice.is_connected_to(mallory), awaited="a conversation")

    def test_gone(self) -> None:
        """When the one who called last is gone, /accept takes no earlier caller."""
        carol = self.person("carol")
        self.called(self.alice, carol)
        self.called(self.alice, self.bob)
        self.hang_up(self.bob)
        self.typed.type("/accept")
        self.assertIn("bob no longer calls", self.shown[-1].reason)
        self.typed.type("/accept")
        self.world.wait(lambda: self.alice.is_connected_to(carol), awaited="a conversation")

    def test_vain_choice(self) -> None:
        """After an /accept or a /to that finds nobody nothing goes to whom one talked to before."""
        boss = self.person("boss")
        self.talk(boss)
        for line in ("/accept bob", "bob, I hate my boss", "/to boss", "/to bob", "really"):
            self.typed.type(line)
        self.world.internet.run(3)
        self.assertEqual(boss.texts(), [])

    def test_vain_call(self) -> None:
        """After a /connect that finds nobody, whoever connects doesn't become current."""
        self.typed.type("/connect dave")
        self.world.internet.run(2)
        self.called(self.alice, self.bob)
        self.alice.node.accept("bob")
        self.world.wait(lambda: self.alice.is_connected_to(self.bob), awaited="a conversation")
        self.typed.type("dave, my secret")
        self.world.internet.run(2)
        self.assertEqual(self.bob.texts(), [])

    def test_one_yes(self) -> None:
        """One yes is for all attempts of a call, and its failure is told once, to both."""
        alice = self.world.person("alice", self.world.nat(SYMMETRIC), accept=AcceptPolicy.ASK)
        bob = self.world.person("bob", self.world.nat(SYMMETRIC))
        self.world.settle(alice, bob)
        self.called(alice, bob)
        alice.node.accept(bob.node.peer_id)
        self.world.wait(lambda: bob.events(events.CallFailed), 200, "the failure")
        self.world.internet.run(30)
        self.assertEqual(
            [one.accepted for one in alice.events(events.OfferReceived)], [False, True]
        )
        for one in (alice, bob):
            self.assertEqual([e.reason for e in one.events(events.CallFailed)], ["no-path"])
        self.assertEqual(alice.node.conversations(), [])

    def test_call_back_at_once(self) -> None:
        """Who calls back while our goodbye is under way is a new call, which waits."""
        self.meet(self.bob, self.alice)
        self.alice.node.disconnect(self.bob.node.peer_id)
        self.world.wait(lambda: self.bob.events(events.Disconnected), awaited="the end")
        self.world.result(self.bob.node.connect(self.alice.node.peer_id))
        self.world.internet.run(6)
        self.assertEqual(self.alice.events(events.CallFailed), [])
        (info,) = self.alice.node.conversations()
        self.assertEqual(info.state, "offered")

    def test_call_again_at_once(self) -> None:
        """Who ends a conversation and calls again at once is asked about again."""
        self.talk(self.bob)
        for line in ("/disconnect", "/connect bob", "one more thing"):
            self.typed.type(line)
        self.world.internet.run(5)
        self.assertEqual(self.bob.events(events.Disconnected)[0].reason, "left")
        self.assertEqual(self.bob.texts(), [])
        self.bob.node.accept(self.alice.node.peer_id)
        self.world.wait(self.bob.texts, awaited="the line")

    def test_block_the_one_who_rings(self) -> None:
        """Where another has a contact's name, /block wants the id."""
        self.talk(self.bob)
        mallory = self.person("bob")
        self.called(self.alice, mallory)
        for line in ("/block bob", "/mute bob"):
            self.typed.type(line)
            self.assertIn(mallory.node.peer_id, self.shown[-1].reason)
        self.typed.type(f"/block {mallory.node.peer_id[:8]}")
        self.world.internet.run(3)
        self.assertTrue(self.alice.is_connected_to(self.bob))
        self.assertTrue(self.alice.profile.contacts[mallory.node.peer_id].is_blocked)

    def test_accept_the_one_who_rings(self) -> None:
        """Where the contact isn't there, the sentence says who is, under its name."""
        self.talk(self.bob)
        self.part(self.alice, self.bob)
        mallory = self.person("bob")
        self.called(self.alice, mallory)
        self.typed.type("/accept bob")
        self.assertIn(mallory.node.peer_id, self.shown[-1].reason)
        self.typed.type("hello?")
        self.assertIn("not your contact", self.shown[-1].reason)

    def test_forgotten(self) -> None:
        """Who was forgotten comes back as a stranger, lost or not."""
        self.meet(self.bob, self.alice)
        self.alice.node.forget("bob")
        self.bob.host.kill()
        self.world.internet.run(400)
        again = self.world.start_on(self.world.internet.host(), "dad", self.bob.profile)
        self.world.settle(again)
        again.node.connect(self.alice.node.peer_id)
        self.world.internet.run(5)
        self.assertEqual(self.alice.profile.contacts.names(), {})
        self.assertFalse(self.alice.is_connected_to(again))

    def test_typed_otherwise(self) -> None:
        """A contact's name is its name however a keyboard composes it."""
        zoe = self.person("Zoë")
        self.meet(self.alice, zoe)
        called = self.world.result(self.alice.node.connect("Zoe\u0308"))
        self.assertEqual(called, zoe.node.peer_id)


class GoneTests(NamesCase):
    """Who isn't there any more is the reason, not the network."""

    def test_caller_is_gone(self) -> None:
        """Who accepts a call of one whose program died reads that they are gone."""
        alice, bob = self.person("alice"), self.person("bob")
        self.world.result(bob.node.connect(alice.node.peer_id))
        self.world.wait(lambda: alice.events(events.OfferReceived), awaited="the call")
        bob.host.kill()
        self.world.internet.run(0.2)
        alice.node.accept("bob")
        self.world.wait(lambda: alice.events(events.CallFailed), 120, awaited="the failure")
        failed = alice.events(events.CallFailed)[0]
        self.assertEqual(failed.reason, "peer-offline")
        self.assertIn("they are gone", failed.explanation)
