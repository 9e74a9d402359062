"""Tests of the transfers of two nodes."""

from __future__ import annotations

import os
import stat

from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from p2pchat import events
from p2pchat.errors import TransferRefused
from p2pchat.interfaces import ITransfers
from p2pchat.peer.transfers.node_transfers import split
from p2pchat.wire.transfers import PIECE_SIZE, WINDOW
from tests.cases import each
from tests.peer.transfers.transferring_nodes import ALICE, BOB, TransferCase, digest


class TransferTests(TransferCase):
    """A file, from the command to the disk."""

    def test_interface(self) -> None:
        """They are what front ends know."""
        self.assertTrue(verifyObject(ITransfers, self.alice.transfers))

    @each(0, 1, PIECE_SIZE, 5 * PIECE_SIZE + 3)
    def test_file(self, size: int) -> None:
        """A file is offered, accepted, and is there, for its owner alone."""
        self.link()
        path = self.alice.file("film ä.mkv", size)
        info = self.send(path)
        self.assertEqual(self.alice.states, ["waits"])
        (offered,) = self.bob.said(events.FilesOffered)
        self.assertEqual((offered.title, offered.size, offered.id), (path.name, size, info.id))
        self.assertEqual((offered.first, offered.accepted), (((path.name, size),), False))
        self.assertEqual(self.bob.there(), {})
        self.accept()
        self.assertEqual(self.bob.there(), {path.name: size})
        there = self.bob.downloads / path.name
        self.assertEqual(digest(there), digest(path))
        self.assertEqual(stat.S_IMODE(there.stat().st_mode), 0o600)
        self.assertEqual(self.alice.states, ["waits", "active", "done"])
        self.assertEqual(self.bob.states, ["active", "done"])
        self.assertEqual(self.bob.said(events.TransferChanged)[-1].path, str(there))
        self.assertEqual(self.alice.transfers.all() + self.bob.transfers.all(), [])

    def test_folder(self) -> None:
        """A folder comes with all that is in it, but links and pipes, under a name of its own."""
        self.link()
        for number in range(150):
            self.alice.file(f"trip/day {number % 3}/{number}.txt", number)
        folder = self.alice.folder / "files" / "trip"
        (folder / "link").symlink_to("/etc/passwd")
        (folder / "above").symlink_to("..")
        os.mkfifo(folder / "pipe")
        (self.bob.downloads / "trip").mkdir(parents=True)
        self.send(folder)
        self.accept(3.0)
        there = self.bob.there()
        self.assertEqual(len(there), 150)
        self.assertEqual(there["trip (2)/day 1/7.txt"], 7)
        self.assertEqual(self.bob.states[-1], "done")
        self.assertEqual(self.alice.said(events.TransferChanged)[0].skipped, 3)

    def test_not_overwritten(self) -> None:
        """Nothing that is there is replaced, a link to nothing included."""
        self.link()
        self.bob.downloads.mkdir()
        (self.bob.downloads / "a.txt").write_text("mine")
        (self.bob.downloads / "a (2).txt").symlink_to("/nowhere")
        self.send(self.alice.file("a.txt", 5))
        self.accept()
        self.assertEqual((self.bob.downloads / "a.txt").read_text(), "mine")
        self.assertEqual(self.bob.there()["a (3).txt"], 5)
        self.assertFalse(os.path.exists("/nowhere"))

    def test_refused(self) -> None:
        """Who doesn't want it gets nothing, and the other side knows."""
        self.link()
        self.send(self.alice.file("a", 5))
        found = self.bob.transfers.find("", ALICE)
        assert found is not None
        self.bob.transfers.refuse(found.number)
        self.run_on()
        self.assertEqual((self.alice.states[-1], self.bob.states), ("refused", ["refused"]))
        self.assertEqual(self.bob.there(), {})
        self.assertEqual(self.alice.transfers.all() + self.bob.transfers.all(), [])

    def test_away(self) -> None:
        """What is for somebody who is away waits, and is offered when there is a link."""
        self.send(self.alice.file("a", 5))
        self.assertEqual((self.alice.wanted, self.alice.transfers.waiting()), ([BOB], [BOB]))
        self.alice.start()
        self.link()
        self.accept()
        self.assertEqual(self.bob.there(), {"a": 5})

    def test_lost(self) -> None:
        """After a lost link only the rest is sent, and both say so once."""
        self.link()
        path = self.begin()
        self.lose_link()
        self.assertEqual(self.alice.states[-1:] + self.bob.states[-1:], ["stopped", "stopped"])
        self.assertEqual(self.bob.transfers.all()[0].state, "stopped")
        for node in (self.alice, self.bob):
            again = node.said(events.TransferChanged)[-1].again
            self.assertTrue(0 <= again <= WINDOW, again)
        self.link()
        self.assertEqual(self.bob.states, ["active", "stopped", "active", "done"])
        self.assertEqual(digest(self.bob.downloads / "a"), digest(path))

    @each((True, False), (False, True), (True, True))
    def test_lost_and_killed(self, alice: bool, bob: bool) -> None:
        """It goes on when either was killed, without anybody being asked again."""
        self.link()
        path = self.begin()
        self.lose_link()
        for node, is_killed in ((self.alice, alice), (self.bob, bob)):
            if is_killed:
                node.transfers.stop()
                node.start()
        self.link()
        self.assertEqual(digest(self.bob.downloads / "a"), digest(path))
        self.assertEqual(list(self.bob.there()), ["a"])
        self.assertEqual(len(self.bob.said(events.FilesOffered)), 1)

    def test_changed(self) -> None:
        """A file that isn't the one any more that was offered isn't sent, and both are shown it."""
        self.link()
        for name in ("f/a", "f/b", "f/c"):
            path = self.alice.file(name, 100)
        self.send(path.parent)
        self.alice.file("f/b", 100, seed=2)
        os.utime(path.parent / "b", ns=(1, 1))
        (path.parent / "c").unlink()
        self.accept()
        self.assertEqual(self.bob.there(), {"f/a": 100})
        for node in (self.alice, self.bob):
            skipped = [(one.file, one.reason) for one in node.said(events.FileSkipped)]
            self.assertEqual(skipped, [("b", "changed"), ("c", "unreadable")])
            self.assertEqual(node.said(events.TransferChanged)[-1].skipped, 2)
            self.assertEqual(node.states[-1], "done")

    @each("alice", "bob")
    def test_cancelled(self, who: str) -> None:
        """Either side ends it for good, and what had come of it is gone."""
        self.link()
        self.begin()
        node = self.alice if who == "alice" else self.bob
        node.transfers.cancel(node.transfers.all()[0].number)
        self.run_on()
        self.assertEqual((self.alice.states[-1], self.bob.states[-1]), ("cancelled", "cancelled"))
        self.assertEqual(self.bob.there(), {})
        self.assertEqual(self.alice.transfers.all() + self.bob.transfers.all(), [])

    @each("alice", "bob")
    def test_cancelled_away(self, who: str) -> None:
        """So it is where the other side isn't there: it learns it with the next link."""
        self.link()
        self.begin()
        self.lose_link()
        node = self.alice if who == "alice" else self.bob
        node.transfers.cancel(node.transfers.all()[0].number)
        self.assertEqual(node.transfers.all(), [])
        node.start()
        self.link()
        self.assertEqual(self.bob.there(), {})
        self.assertEqual(self.alice.transfers.all() + self.bob.transfers.all(), [])
        self.assertEqual(len(self.bob.said(events.FilesOffered)), 1)

    def test_cancelled_while_opening(self) -> None:
        """So it is before its stream is open; then nobody is asked."""
        self.alice.may_open = Deferred()
        self.link()
        self.send(self.alice.file("a", 5))
        self.alice.transfers.cancel(1)
        self.alice.may_open.callback(None)
        self.run_on(5.0)
        self.assertEqual((self.alice.states, self.bob.seen), (["waits", "cancelled"], []))
        self.assertEqual(self.alice.transfers.all() + self.alice.streams.open_streams(), [])

    def test_many(self) -> None:
        """Many go at once, each as it is accepted."""
        self.link()
        for number in range(12):
            self.send(self.alice.file(f"{number}", 2 * PIECE_SIZE))
        for _ in range(12):
            offered = [one for one in self.bob.transfers.all() if one.state == "offered"]
            self.bob.transfers.accept(offered[-1].number)
            self.run_on(3.0)
        self.assertEqual(len(self.bob.there()), 12)
        self.assertEqual(self.bob.states.count("done"), 12)


