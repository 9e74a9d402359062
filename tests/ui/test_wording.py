"""Tests of :mod:`p2pchat.ui.wording`."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer import events
from p2pchat.peer.settings import DEFAULT_SERVER, ConversationInfo
from p2pchat.ui import answers
from p2pchat.ui.ink import Ink
from p2pchat.ui.pages import Page
from p2pchat.ui.wording import Wording
from tests.ui.fake_node import ALICE, BOB, CAROL

_STORED = [
    events.Starting(ALICE, "", "", "", "/", ("identity",)),
    events.Leaving(5.0),
    events.Registered(ALICE, "", "", "", 0),
    events.RegistryLost("", 1.0),
    answers.Nat("", "", ""),
    events.Calling(BOB, "", 1, 3),
    events.Rings(BOB, ""),
    events.OfferReceived(BOB, "", True),
    events.Checking(BOB, "", ("",)),
    events.PathFound(BOB, "", "", "", "", 1.0, 1.0),
    events.PathLost(BOB, "", ""),
    events.Disconnected(BOB, "", "", 2),
    events.CallFailed(BOB, "", "", ""),
    events.MessageReceived(BOB, "", "", "", 0.0),
    events.OfferEnded(BOB, "", ""),
    events.Trouble(""),
]


def filled(value: Any, text: str) -> Any:
    """Return an event whose texts, ids apart, are all this one."""
    names = [field.name for field in attrs.fields(type(value)) if field.type == "str"]
    changes: dict[str, Any] = {name: text for name in names if name != "peer_id"}
    if isinstance(value, events.Checking):
        changes["addresses"] = (text,)
    return attrs.evolve(value, **changes)


class WordingTests(SynchronousTestCase):
    """A person reads what happened, and can tell who is who."""

    def setUp(self) -> None:
        self.wording = Wording("alice")

    def _said(self, value: Any) -> str:
        return "\n".join(one.lead + row for one in self.wording.say(value) for row in one.rows)

    def test_starting(self) -> None:
        """The start says what it does, and what becomes of the identity."""
        kept = events.Starting(ALICE, "alice", "http://r.example", "1.0", "/state")
        first = "Registering as alice at http://r.example."
        self.assertEqual(self._said(kept), first)
        new = attrs.evolve(kept, remembered=("identity", "username", "server"))
        what = "a new identity, your name, the registry"
        self.assertEqual(self._said(new), f"{first}\nKept for the next start, in /state: {what}.")
        usual = self._said(attrs.evolve(kept, server=DEFAULT_SERVER))
        self.assertIn("; --server URL names another registry.", usual)
        in_memory = self._said(attrs.evolve(kept, state=""))
        self.assertTrue(in_memory.startswith(f"{first}\nYour id is new and ends with this program"))

    def test_leaving(self) -> None:
        """Leaving says how long it may take."""
        self.assertIn("for at most 5 seconds", self._said(events.Leaving(5.0)))

    def test_path(self) -> None:
        """A path is told with its candidate types and its time."""
        path = events.PathFound(BOB, "bob", "host", "srflx", "203.0.113.7:4242", 43.2, 11.6)
        self.assertEqual(
            self._said(path),
            "Path to bob found in 43 ms: direct, host to srflx 203.0.113.7:4242, round trip 12 ms.",
        )
        self.assertIn("through a relay", self._said(attrs.evolve(path, remote="relay")))

    def test_failure(self) -> None:
        """A failure comes with its explanation, or at least with its reason."""
        failed = events.CallFailed(BOB, "bob", "no-path", "All 4 pairs were silent.")
        self.assertEqual(
            self._said(failed), "No conversation with bob (b0b00000): All 4 pairs were silent."
        )
        self.assertIn("no-path", self._said(attrs.evolve(failed, explanation="")))

    def test_offer(self) -> None:
        """An offer says how to answer it, unless it is accepted already."""
        offer = events.OfferReceived(BOB, "bob", False)
        self.assertEqual(self._said(offer), "bob (b0b00000) wants to talk: /accept or /reject.")
        self.assertIn("accepted", self._said(attrs.evolve(offer, accepted=True)))

    def test_same_names(self) -> None:
        """Whoever takes another's name, ours or "you", is shown with an id."""
        self.wording.say(events.Connected(BOB, "bob", 1.0, False))
        self.assertEqual(self.wording.label(BOB), "bob")
        self.wording.say(events.OfferReceived(CAROL, "Bob", False))
        self.assertEqual(self.wording.label(BOB), "bob (b0b00000)")
        for name in ("Alice", "you", "bob (b0b00000)"):
            self.wording.say(events.OfferReceived(CAROL, name, False))
            self.assertEqual(self.wording.label(CAROL), f"{name} (ca401000)")

    def test_message(self) -> None:
        """A message from another than the current conversation says how to answer, once."""
        self.wording.say(answers.CurrentConversation(BOB, "bob"))
        self.assertEqual(self.wording.prompt(), "bob> ")
        hi = events.MessageReceived(BOB, "bob", "m1", "hi", 0.0)
        aside = attrs.evolve(hi, peer_id=CAROL, name="carol")
        self.assertEqual(self._said(hi), "bob: hi")
        self.assertIn("/to ca401000", self._said(aside))
        self.assertEqual(self._said(aside), "carol: hi")

    def test_sent(self) -> None:
        """Own lines name their receiver where it isn't the current one, and say that they wait."""
        self.wording.say(events.Connected(BOB, "bob", 1.0, False))
        self.wording.say(answers.CurrentConversation(BOB, "bob"))
        self.assertEqual(self._said(events.MessageSent(BOB, "s1", "hi")), "you: hi")
        waits = self._said(events.MessageSent(CAROL, "s2", "ho"))
        self.assertIn("(waits for the connection)", waits)
        self.assertTrue(waits.startswith("you to"))

    def test_delivered(self) -> None:
        """A quick delivery goes without saying, a slow one is told."""
        self.wording.say(events.MessageSent(BOB, "s1", "hi"))
        self.assertEqual(self._said(events.MessageDelivered(BOB, "s1", 80.0)), "")
        self.wording.say(events.MessageSent(BOB, "s2", "ho"))
        self.assertIn('has "ho", after 12 s', self._said(events.MessageDelivered(BOB, "s2", 12e3)))

    def test_registry_noise(self) -> None:
        """A registry that stays away is told once, and its return too."""
        lost = events.RegistryLost("connection refused", 1.0)
        self.assertIn("connection refused", self._said(lost))
        self.assertEqual(self._said(lost), "")
        registered = events.Registered(ALICE, "alice", "http://r", "192.0.2.1", 1)
        self.assertIn(ALICE, self._said(registered))
        self.assertEqual(self._said(registered), "The registry is back.")

    def test_end(self) -> None:
        """The end of a conversation tells what was never confirmed."""
        left = events.Disconnected(BOB, "bob", "left", 0)
        self.assertEqual(self._said(left), "bob has left.")
        self.assertIn("1 line of yours", self._said(attrs.evolve(left, undelivered=1)))
        self.assertIn("timeout", self._said(attrs.evolve(left, reason="timeout")))

    def test_listings(self) -> None:
        """Peers, ourselves and a story are laid out, whatever the registry says."""
        info = ConversationInfo(BOB, "bob", "open", "host-host 192.0.2.1:1", 12.0, 3)
        me = self._said(answers.Me(ALICE, "alice", "http://r", (info,)))
        self.assertIn("bob (b0b00000): connected, host-host 192.0.2.1:1, round trip 12 ms", me)
        self.assertIn("3 not delivered", me)
        records: tuple[dict[str, Any], ...] = ({"username": "b\x1bb", "online": False}, {})
        self.assertIn(r"b\x1bb  ?  offline", self._said(answers.PeerList(records)))
        self.assertIn("Nobody", self._said(answers.PeerList(())))
        self.assertIn("  It rang.", self._said(answers.Story(BOB, "bob", ("It rang.",))))

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """No event brings a character to the screen that a terminal would obey."""
        for width in (None, lambda: 40):
            page = Page(Ink(False), width)
            for value in _STORED:
                for one in self.wording.say(filled(value, text)):
                    shown = "".join(page.rows(one, 0.0))
                    self.assertTrue(all(c.isprintable() or c in "\u200c\u200d" for c in shown))
