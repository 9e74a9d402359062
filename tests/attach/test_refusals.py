"""Tests of :mod:`p2pchat.attach.refusals`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.attach.refusals import error_of, sentence_of, word_of
from p2pchat.errors import NodeRefused, NoPath, NoSuchContact, NotGranted, PeerOffline, WhoError


class RefusalTests(SynchronousTestCase):
    """Errors on their way through the socket."""

    def test_there_and_back(self) -> None:
        """The other program raises the same kind of error, with the same sentence."""
        for error in (NotGranted(), NoSuchContact("no bob"), PeerOffline("away")):
            found = error_of(word_of(error), sentence_of(error))
            self.assertIs(type(found), type(error))
            self.assertEqual(str(found), str(error))

    def test_explained(self) -> None:
        """What explains an error goes along."""
        found = error_of("no-path", sentence_of(NoPath("No path", ("Blocked.", "No relay."))))
        self.assertIsInstance(found, NoPath)
        self.assertEqual(str(found), "No path. Blocked. No relay")

    def test_others(self) -> None:
        """An error without a word, or a word that is unknown here, is a refusal."""
        self.assertEqual(word_of(WhoError("x")), "refused")
        found = error_of("from-the-future", "a sentence")
        assert isinstance(found, NodeRefused)
        self.assertEqual((found.word, str(found)), ("from-the-future", "a sentence"))
        self.assertEqual(sentence_of(KeyError()), "KeyError")
