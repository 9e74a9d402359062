"""Who is meant by an id, the beginning of one, or a name."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import WhoError
from p2pchat.peer.lookup import Acquaintances, look_up
from p2pchat.peer.pasted import whole_id
from p2pchat.peer.signaling import SignalingGroup
from tests.peer.fake_signaling import FakeSignaling

BOB = "0b0b0b0b-0000-8000-8000-000000000001"
BOBBY = "0b0b0b0c-0000-8000-8000-000000000002"
CAROL = "ca401000-0000-8000-8000-000000000003"
ME = "0e000000-0000-8000-8000-000000000004"


class MatchTests(SynchronousTestCase):
    """Among those whom we know: Carol is a contact, bob and bobby are on the screen."""

    def setUp(self) -> None:
        self.known = Acquaintances({CAROL: "Carol"}, {BOB: "bob", BOBBY: "bobby"})

    def refused(self, who: str, known: Acquaintances) -> str:
        """Return the sentence with which this is refused."""
        return str(self.assertRaises(WhoError, known.match, who))

    def test_found(self) -> None:
        """A whole name in any case, or enough of an id."""
        for who, expected in (
            *(("bob", BOB), ("BOB", BOB), (" carol ", CAROL), (CAROL, CAROL)),
            *((CAROL.upper(), CAROL), ("ca401000", CAROL), ("0b0b0b0b-", BOB)),
            *(("bo", None), ("dave", None), ("", None), (" ", None), ("0b0b0b0d", None)),
        ):
            with self.subTest(who=who):
                self.assertEqual(self.known.match(who), expected)

    def test_pasted(self) -> None:
        """Ids and names are found with what was pasted around them, and in any spelling."""
        for who in (
            f"Bob <{BOB}>",
            BOB.replace("-", ""),
            f"p2pchat:{BOB}",
            '"bob"',
            "@Bob",
            "BOB,",
        ):
            with self.subTest(who=who):
                self.assertEqual(self.known.match(who), BOB)

    def test_bad_copy(self) -> None:
        """An id that differs in a digit from one that is known is refused, and it is said why."""
        said = self.refused(f"{CAROL[:-1]}4", self.known)
        self.assertIn(f"that of Carol, {CAROL}, differs in 1 digit: copy it again", said)

    def test_unknown_id(self) -> None:
        """A whole id is that peer, known or not."""
        self.assertEqual(self.known.match(ME.upper()), ME)

    def test_name_like_an_id(self) -> None:
        """Names that are ids, or begin as they do, find nobody: the ids do."""
        liars = Acquaintances({}, {ME: BOB, BOB: ME[:8], CAROL: BOB[:8], BOBBY: "0b0b"})
        for who, expected in ((BOB, BOB), (ME, ME), (ME[:8], ME), (BOB[:8], BOB)):
            self.assertEqual(liars.match(who), expected)
        self.assertIn("too little", self.refused("0b0b", liars))

    def test_little(self) -> None:
        """A few digits of an id are nobody's; how many it takes is said."""
        for who in ("0b0b", "7e5a", "0b0b0b0"):
            self.assertIn("give 8 characters", self.refused(who, self.known))

    def test_contacts_first(self) -> None:
        """A contact's name means the contact, whoever else on the screen has taken it."""
        known = Acquaintances({CAROL: "bob"}, {BOB: "bob"})
        self.assertEqual(known.match("bob"), CAROL)

    def test_for_programs(self) -> None:
        """A program means an id or a contact, never a name that anybody can take."""
        for who, expected in (("Carol", CAROL), (BOB, BOB), ("bob", None), (BOB[:8], None)):
            self.assertEqual(self.known.match_contact(who), expected)

    def test_ambiguous(self) -> None:
        """What fits two names them both, with their ids."""
        for who, names in (
            ("bob", {BOB: "bob", BOBBY: "Bob"}),
            ("0b0b0b0b", {BOB: "bob", BOB[:-1] + "2": "bobby"}),
        ):
            error = self.refused(who, Acquaintances({}, names))
            for peer_id in names:
                self.assertIn(peer_id, error)

    def test_many(self) -> None:
        """Of a crowd only a few are listed."""
        crowd = {f"{number:08x}-0000-8000-8000-000000000000": "x" for number in range(1000)}
        error = self.refused("x", Acquaintances({}, crowd))
        self.assertLess(len(error), 300)
        self.assertIn("and 995 more", error)

    def test_whole_id(self) -> None:
        """A whole id is recognised in either case, and nothing else is."""
        self.assertEqual(whole_id(f" {BOB.upper()} "), BOB)
        for who in ("bob", BOB[:-1], BOB.replace("-8", "-4", 1), ""):
            self.assertIsNone(whole_id(who))


