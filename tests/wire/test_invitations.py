"""Invitation lines: read however they were pasted, and refused before they are used up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire import invitations
from p2pchat.wire.invitations import Invitation, has_invitation, parse_invitation
from p2pchat.wire.nameplates import check_nameplate
from tests.wire.word_list import WORDS

HERE = "http://192.0.2.1:8000"
SERVERS = st.sampled_from(
    [
        HERE,
        "https://registry.example",
        "https://r.test:8443",
        "http://[2001:db8::1]:8000",
        "https://R.Example",
    ]
)
RANDOM = st.binary(min_size=24, max_size=24)
links = st.builds(Invitation.link, SERVERS, RANDOM)
LINK = Invitation.link("https://registry.example", bytes(range(24)))
LINE = str(LINK)


def read(text: str) -> Invitation:
    """Read what was pasted."""
    return parse_invitation(text, HERE, WORDS)


def refused(text: str) -> str:
    """Return the sentence with which a text is refused, or ""."""
    try:
        read(text)
    except RemoteProtocolError as error:
        return str(error)
    return ""


class LinkTests(SynchronousTestCase):
    """Links, for whoever can paste."""

    def test_form(self) -> None:
        """https:// is left out, and all letters are small, so that the QR code is small, too."""
        self.assertRegex(LINE, r"^p2pchat:join/[a-z2-7]{45}@registry\.example$")
        plain = str(Invitation.link(HERE, bytes(24)))
        self.assertTrue(plain.endswith(f"@{HERE}"), plain)

    @settings(max_examples=40)
    @given(links)
    def test_round_trip(self, link: Invitation) -> None:
        """What is written is read; its nameplate is one, and it isn't taken for a spoken one."""
        self.assertEqual(read(str(link)), link)
        self.assertEqual(check_nameplate(link.nameplate), link.nameplate)
        self.assertFalse(link.is_spoken)
        self.assertNotIn(link.secret, repr(link))

    def test_pasted(self) -> None:
        """Quotes, words, capital letters, and what a mail program does make no difference."""
        for text in (
            f"<{LINE}>.",
            f"“{LINE}”",
            f"join me: {LINE}, please!",
            LINE.upper(),
            LINE.replace("p2pchat:", "p2pchat://"),
            LINE.replace("p2pchat", "p2p\u200bchat"),
            f"{LINE[:9]}\n{LINE[9:50]}\r\n  {LINE[50:60]} {LINE[60:]}\n\nSee you",
            "".join(chr(ord(one) + 0xFEE0) if "a" <= one <= "z" else one for one in LINE),
        ):
            self.assertEqual(read(text), LINK, text)

    def test_misread(self) -> None:
        """Figures that the alphabet doesn't have stand for the letters that they look like."""
        code = LINE.partition("/")[2].partition("@")[0]
        odd = code.replace("o", "0").replace("l", "1").replace("b", "8")
        self.assertNotEqual(odd, code)
        self.assertEqual(read(LINE.replace(code, odd)), LINK)

    @settings(max_examples=40)
    @given(links, st.data())
    def test_damaged(self, link: Invitation, data: st.DataObject) -> None:
        """One character that was lost or changed is noticed, before the line is used up."""
        line = str(link)
        place = data.draw(st.integers(len(invitations.SCHEME), len(line) - 1))
        other = data.draw(
            st.sampled_from("abcdefghijkmnpqrstuvwxyz2345679").filter(
                lambda one: one != line[place]
            )
        )
        for changed in (line[:place] + other + line[place + 1 :], line[:place] + line[place + 1 :]):
            self.assertRegex(refused(changed), "damaged|makes no sense")

    @settings(max_examples=40)
    @given(st.text(max_size=200))
    def test_anything(self, text: str) -> None:
        """Whatever is pasted is an invitation or our error."""
        refused(text)
        refused(f"{invitations.SCHEME}{text}")

    def test_long(self) -> None:
        """A long text costs little."""
        self.assertNotEqual(refused("p2pchat:join/" + "a b" * 100_000), "")


