"""Tests of :mod:`p2pchat.ui.troubles`."""

from __future__ import annotations

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError, RegistryError, TextTooLong, TooManyLines, WhoError
from p2pchat.peer.events import Trouble
from p2pchat.ui.troubles import trouble_of


class TroubleTests(SynchronousTestCase):
    """A person reads a sentence, a program compares a word, and the log has the rest."""

    def test_ours(self) -> None:
        """Errors of ours are told in their own words."""
        for error, word in (
            (WhoError("Nobody is called dave."), "who"),
            (TextTooLong("Too long."), "too-long"),
            (TooManyLines("Too many."), "too-many"),
            (RegistryError("Ask later.", 429, "too-many-requests"), "too-many-requests"),
            (ConfigurationError("No."), ""),
        ):
            self.assertEqual(trouble_of(Failure(error)), Trouble(str(error), word))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_fault(self) -> None:
        """A fault is logged with its traceback, and told without what only its log should say."""
        try:
            raise KeyError("secret")
        except KeyError:
            told = trouble_of(Failure())
        self.assertEqual(told.word, "internal")
        self.assertNotIn("secret", told.reason)
        (logged,) = self.flushLoggedErrors(KeyError)
        self.assertIn("test_troubles.py", logged.getTraceback())
