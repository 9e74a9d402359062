"""Tables of contacts and settings."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from p2pchat.errors import StorageFailed
from p2pchat.peer.storage.profile_rows import (
    CONTACTS,
    GRANTS,
    SETTINGS,
    IProfileRows,
    ProfileRows,
)
from tests.cases import each
from tests.peer.storage.cases import DatabaseCase

_STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.dictionaries(st.sampled_from("abc"), st.none() | st.text(max_size=2000), max_size=3),
        ),
        st.tuples(st.sampled_from(["kill", "full", "room"]), st.just({})),
    ),
    max_size=30,
)


class ProfileRowsTests(DatabaseCase):
    """The tables, over restarts."""

    def setUp(self) -> None:
        super().setUp()
        self.start()

    def start(self) -> None:
        """Start a program."""
        self.rows = ProfileRows(self.open_database())

    def test_interface(self) -> None:
        """It is what a node keeps rows in."""
        self.assertTrue(verifyObject(IProfileRows, self.rows))

    @each((0,), (1,), (2,))
    def test_kept(self, which: int) -> None:
        """Rows are replaced and deleted in one step, apart from those of other tables."""
        put = (self.rows.put_contacts, self.rows.put_settings, self.rows.put_grants)[which]
        every = CONTACTS, SETTINGS, GRANTS
        tables = every[which], every[which - 1]
        self.successResultOf(put({"a": "1", "b": "2", "c": None}))
        self.successResultOf(put({"a": None, "b": "3", "d": "4"}))
        self.kill()
        self.start()
        found = [table.read(self.reading.connection) for table in tables]
        self.assertEqual(found, [{"b": "3", "d": "4"}, {}])

    def test_added(self) -> None:
        """What is added changes nothing that is there."""
        self.successResultOf(self.rows.put_contacts({"a": "1"}))
        connection = self.writing.connection
        CONTACTS.add(connection, {"a": "2", "b": "2"})
        self.assertEqual(CONTACTS.read(connection), {"a": "1", "b": "2"})

    @given(_STEPS)
    def test_model(self, steps: list[tuple[str, dict[str, str | None]]]) -> None:
        """Through restarts and full disks, all rows of a call are there, or none."""
        self.kill()
        self.choose_file()
        self.start()
        expected: dict[str, str] = {}
        for what, rows in steps:
            match what:
                case "put":
                    self._put(expected, rows)
                case "kill":
                    self.kill()
                    self.start()
                case _:
                    self.writing.allow_pages(1 if what == "full" else 0)
            self.assertEqual(CONTACTS.read(self.reading.connection), expected)

    def _put(self, expected: dict[str, str], rows: dict[str, str | None]) -> None:
        def written(_: object) -> None:
            for key, value in rows.items():
                expected.pop(key, None)
                if value is not None:
                    expected[key] = value

        done: Deferred[Any] = self.rows.put_contacts(rows)
        done.addCallback(written).addErrback(lambda failure: failure.trap(StorageFailed))
        self.successResultOf(done)
