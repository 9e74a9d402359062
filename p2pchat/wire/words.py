"""
Words that stand for numbers: for what people say to each other, or compare on two screens.

Owns reading what was heard or typed: case and what stands between the words don't matter, and four
letters are enough, by which no two words of the list are alike.  Refuses what isn't in the list,
with the word that was probably meant, before anything is tried with it.

The list is an argument, a file with the program: the 2,048 English words of BIP 39, 11 bits each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

import attrs

from p2pchat.errors import LocalProtocolError, RemoteProtocolError

BITS = 11  # of a word
DISTINCT = 4  # letters that tell a word of the list from all others

_LETTERS = re.compile("[a-z]+")


@attrs.frozen
class WordList:
    """
    The words, in their order.

    :ivar words: ``2 ** BITS`` of them.
    """

    words: tuple[str, ...] = attrs.field(repr=False)
    _by_beginning: dict[str, str] = attrs.field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        beginnings = {word[:DISTINCT]: word for word in self.words}
        if len(self.words) != 2**BITS or len(beginnings) != 2**BITS:
            raise LocalProtocolError(
                f"{2**BITS} words are needed that differ in {DISTINCT} letters"
            )
        object.__setattr__(self, "_by_beginning", beginnings)

    @classmethod
    def parse(cls, text: str) -> WordList:
        """Read a list, a word a line."""
        return cls(tuple(text.split()))

    def spell(self, bits: bytes, count: int) -> tuple[str, ...]:
        """Return the words for the first ``count * BITS`` bits of some bytes."""
        number = int.from_bytes(bits, "big") >> (8 * len(bits) - count * BITS)
        places = [number >> BITS * (count - 1 - place) & (2**BITS - 1) for place in range(count)]
        return tuple(self.words[place] for place in places)

    def read(self, said: Sequence[str]) -> tuple[str, ...]:
        """
        Return the words that were meant.

        :raises RemoteProtocolError: one isn't in the list; says which may have been meant.
        """
        return tuple(self._word(one) for one in said)

    def _word(self, said: str) -> str:
        letters = said.lower()
        found = self._by_beginning.get(letters[:DISTINCT])
        if found is not None and (found.startswith(letters) or found == letters):
            return found
        if not _LETTERS.fullmatch(letters):
            raise RemoteProtocolError(f"{said[:20]!r} is no word of an invitation")
        near = get_close_matches(letters[:20], self.words, n=1, cutoff=0.6)
        meant = f"; did you mean {near[0]!r}?" if near else ""
        raise RemoteProtocolError(f"{said[:20]!r} is no word of an invitation{meant}")
