"""Tests of :mod:`p2pchat.ui.requests`."""

from __future__ import annotations

import attrs
from twisted.internet.defer import fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import (
    ConfigurationError,
    RegistryError,
    RegistryUnreachable,
    TextTooLong,
    TooManyLines,
    WhoError,
)
from p2pchat.interfaces import INode
from p2pchat.peer.signaling import PeerRecord
from p2pchat.session.connection_report import ConnectionReport, Note
from p2pchat.ui import results
from p2pchat.ui.requests import trouble_of
from tests.ui.fake_node import ALICE, BOB, CAROL, FakeNode
from tests.ui.listing_front_end import ListingFrontEnd


class RequestsTests(SynchronousTestCase):
    """A typed line reaches whom it is meant for, or the person is told what to do."""

    def setUp(self) -> None:
        self.node = FakeNode()
        verifyObject(INode, self.node)
        self.front_end = ListingFrontEnd(self.node)
        self.announced, self.talk = self.front_end.shown, self.front_end.requests

    def _complaint(self) -> str:
        complaint = self.announced[-1]
        assert isinstance(complaint, events.Trouble)
        return complaint.reason

    def test_nobody(self) -> None:
        """A text without a conversation is not lost without a word."""
        self.talk.type("hello?")
        self.assertIn("/connect WHO", self._complaint())

    def test_first_conversation(self) -> None:
        """A conversation that begins by itself is current where there never was one."""
        self.node.begin(BOB)
        self.node.begin(CAROL)
        self.talk.type("hi")
        self.assertEqual(self.node.asked, [("send", BOB, "hi")])
        self.assertIn(results.CurrentConversation(BOB, "bob"), self.announced)

    def test_switch(self) -> None:
        """/to chooses whom one talks to."""
        self.node.begin(BOB)
        self.node.begin(CAROL)
        self.talk.type("/to carol")
        self.talk.type("hi")
        self.assertEqual(self.node.asked, [("send", CAROL, "hi")])
        self.talk.type("/to dave")
        self.assertIn("dave", self._complaint())

    def test_call(self) -> None:
        """Text typed while a peer is looked for goes to that peer, in order."""
        self.node.begin(CAROL)
        self.talk.type("/connect bob")
        self.talk.type("one")
        self.talk.type("two")
        self.node.calls[0].callback(BOB)
        self.talk.type("three")
        sent = [("send", BOB, text) for text in ("one", "two", "three")]
        self.assertEqual(self.node.asked, [("connect", "bob"), *sent])

    def test_vain_call(self) -> None:
        """Whom nobody knows can't be called; what was typed meanwhile goes to nobody."""
        self.node.begin(CAROL)
        self.talk.type("/connect dave")
        self.talk.type("secret")
        self.node.calls[0].errback(WhoError("Nobody is called dave."))
        reasons = [one.reason for one in self.announced if isinstance(one, events.Trouble)]
        self.assertEqual(reasons[0], "Nobody is called dave.")
        self.assertIn("secret", reasons[1])
        self.talk.type("and the rest of it")
        self.assertIn("Not sent: there is no", self._complaint())
        self.assertEqual(self.node.asked, [("connect", "dave")])

    def test_calls_at_once(self) -> None:
        """Of two who are looked for each gets what was typed for it; the last named is current."""
        self.talk.type("/connect bob")
        self.talk.type("for bob")
        self.talk.type("/connect carol")
        self.talk.type("for carol")
        self.node.calls[1].callback(CAROL)
        self.node.calls[0].callback(BOB)
        self.talk.type("more for carol")
        sent = [(CAROL, "for carol"), (BOB, "for bob"), (CAROL, "more for carol")]
        self.assertEqual(self.node.asked[2:], [("send", *one) for one in sent])

    def test_end_while_calling(self) -> None:
        """The end of another conversation takes nothing from whom is looked for."""
        self.node.begin(CAROL)
        self.talk.type("/connect bob")
        self.talk.type("for bob")
        self.node.end(CAROL)
        self.talk.type("more")
        self.node.calls[0].callback(BOB)
        self.assertEqual(self.node.asked[1:], [("send", BOB, "for bob"), ("send", BOB, "more")])

    def test_ended_by_them(self) -> None:
        """When the other side leaves, a half-typed line must not reach a third person."""
        self.node.begin(BOB)
        self.node.begin(CAROL)
        self.node.end(BOB)
        self.talk.type("as I said")
        self.assertEqual(self.node.asked, [])
        self.assertIn("/to WHO: carol (ca401000)", self._complaint())

    def test_nobody_takes_the_place(self) -> None:
        """After an end whoever connects by himself gets nothing that is being typed."""
        self.node.begin(BOB)
        self.node.end(BOB, "closed")
        self.node.begin(CAROL)
        self.talk.type("bob, I hate my boss")
        self.assertEqual((self.node.asked, self.talk.cursor.current), ([], ""))

    def test_words_of_the_other_side(self) -> None:
        """No reason that the other side gives makes an end ours."""
        self.node.begin(CAROL)
        self.node.begin(BOB)
        self.talk.type("/to bob")
        for reason in ("closed", "cancelled", "left"):
            self.node.end(BOB, reason)
            self.assertEqual(self.talk.cursor.current, "")

    def test_ended_by_us(self) -> None:
        """After /disconnect what is being typed goes to nobody, too."""
        self.node.begin(BOB)
        self.node.begin(CAROL)
        self.talk.type("/to carol")
        self.talk.type("/disconnect")
        self.assertEqual(self.node.asked, [("disconnect", CAROL)])
        self.assertEqual(self.talk.cursor.current, "")
        self.talk.type("/disconnect")
        self.assertIn("no current conversation", self._complaint())

    def test_failed_call(self) -> None:
        """A call that fails leaves no conversation, and its story is found by /why."""
        self.talk.type("/connect bob")
        self.node.calls[0].callback(BOB)
        del self.node.infos[BOB]
        self.node.tell(events.CallFailed(BOB, "bob", "no-answer", "Nobody answered."))
        self.assertEqual(self.talk.cursor.current, "")
        facts = self.node.story = ConnectionReport(notes=(Note(12.0, "It rang."),))
        story = results.Explanation(
            BOB, "bob", ("nothing was tried yet", "+12 ms: It rang."), facts
        )
        for line in ("/why", "/why bob", "/why b0b0"):
            self.talk.type(line)
            self.assertEqual(self.announced[-1], story)
        self.talk.type("/why dave")
        self.assertIn("dave", self._complaint())

    def test_accept(self) -> None:
        """/accept without a name takes the only offer, and makes it current."""
        self.talk.type("/accept")
        self.assertEqual(self._complaint(), "Nobody is calling.")
        self.node.offer(BOB)
        self.talk.type("hi")
        self.assertIn("/accept or /reject", self._complaint())
        self.talk.type("/to bob")
        self.assertIn("is calling: /accept", self._complaint())
        self.talk.type("/accept")
        self.talk.type("hi")
        self.assertEqual(self.node.asked, [("accept", BOB), ("send", BOB, "hi")])

    def test_several_offers(self) -> None:
        """Of several offers one has to be named, unless just one is a contact's."""
        self.node.offer(BOB)
        self.node.offer(CAROL)
        self.talk.type("/reject")
        self.assertEqual(self.node.asked, [("reject", CAROL)], "the contact")
        self.node.offer(CAROL)
        self.node.infos[CAROL] = attrs.evolve(self.node.infos[CAROL], contact=False)
        self.talk.type("/reject")
        self.assertIn("bob (b0b00000), carol (ca401000)", self._complaint())
        self.talk.type("/reject bob")
        self.assertEqual(self.node.asked[1:], [("reject", BOB)])
        self.assertEqual(self.announced[-1], results.Rejected(BOB, "bob"))

    def test_answers(self) -> None:
        """/help, /me, /nat and /peers answer."""
        self.node.begin(BOB)
        self.node.records = succeed([PeerRecord(BOB, "bob")])
        for line in ("/help", "/me", "/nat", "/peers"):
            self.talk.type(line)
        commands, me, nat, peers = self.announced[-4:]
        self.assertIn(("/quit", "leave; so do Ctrl-C and Ctrl-D"), commands.commands)
        self.assertEqual((me.peer_id, me.conversations[0].name), (ALICE, "bob"))
        self.assertEqual(attrs.astuple(nat), attrs.astuple(self.node.nat()))
        self.assertEqual(peers, results.PeerList((PeerRecord(BOB, "bob"),)))

    def test_privacy(self) -> None:
        """What contacts are let know is shown and switched; programs say what is read or typed."""
        self.node.begin(CAROL)
        self.talk.reading.show(events.MessageReceived(CAROL, "carol", "m1", "hi", 0.0))
        for line in ("/typing", "/typing carol", "/read", "/read carol"):
            self.talk.type(line)
        self.assertEqual(self.node.asked, [("typing", CAROL), ("seen", CAROL, "m1")])
        for line, switches in (
            ("/privacy", (True, True, False)),
            ("/privacy typing off", (True, False, False)),
            ("/invisible on", (True, False, True)),
            ("/privacy receipts off", (False, False, True)),
        ):
            self.talk.type(line)
            self.assertEqual(self.announced[-1], results.PrivacySwitches(*switches))
        self.talk.type("/relay-only my carol on")
        self.assertEqual(self.node.asked[-1], ("relay_only", "my carol", "True"))
        self.talk.type("/relay-only carol")
        self.assertEqual(self.announced[-1].word, results.WHO)
        self.talk.type("/privacy typing maybe")
        self.assertEqual(self.announced[-1].word, results.WHO)

    def test_contacts(self) -> None:
        """/contacts lists them; what changes one goes to the node."""
        self.talk.type("/contacts")
        (listed,) = self.announced[-1].contacts
        self.assertEqual((listed.peer_id, listed.name), (CAROL, "carol"))
        words = ("forget", "block", "unblock", "mute", "unmute")
        for word in words:
            self.talk.type(f"/{word} carol")
        self.assertEqual(self.node.asked, [(word, "carol") for word in words])

    def test_registry_away(self) -> None:
        """A registry that can't be asked is said in its own words."""
        self.node.records = fail(RegistryUnreachable())
        self.talk.type("/peers")
        self.assertIn("can't be reached", self._complaint())

    def test_fault(self) -> None:
        """A fault of the node is logged and told, and raises nothing."""
        self.node.records = fail(ZeroDivisionError("oh"))
        self.talk.type("/peers")
        self.assertIn("Internal error", self._complaint())
        self.assertEqual(self.announced[-1].word, "internal")
        (logged,) = self.flushLoggedErrors(ZeroDivisionError)
        self.assertIn("oh", logged.getTraceback())

    def test_story_before_any(self) -> None:
        """/why before any connection says so."""
        self.talk.type("/why")
        self.assertIn("no call yet", self._complaint())

    def test_say_to(self) -> None:
        """A program's text goes to an id or a contact, never to a name that anybody can take."""
        self.node.begin(BOB)
        self.node.begin(CAROL)
        self.talk.say_to("carol", "psst")
        self.assertEqual(self.node.asked, [("send", CAROL, "psst")])
        self.assertEqual(self.talk.cursor.current, BOB)
        for who in ("dave", "bob"):
            self.talk.say_to(who, "psst")
            self.assertIn(who, self._complaint())
        self.talk.say_to(BOB, "psst")
        self.assertEqual(self.node.asked[1:], [("send", BOB, "psst")])

    def test_quit_and_mistakes(self) -> None:
        """/quit leaves; a mistake is told; an empty line is nothing."""
        self.talk.type("/quti")
        self.assertIn("/quit", self._complaint())
        self.talk.type("/quit")
        self.talk.type("")
        self.assertEqual((len(self.announced), self.front_end.left), (1, 1))


class TroubleTests(SynchronousTestCase):
    """A person reads a sentence, a program compares a word, and the log has the rest."""

    def test_ours(self) -> None:
        """Errors of ours are told in their own words."""
        for error, word in (
            (WhoError("Nobody is called dave."), "who"),
            (TextTooLong("Too long."), "too-long"),
            (TooManyLines("Too many."), "too-many"),
            (RegistryError("Ask later.", 429, "too-many-requests"), "too-many-requests"),
            (ConfigurationError("No."), ""),
        ):
            self.assertEqual(trouble_of(Failure(error)), events.Trouble(str(error), word))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_fault(self) -> None:
        """A fault is logged with its traceback, and told without what only its log should say."""
        try:
            raise KeyError("secret")
        except KeyError:
            told = trouble_of(Failure())
        self.assertEqual(told.word, "internal")
        self.assertNotIn("secret", told.reason)
        (logged,) = self.flushLoggedErrors(KeyError)
        self.assertIn("test_requests.py", logged.getTraceback())
