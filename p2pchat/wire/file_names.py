"""
Names of files that a peer sends: names on the wire, and what they become on our disk.

On the wire a path is relative, its parts joined by ``/``.  A part is never empty, ``.`` or ``..``,
has no control characters and at most MAX_NAME bytes; there are MAX_DEPTH parts at most.  So none
leads out of the folder that it is written into, or to a device.

On our disk a part is in NFC, so that two spellings of a name are one.  What a file system, a shell
or a screen could take for something else becomes ``_``: backslashes, ``:*?"<>|``, control and
format characters (which turn the direction of text, or show nothing).  Neither a dot at the
beginning of the outermost part, which would hide it, nor blanks and dots at ends stay; names of
devices of Windows get a ``_``.  Nothing is longer than MAX_LOCAL bytes, its ending kept.
"""

from __future__ import annotations

import re
import unicodedata

from p2pchat.errors import RemoteProtocolError

MAX_NAME = 255  # bytes of a part; ext4, APFS and NTFS have no longer ones
MAX_LOCAL = 200  # bytes of a part on our disk: a number and the ending of a partial file fit beside
MAX_PATH = 1024  # bytes of a whole path
MAX_DEPTH = 32  # parts of a path
MAX_ENDING = 20  # bytes of ``.tar.gz`` and the like that stay where a name is cut

_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_DOUBTFUL = re.compile(r'[\\/:*?"<>|]')
_ENDING = re.compile(r"(\.[^. ]{1,10}){1,2}$")
_HIDDEN = frozenset({"Cc", "Cf", "Co", "Cn", "Zl", "Zp"})  # categories of Unicode


def check_path(path: str) -> str:
    """
    Return a path as it may be on the wire.

    :raises RemoteProtocolError: it may not.
    """
    parts = path.split("/")
    if len(path.encode("utf-8", "replace")) > MAX_PATH or len(parts) > MAX_DEPTH:
        raise RemoteProtocolError("the path of a file is too long")
    for part in parts:
        check_part(part)
    return path


def check_part(part: str) -> str:
    """
    Return one part of a path.

    :raises RemoteProtocolError: it isn't one.
    """
    if part in {"", ".", ".."} or "/" in part:
        raise RemoteProtocolError("a file's name must be a name")
    if any(unicodedata.category(one) in {"Cc", "Cs"} for one in part):
        raise RemoteProtocolError("a file's name has control characters")
    if len(part.encode()) > MAX_NAME:
        raise RemoteProtocolError(f"a file's name has more than {MAX_NAME} bytes")
    return part


def wire_name(name: str) -> str:
    """Return the name of a file of ours as it is offered: what is no text in it is replaced."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    shown = "".join("_" if unicodedata.category(one) == "Cc" else one for one in text)
    return _cut(shown, MAX_NAME)


def local_name(part: str, is_outermost: bool) -> str:
    """Return what a part of a path from a peer is called on our disk."""
    name = unicodedata.normalize("NFC", part)
    name = "".join("_" if unicodedata.category(one) in _HIDDEN else one for one in name)
    name = _DOUBTFUL.sub("_", name).rstrip(" .").lstrip(" ")
    if is_outermost and name.startswith("."):
        name = f"_{name[1:]}"
    if not name or _DEVICES.fullmatch(name):
        name = f"_{name}"
    return _cut(name, MAX_LOCAL).rstrip(" .")


def numbered(name: str, number: int) -> str:
    """Return another name for what can't have a name, as it is taken: ``video (2).mp4``."""
    stem, ending = _divided(name)
    return f"{stem} ({number}){ending}"


def _divided(name: str) -> tuple[str, str]:
    found = _ENDING.search(name)
    if found is None or found.start() == 0 or len(found[0].encode()) > MAX_ENDING:
        return name, ""
    return name[: found.start()], found[0]


def _cut(name: str, most: int) -> str:
    """Shorten a name, but not its ending."""
    if len(name.encode()) <= most:
        return name
    stem, ending = _divided(name)
    room = most - len(ending.encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + ending
