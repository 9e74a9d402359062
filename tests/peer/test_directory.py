"""Who is meant by a name, the first characters of an id, or an id."""

from __future__ import annotations

from typing import Any, cast

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import WhoError
from p2pchat.peer.directory import as_peer_id, look_up, match
from p2pchat.peer.registry_client import RegistryClient

BOB = "0b0b0b0b-0000-8000-8000-000000000001"
BOBBY = "0b0b0b0c-0000-8000-8000-000000000002"
CAROL = "ca401000-0000-8000-8000-000000000003"
ME = "0e000000-0000-8000-8000-000000000004"


class MatchTests(SynchronousTestCase):
    """Among those whom we know."""

    NAMES = {BOB: "bob", BOBBY: "bobby", CAROL: "Carol"}

    def test_found(self) -> None:
        """A whole name in any case, or enough of an id."""
        for who, expected in (
            *(("bob", BOB), ("BOB", BOB), (" carol ", CAROL), (CAROL, CAROL)),
            *((CAROL.upper(), CAROL), ("ca", CAROL), ("0b0b0b0b", BOB)),
            *(("bo", None), ("dave", None), ("f", None)),
        ):
            with self.subTest(who=who):
                self.assertEqual(match(who, self.NAMES), expected)
        self.assertIsNone(match("", self.NAMES))
        self.assertIsNone(match("bob", {}))

    def test_name_that_is_an_id(self) -> None:
        """Who takes somebody's id for a name isn't found by it, that somebody is."""
        self.assertEqual(match(BOB, {BOB: "bob", CAROL: BOB}), BOB)

    def test_blank(self) -> None:
        """Blanks fit nobody, one without a name neither."""
        for who in (" ", "\t"):
            self.assertIsNone(match(who, {BOB: ""}))

    def test_ambiguous(self) -> None:
        """What fits two names them both, with enough of their ids."""
        for who, names in (("0b0b", self.NAMES), ("bob", {BOB: "bob", BOBBY: "Bob"})):
            error = str(self.assertRaises(WhoError, match, who, names))
            self.assertIn(BOB[:13], error)
            self.assertIn(BOBBY[:13], error)

    def test_many(self) -> None:
        """Of a crowd only a few are listed."""
        crowd = {f"{number:08x}-0000-8000-8000-000000000000": "x" for number in range(1000)}
        self.assertLess(len(str(self.assertRaises(WhoError, match, "x", crowd))), 200)

    def test_whole_id(self) -> None:
        """A whole id is recognised in either case, and nothing else is."""
        self.assertEqual(as_peer_id(f" {BOB.upper()} "), BOB)
        for who in ("bob", BOB[:-1], BOB.replace("-8", "-4", 1), ""):
            self.assertIsNone(as_peer_id(who))


@attrs.define
class FakeRegistry:
    """
    A registry's list of peers.

    :ivar page: what it answers instead.
    """

    names: dict[str, str]
    page: object = None
    server: str = "http://registry.test"

    def peers(self, **query: str) -> Deferred[Any]:
        """Return one page of records."""
        if self.page is not None:
            return succeed(self.page)
        found = sorted(
            (peer_id, name)
            for peer_id, name in self.names.items()
            if query.get("username", name) == name and peer_id > query.get("after", "")
        )
        records = [{"peer_id": peer_id, "username": name} for peer_id, name in found]
        return succeed({"peers": records[: int(query.get("limit", "50"))]})


class LookUpTests(SynchronousTestCase):
    """Among those who are online."""

    def setUp(self) -> None:
        self.registry = FakeRegistry({BOB: "bob", BOBBY: "bobby", CAROL: "Carol", ME: "me"})

    def look_up(self, who: str) -> Deferred[tuple[str, str]]:
        """Ask who is meant."""
        asked: Deferred[tuple[str, str]] = look_up(who, cast(RegistryClient, self.registry), ME)
        return asked

    def refused(self, who: str) -> str:
        """Return the sentence with which this is refused."""
        return str(self.failureResultOf(self.look_up(who), WhoError).value)

    def test_name(self) -> None:
        """A name that one peer has."""
        self.assertEqual(self.successResultOf(self.look_up("bob")), (BOB, "bob"))

    def test_prefix(self) -> None:
        """The first characters of an id, in either case, with or without its dashes' end."""
        for who in ("ca40", "CA4", CAROL[:9], CAROL[:-1]):
            self.assertEqual(self.successResultOf(self.look_up(who)), (CAROL, "Carol"))

    def test_nobody(self) -> None:
        """Nobody: says where was looked, and how to see who is there."""
        for who in ("dave", "ff", "bo", "0b0b0b0d", ""):
            self.assertIn("registry.test", self.refused(who))

    def test_ambiguous(self) -> None:
        """Two of a name, or of a prefix, are told apart by their ids."""
        self.registry.names[BOBBY] = "bob"
        self.assertIn(BOBBY[:13], self.refused("bob"))
        self.assertIn(BOB[:13], self.refused("0b0b"))

    def test_ourselves(self) -> None:
        """We aren't called, and don't stand in the way of a namesake."""
        self.assertIn("is you", self.refused("me"))
        self.assertIn("is you", self.refused("0e"))
        self.registry.names[BOB] = "me"
        self.assertEqual(self.successResultOf(self.look_up("me")), (BOB, "me"))

    def test_strange_records(self) -> None:
        """Records that a registry shouldn't send are left out."""
        pages: tuple[object, ...] = (
            *({}, {"peers": None}, {"peers": [1, None, {}]}, {"peers": {"peer_id": BOB}}),
            *({"peers": [{"peer_id": "../x", "username": "bob"}, {"peer_id": 5}]},),
        )
        for page in pages:
            self.registry.page = page
            self.refused("bob")
