"""Tests of :mod:`p2pchat.natcheck.report`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.natcheck.classic import NatType
from p2pchat.natcheck.discovery import Behaviour
from p2pchat.natcheck.report import NatCheck
from p2pchat.traversal.nat import Filtering, Mapping

UNKNOWN = Behaviour()


class NatCheckTests(SynchronousTestCase):
    """Both readings are told, with what they mean."""

    def test_both(self) -> None:
        """Our own reading decides the meaning."""
        found = NatCheck(
            NatType("Restric Port NAT", ("203.0.113.7", 4242)),
            Behaviour(
                Mapping.ENDPOINT_INDEPENDENT,
                Filtering.ADDRESS_AND_PORT_DEPENDENT,
                "203.0.113.7:4243",
            ),
        )
        fields = found.fields()
        self.assertEqual(fields["label"], "Restric Port NAT")
        self.assertEqual(fields["address"], "203.0.113.7:4243")
        self.assertIn("nearly every", fields["meaning"])
        self.assertIn("filtering   address-and-port-dependent", found.rows())

    def test_nobody_asked(self) -> None:
        """Where it isn't known whom to ask, that is said, and not that UDP is blocked."""
        rows = NatCheck(NatType(), Behaviour(detail="the registry can't be reached")).rows()
        self.assertIn("filtering   unknown (the registry can't be reached)", rows)
        self.assertNotIn("UDP", rows[-1])
        self.assertIn("UDP", NatCheck(NatType(trouble="timed out"), UNKNOWN).meaning)

    def test_label_only(self) -> None:
        """Where we could not tell, the label decides."""
        found = NatCheck(NatType("Open Internet", ("203.0.113.7", 4242)), UNKNOWN)
        self.assertEqual(found.fields()["address"], "203.0.113.7:4242")
        self.assertIn("No NAT", found.meaning)

    def test_nothing(self) -> None:
        """Silence is told as such, with the troubles."""
        found = NatCheck(NatType("Blocked", None, "it\x1b failed"), Behaviour(detail="no answer"))
        self.assertEqual(found.address, "")
        self.assertEqual(found.fields()["trouble"], [r"it\x1b failed", "no answer"])
        self.assertIn("UDP may be blocked", found.rows()[-1])

    def test_little(self) -> None:
        """An address without a kind is an answer."""
        little = NatCheck(NatType(), Behaviour(address="192.0.2.1:1"))
        self.assertIn("not enough", little.meaning)
        self.assertIn("No NAT", NatCheck(NatType(), Behaviour(Mapping.NONE)).meaning)

    def test_words(self) -> None:
        """What a server with one address can tell has the word that programs know."""
        halves = Behaviour(Mapping.PORT_INDEPENDENT, Filtering.PORT_INDEPENDENT)
        fields = NatCheck(NatType(), halves).fields()
        for name in ("mapping", "filtering"):
            self.assertEqual(fields[name], "endpoint-independent or address-dependent")
