"""Requests about what was said, as a person or program types them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import StorageFailed
from p2pchat.interfaces import IHistory
from p2pchat.ui import results
from tests.ui.fake_history import FakeHistory, line
from tests.ui.fake_node import BOB, CAROL, FakeNode
from tests.ui.listing_front_end import ListingFrontEnd


class HistoryCase(SynchronousTestCase):
    """A front end, and some lines with Bob and Carol."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.front_end = ListingFrontEnd(self.node)
        self.requests = self.front_end.requests
        self.history = self.node.history
        self.history.lines = [line(BOB, f"line {n}") for n in range(50)]
        self.history.lines += [line(CAROL, "a line of Carol's", ours=True)]

    def asked(self, typed: str) -> Any:
        """Return the last answer to what is typed."""
        self.requests.type(typed)
        return self.front_end.shown[-1]

    def trouble(self, typed: str) -> events.Trouble:
        """Return what is wrong with what is typed."""
        found = self.asked(typed)
        assert isinstance(found, events.Trouble)
        return found


class ShowTests(HistoryCase):
    """``/history``."""

    def test_fake(self) -> None:
        """The history of these tests is one."""
        history = FakeHistory()
        self.assertTrue(verifyObject(IHistory, history))

    def test_current(self) -> None:
        """Without a name it is the current conversation's; without a number twenty lines."""
        self.node.begin(BOB)
        found = self.asked("/history")
        self.assertEqual((found.peer_id, found.name, len(found.lines)), (BOB, "bob", 20))
        self.assertEqual(found.lines[-1].text, "line 49")
        self.assertFalse(found.opened)

    def test_older(self) -> None:
        """Each page comes before the one that was shown last, whatever is said meanwhile."""
        self.node.begin(BOB)
        self.assertEqual(
            self.asked("/older 5").lines[0].text, "line 45"
        )  # none was shown: the last
        self.history.lines.append(line(BOB, "said meanwhile"))
        page = self.asked("/older")
        self.assertEqual([page.lines[0].text, page.lines[-1].text], ["line 25", "line 44"])
        self.assertEqual(self.asked("/older 100").lines[-1].text, "line 24")
        self.assertEqual(self.asked("/older").lines, ())
        self.assertEqual(self.asked("/history 3").lines[-1].text, "said meanwhile")
        self.assertIn("a number", self.trouble("/older bob").reason)

    def test_before(self) -> None:
        """A program names the line before which a page ends."""
        name = self.history.lines[30].id
        page = self.asked(f"/history bob 2 {name}")
        self.assertEqual([one.text for one in page.lines], ["line 28", "line 29"])
        self.assertEqual(page.before, name)

    def test_arguments(self) -> None:
        """A number, a name, or a name and a number."""
        self.node.begin(BOB)
        for typed, peer_id, count in (
            ("/history 3", BOB, 3),
            ("/history carol", CAROL, 1),
            ("/history bob 30", BOB, 30),
            ("/history bob 0", BOB, 1),
            ("/history bob 99999999999999", BOB, 50),
        ):
            found = self.asked(typed)
            self.assertEqual((found.peer_id, len(found.lines)), (peer_id, count), typed)

    def test_replaced(self) -> None:
        """A contact with a new key has what was said before; it is wiped with the rest."""
        self.node.before = (BOB,)
        found = self.asked("/history carol 3")
        texts = ["line 48", "line 49", "a line of Carol's"]
        self.assertEqual([one.text for one in found.lines], texts)
        self.asked("/wipe carol")
        self.assertEqual(self.history.asked, [("wipe", BOB), ("wipe", CAROL)])
        self.assertEqual({one.name for one in self.asked("/search line").lines}, {"carol"})

    def test_nobody(self) -> None:
        """Who isn't known has none, and nobody is current at first."""
        self.assertIn("talking to nobody", self.trouble("/history").reason)
        self.assertEqual(self.trouble("/history dave").word, results.WHO)

    def test_trouble(self) -> None:
        """What can't be read is said."""
        self.history.trouble = StorageFailed("damaged")
        found = self.trouble("/history carol")
        self.assertEqual((found.reason, found.word), ("damaged", results.STORAGE))

    def test_request(self) -> None:
        """The answer belongs to the request."""
        requests: list[Any] = []
        self.requests.announce = lambda _value: requests.append(self.requests.request)
        self.requests.history.announce = self.requests.announce
        self.requests.type("/history carol", "a7")
        self.assertEqual(requests, ["a7"])


