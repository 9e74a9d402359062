"""
State directories of profiles, by name.

A profile is a state directory that has a name; all of them stand beside each other where the
system wants the state of programs, on Linux ``$XDG_STATE_HOME/p2pchat``, which usually is
``~/.local/state/p2pchat``.  Imports nothing heavy: commands that only ask something begin at once.
"""

from __future__ import annotations

import os
import re

from p2pchat.errors import ConfigurationError

DEFAULT_PROFILE = "default"
# A name and never a path: no slash, and nothing that begins with a dot or reads as an option.
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def directory_of(name: str) -> str:
    """
    Return the state directory of a profile.

    :raises ConfigurationError: that is no name, or there is no home directory.
    """
    from platformdirs import user_state_path  # noqa: PLC0415 - a given directory needs it not

    if not _PROFILE.fullmatch(name):
        raise ConfigurationError(
            f"--profile: {name!r} is no name of 1 to 64 letters, digits, dots, - and _, the first "
            "a letter or digit; for a path there is --state"
        )
    try:
        directory = str(user_state_path("p2pchat", appauthor=False) / name)
    except RuntimeError:
        directory = name
    if not os.path.isabs(directory):
        raise ConfigurationError(
            "there is no home directory to keep things in: set HOME, name a directory with "
            "--state, or keep nothing with --ephemeral"
        )
    return directory
