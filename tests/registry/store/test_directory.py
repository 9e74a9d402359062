"""The directory: leases, pages, what strangers see."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.registry.refusals import Refused
from p2pchat.registry.store.directory import Directory, PublicRecord, Record
from p2pchat.wire.documents import Registration


def directory(**fields: int) -> Directory:
    return Directory(60.0, **fields)


def record(peer_id: str, username: str = "x", ip: str = "192.0.2.1", as_of: float = 0.0) -> Record:
    return Record.of(peer_id, Registration(username), ip, as_of)


class LeaseTests(SynchronousTestCase):
    """A record lives for one lease from its last registration."""

    def test_found_until_the_lease_ends(self) -> None:
        """A record is found while its lease runs, and not from its last moment on."""
        records = directory()
        alice = record("a", as_of=1000.9)
        records.put(alice, 0.0)
        self.assertEqual(records.lookup("a", 59.9), alice)
        self.assertIsNone(records.lookup("a", 60.0))
        self.assertEqual(alice.as_of, 1000)

    def test_renewal(self) -> None:
        """Registering again begins a new lease, and what it says replaces what was said."""
        records = directory()
        records.put(record("a", "alice"), 0.0)
        records.put(record("b", "bob"), 1.0)
        records.put(record("a", "alicia"), 30.0)
        self.assertEqual(records.expire(61.0), ["b"])
        self.assertEqual(records.page("", 10, "alice", 61.0), ([], None))
        [renewed], _ = records.page("", 10, "alicia", 61.0)
        self.assertEqual((renewed.peer_id, len(records)), ("a", 1))

    def test_unlisted(self) -> None:
        """A record may come out of the list and into it again; its end leaves nothing."""
        records = directory()
        for listed in (False, True, False):
            body = Registration("x", listed=listed)
            records.put(Record.of("a", body, "192.0.2.1", 0.0), 0.0)
            self.assertEqual(len(records.page("", 9, None, 0.0)[0]), int(listed))
            self.assertEqual(len(records.page("", 9, "x", 0.0)[0]), int(listed))
            self.assertIsNotNone(records.lookup("a", 0.0))
        self.assertEqual((records.expire(60.0), len(records)), (["a"], 0))

    def test_remove(self) -> None:
        """A removed record is gone at once; removing nothing says so."""
        records = directory()
        records.put(record("a", "alice"), 0.0)
        self.assertEqual((records.remove("a"), records.remove("a")), (True, False))
        self.assertEqual((len(records), records.page("", 9, None, 0.0)), (0, ([], None)))

    def test_bounded(self) -> None:
        """A full directory refuses strangers with 503, and still renews the leases it holds."""
        records = directory(capacity=1)
        records.put(record("a", "alice"), 0.0)
        refusal = self.assertRaises(Refused, records.put, record("b"), 0.0)
        self.assertEqual((refusal.status, refusal.headers), (503, {"Retry-After": "60"}))
        records.put(record("a", "alice"), 9.0)

    def test_room(self) -> None:
        """What was signed may have so many bytes, all together; the share says how full it is."""
        records = directory(capacity=10, room=100)

        def put(peer_id: str, size: int) -> None:
            body, signed = Registration("x"), "s" * size
            records.put(Record.of(peer_id, body, "192.0.2.1", 0.0, registration=signed), 0.0)

        put("a", 60)
        self.assertRaises(Refused, put, "b", 41)
        put("b", 40)
        self.assertEqual(records.share, 1.0)
        self.assertRaises(Refused, put, "a", 61)
        put("a", 5)
        put("a", 60)
        records.remove("a")
        records.expire(60.0)
        self.assertEqual((len(records), records.share), (0, 0.0))
        put("c", 1)
        self.assertEqual(records.share, 0.1)


class PageTests(SynchronousTestCase):
    """Pages show every record once, in the order of ids."""

    @given(st.sets(st.uuids().map(str), max_size=20), st.integers(1, 7))
    def test_pages_cover_all(self, ids: set[str], limit: int) -> None:
        """Following ``next`` shows every record exactly once."""
        records = directory()
        for peer_id in ids:
            records.put(record(peer_id, "x"), 0.0)
        seen: list[str] = []
        following: str | None = ""
        while following is not None:
            page, following = records.page(following, limit, None, 0.0)
            self.assertLessEqual(len(page), limit)
            seen += [record.peer_id for record in page]
        self.assertEqual(seen, sorted(ids))

    def test_by_name(self) -> None:
        """A filter shows exactly the peers of that name."""
        records = directory()
        for number in range(9):
            name = "even" if number % 2 == 0 else "odd"
            records.put(record(str(number), name), 0.0)
        page, following = records.page("", 3, "odd", 0.0)
        self.assertEqual(([r.peer_id for r in page], following), (["1", "3", "5"], "5"))

    @given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz-")), max_size=30))
    def test_agrees_with_a_plain_table(self, steps: list[tuple[str, str]]) -> None:
        """After any registrations, renames and removals, names and ids agree with a dict."""
        records, table = directory(), dict[str, str]()
        for peer_id, name in steps:
            if name == "-":
                self.assertEqual(records.remove(peer_id), table.pop(peer_id, None) is not None)
            else:
                records.put(record(peer_id, name), 0.0)
                table[peer_id] = name
        for name in "xyz":
            found = [r.peer_id for r in records.page("", 99, name, 0.0)[0]]
            self.assertEqual(found, sorted(peer for peer, its in table.items() if its == name))
        self.assertEqual([r.peer_id for r in records.page("", 99, None, 0.0)[0]], sorted(table))


class RecordTests(SynchronousTestCase):
    """Strangers see addresses only where the peer published some."""

    def test_hidden(self) -> None:
        """Without published addresses there is no ip, no port, no address."""
        record = Record.of("a", Registration("alice", "x"), "192.0.2.1", 5.0)
        shown = PublicRecord(record, online=True).to_json()
        self.assertEqual((shown["ip"], shown["port"], shown["addresses"]), (None, None, None))
        self.assertEqual((shown["nat"], shown["as_of"], shown["online"]), ("x", 5, True))

    def test_published(self) -> None:
        """With them, ip is what the registry saw and port that of the address on this ip."""
        body = Registration("alice", "", (("10.0.0.1", 5), ("192.0.2.1", 6)))
        record = Record.of("a", body, "192.0.2.1", 0.0)
        shown = PublicRecord(record, online=False).to_json()
        self.assertEqual((shown["ip"], shown["port"]), ("192.0.2.1", 6))
        self.assertEqual(shown["addresses"], ["10.0.0.1:5", "192.0.2.1:6"])