class ParameterTests(SynchronousTestCase):
    """Room for more than a conversation."""

    def line(self, parameters: str) -> str:
        """Return an invitation with these parameters."""
        return str(Invitation("https://r.test", LINK.nameplate, LINK.secret, parameters))

    def test_unknown(self) -> None:
        """What isn't known is ignored, and kept, since it belongs to what both sides prove."""
        found = read(self.line("group=abc&grant=x.y"))
        self.assertEqual(found.parameters, "group=abc&grant=x.y")
        self.assertNotEqual(found.password, read(self.line("")).password)

    def test_service(self) -> None:
        """A grant is a part of the line that nobody can change, and names a service or nothing."""
        line = str(Invitation.link("https://r.test", bytes(range(24)), "web"))
        self.assertEqual(parse_invitation(line, "https://r.test", WORDS).service, "web")
        self.assertIn("damaged", refused(line.replace("grant=web", "grant=ssh")))
        self.assertIn("damaged", refused(line.partition("?")[0]))
        for odd in ("grant=Web", "grant=", "grants=web", "x=grant"):
            found = parse_invitation(self.line(odd), "https://r.test", WORDS)
            self.assertEqual(found.service, "")

    def test_critical(self) -> None:
        """What must be known and isn't is refused, by name."""
        why = refused(self.line("group=abc&crit=group"))
        self.assertIn("(group)", why)
        self.assertIn("update", why)
        self.assertEqual(refused(self.line("crit=")), "")

    def test_nonsense(self) -> None:
        """Parameters that are none, too many, or twice are refused."""
        for parameters in ("x", "a=1&a=2", "&".join(f"{c}=1" for c in "abcdefghi"), "A=1", "a=%20"):
            self.assertIn("makes no sense", refused(self.line(parameters)), parameters)


class SpokenTests(SynchronousTestCase):
    """Invitations that are said, for whoever has the same registry."""

    @settings(max_examples=40)
    @given(RANDOM)
    def test_round_trip(self, random: bytes) -> None:
        """What is written is read, at our own registry."""
        spoken = Invitation.spoken(HERE, random, WORDS)
        self.assertRegex(str(spoken), r"^[0-9]{6}(-[a-z]+){3}$")
        self.assertEqual(read(str(spoken)), spoken)
        self.assertEqual(check_nameplate(spoken.nameplate), spoken.nameplate)
        self.assertTrue(spoken.is_spoken)

    def test_heard(self) -> None:
        """Blanks, commas, capital letters and words before it make no difference."""
        wanted = Invitation(HERE, "123456", "abandon-ability-able")
        for text in (
            "123 456 Abandon, Ability, Able",
            "it is 123456 aban/abil/able.",
            "123-456-ABANDON-ability-able",
        ):
            self.assertEqual(read(text), wanted, text)

    def test_wrong(self) -> None:
        """Too little, too much and unknown words are refused here, and no guess is lost."""
        for text, why in (
            ("12345 abandon ability able", "5 figures"),
            ("1 abandon ability able", "1 figure"),
            ("123456 abandon ability", "this 2 words"),
            ("123456 abandon ability able about", "this 4 words"),
            ("123456 abandon ability ablle", "did you mean 'able'?"),
            ("hello", "no invitation"),
            ("", "no invitation"),
        ):
            self.assertIn(why, refused(text), text)


class SecretTests(SynchronousTestCase):
    """Lines that have an invitation are kept nowhere."""

    def test_found(self) -> None:
        """A whole link or its beginning is found, however it was pasted; other text isn't."""
        for text in (LINE, f"/join {LINE}", LINE[:20], LINE.upper(), "/join p2p\u200bchat:join/ab"):
            self.assertTrue(has_invitation(text), text)
        for text in ("hello", "/join", "p2pchat:0b0b0b0b"):
            self.assertFalse(has_invitation(text), text)
