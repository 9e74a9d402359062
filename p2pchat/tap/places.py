"""
Paths of the command line, and the directories of profiles, for options of Twisted's.
"""

from __future__ import annotations

import os

from twisted.python import usage

from p2pchat.errors import ConfigurationError
from p2pchat.tap.profiles import DEFAULT_PROFILE, directory_of

__all__ = ["DEFAULT_PROFILE", "expanded", "profile_directory"]


def profile_directory(name: str) -> str:
    """
    Return the state directory of a profile.

    :raises usage.UsageError: that is no name, or there is no home directory.
    """
    try:
        return directory_of(name)
    except ConfigurationError as error:
        raise usage.UsageError(str(error)) from None


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
