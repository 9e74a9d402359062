"""
What a typed line means, as a value.

A line that begins with ``/`` is a command; ``//`` stands for a text that begins with one slash; a
text of several lines (a paste) is never a command.  Anything else is said to the current
conversation, and an empty line is nothing.  WHO is the rest of the line: names have spaces.
"""

from __future__ import annotations

from difflib import get_close_matches

import attrs


@attrs.frozen
class Say:
    """Put a text into the current conversation."""

    text: str


@attrs.frozen
class Help:
    """List the commands."""


@attrs.frozen
class ListPeers:
    """List who is online."""


@attrs.frozen
class Connect:
    """Call a peer."""

    who: str


@attrs.frozen
class Accept:
    """Accept an offer: the only one that waits, where ``who`` is empty."""

    who: str = ""


@attrs.frozen
class Reject:
    """Decline an offer: the only one that waits, where ``who`` is empty."""

    who: str = ""


@attrs.frozen
class SwitchTo:
    """Make a conversation the current one."""

    who: str


@attrs.frozen
class Disconnect:
    """End a conversation or a call: the current one, where ``who`` is empty."""

    who: str = ""


@attrs.frozen
class ListContacts:
    """List whom the person knows, has muted or has blocked."""


@attrs.frozen
class Forget:
    """Let a contact be a stranger again."""

    who: str


@attrs.frozen
class Block:
    """Take nothing of a peer any more."""

    who: str


@attrs.frozen
class Unblock:
    """Take calls of a peer again."""

    who: str


@attrs.frozen
class Mute:
    """Let calls of a peer make no sound."""

    who: str


@attrs.frozen
class Unmute:
    """Let calls of a peer make a sound again."""

    who: str


@attrs.frozen
class ShowMe:
    """Tell who we are and whom we talk to."""


@attrs.frozen
class ShowNat:
    """Tell what is known of our NAT."""


@attrs.frozen
class ShowWhy:
    """Tell the story of a connection: the current or last one, where ``who`` is empty."""

    who: str = ""


@attrs.frozen
class ShowMore:
    """Show the next rows of a message that was folded."""


@attrs.frozen
class Quit:
    """Leave."""


@attrs.frozen
class Mistake:
    """A line that means nothing; ``reason`` says why, and what would."""

    reason: str


Command = (
    Say
    | Help
    | ListPeers
    | Connect
    | Accept
    | Reject
    | SwitchTo
    | Disconnect
    | ListContacts
    | Forget
    | Block
    | Unblock
    | Mute
    | Unmute
    | ShowMe
    | ShowNat
    | ShowWhy
    | ShowMore
    | Quit
    | Mistake
)

MAX_NAME = 32  # characters of a command that are looked at; the longest has 10
MAX_WHO = 256  # characters of a name or an id; a name has 64 at most

# name, argument, meaning, command
_TABLE: tuple[tuple[str, str, str, type[Command]], ...] = (
    ("help", "", "this list", Help),
    ("peers", "", "who is online", ListPeers),
    ("connect", "WHO", "call somebody: a contact, an id, or a name at the registry", Connect),
    ("accept", "[WHO]", "accept a call", Accept),
    ("reject", "[WHO]", "decline a call", Reject),
    ("to", "WHO", "talk to another of your conversations", SwitchTo),
    ("disconnect", "[WHO]", "end a conversation, or stop calling", Disconnect),
    ("contacts", "", "whom you know, have muted or have blocked", ListContacts),
    ("forget", "WHO", "let a contact be a stranger again", Forget),
    ("block", "WHO", "take nothing of somebody any more", Block),
    ("unblock", "WHO", "take their calls again", Unblock),
    ("mute", "WHO", "let their calls make no sound", Mute),
    ("unmute", "WHO", "let them ring again", Unmute),
    ("me", "", "your id, the registry, your conversations", ShowMe),
    ("nat", "", "what is known of your NAT", ShowNat),
    ("why", "[WHO]", "how a connection came about, or why it didn't", ShowWhy),
    ("more", "", "the next rows of a long message", ShowMore),
    ("quit", "", "leave; so do Ctrl-C and Ctrl-D", Quit),
)
_COMMANDS = {name: (argument, command) for name, argument, _, command in _TABLE}

USAGE = tuple((f"/{name} {argument}".strip(), meaning) for name, argument, meaning, _ in _TABLE)
"""The commands as they are typed, each with its meaning."""


def parse(line: str) -> Command | None:
    """Return what a line means, or ``None`` for an empty one; never raises."""
    line = line.rstrip()
    if not line:
        return None
    if "\n" in line or not line.startswith("/"):
        return Say(line)
    if line.startswith("//"):
        return Say(line[1:])
    name, _, who = line[1:].partition(" ")
    return _command(name.lower(), who.strip())


def _command(name: str, who: str) -> Command:
    if len(name) > MAX_NAME:
        return Mistake(f"There is no command with a name as long as /{name[:MAX_NAME]}….")
    if len(who) > MAX_WHO:
        return Mistake(f"/{name} takes a name or an id, not {len(who):,} characters.")
    if name not in _COMMANDS:
        return Mistake(f"There is no command /{name}{_nearest(name)}.")
    argument, command = _COMMANDS[name]
    if who and not argument:
        return Mistake(f"/{name} takes nothing after it.")
    if argument == "WHO" and not who:
        return Mistake(f"/{name} whom? Type /{name} and a name or an id.")
    return command(who) if argument else command()  # type: ignore[call-arg]


def _nearest(name: str) -> str:
    begun = [known for known in _COMMANDS if name and known.startswith(name)]
    near = begun or get_close_matches(name, _COMMANDS, n=1, cutoff=0.5)
    if near:
        return f"; did you mean /{near[0]}"
    return "; /help lists them, and // at the start of a line says a slash"
