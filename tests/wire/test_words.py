"""Words for numbers: what was spelled is read, however it was heard."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.wire.words import WordList
from tests.wire.word_list import WORDS


class SpellingTests(SynchronousTestCase):
    """Eleven bits are one word."""

    def test_spell(self) -> None:
        """Bits are taken from the front, and what is left over makes no difference."""
        self.assertEqual(WORDS.spell(bytes(3), 2), ("abandon", "abandon"))
        self.assertEqual(WORDS.spell(b"\x00\x3f\xff\xff", 2), ("ability", "zoo"))
        self.assertEqual(WORDS.spell(b"\xff" * 6, 4), ("zoo",) * 4)

    @given(st.binary(min_size=6, max_size=6))
    def test_every_word_counts(self, bits: bytes) -> None:
        """Two numbers with other bits have other words."""
        number = int.from_bytes(bits, "big") >> 4
        words = WORDS.spell(bits, 4)
        back = 0
        for word in words:
            back = back << 11 | WORDS.words.index(word)
        self.assertEqual(back, number)


class ReadingTests(SynchronousTestCase):
    """What a person heard."""

    def test_read(self) -> None:
        """Capitals make no difference, and four letters are enough."""
        self.assertEqual(WORDS.read(["Ability", "ABAN", "zoo"]), ("ability", "abandon", "zoo"))

    def test_wrong(self) -> None:
        """A word that isn't in the list is named, with the one that was meant."""
        for said, meant in (
            ("ablle", "'ablle' is no word of an invitation; did you mean 'able'?"),
            ("abil1ty", "'abil1ty' is no word of an invitation"),
            ("abandoned", "did you mean 'abandon'?"),
            ("xq", "'xq' is no word of an invitation"),
        ):
            with self.assertRaises(RemoteProtocolError) as caught:
                WORDS.read(["able", said])
            self.assertIn(meant, str(caught.exception))

    @given(st.text(max_size=30))
    def test_anything(self, said: str) -> None:
        """Whatever is typed, it is one of the words or our error."""
        try:
            [word] = WORDS.read([said])
        except RemoteProtocolError:
            return
        self.assertIn(word, WORDS.words)


class ListTests(SynchronousTestCase):
    """The list itself."""

    def test_distinct(self) -> None:
        """2,048 words, told apart by four letters; another list is refused."""
        self.assertEqual(len(WORDS.words), 2048)
        self.assertEqual(len({word[:4] for word in WORDS.words}), 2048)
        self.assertRaises(LocalProtocolError, WordList, WORDS.words[:-1])
        alike = (*WORDS.words[:-1], f"{WORDS.words[0]}s")
        self.assertRaises(LocalProtocolError, WordList, alike)
