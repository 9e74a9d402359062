"""
The meaning of a typed line, as a value.

A line that begins with ``/`` is a command; ``//`` stands for a text that begins with one slash; a
text of several lines (a paste) is no command, unless it is one with an id that was broken.
Anything else is said to the current conversation, and an empty line is nothing.  WHO is the rest of
the line: names have spaces.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from enum import Enum

import attrs

from p2pchat.peer.pasted import whole_id


class Verb(Enum):
    """The commands: name, argument (in brackets where it may be left out), and meaning."""

    HELP = ("help", "", "this list")
    PEERS = ("peers", "", "who is online")
    CONNECT = ("connect", "WHO", "call somebody: a contact, an id, or a name at the registry")
    ACCEPT = ("accept", "[WHO]", "accept a call")
    REJECT = ("reject", "[WHO]", "decline a call")
    TO = ("to", "WHO", "switch to another conversation")
    DISCONNECT = ("disconnect", "[WHO]", "end a conversation, or stop calling")
    CONTACTS = ("contacts", "", "your contacts, and whom you muted or blocked")
    FORGET = ("forget", "WHO", "remove a contact")
    BLOCK = ("block", "WHO", "ignore somebody's calls and messages")
    UNBLOCK = ("unblock", "WHO", "undo /block")
    MUTE = ("mute", "WHO", "silence somebody's calls")
    UNMUTE = ("unmute", "WHO", "undo /mute")
    ME = ("me", "", "your id, the registry, your conversations")
    NAT = ("nat", "", "what is known of your NAT")
    WHY = ("why", "[WHO]", "how a connection was made, or why it failed")
    MORE = ("more", "", "the next rows of a long message")
    QUIT = ("quit", "", "leave; so do Ctrl-C and Ctrl-D")


@attrs.frozen
class Say:
    """A text for the current conversation."""

    text: str


@attrs.frozen
class Command:
    """A command; ``who`` is empty where it takes nobody, or is left out."""

    verb: Verb
    who: str = ""


@attrs.frozen
class Mistake:
    """A line that is neither; ``reason`` says why, and what would be one."""

    reason: str


MAX_NAME = 32  # characters of a command that are looked at; the longest has 10
MAX_WHO = 256  # characters of a name or an id; a name has 64 at most

_VERBS = {verb.value[0]: verb for verb in Verb}

USAGE = tuple((f"/{name} {who}".strip(), meaning) for name, who, meaning in (v.value for v in Verb))
"""The commands as they are typed, each with its meaning."""


def parse(line: str) -> Say | Command | Mistake | None:
    """Return what a line means, or ``None`` for an empty one; never raises."""
    line = line.rstrip()
    if not line:
        return None
    if not line.startswith("/") or ("\n" in line and not _is_broken_command(line)):
        return Say(line)
    if line.startswith("//"):
        return Say(line[1:])
    return _command(*_parts(line))


def _parts(line: str) -> tuple[str, str]:
    """Return the name of a command and what follows it."""
    name, *rest = re.split(r"\s", line[1:], maxsplit=1)
    return name.lower(), "".join(rest).strip()


def _is_broken_command(line: str) -> bool:
    """Tell whether a command has a line break only because an id was pasted with one."""
    name, who = _parts(line)
    return name in _VERBS and len(who) <= MAX_WHO and whole_id(who) is not None


def _command(name: str, who: str) -> Command | Mistake:
    if len(name) > MAX_NAME:
        return Mistake(f"Unknown command /{name[:MAX_NAME]}….")
    if len(who) > MAX_WHO:
        return Mistake(f"/{name} takes a name or an id, not {len(who):,} characters.")
    if name not in _VERBS:
        return Mistake(f"Unknown command /{name}; {_nearest(name)}")
    _, argument, _ = _VERBS[name].value
    if who and not argument:
        return Mistake(f"/{name} takes no argument.")
    if argument == "WHO" and not who:
        return Mistake(f"/{name} needs a name or an id.")
    return Command(_VERBS[name], who)


def _nearest(name: str) -> str:
    begun = [known for known in _VERBS if name and known.startswith(name)]
    near = begun or get_close_matches(name, _VERBS, n=1, cutoff=0.5)
    if near:
        return f"did you mean /{near[0]}?"
    return "/help lists them, and // at the start of a line sends a slash."
