"""
The passphrase of the identity: from a file, or typed where nobody sees it.

Owns what is typed without echo, and what the options about the passphrase do.  It comes neither
from the command line, which other users of the machine can read, nor from the environment, and
goes nowhere but to :mod:`p2pchat.peer.key_files`.  A prompt needs a terminal that can hide what is
typed; it gives that terminal back on every way out, signals included.
"""

from __future__ import annotations

import getpass
import os
import signal
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn, TextIO

import attrs
from twisted.python import usage

from p2pchat.errors import ConfigurationError, PassphraseNeeded, WrongPassphrase
from p2pchat.peer.files import read_file
from p2pchat.peer.key_files import KeyFiles, Passphrases
from p2pchat.tap.command_line import CommandLine
from p2pchat.tap.places import expanded

SET, REMOVE = "set-passphrase", "remove-passphrase"
FILE, NEW_FILE = "passphrase-file", "new-passphrase-file"
TRIES = 3  # at a prompt
SHORTEST = 8  # characters of a new one; with fewer, a thief's machine tries them all
LONGEST = 1000  # bytes; the library takes 1,023
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def ask_secretly(prompt: str) -> str:
    """
    Return what a person types without showing it.

    :raises ConfigurationError: nothing was typed, or nothing can be typed without being seen.
    """
    came: list[int] = []

    def end(number: int, _frame: object) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    usual = (signal.SIG_DFL, signal.default_int_handler)
    before: dict[int, Any] = {
        number: signal.signal(number, end)
        for number in _ENDING
        if signal.getsignal(number) in usual
    }
    # Stopped, it would leave the shell a terminal that hides what is typed.
    before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            return getpass.getpass(prompt)
    except EOFError:
        sys.stderr.write("\n")
        raise ConfigurationError("nothing was typed") from None
    except UnicodeError:  # which quotes it
        raise ConfigurationError("what was typed isn't in this terminal's encoding") from None
    except getpass.GetPassWarning:
        raise ConfigurationError("this terminal would show what is typed") from None
    except KeyboardInterrupt:
        pass
    finally:
        for number, action in before.items():
            signal.signal(number, action)
    _die_of(came[0])


def _die_of(number: int) -> NoReturn:
    """End the program by a signal, as it would have ended without us."""
    sys.stderr.write("\n")
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise SystemExit(1)  # never: the signal has ended it


def read_passphrase(path: str) -> bytes:
    """
    Return the first line of a file that is ours alone.

    :raises ConfigurationError: it can't be read or trusted, or there is no passphrase in it.
    """
    try:
        data = read_file(Path(path), secret=True)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    if data is None:
        raise ConfigurationError(f"{path}: there is no such file")
    lines = data.removeprefix(b"\xef\xbb\xbf").splitlines()  # an editor's byte order mark
    passphrase = _bytes(lines[0].decode("utf-8", "surrogateescape")) if lines else b""
    if not passphrase or len(passphrase) > LONGEST:
        raise ConfigurationError(
            f"{path}: its first line is to be the passphrase, of at most {LONGEST} bytes"
        )
    return passphrase


def _bytes(text: str) -> bytes:
    """Return the same bytes for a letter, whichever way a keyboard or an editor writes it."""
    return unicodedata.normalize("NFC", text).encode("utf-8", "surrogateescape")


@attrs.frozen
class PassphraseSource:
    """
    Passphrases of the identity: from files, or typed.

    :ivar ask: shows a prompt, and returns what is typed.
    :ivar terminal: where sentences between two prompts go; ``None`` if there is nobody to ask.
    :ivar given: what ``--passphrase-file`` has; ``b""`` without it.
    :ivar new: what ``--new-passphrase-file`` has.
    """

    ask: Callable[[str], str]
    terminal: TextIO | None
    given: bytes = attrs.field(default=b"", repr=False)
    new: bytes = attrs.field(default=b"", repr=False)

    @property
    def passphrases(self) -> Passphrases:
        """As the files of the keys take them."""
        return Passphrases(self._tries, self.given)

    def set(self, files: KeyFiles) -> str:
        """Encrypt an identity, old or new; returns what is told of it."""
        path = files.identity_path
        if not path.exists():
            first = self._new(path)
            identity, _ = files.load(first)
            return f"{path} is new and encrypted: {identity.peer_id}.\n{_KEEP}"
        keys = files.load()
        files.encrypt(*keys, self._new(path))
        return f"{path} is encrypted under the new passphrase.\n{_KEEP}{_COPIES}"

    def remove(self, files: KeyFiles) -> str:
        """Keep an identity in clear; returns what is told of it."""
        path = files.identity_path
        if not path.exists():
            raise ConfigurationError(f"{path}: there is no such file")
        files.decrypt(*files.load())
        return f"{path} is in clear: whoever can read it is you.\n"

    def _tries(self, path: Path) -> Iterator[bytes]:
        if self.given:
            yield self.given
            return
        if self.terminal is None:
            raise PassphraseNeeded(
                f"{path} is encrypted, and stdin is no terminal to ask for the passphrase on: "
                "use --passphrase-file FILE"
            )
        for number in range(TRIES):
            if number:
                self.terminal.write(f"{WrongPassphrase()}.\n")
            yield _bytes(self.ask(f"Passphrase of {path}: "))

    def _new(self, path: Path) -> bytes:
        if self.new:
            return self.new
        if self.terminal is None:
            raise PassphraseNeeded(
                "stdin is no terminal to ask for the new passphrase on: use --new-passphrase-file "
                "FILE"
            )
        for _ in range(TRIES):
            text = self.ask(f"New passphrase of {path}: ")
            passphrase = _bytes(text)
            if len(text) < SHORTEST or len(passphrase) > LONGEST:
                self.terminal.write(
                    f"A passphrase has {SHORTEST} characters at least, and {LONGEST} bytes at "
                    f"most. --{REMOVE} does without one.\n"
                )
            elif _bytes(self.ask("The same once more: ")) != passphrase:
                self.terminal.write("These two differ.\n")
            else:
                return passphrase
        raise ConfigurationError(f"{path}: it has no new passphrase, and is as it was")


_KEEP = (
    "Nobody can read it without the passphrase, nor can you: keep that, and a copy of the file.\n"
)
_COPIES = "Older copies of it, as in backups, open as they did before.\n"


def passphrase_source(options: CommandLine, ask: Callable[[str], str]) -> PassphraseSource:
    """
    Check the options about the passphrase, and read their files.

    :raises usage.UsageError: they don't go together.
    :raises ConfigurationError: a file can't be used.
    """
    given = [name for name in (SET, REMOVE, NEW_FILE, FILE) if options.get(name)]
    if given and options["state"] is None:
        raise usage.UsageError(f"--{given[0]} needs --state or --profile: no identity is kept")
    if given[:1] == [NEW_FILE]:
        raise usage.UsageError(f"--{NEW_FILE} needs --{SET}")
    if given[:1] in ([SET], [REMOVE]):
        for other in (REMOVE, NEW_FILE, "nat-type", "json", "join", "join-file", "connect"):
            if options.get(other) and other != given[0] and (given[0], other) != (SET, NEW_FILE):
                raise usage.UsageError(f"--{given[0]} and --{other} exclude each other")
    files = [
        read_passphrase(expanded(name, options[name])) if options.get(name) is not None else b""
        for name in (FILE, NEW_FILE)
    ]
    terminal = sys.stderr if sys.stdin is not None and sys.stdin.isatty() else None
    return PassphraseSource(ask, terminal, *files)
