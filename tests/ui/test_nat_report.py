"""Tests of :mod:`p2pchat.ui.nat_report`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.behaviour import (
    ADDRESS_AND_PORT_DEPENDENT,
    ENDPOINT_INDEPENDENT,
    NO_NAT,
    Behaviour,
)
from p2pchat.peer.nat_type import NatType
from p2pchat.ui import nat_report


class NatReportTests(SynchronousTestCase):
    """Both readings are told, with what they mean."""

    def test_both(self) -> None:
        """Our own reading decides the meaning."""
        nat_type = NatType("Restric Port NAT", ("203.0.113.7", 4242))
        behaviour = Behaviour(
            ENDPOINT_INDEPENDENT, ADDRESS_AND_PORT_DEPENDENT, "203.0.113.7:4243", ""
        )
        fields = nat_report.report(nat_type, behaviour)
        self.assertEqual(fields["label"], "Restric Port NAT")
        self.assertEqual(fields["address"], "203.0.113.7:4243")
        self.assertIn("nearly every", fields["meaning"])
        self.assertIn(
            "filtering   address-and-port-dependent", nat_report.rows(nat_type, behaviour)
        )

    def test_nobody_asked(self) -> None:
        """Where it isn't known whom to ask, that is said, and not that UDP is blocked."""
        behaviour = Behaviour(detail="the registry can't be reached")
        rows = nat_report.rows(NatType(), behaviour)
        self.assertIn("filtering   unknown (the registry can't be reached)", rows)
        self.assertNotIn("UDP", rows[-1])
        self.assertIn("UDP", nat_report.meaning(NatType(trouble="timed out"), Behaviour()))

    def test_label_only(self) -> None:
        """Where we could not tell, the label decides."""
        nat_type = NatType("Open Internet", ("203.0.113.7", 4242))
        self.assertTrue(nat_report.answered(nat_type, Behaviour()))
        self.assertEqual(nat_report.report(nat_type, Behaviour())["address"], "203.0.113.7:4242")
        self.assertIn("No NAT", nat_report.meaning(nat_type, Behaviour()))

    def test_nothing(self) -> None:
        """Silence is told as such, with the troubles."""
        nat_type = NatType("Blocked", None, "it\x1b failed")
        behaviour = Behaviour(detail="no answer")
        self.assertFalse(nat_report.answered(nat_type, behaviour))
        self.assertEqual(
            nat_report.report(nat_type, behaviour)["trouble"], [r"it\x1b failed", "no answer"]
        )
        self.assertIn("UDP may be blocked", nat_report.rows(nat_type, behaviour)[-1])

    def test_little(self) -> None:
        """An address without a kind is an answer."""
        self.assertIn("not enough", nat_report.meaning(NatType(), Behaviour(address="192.0.2.1:1")))
        self.assertIn("No NAT", nat_report.meaning(NatType(), Behaviour(NO_NAT)))
