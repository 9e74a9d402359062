"""Tests of :mod:`p2pchat.ui.wording`."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.peer.settings import DEFAULT_SERVER, ConversationInfo, RegistryInfo
from p2pchat.peer.signaling import PeerRecord
from p2pchat.ui import results
from p2pchat.ui.layout import Layout, Style, day
from p2pchat.ui.wording import Wording
from p2pchat.wire.references import DELETE, EDIT
from tests.ui.fake_history import line
from tests.ui.fake_node import ALICE, BOB, CAROL, EVENTS, RESULTS

_STORED = [
    events.Starting(ALICE, "", "", "", "/", ("identity",)),
    events.Leaving(5.0),
    events.Registered(ALICE, "", "", "", 0),
    events.RegistryLost("", 1.0),
    results.Nat("", "", ""),
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


def sample(kind: Any) -> Any:
    """Return an event or a result of a kind."""
    values = {"str": "x", "int": 1, "float": 1.0, "bool": False, "int | None": 1}
    wanted = [one for one in attrs.fields(kind) if one.default is attrs.NOTHING]
    return kind(*(values.get(one.type, ()) for one in wanted))


class WordingTests(SynchronousTestCase):
    """A person reads what happened, and can tell who is who."""

    def setUp(self) -> None:
        self.wording = Wording("alice")

    def _said(self, value: Any) -> str:
        return "\n".join(one.lead + row for one in self.wording.say(value) for row in one.rows)

    def test_every_kind(self) -> None:
        """There is a sentence, or a reason for none, for whatever a node or a command tells."""
        for kind in (*EVENTS, *RESULTS):
            self.wording.say(sample(kind))

    def test_starting(self) -> None:
        """The start says what it does, and what becomes of the identity."""
        kept = events.Starting(ALICE, "alice", "http://r.example", "1.0", "/state")
        first = "Registering as alice at http://r.example."
        self.assertEqual(self._said(kept), first)
        new = attrs.evolve(kept, remembered=("identity", "username", "server"))
        what = "a new identity, your name, the registry"
        self.assertEqual(self._said(new), f"{first}\nSaved for the next start, in /state: {what}.")
        usual = self._said(attrs.evolve(kept, server=DEFAULT_SERVER))
        self.assertIn("; --server URL or an invitation names another.", usual)
        in_memory = self._said(attrs.evolve(kept, state=""))
        self.assertTrue(in_memory.startswith(f"{first}\nYour id is new and ends with this program"))

    def test_leaving(self) -> None:
        """Leaving says how long it may take."""
        self.assertIn("at most 5 seconds", self._said(events.Leaving(5.0)))

    def test_path(self) -> None:
        """Of a path only its kind is told, with the connection and when it changes."""
        path = events.PathFound(BOB, "bob", "host", "relay", "203.0.113.7:4242", 43.2, 11.6)
        connected = events.Connected(BOB, "bob", 97.0, False)
        direct = attrs.evolve(path, remote="srflx")
        self.assertEqual(self._said(events.Checking(BOB, "bob", ("203.0.113.7:4242",))), "")
        self.assertEqual(self._said(path), "")
        through = "Connected to bob (b0b00000) through a relay, encrypted."
        self.assertEqual(self._said(connected), through)
        self.assertEqual(self._said(direct), "The connection to bob is direct now.")
        self.assertEqual(self._said(attrs.evolve(direct, remote="host")), "")
        self.assertEqual(self._said(path), "The connection to bob goes through a relay now.")
        resumed = attrs.evolve(connected, resumed=True)
        self.assertEqual(self._said(resumed), "Reconnected to bob through a relay.")
        self.wording.say(events.Disconnected(BOB, "bob", "left", 0))
        self.wording.say(direct)
        self.assertIn("(b0b00000) directly, encrypted", self._said(connected))

    def test_packets(self) -> None:
        """The connection says what becomes of packets of the link's size, and when that changes."""
        path = events.PathFound(BOB, "bob", "host", "srflx", "203.0.113.7:4242", 43.2, 11.6)
        connected = events.Connected(BOB, "bob", 97.0, False, packets="fragmented")
        in_fragments = attrs.evolve(path, packets="fragmented")
        self.wording.say(in_fragments)
        said = self._said(connected)
        self.assertEqual(
            said, "Connected to bob (b0b00000) directly, with packets in fragments, encrypted."
        )
        self.assertEqual(self._said(path), "")
        said = self._said(in_fragments)
        self.assertEqual(said, "The connection to bob goes on, with packets in fragments.")
        self.assertEqual(self._said(in_fragments), "")
        said = self._said(attrs.evolve(path, remote="relay", packets="too-small"))
        because = "a relay now, because the direct path carries small packets only."
        self.assertEqual(said, f"The connection to bob goes through {because}")
        said = self._said(attrs.evolve(connected, resumed=True, packets="too-small"))
        self.assertIn("a relay, because the direct path carries small packets only.", said)

    def test_calling(self) -> None:
        """The first attempt is a call, and those that follow are counted."""
        calling = events.Calling(BOB, "bob", 1, 3)
        self.assertEqual(self._said(calling), "Calling bob (b0b00000).")
        again = "Calling bob (b0b00000) again, attempt 2 of 3."
        self.assertEqual(self._said(attrs.evolve(calling, attempt=2)), again)

    def test_failure(self) -> None:
        """A failure comes with its explanation, or at least with its reason."""
        failed = events.CallFailed(BOB, "bob", "no-path", "All 4 pairs were silent.")
        self.assertEqual(
            self._said(failed), "No connection to bob (b0b00000): All 4 pairs were silent."
        )
        self.assertIn("no-path", self._said(attrs.evolve(failed, explanation="")))
        long = attrs.evolve(failed, summary="no check got through", explanation="no ...; host ...")
        told = "No connection to bob (b0b00000): no check got through. /why has the details."
        self.assertEqual(self._said(long), told)

    def test_delivered_later(self) -> None:
        """Of what an earlier run of the program has said it is told once that it arrived."""
        late = events.MessageDelivered(BOB, "old-1", 18_000.0)
        self.assertIn("What waited for", self._said(late))
        self.assertEqual(self._said(attrs.evolve(late, id="old-2")), "")
        self.wording.say(events.MessageSent(BOB, "s1", "hi"))
        self.assertIn('after 18 s: "hi"', self._said(attrs.evolve(late, id="s1")))

    def test_failure_keeps(self) -> None:
        """What waits for the next conversation is quoted."""
        self.wording.say(events.MessageSent(BOB, "s1", "are you there?"))
        failed = events.CallFailed(BOB, "bob", "no-answer", "nobody answered", False, 1)
        self.assertIn('before you quit: "are you there?".', self._said(failed))
        delivered = self._said(events.MessageDelivered(BOB, "s1", 161e3))
        self.assertEqual(delivered, '✓ Delivered to bob after 161 s: "are you there?".')

    def test_offer(self) -> None:
        """An offer says how to answer it, unless it is accepted already."""
        offer = events.OfferReceived(BOB, "bob", False)
        self.assertEqual(self._said(offer), "bob (b0b00000) is calling: /accept or /reject.")
        self.assertIn("Accepted", self._said(attrs.evolve(offer, accepted=True)))

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
        self.wording.say(results.CurrentConversation(BOB, "bob"))
        self.assertEqual(self.wording.prompt(), "bob> ")
        hi = events.MessageReceived(BOB, "bob", "m1", "hi", 0.0)
        aside = attrs.evolve(hi, peer_id=CAROL, name="carol")
        self.assertEqual(self._said(hi), "bob: hi")
        self.assertIn("/to ca401000", self._said(aside))
        self.assertEqual(self._said(aside), "carol: hi")

    def test_sent(self) -> None:
        """Own lines name their receiver, and say that they wait."""
        self.wording.say(events.Connected(BOB, "bob", 1.0, False))
        self.assertEqual(self._said(events.MessageSent(BOB, "s1", "hi")), "you to bob: hi")
        self.wording.say(events.Calling(CAROL, "carol", 1, 3))
        waits = self._said(events.MessageSent(CAROL, "s2", "ho"))
        self.assertIn("(will be sent when connected)", waits)
        self.assertTrue(waits.startswith("you to carol: ho"))

    def test_about_lines(self) -> None:
        """An answer, an edit and a deletion say of which line; of one that isn't known, that."""
        self.wording.say(events.Connected(BOB, "bob", 1.0, False))
        self.wording.say(events.MessageReceived(BOB, "bob", "b1", "shall we?", 0.0))
        self.wording.say(events.MessageSent(BOB, "a1", "yse"))
        for event, said in (
            (events.MessageSent(BOB, "a2", "who?", reply_to="b1"), ', to "shall we?": who?'),
            (events.MessageSent(BOB, "a3", "yes", edits="a1"), ', instead of "yse": yes'),
            (events.MessageSent(BOB, "a4", "", deletes="a1"), ': deleted "yes".'),
            (events.MessageSent(BOB, "a5", "", deletes="?"), ": deleted an earlier line."),
        ):
            self.assertEqual(self._said(event), f"you to bob{said}")
        me = attrs.evolve(events.MessageReceived(BOB, "bob", "b2", "me", 0.0), reply_to="a2")
        for theirs, said in (
            (me, 'bob, to "who?": me'),
            (events.MessageEdited(BOB, "bob", "b2", "b3", 0.0, "I"), 'bob, instead of "me": I'),
            (events.MessageDeleted(BOB, "bob", "b2", "b4", 0.0), 'bob deleted "I".'),
            (events.MessageDeleted(BOB, "bob", "?", "b5", 0.0), "bob deleted an earlier line."),
        ):
            self.assertEqual(self._said(theirs), said)

    def test_changed_history(self) -> None:
        """In a list, too; and what waits in the outbox says what it changes."""
        plain = attrs.evolve(line(BOB, "hi", sent_at=1.0), name="bob")
        quoted = attrs.evolve(plain, reply_to="x", quote="shall we?")
        lines = (
            attrs.evolve(plain, edited=True),
            attrs.evolve(plain, text="", deleted=True),
            quoted,
            attrs.evolve(quoted, quote=""),
        )
        told = self._said(results.History(BOB, "bob", lines, opened=True)).splitlines()[2:-1]
        self.assertEqual(
            told,
            [
                *("bob, edited: hi", "bob: (deleted)"),
                *('bob, to "shall we?": hi', "bob, to an earlier line: hi"),
            ],
        )
        changes = tuple(attrs.evolve(quoted, kind=kind, text="") for kind in (EDIT, DELETE))
        told = self._said(results.WaitingLines(changes)).splitlines()
        wanted = ['1. bob, instead of "shall we?": ', '2. bob, deletes "shall we?": ']
        self.assertEqual(told[1:3], wanted)

    def test_current(self) -> None:
        """Where no prompt says who is current, a row does."""
        bob = results.CurrentConversation(BOB, "bob")
        nobody = results.CurrentConversation("", "")
        self.assertEqual(self._said(bob), "")
        self.wording = Wording("alice", has_prompt=False)
        self.assertEqual(self._said(bob), "You are talking to bob (b0b00000) now.")
        self.assertEqual(self._said(nobody), "You are talking to nobody now.")

    def test_sentences(self) -> None:
        """A sentence begins with a capital letter and ends with one full stop; a name stays."""
        self.wording.say(events.Connected(BOB, "bob", 1.0, False))
        for reason, said in {
            "nobody called 'x' is online": "Nobody called 'x' is online.",
            "http://r is no registry.": "http://r is no registry.",
            "is that a registry?": "Is that a registry?",
            "bob isn't waiting": "bob isn't waiting.",
            "'alice' is you..": "'alice' is you.",
        }.items():
            self.assertEqual(self._said(events.Trouble(reason)), said)
        lost = events.RegistryLost("is it a p2pchat registry?", 1.0)
        said = "Not registered: is it a p2pchat registry? Retrying."
        self.assertEqual(self._said(lost), said)
        self.wording = Wording("alice")
        away = attrs.evolve(lost, reason="the registry http://r can't be reached: no route")
        self.assertEqual(self._said(away), "Registry unreachable: no route. Retrying.")

    def test_many_waiting(self) -> None:
        """Of many lines that nobody confirmed the first are quoted."""
        told = self.wording.undelivered(BOB, ["x" * 99, "two", "three", "four", "five"])
        (row,) = told[0].rows
        first = "x" * 39
        self.assertTrue(row.endswith(f'yet: "{first}…", "two", "three" and 2 more.'))

    def test_delivered(self) -> None:
        """A quick delivery goes without saying, a slow one is told."""
        self.wording.say(events.MessageSent(BOB, "s1", "hi"))
        self.assertEqual(self._said(events.MessageDelivered(BOB, "s1", 80.0)), "")
        self.wording.say(events.MessageSent(BOB, "s2", "ho"))
        self.assertIn('after 12 s: "ho"', self._said(events.MessageDelivered(BOB, "s2", 12e3)))

    def test_registry_noise(self) -> None:
        """A registry that stays away is told once, and its return too."""
        lost = events.RegistryLost("connection refused", 1.0)
        self.assertIn("connection refused", self._said(lost))
        self.assertEqual(self._said(lost), "")
        registered = events.Registered(ALICE, "alice", "http://r", "192.0.2.1", 1)
        self.assertIn(ALICE, self._said(registered))
        self.assertEqual(self._said(registered), "Registered again.")

    def test_end(self) -> None:
        """The end of a conversation tells what was never confirmed."""
        left = events.Disconnected(BOB, "bob", "left", 0)
        self.assertEqual(self._said(left), "bob has left.")
        self.wording.say(events.MessageSent(BOB, "s1", "hi"))
        self.wording.say(events.MessageSent(BOB, "s2", "ho"))
        lost = 'bob has left.\n2 messages were not delivered: "hi", "ho".'
        self.assertEqual(self._said(attrs.evolve(left, undelivered=2)), lost)
        self.assertIn("1 message was not", self._said(attrs.evolve(left, undelivered=1)))
        self.assertIn("timeout", self._said(attrs.evolve(left, reason="timeout")))

    def test_waits(self) -> None:
        """Of lines that wait for a contact it is told that they do."""
        self.wording.say(results.CurrentConversation(BOB, "bob"))
        left = events.Disconnected(BOB, "bob", "left", 0, waits=True)
        self.assertIn("What you type waits until bob is there again.", self._said(left))
        self.wording.say(events.MessageSent(BOB, "s1", "hi"))
        told = self._said(attrs.evolve(left, undelivered=1))
        self.assertIn('1 message waits until bob is there again: "hi".', told)
        failed = events.CallFailed(BOB, "bob", "peer-offline", "", undelivered=2, waits=True)
        self.assertIn("2 messages wait until bob", self._said(failed))
        away = results.Me(ALICE, "alice", "r", (ConversationInfo(BOB, "bob", "away"),))
        self.assertIn("(b0b00000): away", self._said(away))

    def test_history(self) -> None:
        """Lines stand under their days, with whose they are; what isn't delivered is said."""
        noon = 1_796_040_000.0
        lines = (
            line(BOB, "hi", sent_at=noon),
            line(BOB, "ho", ours=True, sent_at=noon + 60),
            attrs.evolve(line(BOB, "ha", ours=True, sent_at=noon + 86_400), delivered=False),
        )
        told = self._said(results.History(BOB, "bob", lines)).splitlines()
        self.assertEqual(told[0], "The last with bob:")
        self.assertEqual((told[1], told[4]), (f"— {day(noon)}", f"— {day(noon + 86_400)}"))
        self.assertEqual((told[2], told[3]), ("#1 bob: hi", "#2 you: ho"))
        self.assertEqual(told[5], "#3 you: ha")
        self.assertEqual(told[6], "1 line of yours isn't delivered yet; /outbox shows what waits.")
        opened = results.History(BOB, "bob", lines, opened=True)
        self.assertIn("Earlier with bob:", self._said(opened))
        self.assertEqual(self._said(opened).splitlines()[-1], "— now")
        older = results.History(BOB, "bob", lines, before="x")
        self.assertIn("Before that with bob:", self._said(older))
        older = results.History(BOB, "bob", (), before="x")
        self.assertIn("Nothing is kept of what was said before that with bob", self._said(older))
        nothing = self._said(results.History(BOB, "bob", ()))
        self.assertIn("Nothing is kept of what was said with bob", nothing)

    def test_found(self) -> None:
        """Of what a search finds it is said with whom it was; nothing found says how to search."""
        ours = attrs.evolve(line(BOB, "ho", ours=True, sent_at=1.0), name="bob")
        told = self._said(results.Found("h", (ours, attrs.evolve(ours, ours=False))))
        self.assertEqual(told.splitlines()[1:], ["#1 you to bob: ho", "#2 bob: ho"])
        self.assertIn("wor* finds", self._said(results.Found("x", ())))

    def test_kept(self) -> None:
        """What waits, was written out or deleted, and how much there is, is said."""
        self.assertIn("Nothing waits", self._said(results.WaitingLines(())))
        waits = attrs.evolve(line(BOB, "ho", ours=True), name="bob", delivered=False)
        self.assertIn("1. you to bob: ho", self._said(results.WaitingLines((waits,))))
        taken = self._said(results.Withdrawn(BOB, "bob", "x-1", "ho"))
        self.assertEqual(taken, 'Took back for bob: "ho".')
        written = self._said(results.Exported(BOB, "bob", "x.jsonl", 1200))
        self.assertEqual(written, "Wrote 1,200 lines with bob to x.jsonl.")
        self.assertIn("with bob is gone", self._said(results.Wiped(BOB, "bob")))
        me = results.Me(ALICE, "alice", "http://r", (), 12_345_678)
        self.assertIn("12.3 MB of what was said", self._said(me))

    def test_listings(self) -> None:
        """Peers, ourselves and a story are laid out, whatever the registry says."""
        info = ConversationInfo(BOB, "bob", "open", "host-host 192.0.2.1:1", 12.0, 3)
        me = self._said(results.Me(ALICE, "alice", "http://r", (info,)))
        self.assertIn("bob (b0b00000): connected, host-host 192.0.2.1:1, round trip 12 ms", me)
        self.assertIn("3 not delivered", me)
        records = (PeerRecord(BOB, "b\x1bb", online=False),)
        self.assertIn(
            rf"b\x1bb  {BOB}  registered, but can't be called now",
            self._said(results.PeerList(records)),
        )
        self.assertIn("Nobody", self._said(results.PeerList(())))
        self.assertIn("  It rang.", self._said(results.Explanation(BOB, "bob", ("It rang.",))))

    def test_peers(self) -> None:
        """The list of peers has a head, is sorted by name, and marks ourselves."""
        self.wording.say(events.Registered(ALICE, "alice", "http://r", "192.0.2.1", 1))
        bob = PeerRecord(BOB, "bob", "unknown")
        records = (bob, PeerRecord(ALICE, "Alice", "unknown"))
        self.assertEqual(
            self._said(results.PeerList(records)).split("\n"),
            [
                "  name   id",
                f"  Alice  {ALICE}  registered  you",
                f"  bob    {BOB}  registered",
            ],
        )
        listed = results.PeerList((attrs.evolve(bob, nat="none"),))
        self.assertIn("NAT", self._said(listed))

    def test_registries_in_me(self) -> None:
        """/me says of each registry how it is."""
        infos = (
            RegistryInfo("http://a", "reachable", rtt_ms=20.4),
            RegistryInfo("http://b", "away", "the registry http://b can't be reached: no route"),
            RegistryInfo("http://c", "displaced", "another program took over"),
            RegistryInfo("http://d", "starting"),
            RegistryInfo("http://e", "guest"),
        )
        me = self._said(results.Me(ALICE, "alice", "http://a", (), registries=infos))
        for row in (
            *("http://a (reachable, round trip 20 ms)", "http://b (away, retrying: no route)"),
            "http://c (another program of yours is there in your place: another program took over)",
            *("http://d (not reached yet)", "http://e (for a while, for a contact)"),
        ):
            self.assertIn(f"registry  {row}", me)

    def test_several_registries(self) -> None:
        """Of several each is named, its loss once, and its return."""
        first, second, third = "http://a", "http://b", "http://c"
        starting = events.Starting(ALICE, "alice", first, "1", "/s", (), (second, third))
        self.assertIn("at http://a, http://b and http://c.", self._said(starting))
        for server, said in (
            *((first, "Registered as alice at http://a."), (second, "Registered at http://b, too")),
        ):
            registered = events.Registered(ALICE, "alice", server, "192.0.2.1", 1)
            self.assertIn(said, self._said(registered))
        lost = events.RegistryLost("it is stopping", 1.0, second, (first,))
        said = "http://b is away: it is stopping. You are still found at http://a."
        self.assertEqual(self._said(lost), said)
        self.assertEqual(self._said(lost), "")
        all_lost = events.RegistryLost("it is stopping, too", 1.0, first)
        self.assertIn("Not registered: it is stopping, too. Retrying.", self._said(all_lost))
        self.assertEqual(self._said(attrs.evolve(all_lost, server=second)), "")
        self.assertEqual(self._said(registered), "Registered again at http://b.")

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """No event brings a character to the screen that a terminal would obey."""
        for width in (None, lambda: 40):
            layout = Layout(Style(False), width)
            for value in _STORED:
                for one in self.wording.say(filled(value, text)):
                    shown = "".join(layout.lay_out(one, 0.0).rows)
                    self.assertTrue(all(c.isprintable() or c in "\u200c\u200d" for c in shown))
