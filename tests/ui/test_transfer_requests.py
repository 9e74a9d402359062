"""Tests of what is asked of the transfers of files."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import TransferRefused
from p2pchat.events import Trouble
from p2pchat.ui import results
from p2pchat.ui.requests import Requests
from tests.ui.fake_node import BOB, CAROL, FakeNode
from tests.ui.test_transfer_wording import INFO


class TransferRequestTests(SynchronousTestCase):
    """The commands that are about files."""

    def setUp(self) -> None:
        self.node = FakeNode()
        self.seen: list[Any] = []
        self.requests = Requests(self.node, self.seen.append, lambda: None)
        self.transfers = self.node.transfers

    def asked(self, line: str) -> list[Any]:
        """Type a line; returns what was asked of the node."""
        self.node.asked.clear()
        self.requests.type(line)
        return list(self.node.asked)

    def test_send(self) -> None:
        """A path is handed on as it stands, with whom we talk to."""
        self.node.begin(BOB)
        self.requests.type("/to bob")
        self.transfers.result = INFO
        self.assertEqual(self.asked("/send my file.txt"), [("send file", "my file.txt", BOB)])
        self.assertEqual(self.seen[-1], results.FilesSent(INFO))
        self.transfers.result = TransferRefused("there is no such file")
        self.requests.type("/send x")
        self.assertEqual(self.seen[-1], Trouble("there is no such file", results.FILES))
        self.requests.type("/send")
        self.assertIn("path", self.seen[-1].reason)

    def test_accept(self) -> None:
        """A number means files; without one a call comes first, then the only offer."""
        self.transfers.infos = [INFO]
        self.assertEqual(self.asked("/accept #3"), [("accept files", 3)])
        self.assertEqual(self.asked("/accept"), [("accept files", 3)])
        self.assertEqual(self.asked("/accept carol"), [("accept files", 3)])
        self.assertEqual(self.asked("/reject"), [("refuse files", 3)])
        self.node.offer(CAROL)
        self.assertEqual(self.asked("/accept carol"), [("accept", CAROL)])
        self.node.offer(CAROL)
        self.assertEqual(self.asked("/reject"), [("reject", CAROL)])

    def test_nothing(self) -> None:
        """Where nothing is offered the answer is what it is for calls."""
        self.assertEqual(self.asked("/accept"), [])
        self.assertEqual(self.seen[-1].word, results.WHO)

    def test_cancel(self) -> None:
        """One that is meant ends; without a number the only one."""
        self.transfers.infos = [INFO]
        self.assertEqual(self.asked("/cancel"), [("cancel files", 3)])
        self.assertEqual(self.asked("/cancel #3"), [("cancel files", 3)])
        self.transfers.infos.append(attrs.evolve(INFO, number=4))
        self.assertEqual(self.asked("/cancel"), [])
        self.assertEqual(self.asked("/cancel #9"), [])
        self.assertEqual(self.seen[-1].word, results.FILES)

    def test_list(self) -> None:
        """All are shown."""
        self.transfers.infos = [INFO]
        self.asked("/files")
        self.assertEqual(self.seen[-1], results.TransferList((INFO,)))
