"""
Paths of the command line, and the directories of profiles.

A profile is a state directory that has a name; all of them stand beside each other where the
system wants the state of programs, on Linux ``$XDG_STATE_HOME/p2pchat``, which usually is
``~/.local/state/p2pchat``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from platformdirs import user_state_path
from twisted.python import usage

DEFAULT_PROFILE = "default"
# A name and never a path: no slash, and nothing that begins with a dot or reads as an option.
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def profile_directory(name: str) -> str:
    """
    Return the state directory of a profile.

    :raises usage.UsageError: that is no name, or there is no home directory.
    """
    if not _PROFILE.fullmatch(name):
        raise usage.UsageError(
            f"--profile: {name!r} is no name of 1 to 64 letters, digits, dots, - and _, the first "
            "a letter or digit; for a path there is --state"
        )
    try:
        directory = user_state_path("p2pchat", appauthor=False) / name
    except RuntimeError:
        directory = Path(name)
    if not directory.is_absolute():
        raise usage.UsageError(
            "there is no home directory to keep things in: set HOME, name a directory with "
            "--state, or keep nothing with --ephemeral"
        )
    return str(directory)


def expanded(option: str, path: str) -> str:
    """
    Put a home directory in the place of ``~``, which shells do only at the beginning of a word.

    :raises usage.UsageError: there is no path, or no such user.
    """
    if not path.strip():
        raise usage.UsageError(f"--{option} needs a value")
    if "\0" in path:
        raise usage.UsageError(f"--{option}: a path has no zero characters")
    full = os.path.expanduser(path)
    if full.startswith("~"):
        user = full[1:].partition("/")[0]
        raise usage.UsageError(
            f"--{option}: {path!r} names the home of {user or 'somebody'}, which is unknown; "
            f"a directory of that name is written ./{path}"
        )
    return full
