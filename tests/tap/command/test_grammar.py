"""Tests of :mod:`p2pchat.tap.command.grammar`."""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.tap.command.grammar import Grammar, Target, duration, port, service, target
from p2pchat.tap.command.statuses import MISTAKE
from tests.cases import each


class WordTests(SynchronousTestCase):
    """Single words."""

    @each(
        (target, "bob:ssh", Target("bob", "ssh")),
        (target, "Bob the 2nd: x:web", Target("Bob the 2nd: x", "web")),
        (target, "bob.p2p:ssh", Target("bob", "ssh")),
        (duration, "30m", 1800),
        (duration, "8h", 28800),
        (duration, "2d", 172800),
        (port, "0", 0),
        (port, "65535", 65535),
        (service, "web-2.x", "web-2.x"),
    )
    def test_read(self, read: Callable[[str], object], text: str, expected: object) -> None:
        """What is right is read."""
        self.assertEqual(read(text), expected)

    @each(
        (target, "bob", "is no WHO:SERVICE, such as bob:ssh"),
        (target, ":ssh", "is no WHO:SERVICE"),
        (target, "bob:", "is no name of a service"),
        (target, "bob:22:SSH", "is no name of a service"),
        (service, "p" * 64, "63 at most"),
        (service, "-x", "is no name of a service"),
        (duration, "0h", "is no time such as"),
        (duration, "8", "is no time such as"),
        (duration, "-1h", "is no time such as"),
        (port, "65536", "is no port"),
        (port, "٣", "is no port"),
    )
    def test_mistakes(self, read: Callable[[str], object], text: str, sentence: str) -> None:
        """What is wrong gets a sentence with an example."""
        error = self.assertRaises(argparse.ArgumentTypeError, read, text)
        self.assertIn(sentence, str(error))


class GrammarTests(SynchronousTestCase):
    """Whole command lines."""

    def setUp(self) -> None:
        self.grammar = Grammar("test", "A test.")
        self.grammar.take_directory()
        self.grammar.take_path()

    def mistake(self, *words: str) -> str:
        """Give a wrong command line, and return what is said."""
        with contextlib.redirect_stderr(io.StringIO()) as stderr:
            error = self.assertRaises(SystemExit, self.grammar.parse, words)
        self.assertEqual(error.code, MISTAKE)
        return stderr.getvalue()

    def test_values(self) -> None:
        """Options have their values."""
        found = self.grammar.parse(["--path", "direct", "--timeout", "2.5", "--profile", "home"])
        self.assertEqual((found.path, found.timeout, found.profile), ("direct", 2.5, "home"))

    @each(
        (("--path", "fast"), "invalid choice: 'fast'"),
        (("--timeout", "nan"), "'nan' is no number of seconds up to 600"),
        (("--state", "a", "--profile", "b"), "not allowed with argument"),
        (("--sta", "a"), "unrecognized arguments"),
    )
    def test_mistakes(self, words: tuple[str, ...], sentence: str) -> None:
        """A mistake is told in one line, with where the help is in another."""
        said = self.mistake(*words)
        self.assertIn(sentence, said)
        first, second = said.splitlines()
        self.assertTrue(first.startswith("p2pchat test: "))
        self.assertEqual(second, "p2pchat test --help says how it is used.")
