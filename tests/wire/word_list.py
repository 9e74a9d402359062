"""The words of invitations, as the program has them."""

from __future__ import annotations

from p2pchat.wire.words import WordList
from tests.pages import ROOT

WORDS = WordList.parse((ROOT / "p2pchat/peer/words.txt").read_text(encoding="ascii"))
