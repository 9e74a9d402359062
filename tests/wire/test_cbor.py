"""CBOR: what JSON could have said, in fewer bytes, and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import NotJson, RemoteProtocolError
from p2pchat.wire import strict_json
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.cbor import WORDS, dumps, loads
from p2pchat.wire.documents import PeerDocument, write_peer_body
from tests.wire.json_values import any_text
from tests.wire.test_documents import peer_bodies

_OCTETS = st.binary(max_size=40)
_TEXTS = any_text | st.sampled_from(WORDS) | _OCTETS.map(encode_bytes) | _OCTETS.map(bytes.hex)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2**53) | _TEXTS | st.floats(-1e300, 1e300),
    lambda inner: (
        st.lists(inner, max_size=4).map(list) | st.dictionaries(_TEXTS, inner, max_size=4)
    ),
    max_leaves=8,
)


class WrittenTests(SynchronousTestCase):
    """What is written is read."""

    @settings(max_examples=300)
    @given(st.dictionaries(_TEXTS, _VALUES, max_size=4), st.integers(0, 40))
    def test_round_trip(self, value: dict[str, Any], zeros: int) -> None:
        """Any object comes back as it was, by type too, whatever its texts look like."""
        read = loads(dumps(value) + bytes(zeros))
        self.assertEqual(json.dumps(read), json.dumps(value))

    @settings(max_examples=100)
    @given(peer_bodies)
    def test_bodies(self, body: PeerDocument) -> None:
        """What peers write is never longer than as JSON."""
        members = write_peer_body(body)
        self.assertEqual(loads(dumps(members)), members)
        self.assertLess(len(dumps(members)), len(strict_json.dumps(members)))

    def test_forms(self) -> None:
        """Words, octets and lengths are written as RFC 8949 says (its appendix A has some)."""
        for value, written in (
            ({}, "a0"),
            ({"type": 23}, "a12017"),
            ({"no-handshake": 24}, f"a138{len(WORDS) - 1:02x}1818"),
            ({"a": [1000000, 2**53]}, "a16161821a000f42401b0020000000000000"),
            ({"a": [False, True, None, 1.1]}, "a1616184f4f5f6fb3ff199999999999a"),
            ({"a": "\u00fc\ud800"}, "a1616165c3bcefbfbd"),
            ({"a": "0123456789abcdef"}, "a16161d7480123456789abcdef"),
            ({"a": "0123456789abcde"}, "a161616f303132333435363738396162636465"),
            ({"a": "AAAAAAAAAAA"}, "a16161480000000000000000"),
            ({"a": "AAAAAAAAAAB"}, "a161616b4141414141414141414142"),  # not its one spelling
        ):
            self.assertEqual(dumps(value).hex(), written)


class ReadTests(SynchronousTestCase):
    """What strangers may write."""

    def refuse(self, written: str) -> None:
        """This isn't taken."""
        self.assertRaises(NotJson, loads, bytes.fromhex(written))

    def test_any_form(self) -> None:
        """A text may be written in any way, and a number with any head."""
        for written in ("a1206161", "a164747970656161", "a1381f6161", "a138006161"):
            self.assertEqual(list(loads(bytes.fromhex(written)).values()), ["a"])
        self.assertEqual(loads(bytes.fromhex("a120190001")), {"type": 1})
        self.assertEqual(loads(bytes.fromhex("a120f93c00")), {"type": 1.0})
        self.assertEqual(loads(bytes.fromhex("a120d741ff")), {"type": "ff"})
        self.assertEqual(loads(bytes.fromhex("a12041ff")), {"type": "_w"})

    def test_refused(self) -> None:
        """What JSON couldn't say, or isn't whole, isn't read."""
        for written in (
            *("", "00", "80", "f6", "6161", "a1", "a120", "a1206261", "a12042ff", "a0a0", "a001"),
            *("bf20f6ff", "9fff", "a1209f00ff", "a1205f41ffff", "a1207f6161ff"),  # indefinite
            *("a1201c", "a1205d00", "a120fc", "a120ff"),  # reserved
            *(
                "a120c000",
                "a120c11a514b67b0",
                "a120d81c80",
                "a120d81d00",
                "a120c249",
                "a120d8236161",
                "a120d76161",
                "a120d7d741ff",
                "a120d841ff",
            ),  # tags
            *("a120f7", "a120e0", "a120f820", "a120f815", "a120f81b0000000000000000"),
            *("a120fb7ff0000000000000", "a120fb7ff8000000000000", "a120fb7fef", "a120f97c00"),
            *("a10000", "a1a000", "a18000", "a1f600"),  # keys that aren't text
            f"a138{len(WORDS):02x}00",
            *("a1203bffffffffffffffff", "a1205bffffffffffffffff00", "a1209bffffffffffffffff00"),
            "bbffffffffffffffff2000",
        ):
            self.refuse(written)
        self.refuse("a12061ff")  # no UTF-8
        self.refuse("a12063eda080")  # a lone surrogate

    def test_twice(self) -> None:
        """No key stands twice, in whatever ways it is written."""
        for again in ("20", "6474797065", "3800"):
            self.refuse(f"a22000{again}00")
            self.refuse(f"a120a22000{again}00")

    def test_depth(self) -> None:
        """It nests as deep as JSON may, and no deeper."""
        loads(bytes.fromhex("a120" + "81" * 14 + "80"))
        for more in ("80", "a0", "81" * 10_000):
            self.refuse("a120" + "81" * 15 + more)

    @settings(max_examples=300)
    @given(st.binary(max_size=60))
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes raise only our error, or are an object that can be written."""
        for some in (data, b"\xa1\x20" + data):
            with contextlib.suppress(RemoteProtocolError):
                read = loads(some)
                self.assertEqual(loads(dumps(read)), read)
