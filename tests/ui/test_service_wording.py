"""Services, as a person reads of them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.peer.service_infos import GrantInfo, OfferedInfo, OpenStreamInfo
from p2pchat.ui import results
from p2pchat.ui.service_wording import amount, duration
from p2pchat.ui.wording import Wording
from tests.cases import each
from tests.ui.fake_node import BOB

HOSTILE = "web\x1b[2J\u202e"


class ServiceWordingTests(SynchronousTestCase):
    """Sentences."""

    def setUp(self) -> None:
        self.wording = Wording("alice")

    def said(self, value: Any) -> str:
        """Return what is said of an event or a result."""
        return "\n".join(row for one in self.wording.say(value) for row in one.rows)

    def test_grants(self) -> None:
        """A grant says who, what and how long; its end says so."""
        granted = self.said(events.GrantChanged(BOB, "bob", "ssh", "granted", 28_800.0))
        self.assertEqual(granted, "bob may open your ssh from now on, for 8 hours.")
        self.assertIn("until you /revoke", self.said(events.GrantChanged(BOB, "", "a", "granted")))
        self.assertIn(BOB, self.said(events.GrantChanged(BOB, "", "a", "granted")))
        expired = self.said(events.GrantChanged(BOB, "bob", "ssh", "expired"))
        self.assertEqual(expired, "bob may open your ssh no more: the time is up.")
        rows = self.said(results.GrantList((GrantInfo("ssh", BOB, "bob", 90.0),)))
        for part in ("ssh", "bob", BOB, "90 seconds left"):
            self.assertIn(part, rows)
        self.assertIn("/grant", self.said(results.GrantList(())))

    def test_offered(self) -> None:
        """What is offered to anyone is a warning; to nobody, how somebody is let in."""
        self.assertIn("strangers too", self.said(events.ServiceOffered("web", ("anyone",))))
        self.assertIn("to contacts", self.said(events.ServiceOffered("web", ("contacts",))))
        self.assertIn("/grant web", self.said(events.ServiceOffered("web", ())))
        self.assertIn("p2p:web", self.said(results.ServiceList(())))
        listed = self.said(results.ServiceList((OfferedInfo("web", ("bob",)), OfferedInfo("x"))))
        self.assertIn("for bob, and those with a grant", listed)

    def test_theirs(self) -> None:
        """What somebody lets us open, or that it is nothing."""
        theirs = results.ServiceList((OfferedInfo("git"), OfferedInfo("web")), BOB, "bob")
        self.assertEqual(self.said(theirs), "bob lets you open git, web.")
        self.assertIn("nothing", self.said(results.ServiceList((), BOB, "bob")))

    def test_streams(self) -> None:
        """Who opened what, how it ended, and what is open; of many nothing but the first."""
        opened = events.ServiceOpened(BOB, "bob", "web", False, "relay")
        self.assertEqual(self.said(opened), "bob opened your web, through a relay.")
        ours = events.ServiceOpened(BOB, "bob", "web", True, "direct")
        self.assertEqual(self.said(ours), "You opened web at bob, direct.")
        self.assertEqual(self.said(events.ServiceOpened(BOB, "bob", "web", True, "", True)), "")
        closed = events.ServiceClosed(BOB, "bob", "web", False, "direct", 12, 3_400_000, 7200.0)
        expected = "Your web, open to bob, ended after 2 hours: 3.4 MB sent, 12 bytes received."
        self.assertEqual(self.said(closed), expected)
        one = OpenStreamInfo(BOB, "bob", "web", True, "direct", 60.0, 1, 0)
        self.assertIn("web (theirs)", self.said(results.StreamList((one,))))
        self.assertIn("Nothing is open", self.said(results.StreamList(())))

    def test_hostile(self) -> None:
        """Whatever a peer calls a service, nothing of it reaches the terminal as it is."""
        offered = (OfferedInfo(HOSTILE, (HOSTILE,)),)
        for value in (
            results.ServiceList(offered, BOB, HOSTILE),
            results.ServiceList(offered),
            results.GrantList((GrantInfo(HOSTILE, HOSTILE, HOSTILE),)),
            results.StreamList(
                (OpenStreamInfo(HOSTILE, HOSTILE, HOSTILE, True, HOSTILE, 1.0, 1, 1),)
            ),
            events.ServiceOpened(BOB, HOSTILE, HOSTILE, True, HOSTILE),
        ):
            said = self.said(value)
            self.assertNotIn("\x1b", said)
            self.assertNotIn("\u202e", said)

    @each((1, "1 second"), (89, "89 seconds"), (7200, "2 hours"), (259_200, "3 days"))
    def test_duration(self, seconds: int, expected: str) -> None:
        """Times are in the unit of which there are two or more."""
        self.assertEqual(duration(seconds), expected)

    @each((1, "1 byte"), (999, "999 bytes"), (1500, "1.5 kB"), (2_000_000_000, "2.0 GB"))
    def test_amount(self, count: int, expected: str) -> None:
        """Bytes likewise."""
        self.assertEqual(amount(count), expected)