class RuleTests(TransferCase):
    """Files that are accepted without a person, and who may offer any."""

    def test_accepted(self) -> None:
        """A bot takes what contacts send, as long as there is room by its rule."""
        self.bob.accepted, self.bob.most = True, 1000
        self.bob.start()
        self.link()
        self.send(self.alice.file("a", 600))
        self.assertEqual(self.bob.there(), {"a": 600})
        self.send(self.alice.file("b", 600))
        self.assertEqual(
            [one.accepted for one in self.bob.said(events.FilesOffered)], [True, False]
        )
        self.assertEqual(self.bob.there(), {"a": 600})

    def test_strangers(self) -> None:
        """Whoever is no contact, or blocked, may offer nothing."""
        self.bob.contacts.forget(ALICE)
        self.link()
        self.send(self.alice.file("a", 5))
        self.assertEqual(self.bob.said(events.FilesOffered), [])
        self.assertEqual(self.alice.said(events.TransferChanged)[-1].reason, "not-granted")
        self.bob.contacts.keep(ALICE, "alice")
        self.run_on(5.0)
        self.assertEqual(len(self.bob.said(events.FilesOffered)), 1)

    def test_to_strangers(self) -> None:
        """Files go to contacts only."""
        path = self.alice.file("a", 5)
        self.alice.contacts.forget(BOB)
        self.assertIn("contacts only", self.refused(f"{path} bob"))

    def test_whom(self) -> None:
        """Without a name it is for the current conversation, or for nobody."""
        path = self.alice.file("a b", 5)
        self.assertIn("no current conversation", self.refused(str(path)))
        sent = self.alice.transfers.send(f"{path}", BOB)
        self.run_on()
        info = self.successResultOf(sent)
        self.assertEqual((info.peer_id, info.title, info.state), (BOB, "a b", "waits"))

    @each("missing bob", '"missing', "/dev/null bob", "/proc/self bob")
    def test_not_sent(self, argument: str) -> None:
        """What isn't a file or folder is refused with a sentence."""
        self.assertGreater(len(self.refused(argument, BOB)), 10)

    def test_split(self) -> None:
        """The longest beginning that is there is the path; quotation marks make it plain."""
        folder = self.alice.file("a", 1).parent
        self.alice.file("a bob", 1)
        self.assertEqual(split(f"{folder}/a bob carol"), (f"{folder}/a bob", "carol"))
        self.assertEqual(split(f'"{folder}/a" bob'), (f"{folder}/a", "bob"))
        self.assertEqual(split("'x y'"), ("x y", ""))

    def test_meant(self) -> None:
        """A number, an id, or the peer means a transfer, where that is plain."""
        self.link()
        first, second = (self.send(self.alice.file(name, 1)) for name in "ab")
        find = self.bob.transfers.find
        for which, expected in (("#1", first), ("#2", second), (second.id[:8], second)):
            found = find(which)
            assert found is not None
            self.assertEqual(found.id, expected.id)
        self.assertRaises(TransferRefused, find, "#3")
        self.assertRaises(TransferRefused, find, "", ALICE)
        self.assertIsNone(find("alice"))
        self.assertRaises(TransferRefused, self.alice.transfers.accept, 1)
        self.assertRaises(TransferRefused, self.bob.transfers.accept, 7)
