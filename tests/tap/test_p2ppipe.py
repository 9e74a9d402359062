"""Tests of :mod:`p2pchat.tap.p2ppipe`: command lines."""

from __future__ import annotations

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.tap.p2ppipe import MAX_PAIRS, Options
from tests.cases import each

TO = "tcp:127.0.0.1:3000"


def parsed(*words: str) -> Options:
    """Read a command line."""
    options = Options()
    options.parseOptions(list(words))
    return options


class OptionsTests(SynchronousTestCase):
    """What can be said, and what is said of mistakes."""

    def test_pairs(self) -> None:
        """Each --listen goes to the --connect after it."""
        words = ("--listen", "tcp:1", "--connect", TO, "-l", "tcp:2", "-c", "unix:/run/a")
        self.assertEqual(parsed(*words).pairs, (("tcp:1", TO), ("tcp:2", "unix:/run/a")))

    @each(
        ((), "say from where to where"),
        (("--listen", "tcp:1"), "--listen tcp:1 needs a --connect after it"),
        (("--listen", "tcp:1", "--listen", "tcp:2"), "--listen tcp:1 needs a --connect after it"),
        (("--connect", TO), f"--connect {TO} needs a --listen before it"),
        (("--listen", "tcp", "--connect", TO), "--listen: 'tcp' is no endpoint"),
        (("--listen", "tcp:1", "--connect", "nowhere:1"), "--connect: 'nowhere:1' is no endpoint"),
        (("-l", "stdio:", "-c", TO, "-l", "stdio:", "-c", TO), "can be given once"),
        (("-l", "stdio:", "-c", TO, "--json"), "--json needs stdout"),
        (("-l", "tcp:1", "-c", TO) * (MAX_PAIRS + 1), f"more than {MAX_PAIRS}"),
        (("web",), "'web' is no option"),
    )
    def test_mistakes(self, words: tuple[str, ...], sentence: str) -> None:
        """A sentence says what is missing or wrong."""
        error = self.assertRaises(usage.UsageError, parsed, *words)
        self.assertIn(sentence, str(error))
