"""What is read off a NAT's words, and what each side does about them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.behaviour import Filtering, Mapping, NatTraits, Strategy, choose, takes_long
from p2pchat.wire.documents import NatWords

NONE = NatTraits(Mapping.NONE)
EASY = NatTraits(Mapping.ENDPOINT_INDEPENDENT)
RANDOM = NatTraits(Mapping.DEPENDENT)
STEPPING = NatTraits(Mapping.DEPENDENT, 1)
UNKNOWN = NatTraits()
EVERY = (NONE, EASY, RANDOM, STEPPING, UNKNOWN)

traits = st.builds(
    NatTraits, st.sampled_from(Mapping), st.integers(-16, 16), st.sampled_from(Filtering)
)


class ChooseTests(SynchronousTestCase):
    """Both sides know both readings, and choose without a word."""

    def test_table(self) -> None:
        """Plain checks do for all but random mappings; against those the easy side probes."""
        hard = {
            (RANDOM, NONE): Strategy.MANY_SOCKETS,
            (RANDOM, EASY): Strategy.MANY_SOCKETS,
            (NONE, RANDOM): Strategy.PROBE,
            (EASY, RANDOM): Strategy.PROBE,
            (RANDOM, RANDOM): Strategy.HOPELESS,
        }
        for ours in EVERY:
            for theirs in EVERY:
                with self.subTest(ours=ours, theirs=theirs):
                    expected = hard.get((ours, theirs), Strategy.PLAIN)
                    self.assertIs(choose(ours, theirs), expected)

    def test_takes_long(self) -> None:
        """Plain checks do but against random mappings, unless the easy side lets known hosts in."""
        strict, lenient = Filtering.PORT_DEPENDENT, Filtering.KNOWN_HOSTS
        for filtering, long in ((strict, True), (Filtering.UNKNOWN, True), (lenient, False)):
            easy = NatTraits(Mapping.ENDPOINT_INDEPENDENT, 0, filtering)
            self.assertIs(takes_long(RANDOM, easy), long)
            self.assertIs(takes_long(easy, RANDOM), long)
            self.assertFalse(takes_long(easy, easy))
        self.assertTrue(takes_long(RANDOM, RANDOM))
        self.assertFalse(takes_long(RANDOM, NONE) or takes_long(NONE, RANDOM))

    @given(traits, traits)
    def test_sides_fit(self, one: NatTraits, other: NatTraits) -> None:
        """Whatever the readings: one probes exactly where the other opens many sockets."""
        counterpart = {
            Strategy.PLAIN: Strategy.PLAIN,
            Strategy.HOPELESS: Strategy.HOPELESS,
            Strategy.PROBE: Strategy.MANY_SOCKETS,
            Strategy.MANY_SOCKETS: Strategy.PROBE,
        }
        self.assertIs(choose(one, other), counterpart[choose(other, one)])


class TraitsTests(SynchronousTestCase):
    """The words of offers and answers."""

    @given(traits)
    def test_own_words(self, ours: NatTraits) -> None:
        """What we say of ourselves is understood, but for how long our step is."""
        read = NatTraits.read(ours.words())
        self.assertEqual((read.mapping, read.filtering), (ours.mapping, ours.filtering))
        self.assertEqual(bool(read.step), bool(ours.step))
        self.assertEqual(read.is_random, ours.is_random)

    @given(st.text(), st.text(), st.text())
    def test_any_words(self, mapping: str, allocation: str, filtering: str) -> None:
        """Any words are read; those of newer programs, or none, are unknown ones."""
        read = NatTraits.read(NatWords(mapping, allocation, filtering))
        self.assertIn(read.mapping, Mapping)
        self.assertIn(read.filtering, Filtering)
        self.assertEqual(NatTraits.read(NatWords()), UNKNOWN)
        self.assertEqual(NatTraits.read(NatWords("quantum", "jump", "sieve")), UNKNOWN)

    def test_nothing_presumed(self) -> None:
        """An unknown NAT is neither easy nor random nor open: nobody is probed for it."""
        self.assertFalse(UNKNOWN.is_easy or UNKNOWN.is_random or UNKNOWN.is_open)

    def test_open(self) -> None:
        """A filter that lets in whatever a known host sends is open; the strict one isn't."""
        for filtering in Filtering:
            read = NatTraits(Mapping.NONE, 0, filtering)
            self.assertEqual(read.is_open, filtering is Filtering.KNOWN_HOSTS)
