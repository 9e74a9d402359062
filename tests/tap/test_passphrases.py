"""Tests of :mod:`p2pchat.tap.passphrases`; what is typed on a terminal: ``test_program``."""

from __future__ import annotations

import io
import os
import unicodedata
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pchat.errors import ConfigurationError, PassphraseNeeded, WrongPassphrase
from p2pchat.peer.key_files import KeyFiles
from p2pchat.tap.passphrases import PassphraseSource, read_passphrase

CHEAP = 2  # N of scrypt, for what nobody attacks
LETTER = "k\N{LATIN SMALL LETTER A WITH DIAERESIS}se und Brot"


class FileTests(SynchronousTestCase):
    """A file with a passphrase."""

    def setUp(self) -> None:
        self.path = self.mktemp()

    def read(self, content: bytes, mode: int = 0o600) -> bytes:
        """Return the passphrase in a file with this content."""
        Path(self.path).write_bytes(content)
        os.chmod(self.path, mode)
        return read_passphrase(self.path)

    def test_first_line(self) -> None:
        """The first line counts, without its end, and with its spaces."""
        for content in (b" a b ", b" a b \n", b" a b \r\nmore\n", b"\xef\xbb\xbf a b \n"):
            self.assertEqual(self.read(content), b" a b ")

    def test_composed(self) -> None:
        """A letter is the same, composed or not; bytes that are no text are taken as they are."""
        for form in ("NFC", "NFD"):
            content = unicodedata.normalize(form, LETTER).encode()
            self.assertEqual(self.read(content), LETTER.encode())
        self.assertEqual(self.read(b"\xff\xfe\n"), b"\xff\xfe")

    def test_refused(self) -> None:
        """A file without one, and one that others may read or that isn't there, are said."""
        for content, mode, why in (
            (b"", 0o600, "its first line is to be the passphrase"),
            (b"\nsecret\n", 0o600, "its first line is to be the passphrase"),
            (b"secret" * 200, 0o600, "of at most 1000 bytes"),
            (b"secret", 0o640, "chmod 600"),
        ):
            error = self.assertRaises(ConfigurationError, self.read, content, mode)
            self.assertIn(self.path, str(error))
            self.assertIn(why, str(error))
        os.remove(self.path)
        error = self.assertRaises(ConfigurationError, read_passphrase, self.path)
        self.assertIn("there is no such file", str(error))


class SourceTests(SynchronousTestCase):
    """A person with a state directory, and a terminal or files."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.mkdir(mode=0o700)
        self.terminal = io.StringIO()
        self.prompts: list[str] = []

    def typing(self, *typed: str) -> PassphraseSource:
        """Return a person who types these, one at each prompt, and no more."""
        answers = iter(typed)

        def ask(prompt: str) -> str:
            self.prompts.append(prompt.partition(" of ")[0])
            return next(answers)

        return PassphraseSource(ask, self.terminal)

    def away(self, given: bytes = b"", new: bytes = b"") -> PassphraseSource:
        """Return somebody without a terminal."""
        return PassphraseSource(self.fail, None, given, new)

    def files(self, source: PassphraseSource) -> KeyFiles:
        """Return the files as that person opens them."""
        return KeyFiles(self.path, Random(1).randbytes, source.passphrases, CHEAP)

    def load(self, source: PassphraseSource) -> str:
        """Return the peer id that the files have for that person."""
        return self.files(source).load()[0].peer_id

    def set(self, source: PassphraseSource) -> str:
        """Set a passphrase; returns what is told."""
        return source.set(self.files(source))

    def remove(self, source: PassphraseSource) -> str:
        """Remove the passphrase; returns what is told."""
        return source.remove(self.files(source))

    def test_life(self) -> None:
        """Set, used, changed and removed by typing; what is told names file and consequence."""
        peer_id = self.load(self.typing())
        told = self.set(self.typing("correct horse", "correct horse"))
        self.assertIn("identity.pem is encrypted", told)
        self.assertIn("Older copies", told)
        self.assertEqual(self.load(self.typing("correct horse")), peer_id)
        self.set(self.typing("correct horse", "battery staple", "battery staple"))
        self.assertEqual(self.load(self.typing("battery staple")), peer_id)
        told = self.remove(self.typing("battery staple"))
        self.assertIn("identity.pem is in clear", told)
        self.assertEqual(self.load(self.typing()), peer_id)
        asked = ["New passphrase", "The same once more: "]
        mine = ["Passphrase"]
        self.assertEqual(self.prompts, [*asked, *mine, *mine, *asked, *mine, *mine])

    def test_new(self) -> None:
        """Where there is no identity yet, an encrypted one is made, and its id told."""
        told = self.set(self.typing("correct horse", "correct horse"))
        self.assertIn(self.load(self.typing("correct horse")), told)

    def test_three_tries(self) -> None:
        """A wrong passphrase is asked for again, twice."""
        self.set(self.typing("correct horse", "correct horse"))
        self.load(self.typing("wrong", "wrong", "correct horse"))
        self.assertEqual(self.terminal.getvalue().count("The passphrase is wrong"), 2)
        self.assertRaises(WrongPassphrase, self.load, self.typing("wrong", "wrong", "wrong"))

    def test_composed(self) -> None:
        """What one keyboard composes and another doesn't is the same passphrase."""
        self.set(self.typing(LETTER, LETTER))
        self.load(self.typing(unicodedata.normalize("NFD", LETTER)))
        self.load(self.away(given=LETTER.encode()))

    def test_unfit(self) -> None:
        """One that is short or typed in two ways isn't taken; three times, and all is as it was."""
        peer_id = self.load(self.typing())
        typed = ("short", "correct horse", "correct hose", "x" * 1001)
        error = self.assertRaises(ConfigurationError, self.set, self.typing(*typed))
        self.assertIn("is as it was", str(error))
        self.assertIn("8 characters at least", self.terminal.getvalue())
        self.assertIn("These two differ", self.terminal.getvalue())
        self.assertEqual(self.load(self.typing()), peer_id)

    def test_files(self) -> None:
        """Without a terminal, files do the same."""
        peer_id = self.load(self.away())
        self.set(self.away(new=b"correct horse"))
        self.assertEqual(self.load(self.away(b"correct horse")), peer_id)
        self.set(self.away(b"correct horse", b"battery staple"))
        self.assertRaises(WrongPassphrase, self.load, self.away(b"correct horse"))
        self.remove(self.away(b"battery staple"))
        self.assertEqual(self.load(self.away()), peer_id)

    def test_nobody(self) -> None:
        """With neither terminal nor file, what helps is said."""
        error = self.assertRaises(PassphraseNeeded, self.set, self.away())
        self.assertIn("use --new-passphrase-file", str(error))
        self.set(self.away(new=b"correct horse"))
        error = self.assertRaises(PassphraseNeeded, self.load, self.away())
        self.assertIn("identity.pem is encrypted", str(error))
        self.assertIn("use --passphrase-file FILE", str(error))

    def test_nothing_to_remove(self) -> None:
        """Without an identity there is nothing to remove; one in clear stays so."""
        error = self.assertRaises(ConfigurationError, self.remove, self.typing())
        self.assertIn("identity.pem: there is no such file", str(error))
        peer_id = self.load(self.typing())
        self.assertIn("in clear", self.remove(self.typing()))
        self.assertEqual(self.load(self.typing()), peer_id)

    def test_unseen(self) -> None:
        """Passphrases aren't in what gets printed by accident."""
        source = self.away(b"correct horse", b"battery staple")
        self.assertNotIn("horse", repr((source, source.passphrases)))
        self.assertNotIn("staple", repr(source))