class LookUpTests(SynchronousTestCase):
    """Among those who are online."""

    def setUp(self) -> None:
        names = {BOB: "bob", BOBBY: "bobby", CAROL: "Carol", ME: "me"}
        self.registry = FakeSignaling("http://registry.test", names)
        self.group = SignalingGroup([self.registry], Clock())

    def look_up(self, who: str) -> Deferred[tuple[str, str]]:
        """Ask who is meant."""
        asked: Deferred[tuple[str, str]] = look_up(who, self.group, ME)
        return asked

    def refused(self, who: str) -> str:
        """Return the sentence with which this is refused."""
        return str(self.failureResultOf(self.look_up(who), WhoError).value)

    def test_name(self) -> None:
        """A name that one peer has."""
        for who in ("bob", "BOB", '"Bob"', "@bob", "carol", "CAROL,"):
            found = (CAROL, "Carol") if "c" in who.lower() else (BOB, "bob")
            self.assertEqual(self.successResultOf(self.look_up(who)), found)

    def test_cut_off(self) -> None:
        """An id that was cut off, or has a wrong digit, is said to be one."""
        self.assertIn("this 31: some are missing", self.refused(f"ff{BOB[2:-1]}"))
        self.assertIn("'x', at place 1, is no digit", self.refused(f"x{BOB[1:]}"))

    def test_prefix(self) -> None:
        """Much of an id finds one who must be called by the whole id; a few digits find nobody."""
        for who in (CAROL[:16], CAROL[:16].upper(), CAROL[:-1], CAROL[:16].replace("-", "")):
            self.assertIn(f"/connect {CAROL}", self.refused(who))
        for who in ("ca401000", CAROL[:15]):
            self.assertIn("16 characters", self.refused(who))

    def test_name_of_digits(self) -> None:
        """A name that looks like the beginning of an id isn't asked for."""
        self.registry.names[CAROL] = BOB[:16]
        self.assertIn(f"/connect {BOB}", self.refused(BOB[:16]))

    def test_nobody(self) -> None:
        """Nobody: says where was looked."""
        for who in ("dave", "bo", "", "0b0b0b0d-0000-80", "ffffffff-ffff-ff"):
            self.assertIn("registry.test", self.refused(who))
        self.assertIn("8 characters", self.refused("ca40100"))

    def test_pasted(self) -> None:
        """An id is one with the quotes and stops around it, whoever has such a name."""
        known = Acquaintances({}, {CAROL: f"'{BOB}'"})
        for who in (f"'{BOB}'", f"{BOB}.", f" <{BOB}> ", f"#{BOB.upper()}", f"({BOB[:8]})"):
            self.assertIn(known.match(who), (BOB, None))

    def test_another_answer(self) -> None:
        """A registry that answers another question than the one asked calls nobody."""
        self.registry.names = {BOB: "carol"}
        self.registry.is_lying = True
        for who in ("dave", CAROL[:16]):
            self.assertIn("registry.test", self.refused(who))

    def test_ambiguous(self) -> None:
        """Two of a name, or of a prefix, are told apart by their ids."""
        self.registry.names[BOBBY] = "bob"
        self.assertIn(BOBBY, self.refused("bob"))
        self.registry.names[BOB[:-1] + "2"] = "bobby"
        self.assertIn(BOB, self.refused(BOB[:20]))

    def test_waiting(self) -> None:
        """Whose call waits and who is registered under the same name are told apart."""
        found = look_up("bob", self.group, ME, {BOB: "bob"})
        self.assertEqual(self.successResultOf(found), (BOB, "bob"))
        found = look_up("bob", self.group, ME, {CAROL: "Bob"})
        self.assertIn(CAROL, str(self.failureResultOf(found, WhoError).value))

    def test_ourselves(self) -> None:
        """We aren't called, and don't stand in the way of a namesake."""
        self.assertIn("is you", self.refused("me"))
        self.registry.names[BOB] = "me"
        self.assertEqual(self.successResultOf(self.look_up("me")), (BOB, "me"))
