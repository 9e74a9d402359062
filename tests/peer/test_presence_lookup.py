"""Look-ups of many peers at several registries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RegistryError
from p2pchat.peer.presence_lookup import look_up_many


class LookUpTests(SynchronousTestCase):
    """Each is asked for where it may be, all of a place together."""

    def setUp(self) -> None:
        self.online = {"one": {"a"}, "two": {"b", "c"}}
        self.broken: set[str] = set()
        self.asked: list[tuple[str, list[str]]] = []

    def ask(self, place: str, peer_ids: Sequence[str]) -> Deferred[Mapping[str, bool]]:
        """Ask a place."""
        self.asked.append((place, list(peer_ids)))
        if place in self.broken:
            return fail(RegistryError("away"))
        return succeed({one: one in self.online[place] for one in peer_ids})

    def look_up(self, **places: tuple[str, ...]) -> dict[str, bool]:
        """Look up."""
        found: dict[str, bool] = self.successResultOf(look_up_many(places, self.ask))
        return found

    def test_together(self) -> None:
        """One question a place and turn; who is online isn't asked for again."""
        both = ("one", "two")
        found = self.look_up(a=both, b=both, c=("two",), d=both)
        self.assertEqual(found, {"a": True, "b": True, "c": True, "d": False})
        asked = [("one", ["a", "b", "d"]), ("two", ["c"]), ("two", ["b", "d"])]
        self.assertEqual(self.asked, asked)

    def test_nobody(self) -> None:
        """Without peers, or places, nobody is asked."""
        self.assertEqual((self.look_up(), self.look_up(a=()), self.asked), ({}, {}, []))

    def test_broken(self) -> None:
        """Whoever may be at a place that can't be asked isn't said to be away."""
        self.broken = {"one"}
        both = ("one", "two")
        self.assertEqual(
            self.look_up(a=both, b=both, c=("two",), d=("one",)), {"b": True, "c": True}
        )
        self.assertEqual(self.look_up(d=("two",)), {"d": False})
