"""Tests of :mod:`p2pchat.ui.sentences`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.ui.sentences import MAX_EXCERPT, excerpt, excerpts, sentence


class SentenceTests(SynchronousTestCase):
    """A person reads whole sentences."""

    def test_sentence(self) -> None:
        """A capital letter first and one full stop last, unless something else stands there."""
        for text, shown in {
            "the registry is away": "The registry is away.",
            "that's all..": "That's all.",
            "is it?": "Is it?",
            "http://r isn't there": "http://r isn't there.",
            "/to whom?": "/to whom?",
            "ünder way": "Ünder way.",
            "": ".",
        }.items():
            self.assertEqual(sentence(text), shown)

    def test_name(self) -> None:
        """A name keeps its first letter."""
        self.assertEqual(sentence("bob isn't waiting", is_name=True), "bob isn't waiting.")

    def test_excerpts(self) -> None:
        """Of many lines the first few are quoted."""
        self.assertEqual(excerpts(['"a"', '"b"'], 2), '"a", "b"')
        self.assertEqual(excerpts(['"a"', '"b"', '"c"', '"d"'], 1000), '"a", "b", "c" and 997 more')

    @given(st.text())
    def test_excerpt(self, text: str) -> None:
        """A quoted line is short, and one that a terminal only draws."""
        shown = excerpt(text)
        self.assertLessEqual(len(shown), MAX_EXCERPT + 2)
        self.assertTrue(all(one.isprintable() or one in "\u200c\u200d" for one in shown))
