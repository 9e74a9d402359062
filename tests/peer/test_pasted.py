"""Ids as people paste them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.peer.pasted import bare, beginning, nearest, objection, whole_id

BOB = "0b0b0b0b-0000-8000-8000-00000000beef"
CAROL = "ca401000-0000-8000-8000-000000000003"

TAKEN = (
    *(BOB, BOB.upper(), f"  {BOB}  ", BOB.replace("-", ""), BOB.replace("-", " ")),
    *(f"{{{BOB}}}", f'"{BOB}"', f"\u201c{BOB}\u201d", f"<{BOB}>", f"({BOB})", f"`{BOB}`"),
    *(f"{BOB}.", f"{BOB}, ", f"{BOB};", f"{BOB}!", f"{BOB}?", f"@{BOB}", f"#{BOB}"),
    *(f"\u200b{BOB}", f"\ufeff{BOB}", f"{BOB}\u2060", f"{BOB[:9]}\u00ad{BOB[9:]}"),
    *(BOB.replace("-", dash) for dash in "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"),
    *(f"{BOB[:20]}\n{BOB[20:]}", f"{BOB[:19]}\r\n{BOB[19:]}\n", f"{BOB[:24]} {BOB[24:]}"),
    *(f"p2pchat:{BOB}", f"p2pchat://{BOB}", f"P2PCHAT:{BOB}?name=bob", f"p2pchat:{BOB}#key"),
    *(f"urn:uuid:{BOB}", f"https://chat.example/{BOB}", f"peer_id={BOB}", f"id: {BOB}"),
    *(f"Bob <{BOB}>", f"Bob ({BOB})", f"bob {BOB}", f"abe {BOB}", f"my id is {BOB}, call me"),
    *(f"{BOB} {BOB}", f"{BOB}, once more: {BOB.upper()}", "\uff10" + BOB[1:]),
    *(f"p2pchat%3A{BOB}", f"p2pchat:{BOB.replace('-', '%2D')}", f"mailto:{BOB}@chat.example"),
    *(f"> {BOB[:20]}\n> {BOB[20:]}", f"{BOB[:20]}=\r\n{BOB[20:]}", f"{BOB[:20]}\\\n{BOB[20:]}"),
    *(BOB.replace("-", sign) for sign in (".", "_", ":", "/", " - ")),
    *(f"0x{BOB.replace('-', '')}", BOB.replace("0", "\u0660"), BOB.replace("e", "\u0435")),
    *(f"{BOB[:3]}\u034f{BOB[3:]}", f"{BOB[:3]}\ufe0f{BOB[3:]}", f"{BOB}\u0301"),
)
REFUSED = (
    (BOB[:-1], "an id has 32 digits, and this 31: some are missing"),
    (BOB[:-4], "an id has 32 digits, and this 28: some are missing"),
    (BOB + "0", "an id has 32 digits, and this 33: some are too many"),
    (BOB.replace("b", "g", 1), "'g', at place 2, is no digit of an id"),
    (BOB[:-1] + "O", "'o', at place 32, is no digit of an id"),
    (BOB.replace("8000", "4000", 1), "the 13th digit of one is 8"),
    (f"<{BOB[:-1]}>", "an id has 32 digits, and this 31"),
)


class WholeIdTests(SynchronousTestCase):
    """A whole id, whatever was pasted with it."""

    def test_taken(self) -> None:
        """These are all Bob's."""
        for text in TAKEN:
            with self.subTest(text=text):
                self.assertEqual(whole_id(text), BOB)

    def test_two(self) -> None:
        """Of two ids none is meant."""
        text = f"{BOB} and {CAROL}"
        self.assertIsNone(whole_id(text))
        self.assertIn("more than one id", objection(text))

    def test_objections(self) -> None:
        """What was cut off, or has a wrong digit, is none, and it is said why."""
        for text, why in REFUSED:
            with self.subTest(text=text):
                self.assertIsNone(whole_id(text))
                self.assertIn(why, objection(text))

    def test_names(self) -> None:
        """Nothing is objected to names."""
        for name in (
            "bob",
            "Bob \u00dcn\u00ef",
            "Bella",
            "cafe",
            "decade",
            "J. R. R.",
            "",
            "-",
            "0b0b",
        ):
            self.assertEqual((whole_id(name), objection(name)), (None, ""))

    def test_bare(self) -> None:
        """A name is freed of what it was pasted with."""
        for text in ('"Bob B"', "<Bob B>", "@Bob  B", "Bob B.", "\u200bBob\u00a0B"):
            self.assertEqual(bare(text), "Bob B")

    def test_beginning(self) -> None:
        """The beginning of an id has its hyphens, whatever stands between and around the digits."""
        for text in (
            "0B0B0B0B0000-8",
            "0b0b 0b0b 0000 8",
            "<0b0b0b0b-0000-8\u2026",
            "0b0b0b0b00008",
        ):
            self.assertEqual(beginning(text), BOB[:15])

    def test_nearest(self) -> None:
        """An id with one or two digits that differ is a bad copy; the same one is none."""
        near = BOB.replace("beef", "beee")
        self.assertEqual(nearest(near, [CAROL, BOB]), (BOB, 1))
        self.assertIsNone(nearest(BOB, [CAROL, BOB]))
        self.assertIsNone(nearest(CAROL, [BOB]))
        self.assertIsNone(nearest(CAROL, []))

    @given(st.text(max_size=80))
    def test_anything(self, text: str) -> None:
        """Whatever is pasted, an answer comes, and it is an id or none."""
        found = whole_id(text)
        self.assertTrue(found is None or whole_id(found) == found)
        self.assertIsInstance(objection(text), str)
