"""What stands at nameplates, as values: it round trips, and bad input raises only our error."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.nameplates import (
    Claim,
    Completion,
    NameplateState,
    PakeResponse,
    Release,
    check_nameplate,
)
from tests.wire.json_values import damaged

names = st.from_regex(r"[0-9]{6}|[a-z2-7]{13}", fullmatch=True).filter(str.isascii)
messages = st.binary(min_size=33, max_size=33)
confirmations = st.binary(min_size=32, max_size=32)
cards = st.binary(max_size=200)
responses = st.builds(PakeResponse, messages, confirmations, cards)
completions = st.builds(Completion, names, confirmations, cards) | st.builds(Completion, names)
claims = st.builds(Claim, names, messages, st.integers(1, 86_400))
releases = st.builds(Release, names)
states = st.builds(
    NameplateState,
    st.just("http://r.test:80"),
    messages,
    st.integers(0, 86_400),
    st.none() | responses,
    st.none() | completions,
)
values: st.SearchStrategy[Any] = st.one_of(claims, responses, completions, releases, states)


class ValueTests(SynchronousTestCase):
    """All of them."""

    @settings(max_examples=40)
    @given(values)
    def test_round_trip(self, value: Any) -> None:
        """What is written is read."""
        self.assertEqual(type(value).from_json(value.to_json()), value)

    @settings(max_examples=40)
    @given(st.data())
    def test_damaged(self, data: st.DataObject) -> None:
        """Anything else is our error, or a value."""
        kind = data.draw(st.sampled_from([claims, responses, completions, releases, states]))
        value = data.draw(kind)
        with contextlib.suppress(RemoteProtocolError):
            type(value).from_json(data.draw(damaged(st.just(value.to_json()))))

    def test_burnt(self) -> None:
        """A completion without a confirmation says that the try failed."""
        self.assertTrue(Completion("123456").is_burnt)
        self.assertFalse(Completion("123456", bytes(32)).is_burnt)

    def test_names(self) -> None:
        """Only what a nameplate may be called is one."""
        for name in ("", "12345", "1234567", "aaaaaaaaaaaa1", "AAAAAAAAAAAAA", "١٢٣٤٥٦", "12345\n"):
            self.assertRaises(RemoteProtocolError, check_nameplate, name)