class OpenTests(HistoryCase):
    """A conversation that is opened."""

    def test_once(self) -> None:
        """What was said before this run of the program is shown once."""
        self.history.begun = 45
        self.requests.history.open(BOB)
        self.requests.history.open(BOB)
        (found,) = self.front_end.shown
        self.assertTrue(found.opened)
        self.assertEqual([one.text for one in found.lines], [f"line {n}" for n in range(35, 45)])

    def test_nothing(self) -> None:
        """Where there is nothing, or nobody, nothing is said; nor where it can't be read."""
        self.requests.history.open("")
        self.requests.history.open(BOB)
        self.history.trouble = StorageFailed("damaged")
        self.requests.history.open(CAROL)
        self.assertEqual(self.front_end.shown, [])


class SearchTests(HistoryCase):
    """``/search``."""

    def test_found(self) -> None:
        """Lines of everybody are found, each with its name."""
        found = self.asked("/search line of")
        self.assertEqual((found.words, len(found.lines)), ("line of", 1))
        self.assertEqual((found.lines[0].peer_id, found.lines[0].name), (CAROL, "carol"))
        stranger = self.asked("/search line 4").lines[-1]
        self.assertEqual((stranger.text, stranger.name), ("line 49", BOB[:8]))

    def test_words(self) -> None:
        """It needs words, and not too many."""
        self.assertIn("/search needs words", self.trouble("/search").reason)
        self.assertIn("takes words, not 300", self.trouble(f"/search {'x' * 300}").reason)


class OthersTests(HistoryCase):
    """What waits, an export, a deletion, the size."""

    def test_outbox(self) -> None:
        """Lines of ours that wait are shown, for all or one, each with its name."""
        (found,) = self.asked("/outbox").lines
        self.assertEqual((found.name, found.text), ("carol", "a line of Carol's"))
        self.assertEqual(self.asked("/outbox bob").lines, ())

    def test_withdraw(self) -> None:
        """A line is taken back by its number in the list that was shown, or by its id."""
        name = self.history.lines[-1].id
        expected = results.Withdrawn(CAROL, "carol", name, "a line of Carol's")
        self.assertEqual(self.trouble("/outbox 1").word, results.WHO)
        self.requests.type("/outbox")
        self.assertEqual(self.trouble("/outbox 2").word, results.WHO)
        self.assertEqual(self.asked("/outbox 1"), expected)
        self.assertEqual(self.trouble("/outbox 1").word, results.WHO)
        self.assertEqual(self.asked(f"/outbox {name}"), expected)
        self.assertIn("no such line", self.trouble(f"/outbox {'a' * 32}-7").reason)
        self.assertEqual(self.node.asked, [("withdraw", CAROL, name)] * 2)

    def test_export(self) -> None:
        """The last word is the file, all before it the name."""
        found = self.asked("/export carol  /tmp/carol.jsonl")
        self.assertEqual(found, results.Exported(CAROL, "carol", "/tmp/carol.jsonl", 51))
        self.assertEqual(self.history.asked, [("export", CAROL, "/tmp/carol.jsonl")])
        self.assertIn("and a file", self.trouble("/export carol").reason)
        self.assertIn("and a file", self.trouble("/export").reason)

    def test_wipe(self) -> None:
        """It is told when it is done, and needs a name."""
        self.assertEqual(self.asked("/wipe carol"), results.Wiped(CAROL, "carol"))
        self.assertEqual(self.history.asked, [("wipe", CAROL)])
        self.assertIn("needs a name", self.trouble("/wipe").reason)
        self.history.trouble = StorageFailed("the disk is full")
        self.assertEqual(self.trouble("/wipe carol").word, results.STORAGE)

    def test_replaced(self) -> None:
        """A contact that took the place of another has its history, too."""
        self.node.before = (BOB,)
        found = self.asked("/history carol 5")
        texts = [one.text for one in found.lines]
        self.assertEqual(texts, [*[f"line {n}" for n in range(46, 50)], "a line of Carol's"])
        self.assertEqual(found.peer_id, CAROL)
        self.asked("/export carol x")
        self.asked("/wipe carol")
        wiped = [("wipe", BOB), ("wipe", CAROL)]
        self.assertEqual(self.history.asked, [("export", BOB, CAROL, "x"), *wiped])

    def test_size(self) -> None:
        """/me has the size."""
        self.assertEqual(self.asked("/me").stored, 51_000)
