"""Tests of names of files that a peer sends."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.file_names import (
    MAX_LOCAL,
    MAX_NAME,
    check_part,
    check_path,
    local_name,
    numbered,
    wire_name,
)
from tests.cases import each


class WireTests(SynchronousTestCase):
    """Names on the wire."""

    @each("a", "a/b.txt", "ä/日本/👍.png", ".git/config", "a b", "...", "-rf", "con", "x" * 255)
    def test_names(self, path: str) -> None:
        """What is a name passes as it is."""
        self.assertEqual(check_path(path), path)

    @each(
        *("", "/", "/etc/passwd", "a/", "a//b", "..", "../a", "a/../b", "a/..", ".", "./a"),
        *("a\0", "a\nb", "a\x1b[2J", "\ud800", "x" * 256, "ä" * 128, "a/" * 32 + "a", "abc/" * 300),
    )
    def test_paths(self, path: str) -> None:
        """What leads anywhere, is nothing, or is too long, is none."""
        self.assertRaises(RemoteProtocolError, check_path, path)

    @each(("a\udcffb", "a\ufffdb"), ("a\nb", "a_b"), ("ä" * 200 + ".txt", "ä" * 125 + ".txt"))
    def test_offered(self, name: str, expected: str) -> None:
        """Any name of a file of ours becomes one that may be on the wire."""
        self.assertEqual(check_part(wire_name(name)), expected)


class LocalTests(SynchronousTestCase):
    """Names on our disk."""

    @each(
        *(("photo.jpg", "photo.jpg"), (".bashrc", "_bashrc"), ("a\\b", "a_b"), ("a:b", "a_b")),
        *(("CON", "_CON"), ("nul.txt", "_nul.txt"), ("com¹", "_com¹"), ("console", "console")),
        *(("evil\u202etxt.exe", "evil_txt.exe"), ("a. ", "a"), ("...", "_"), (" a", "a")),
        *(("e\u0301", "\xe9"), ("x" * 250 + ".tar.gz", "x" * 193 + ".tar.gz"), ("\u200b", "_")),
    )
    def test_names(self, part: str, expected: str) -> None:
        """What could be taken for something else is replaced."""
        self.assertEqual(local_name(part, is_outermost=True), expected)

    def test_inside(self) -> None:
        """In a folder a dot may come first: it hides nothing that isn't in a folder of its own."""
        self.assertEqual(local_name(".git", is_outermost=False), ".git")

    @each(
        *(("a.txt", "a (2).txt"), ("a.tar.gz", "a (2).tar.gz"), ("a", "a (2)")),
        *((".git", ".git (2)"), ("a.b c", "a.b c (2)")),
    )
    def test_numbered(self, name: str, expected: str) -> None:
        """A number stands before the ending."""
        self.assertEqual(numbered(name, 2), expected)

    @settings(max_examples=300, deadline=None)
    @given(st.text(min_size=1, max_size=300), st.booleans())
    def test_any(self, text: str, is_outermost: bool) -> None:
        """Whatever somebody sends becomes a name in the folder that it is meant for."""
        try:
            check_part(text)
        except RemoteProtocolError:
            return
        name = local_name(text, is_outermost)
        self.assertNotIn(name, {"", ".", ".."})
        self.assertLessEqual(len(name.encode()), MAX_LOCAL)
        self.assertFalse(set(name) & set('/\\\0:*?"<>|\n'))
        self.assertEqual(name, unicodedata.normalize("NFC", name))
        self.assertFalse(is_outermost and name.startswith("."))
        self.assertLessEqual(len(numbered(name, 999).encode()), MAX_NAME)
