"""What is read off a NAT's words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.nat import Filtering, Mapping, NatTraits
from p2pchat.wire.documents import NatWords

UNKNOWN = NatTraits()

traits = st.builds(
    NatTraits, st.sampled_from(Mapping), st.integers(-16, 16), st.sampled_from(Filtering)
)


class TraitsTests(SynchronousTestCase):
    """The words of offers and answers."""

    @given(traits)
    def test_own_words(self, ours: NatTraits) -> None:
        """What we say of ourselves is understood, but for how long our step is."""
        read = NatTraits.read(ours.words())
        self.assertEqual((read.mapping, read.filtering), (ours.mapping, ours.filtering))
        self.assertEqual(bool(read.step), bool(ours.step))
        self.assertEqual(read.is_symmetric, ours.is_symmetric)

    @given(st.text(), st.text(), st.text())
    def test_any_words(self, mapping: str, allocation: str, filtering: str) -> None:
        """Any words are read; those of newer programs, or none, are unknown ones."""
        read = NatTraits.read(NatWords(mapping, allocation, filtering))
        self.assertIn(read.mapping, Mapping)
        self.assertIn(read.filtering, Filtering)
        self.assertEqual(NatTraits.read(NatWords()), UNKNOWN)
        self.assertEqual(NatTraits.read(NatWords("quantum", "jump", "sieve")), UNKNOWN)

    def test_nothing_presumed(self) -> None:
        """An unknown NAT is of no kind, and its filter lets nobody in: nobody is probed for it."""
        self.assertFalse(UNKNOWN.is_endpoint_independent or UNKNOWN.is_symmetric)
        self.assertFalse(UNKNOWN.admits_known_hosts)

    def test_admits(self) -> None:
        """Only the filter that was seen not to look at ports is known to admit known hosts."""
        for filtering in Filtering:
            read = NatTraits(Mapping.NONE, 0, filtering)
            self.assertEqual(read.admits_known_hosts, filtering is Filtering.PORT_INDEPENDENT)
