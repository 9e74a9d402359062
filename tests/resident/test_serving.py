"""Tests of :mod:`p2pchat.resident.serving`."""

from __future__ import annotations

from p2pchat import events
from p2pchat.attach.messages import ProgramHello, encode_hello
from tests.resident.attached_case import AttachedCase, said
from tests.ui.fake_node import ALICE


class ServingTests(AttachedCase):
    """What a node offers to programs."""

    def test_features(self) -> None:
        """Its first line names all that programs may want."""
        program, transport = self.connected()
        program.dataReceived(encode_hello(ProgramHello("1", (), ("json",))))
        self.assertLessEqual({"json", "console"}, set(said(transport)[0]["features"]))

    def test_how_things_are(self) -> None:
        """Whoever comes later is told how the node began, and where it is registered now."""
        registered = events.Registered(ALICE, "alice", "http://r", "192.0.2.1", 5)
        self.node.tell(registered)
        self.node.tell(events.Registered(ALICE, "alice", "http://s", "192.0.2.1", 5))
        self.node.tell(events.RegistryLost("gone", 1.0, "http://s"))
        program, transport = self.connected()
        program.dataReceived(encode_hello(ProgramHello("1", (), ("json",))))
        found = said(transport)[1:]
        self.assertEqual([one["event"] for one in found], ["starting", "registered"])
        self.assertGreater(found[0]["attached_to"], 0)
        self.assertEqual(found[1]["server"], "http://r")
