"""Tests of :mod:`p2pchat.tap.command.attached`."""

from __future__ import annotations

import os
import tempfile
from argparse import Namespace

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError, NoResidentNode
from p2pchat.tap.command.attached import attach, state_directory
from tests.tap.command.fake_node import FakeNode


class AttachTests(SynchronousTestCase):
    """Whose node it is."""

    def setUp(self) -> None:
        self.patch(os, "environ", {"HOME": "/home/alice", "XDG_STATE_HOME": "/state"})

    def test_directory(self) -> None:
        """The usual profile, another, or a directory."""
        for state, profile, expected in (
            (None, None, "/state/p2pchat/default"),
            (None, "work", "/state/p2pchat/work"),
            ("~/x", None, "/home/alice/x"),
        ):
            found = state_directory(Namespace(state=state, profile=profile))
            self.assertEqual(found, expected)
        wrong = Namespace(state=None, profile="../x")
        self.assertRaises(ConfigurationError, state_directory, wrong)

    def test_attached(self) -> None:
        """A node that is there greets."""
        node = FakeNode()
        self.addCleanup(node.close)
        found = attach(Namespace(state=node.directory, profile=None), ["json"])
        self.addCleanup(found.close)
        self.assertEqual(found.hello.username, "alice")

    def test_nobody(self) -> None:
        """Where none is running, a sentence says what starts one."""
        place = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.addCleanup(place.cleanup)
        error = self.assertRaises(
            NoResidentNode, attach, Namespace(state=place.name, profile=None), ["json"]
        )
        self.assertIn("start p2pchat in another window, or twistd -n p2pnode", str(error))
