"""Which names a peer may take, and which look alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.usernames import MAX_USERNAME, check_username, looks, looks_like_id
from p2pchat.wire.visible import visible

ID = "c9ab0cae-939f-8f14-8d3d-f4c0e19ea484"


def resembles(name: str, other: str) -> bool:
    """Tell whether a person could take two names for the same one."""
    return not looks(name).isdisjoint(looks(other))


class UsernameTests(SynchronousTestCase):
    """Names are taken as they are or refused with the reason."""

    def take(self, *names: str) -> None:
        """Each of the names may be used."""
        for name in names:
            with self.subTest(name=name):
                self.assertEqual(check_username(name), name)

    def refuse(self, why: str, *names: str) -> None:
        """None of the names may be used, and the sentence says why."""
        for name in names:
            with self.subTest(name=name):
                error = self.assertRaises(RemoteProtocolError, check_username, name)
                self.assertIn(why, str(error))

    def test_people(self) -> None:
        """Names that people have, in any script, are taken."""
        self.take("alice", "Zoë Müller", "Jean-Luc", "O'Neil", "Ada", "dee", "facade", "user1")
        self.take("Ella", "Bella", "Lola", "Adele", "Caleb", "Cole", "Abel", "Cleo", "Alec", "Dell")
        self.take("bob1", "ada88", "b2b")
        self.take("Anna 1984-2024", "younes")
        self.take("山田 太郎", "محمد", "נועה", "दुःख", "Иван", "ᐃᓄᒃ ᐳ", "AC/DC", "x" * MAX_USERNAME)
        self.take("👩\u200d👩\u200d👧\u200d👦 family 🇩🇪", "🦊", "peer-1", "Youssef")

    def test_length(self) -> None:
        """A name isn't blank, and fits a document."""
        self.refuse("1 to 64", "", " ", "\t", "\u3000", "x" * (MAX_USERNAME + 1))

    def test_ids(self) -> None:
        """What a person could read as an id, or as the beginning of one, is no name."""
        beginnings = [ID[:length] for length in range(4, len(ID) + 1)]
        self.refuse("peer id", *beginnings, ID.upper(), "deadbeef", "fadedfaced", "--------")
        for form in ("'{}'", "{}.", "#{}", "id={}", "alice {}", "<{}>"):
            self.refuse("peer id", form.format(ID), form.format(ID[:8]))
        self.refuse("peer id", "c9ab 0cae", "с9аb0сае", "c9abOcae", "c9ab‐0cae", "ｃ９ａｂ０ｃａｅ")

    def test_screen(self) -> None:
        """No name continues as something that the screen says of its own accord."""
        self.refuse("colon", "ok:", "alice: yes,", "ok꞉ sure", "bob>", "bob❯", "bob (x)")
        self.refuse("figure", "23.04 alice", "7up", "٣ali", "/quit")
        self.refuse("'you'", "you", "You", "yοu", "you to alice", "YOU to bob")
        self.refuse("'you'", "you, to bob", "you. to bob", "you_to bob", "you2")

    def test_hidden(self) -> None:
        """Nothing in a name is invisible, a blank that isn't one, or turns the writing around."""
        hidden = "\x1b \x00 \x85 \xad \u200b \u202e \u2028 \u2800 \u3164 \ufffc \U0001d159 \ufe0f"
        for character in (
            *hidden.split(" "),
            "\U00016fe4",
            "\U000e0041",
            "\ue000",
            "\u0378",
            "\ud800",
        ):
            self.refuse("", f"al{character}ice", f"alice{character}", f"{character}alice")
        self.refuse("blanks", " alice", "alice ", "al  ice", "al\tice")

    def test_normal_form(self) -> None:
        """One name has one spelling."""
        self.refuse("NFKC", "al\u2003ice", "al\xa0ice", "Zoe\u0308", "ａｌｉｃｅ", "ﬁona", "𝐚lice")

    @given(st.text(max_size=80))
    def test_any(self, name: str) -> None:
        """Any text is a name that is shown as it is, or is refused with our error."""
        try:
            check_username(name)
        except RemoteProtocolError:
            return
        self.assertEqual(visible(name), name)
        self.assertFalse(looks_like_id(name))


class ResemblanceTests(SynchronousTestCase):
    """Two names that a person could mix up."""

    def test_alike(self) -> None:
        """Letters of other scripts, figures, accents and capitals make no other person."""
        for other in ("Alice", "ALICE", "аlice", "aIice", "a1ice", "alicé", "ａｌｉｃｅ", "alice "):
            self.assertTrue(resembles("alice", other), other)
        self.assertTrue(resembles("mary", "rnary"))
        self.assertTrue(resembles("bob", "b0b"))
        for name, other in (
            *(("zora1", "zora1\ufe0f"), ("Zoe 🌸", "Zoe 🌸\ufe0f"), ("دارا", "د\u200cارا")),
            *(("كريم", "کریم"), ("alice", "ᴀʟɪᴄᴇ"), ("alice", "alice\u20dd"), ("Łukasz", "Lukasz")),
            *(("bob", "bob."), ("bob", "b-o-b"), ("Jean-Luc", "jean luc")),
        ):
            self.assertTrue(resembles(name, other), ascii(other))

    def test_different(self) -> None:
        """Other names are other names."""
        for name, other in (("alice", "alicia"), ("bob", "rob"), ("山田", "山口"), ("a", "b")):
            self.assertFalse(resembles(name, other))
