"""The people whom a person knows."""

from __future__ import annotations

from collections import abc

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import LocalProtocolError, RemoteProtocolError
from p2pchat.identity.registry_lists import DatedList
from p2pchat.peer.contacts import INVITATION, MAX_PEOPLE, Contacts, Person
from p2pchat.traversal.nat import Mapping
from p2pchat.traversal.path_hint import PathHint, PathMethod
from p2pchat.wire.documents import Card, RecordKey, RegistryList
from p2pchat.wire.strict_json import dumps
from tests.identity.people import BOB, CAROL, identity, sealing_key

MALLORY = "bad00000-0000-8000-8000-000000000007"
KEY = sealing_key(BOB).record_key
MEMORY = PathHint(PathMethod.RELAY, Mapping.UNKNOWN, Mapping.UNKNOWN, 5.0)


class ContactsTests(SynchronousTestCase):
    """A contact is a key under a name, until it is forgotten."""

    def setUp(self) -> None:
        self.saved: list[abc.Mapping[str, str | None]] = []
        self.contacts = Contacts(self.saved.append)
        self.assertTrue(self.contacts.keep(BOB.peer_id, "bob"))

    def read(self) -> Contacts:
        """Return what was saved, as the next program reads it."""
        rows: dict[str, str | None] = {}
        for saved in self.saved:
            rows.update(saved)
        return Contacts.from_rows({one: row for one, row in rows.items() if row is not None})

    def test_pinned(self) -> None:
        """A contact keeps its name, whatever it calls itself later."""
        self.assertFalse(self.contacts.keep(BOB.peer_id, "robert"))
        self.assertEqual(self.contacts.names(), {BOB.peer_id: "bob"})

    def test_taken_name(self) -> None:
        """Nobody becomes a contact under a name that looks like a contact's."""
        for name in ("bob", "BOB", "b0b", "bоb", "b.o.b"):  # noqa: RUF001 - a Cyrillic o
            self.assertEqual(self.contacts.mistaken_for(MALLORY, name), BOB.peer_id)
            self.assertFalse(self.contacts.keep(MALLORY, name))
        self.assertEqual(self.contacts.mistaken_for(BOB.peer_id, "bob"), "")
        self.assertEqual(self.contacts.mistaken_for(MALLORY, "mallory"), "")
        self.assertEqual(self.contacts.names(), {BOB.peer_id: "bob"})

    def test_moved(self) -> None:
        """The newest list counts that a contact has made; an older one changes nothing."""
        keys = (sealing_key(BOB).record_key,)
        lists = [DatedList(RegistryList(keys, (f"http://r{n}.test",)), float(n)) for n in range(4)]
        for number, is_news in ((2, True), (1, False), (2, False), (3, True), (0, False)):
            self.assertEqual(self.contacts.remember_list(BOB.peer_id, lists[number]), is_news)
        person = self.read()[BOB.peer_id]
        expected = (("http://r3.test",), keys, 3.0)
        self.assertEqual((person.registries, person.keys, person.as_of), expected)
        saved = len(self.saved)
        same = attrs.evolve(lists[3], as_of=4.0)
        self.assertFalse(self.contacts.remember_list(BOB.peer_id, same))
        self.assertFalse(self.contacts.remember_list(CAROL.peer_id, lists[0]))
        self.assertEqual(len(self.saved), saved, "what is no news isn't written")
        keyless = DatedList(RegistryList((), ("http://r5.test",)), 5.0)
        self.contacts.remember_list(BOB.peer_id, keyless)
        self.assertEqual(self.contacts[BOB.peer_id].keys, keys)
        self.contacts.forget(BOB.peer_id)
        self.assertEqual(self.contacts[BOB.peer_id].registries, ())

    def test_long_names(self) -> None:
        """Two names that are shown alike, since they are cut, look alike."""
        self.contacts.keep(CAROL.peer_id, "Bartholomew Featherstone-Haugh")
        name = "Bartholomew Featherstone the thief"
        self.assertEqual(self.contacts.mistaken_for(MALLORY, name), CAROL.peer_id)

    def test_forgotten(self) -> None:
        """When a contact is forgotten, another may have its name."""
        self.contacts.forget(BOB.peer_id)
        self.assertEqual((self.contacts.people(), self.read().people()), ({}, {}))
        self.assertTrue(self.contacts.keep(MALLORY, "bob"))

    def test_blocked(self) -> None:
        """Who is blocked or muted needs be no contact, and stays so when a contact is forgotten."""
        self.contacts.block(BOB.peer_id, "bob", True)
        self.contacts.mute(MALLORY, "mallory", True)
        self.contacts.forget(BOB.peer_id)
        self.assertTrue(self.contacts[BOB.peer_id].is_blocked)
        self.assertTrue(self.contacts[MALLORY].is_muted)
        self.contacts.block(BOB.peer_id, "bob", False)
        self.contacts.mute(MALLORY, "mallory", False)
        self.assertEqual(self.contacts.people(), {})

    def test_kept(self) -> None:
        """Each change is saved, that one alone, and read back as it was."""
        self.contacts.block(MALLORY, "mallory", True)
        self.contacts.mute(BOB.peer_id, "bob", True)
        self.contacts.remember_path(BOB.peer_id, MEMORY)
        self.contacts.remember_key(BOB.peer_id, KEY)
        for one in (KEY, None):  # what is there already, and nothing
            self.contacts.remember_key(BOB.peer_id, one)
        self.contacts.remember_path(CAROL.peer_id, MEMORY)
        self.contacts.remember_key(CAROL.peer_id, KEY)
        changed = [BOB.peer_id, MALLORY, *[BOB.peer_id] * 3]
        self.assertEqual([list(rows) for rows in self.saved], [[one] for one in changed])
        read = self.read()
        self.assertEqual(read.people(), self.contacts.people())
        self.assertEqual(read[BOB.peer_id], Person("bob", True, True, False, MEMORY, (KEY,)))
        self.assertEqual(read.mistaken_for(MALLORY, "bob"), BOB.peer_id)

    def test_first_version(self) -> None:
        """The file of the first version is read: whom it has is a contact."""
        reached = {BOB.peer_id: MEMORY.to_json(), CAROL.peer_id: {}}
        members = {"peers": {BOB.peer_id: "bob", CAROL.peer_id: ""}, "reached": reached}
        read = Contacts.from_json(dumps(members))
        self.assertEqual(read[BOB.peer_id], Person("bob", True, reached=MEMORY))
        self.assertEqual(read[CAROL.peer_id], Person(f"id {CAROL.peer_id[:8]}", True))

    def test_names_in_files(self) -> None:
        """Whom a file has under a name that isn't its own alone has its id for a name."""
        members = {"peers": {BOB.peer_id: "bob", MALLORY: "B0B", CAROL.peer_id: "you to alice"}}
        names = Contacts.from_json(dumps(members)).names()
        self.assertEqual(names[BOB.peer_id], "bob")
        self.assertEqual(names[MALLORY], "id bad00000")
        self.assertEqual(names[CAROL.peer_id], f"id {CAROL.peer_id[:8]}")

    def test_malformed(self) -> None:
        """A table that can't be understood is refused; a path and keys are forgotten alone."""
        for members in (
            *({}, {"v": 3, "people": {}}, {"v": 2}, {"v": 2, "people": []}),
            *({"v": 2, "people": {"x": {"name": ""}}}, {"v": 2, "people": {MALLORY: "bob"}}),
            {"v": 2, "people": {MALLORY: {"name": "bob", "contact": 1}}},
        ):
            self.assertRaises(RemoteProtocolError, Contacts.from_json, dumps(members))
        one = {"name": "bob", "contact": True, "reached": {"means": "luck"}, "keys": [{"use": 1}]}
        read = Contacts.from_json(dumps({"v": 2, "people": {MALLORY: one}}))
        self.assertEqual(read[MALLORY], Person("bob", True))

    def test_malformed_rows(self) -> None:
        """A row that can't be understood is named."""
        good = self.contacts.rows()[BOB.peer_id]
        for peer_id, row in ((MALLORY, "{"), (MALLORY, "[]"), (MALLORY, "{}"), ("x", good)):
            error = self.assertRaises(RemoteProtocolError, Contacts.from_rows, {peer_id: row})
            self.assertTrue(str(error).startswith(f"{peer_id}: "))

    def test_introduced(self) -> None:
        """Who was met by an invitation has a name that no other has, a key, and how it was met."""
        keys = (RecordKey("enc", "HPKE-3", "x"),)
        card = Card("carol", keys, ("http://r.test",))
        self.assertEqual(self.contacts.introduce(CAROL.peer_id, card), "carol")
        person = self.contacts[CAROL.peer_id]
        self.assertEqual((person.is_contact, person.met, person.keys), (True, INVITATION, keys))
        self.assertEqual(person.registries, ("http://r.test",))
        other = identity(9).peer_id
        self.assertEqual(self.contacts.introduce(other, Card("Carol")), "Carol 2")
        self.assertEqual(self.contacts.introduce(other, Card("x"), "my friend"), "my friend")
        self.assertEqual(self.contacts.introduce(other, Card("bob")), "my friend")
        self.assertEqual(self.read().people(), self.contacts.people())

    def test_replaced(self) -> None:
        """Who takes a contact's place has its name; ids of those before are kept, eight at most."""
        self.contacts.introduce(BOB.peer_id, Card("bob"))
        former = BOB.peer_id
        for number in range(10, 20):
            peer_id = identity(number).peer_id
            self.contacts.introduce(peer_id, Card("b"), "bob", former)
            self.assertFalse(self.contacts[former].is_contact)
            former = peer_id
        self.assertEqual(self.contacts.names(), {former: "bob"})
        self.assertEqual(len(self.contacts[former].before), 8)
        self.assertEqual(self.contacts[former].before[0], identity(18).peer_id)
        gone = identity(18).peer_id
        self.assertEqual(self.saved[-1], {gone: None, former: self.contacts.rows()[former]})
        self.assertEqual(self.read().people(), self.contacts.people())

    def test_renamed(self) -> None:
        """Another name is taken unless another contact has it, or one that looks like it."""
        self.contacts.introduce(BOB.peer_id, Card("bob"))
        self.contacts.introduce(CAROL.peer_id, Card("carol"))
        self.assertTrue(self.contacts.rename(BOB.peer_id, "Robert"))
        self.assertFalse(self.contacts.rename(BOB.peer_id, "CAR0L"))
        self.assertEqual(self.contacts.names()[BOB.peer_id], "Robert")
        self.assertEqual(self.contacts.free_name(BOB.peer_id, "0b0b0b0b"), f"id {BOB.peer_id[:8]}")

    def test_verified(self) -> None:
        """That words were compared is kept, and ends with the contact."""
        self.contacts.introduce(BOB.peer_id, Card("bob"))
        self.contacts.verify(BOB.peer_id, True)
        self.assertTrue(self.read()[BOB.peer_id].is_verified)
        self.contacts.forget(BOB.peer_id)
        self.contacts.keep(BOB.peer_id, "bob")
        self.assertEqual(self.contacts[BOB.peer_id], Person("bob", True))

    def test_limit(self) -> None:
        """There is an end to how many are kept, and the sentence says what to do."""
        people = {
            f"{number:08x}-0000-8000-8000-000000000000": {"name": "", "contact": True}
            for number in range(MAX_PEOPLE)
        }
        full = Contacts.from_json(dumps({"v": 2, "people": people}))
        error = self.assertRaises(LocalProtocolError, full.keep, BOB.peer_id, "bob")
        self.assertIn("/forget", str(error))
        full.forget(next(iter(people)))
        self.assertTrue(full.keep(BOB.peer_id, "bob"))
