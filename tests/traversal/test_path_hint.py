"""What is remembered of a path, and when it is believed."""

from __future__ import annotations

import contextlib

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.traversal.nat import Mapping, NatTraits
from p2pchat.traversal.path_hint import (
    HINT_LIFETIME,
    WORTH_NOTING,
    PathHint,
    PathMethod,
    is_predicted,
)
from p2pchat.wire.documents import CandidateType
from p2pchat.wire.members import nested
from p2pchat.wire.strict_json import dumps, loads

NOW = 1_800_000_000.0
EASY, HARD = Mapping.ENDPOINT_INDEPENDENT, Mapping.DEPENDENT
MEMORY = PathHint(PathMethod.MANY_SOCKETS, HARD, EASY, NOW)


class HintTests(SynchronousTestCase):
    """One memory."""

    def test_kept(self) -> None:
        """Each comes back from JSON as it was."""
        for means in PathMethod:
            memory = attrs.evolve(MEMORY, method=means)
            self.assertEqual(PathHint.from_json(loads(dumps(memory.to_json()))), memory)

    def test_words(self) -> None:
        """The words in the file are those of older programs."""
        words = {"means": "many-sockets", "ours": HARD.value, "theirs": EASY.value}
        self.assertEqual(MEMORY.to_json(), {**words, "learned_at": NOW})

    def test_damaged(self) -> None:
        """Anything else is refused with our own error."""
        good = MEMORY.to_json()
        bad: object
        for bad in (
            *(None, [], "plain", 1, {}),
            *({name: value for name, value in good.items() if name != left} for left in good),
            *({**good, name: "moonlight"} for name in good),
            *({**good, "learned_at": when} for when in (-1.0, True, None, 1e300)),
        ):
            self.assertRaises(RemoteProtocolError, nested(PathHint).read, bad, "reached")

    @given(st.dictionaries(st.sampled_from(sorted(MEMORY.to_json())), st.text() | st.floats()))
    def test_any(self, members: dict[str, object]) -> None:
        """No content of a file does more than to be refused."""
        with contextlib.suppress(RemoteProtocolError):
            self.assertIsInstance(PathHint.from_json(members), PathHint)

    def test_fits(self) -> None:
        """It is for this pair of readings, in this order."""
        readings = {(ours, theirs) for ours in Mapping for theirs in Mapping}
        fitting = {pair for pair in readings if MEMORY.fits(NatTraits(pair[0]), NatTraits(pair[1]))}
        self.assertEqual(fitting, {(HARD, EASY)})

    def test_fresh(self) -> None:
        """It is used for HINT_LIFETIME, and not where the clock was far wrong."""
        ages = {0.0: True, HINT_LIFETIME - 1: True, HINT_LIFETIME: False, -1e9: False}
        self.assertEqual({age: MEMORY.is_fresh(NOW + age) for age in ages}, ages)

    def test_repeats(self) -> None:
        """The same once more is noted only when the date is worth it."""
        later = attrs.evolve(MEMORY, learned_at=NOW + WORTH_NOTING)
        self.assertTrue(later.repeats(MEMORY))
        self.assertFalse(attrs.evolve(later, learned_at=NOW + WORTH_NOTING + 1).repeats(MEMORY))
        self.assertFalse(attrs.evolve(later, method=PathMethod.PLAIN).repeats(MEMORY))
        self.assertFalse(MEMORY.repeats(None))

    def test_predicted(self) -> None:
        """A path on a told next port was predicted, whichever side has the steps."""
        plain, steps = NatTraits(EASY), NatTraits(HARD, 1)
        host, reflexive = CandidateType.HOST, CandidateType.SERVER_REFLEXIVE
        learnt = CandidateType.PEER_REFLEXIVE
        self.assertTrue(is_predicted(plain, reflexive, steps, reflexive))
        self.assertTrue(is_predicted(steps, learnt, plain, reflexive))
        self.assertFalse(is_predicted(plain, reflexive, steps, learnt))
        self.assertFalse(is_predicted(steps, host, plain, host))
        self.assertFalse(is_predicted(plain, reflexive, plain, reflexive))
