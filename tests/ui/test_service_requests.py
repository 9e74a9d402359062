"""Requests about services, as a person types them and a program writes them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.peer.service_infos import GrantInfo, OfferedInfo, OpenStreamInfo
from p2pchat.ui import results
from p2pchat.ui.requests import Requests
from tests.cases import each
from tests.ui.fake_node import BOB, CAROL, FakeNode


class ServiceRequestsTests(SynchronousTestCase):
    """A front end asks."""

    def setUp(self) -> None:
        self.node, self.told = FakeNode(), list[Any]()
        self.requests = Requests(self.node, self.told.append, lambda: None)

    def test_grant(self) -> None:
        """It is done as it is said."""
        for line in ("/grant ssh bob 1h", "/grant web bob", "/revoke ssh bob"):
            self.requests.type(line)
        expected = [("grant", "ssh", "bob", 3600.0), ("grant", "web", "bob", None)]
        self.assertEqual(self.node.asked, [*expected, ("revoke", "ssh", "bob")])
        self.requests.type("/grants")
        self.assertEqual(self.told, [results.GrantList((GrantInfo("web", BOB, "bob"),))])

    @each("/grant ssh", "/grant ssh dave", "/revoke ssh bob 1h", "/grant", "/streams now")
    def test_mistakes(self, line: str) -> None:
        """A mistake is answered, and nothing is done."""
        self.requests.type(line)
        self.assertEqual([type(one) for one in self.told], [events.Trouble])
        self.assertEqual(self.node.services.grants(), [])

    def test_services(self) -> None:
        """Ours at once, theirs when they have answered."""
        self.node.services.served.append(OfferedInfo("web", ("contacts",)))
        self.node.services.theirs[:] = ["git", "ssh"]
        self.requests.type("/services")
        self.requests.type("/services carol")
        theirs = (OfferedInfo("git"), OfferedInfo("ssh"))
        expected = [
            results.ServiceList((OfferedInfo("web", ("contacts",)),)),
            results.ServiceList(theirs, CAROL, "carol"),
        ]
        self.assertEqual(self.told, expected)

    def test_streams(self) -> None:
        """What is open."""
        one = OpenStreamInfo(BOB, "bob", "web", False, "direct", 5.0, 10, 20)
        self.node.services.open.append(one)
        self.requests.type("/streams")
        self.assertEqual(self.told, [results.StreamList((one,))])
