"""What ``/nat`` says."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.events import NatRead
from p2pchat.natcheck.words import nat_rows
from p2pchat.traversal.nat import Filtering, Mapping, NatTraits, Preservation

NAT = NatRead("endpoint-independent", "203.0.113.7:4242", "one mapping for all")


class NatWordsTests(SynchronousTestCase):
    """Each reading has its row, and its meaning in plain words."""

    def rows(self, **known: Any) -> dict[str, str]:
        """Return the rows for a NAT of which this is known."""
        return dict(nat_rows(attrs.evolve(NAT, **known)))

    def test_every_word(self) -> None:
        """No word stands alone, whatever is read."""
        allocations = {
            NatTraits(mapping, step).allocation for mapping in Mapping for step in (0, 2)
        }
        self.assertEqual(allocations, {"one", "step", "random", "unknown"})
        for name, row, words in (
            ("filtering", "filtering", {one.value for one in Filtering}),
            ("port_preservation", "port", {one.value for one in Preservation}),
            ("allocation", "next port", allocations),
        ):
            for word in words:
                said = self.rows(**{name: word})[row]
                self.assertTrue(said.startswith(f"{word}: "), said)

    def test_step(self) -> None:
        """A step is told with its size and direction."""
        self.assertIn("-2 further", self.rows(allocation="step", step=-2)["next port"])

    def test_only_where_it_matters(self) -> None:
        """A blocked network and a NAT that forgets are told of; else there is no such row."""
        self.assertFalse({"UDP", "keepalive"} & set(self.rows()))
        self.assertIn("blocked", self.rows(udp_blocked=True)["UDP"])
        self.assertIn("every 7.5 seconds", self.rows(keepalive=7.5)["keepalive"])
        self.assertNotIn("next port", self.rows(mapping="none"))

    def test_relays(self) -> None:
        """The known relays are named, and where there is none, what follows."""
        self.assertEqual(self.rows(relays=("turn:a", "turns:b"))["relays"], "turn:a, turns:b")
        self.assertIn("named none", self.rows()["relays"])
