"""What each side does about the NATs of both, and about the last path."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.traversal.nat import Filtering, Mapping, NatTraits
from p2pchat.traversal.path_hint import PathHint, PathMethod
from p2pchat.traversal.strategy import (
    GUESSING_DELAY,
    OPEN_FILTER_DELAY,
    Strategy,
    by_likelihood,
    choose,
    likeliest,
    plan,
)
from p2pchat.wire.addresses import Family, parse_address
from p2pchat.wire.documents import Candidate, CandidateType

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
        """Plain checks do for all but random mappings; against those the other side probes."""
        hard = {
            (RANDOM, NONE): Strategy.MANY_SOCKETS,
            (RANDOM, EASY): Strategy.MANY_SOCKETS,
            (NONE, RANDOM): Strategy.PORT_PROBING,
            (EASY, RANDOM): Strategy.PORT_PROBING,
            (RANDOM, RANDOM): Strategy.HOPELESS,
        }
        for ours in EVERY:
            for theirs in EVERY:
                with self.subTest(ours=ours, theirs=theirs):
                    expected = hard.get((ours, theirs), Strategy.PLAIN)
                    self.assertIs(choose(ours, theirs), expected)

    def test_takes_long(self) -> None:
        """A relay is wanted against random mappings, unless the other side lets known hosts in."""

        def takes_long(ours: NatTraits, theirs: NatTraits) -> bool:
            return plan(ours, theirs).wants_relay

        strict, lenient = Filtering.ADDRESS_AND_PORT_DEPENDENT, Filtering.PORT_INDEPENDENT
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
            Strategy.PORT_PROBING: Strategy.MANY_SOCKETS,
            Strategy.MANY_SOCKETS: Strategy.PORT_PROBING,
        }
        self.assertIs(choose(one, other), counterpart[choose(other, one)])


class HintTests(SynchronousTestCase):
    """What the last path to the peer changes."""

    def hint(self, method: PathMethod, theirs: Mapping = Mapping.ENDPOINT_INDEPENDENT) -> PathHint:
        """Return the hint of a path from behind a symmetric NAT."""
        return PathHint(method, Mapping.DEPENDENT, theirs, 0.0)

    def test_hurried(self) -> None:
        """Only where plain checks didn't do is anything hurried."""
        usual = plan(RANDOM, EASY)
        changes = {method: plan(RANDOM, EASY, self.hint(method)) != usual for method in PathMethod}
        hurried = {PathMethod.MANY_SOCKETS, PathMethod.PORT_PROBING}
        self.assertEqual({method for method, changed in changes.items() if changed}, hurried)
        self.assertEqual(plan(RANDOM, EASY, self.hint(PathMethod.PORT_PROBING)).delay, 0.0)

    def test_relay(self) -> None:
        """Where a relay was all there was, it is asked for at once."""
        lenient = NatTraits(Mapping.ENDPOINT_INDEPENDENT, 0, Filtering.PORT_INDEPENDENT)
        for method in PathMethod:
            wanted = plan(RANDOM, lenient, self.hint(method)).wants_relay
            self.assertIs(wanted, method is PathMethod.RELAY)

    def test_other_nats(self) -> None:
        """A hint of other NATs than these changes nothing."""
        for method in PathMethod:
            self.assertEqual(
                plan(RANDOM, EASY, self.hint(method, Mapping.NONE)), plan(RANDOM, EASY)
            )

    def test_delay(self) -> None:
        """Plain checks have longer for themselves where they should get through."""
        lenient = NatTraits(Mapping.ENDPOINT_INDEPENDENT, 0, Filtering.PORT_INDEPENDENT)
        for ours, theirs in ((RANDOM, lenient), (lenient, RANDOM)):
            self.assertEqual(plan(ours, theirs).delay, OPEN_FILTER_DELAY)
        self.assertEqual(plan(RANDOM, EASY).delay, GUESSING_DELAY)


def told(*addresses: str) -> list[Candidate]:
    """Return candidates; those of 198.51.100.0/24 are a relay's, the public ones reflexive."""

    def kind(text: str) -> CandidateType:
        if text.startswith("198.51.100."):
            return CandidateType.RELAYED
        reflexive = text.startswith("203.0.113.")
        return CandidateType.SERVER_REFLEXIVE if reflexive else CandidateType.HOST

    return [Candidate(kind(text), parse_address(text)) for text in addresses]


class LikelihoodTests(SynchronousTestCase):
    """Of many candidates the ones that are likely to answer are checked, and kept, first."""

    def order(self, ours: str, *theirs: str) -> list[str]:
        """Return theirs in the order of checks, for whom STUN sees at our address."""
        found = by_likelihood(told(*theirs), [parse_address(ours)], frozenset({Family.IPV4}))
        return [one.address[0] for one in found]

    def test_many(self) -> None:
        """What counts isn't where it stands in the list; equals keep the other side's order."""
        bridges = [f"172.17.{n}.1:5" for n in range(31)]
        theirs = ["[2001:db8::7]:6", "198.51.100.1:6", *bridges, "203.0.113.7:5"]
        private = [one.partition(":")[0] for one in bridges]
        self.assertEqual(
            self.order("203.0.113.9:1", *theirs),
            ["203.0.113.7", *private, "198.51.100.1", "2001:db8::7"],
        )
        self.assertEqual(
            self.order("203.0.113.7:1", *theirs),
            [*private, "203.0.113.7", "198.51.100.1", "2001:db8::7"],
        )


class LikeliestTests(SynchronousTestCase):
    """What is larger than a check goes to two addresses at most before one has answered."""

    def likeliest(self, ours: str, *theirs: str) -> list[str]:
        """Return where it goes, for whom STUN sees at our address."""
        found = likeliest(told(*theirs), [parse_address(ours)], frozenset({Family.IPV4}))
        return [host for host, _port in found]

    def test_another_network(self) -> None:
        """Between networks it is what the internet sees of the other side."""
        found = self.likeliest(
            "203.0.113.9:1", "10.0.0.2:5", "172.17.0.1:5", "203.0.113.7:5", "198.51.100.1:6"
        )
        self.assertEqual(found, ["203.0.113.7", "10.0.0.2"])

    def test_same_network(self) -> None:
        """Behind one NAT it is what the other side has there."""
        found = self.likeliest("203.0.113.7:1", "10.0.0.2:5", "203.0.113.7:5")
        self.assertEqual(found, ["10.0.0.2", "203.0.113.7"])

    def test_relay(self) -> None:
        """A relay is taken where nothing else is told, and no family that we haven't."""
        self.assertEqual(self.likeliest("203.0.113.9:1", "198.51.100.1:6"), ["198.51.100.1"])
        self.assertEqual(self.likeliest("203.0.113.9:1", "[2001:db8::7]:6"), [])
