"""
The words by which invitations are said and keys compared: a file with the program.

They are the English ones of BIP 39, as the package ``mnemonic`` 0.21 has them (MIT licence).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from p2pchat.wire.words import WordList


@cache
def word_list() -> WordList:
    """Read the list, once: that takes a millisecond."""
    return WordList.parse(files("p2pchat.peer").joinpath("words.txt").read_text("ascii"))
