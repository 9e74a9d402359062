"""
The meaning of a typed line, as a value.

A line that begins with ``/`` is a command; ``//`` stands for a text that begins with one slash; a
text of several lines (a paste) is no command, unless it is one with an id that was broken.
An invitation may be broken likewise.
Anything else is said to the current conversation, and an empty line is nothing.  WHO is the rest of
the line: names have spaces.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from enum import Enum

import attrs

from p2pchat.errors import InvitationRefused, RemoteProtocolError
from p2pchat.peer.grants import InvitedGrant
from p2pchat.peer.pasted import whole_id
from p2pchat.peer.settings import in_normal_form
from p2pchat.ui.grant_options import invited_grant
from p2pchat.wire.entries import MAX_TEXT
from p2pchat.wire.invitations import MAX_PASTED, has_invitation
from p2pchat.wire.nameplates import LONGEST
from p2pchat.wire.usernames import check_username


class Verb(Enum):
    """The commands: name, argument (in brackets where it may be left out), and meaning."""

    HELP = ("help", "", "this list")
    PEERS = ("peers", "", "who is online")
    CONNECT = ("connect", "WHO", "call somebody: a contact, an id, or a name at the registry")
    ACCEPT = ("accept", "[WHO|#N]", "accept a call, or files")
    REJECT = ("reject", "[WHO|#N]", "decline a call, or files")
    TO = ("to", "WHO", "switch to another conversation")
    HISTORY = ("history", "[WHO] [N]", "the last N lines of a conversation")
    OLDER = ("older", "[N]", "the N lines before those; so does PageUp")
    SEARCH = ("search", "WORDS", "lines that have all these words; wor* finds word")
    READ = ("read", "[WHO]", "what they said is read; the console says it by itself")
    REPLY = ("reply", "[#N] TEXT", "answer their last line, or line N of the last list")
    EDIT = ("edit", "[#N] TEXT", "let your last line, or line N, say this instead")
    DELETE = ("delete", "[#N]", "delete your last line, or line N")
    TYPING = ("typing", "[WHO]", "that you type; the console says it by itself")
    PRIVACY = ("privacy", "[WHAT on|off]", "what contacts are let know: receipts, typing")
    INVISIBLE = ("invisible", "on|off", "let no registry show you, or again")
    OUTBOX = ("outbox", "[WHO|N]", "lines that wait; /outbox N takes the Nth back")
    EXPORT = ("export", "WHO FILE", "write all that was said with somebody to a file")
    WIPE = ("wipe", "WHO", "delete all that was said with somebody, for good")
    SEND = ("send", "PATH [WHO]", "offer a file or a folder to a contact")
    FILES = ("files", "", "files on their way, and those that wait")
    CANCEL = ("cancel", "[#N]", "end a transfer of files for good")
    DISCONNECT = ("disconnect", "[WHO]", "end a conversation, or stop calling")
    CONTACTS = ("contacts", "", "your contacts, and whom you muted or blocked")
    NAME = ("name", "WHO NAME", "call a contact otherwise")
    VERIFY = ("verify", "[WHO|yes|no]", "compare words with somebody, and say what came of it")
    INVITE = ("invite", "[NAME] [--for 2h] [--spoken]", "a line for a friend; --grant web=8h, too")
    UNINVITE = ("uninvite", "[NAME]", "take an invitation back")
    JOIN = ("join", "INVITATION", "meet who gave you an invitation")
    FORGET = ("forget", "WHO", "remove a contact")
    RELAY_ONLY = ("relay-only", "WHO on|off", "hide your addresses from a contact, or no more")
    BLOCK = ("block", "WHO", "ignore somebody's calls and messages")
    UNBLOCK = ("unblock", "WHO", "undo /block")
    MUTE = ("mute", "WHO", "silence somebody")
    UNMUTE = ("unmute", "WHO", "undo /mute")
    GRANT = ("grant", "SERVICE WHO [TIME]", "let somebody open a service of yours, for 8h or so")
    REVOKE = ("revoke", "SERVICE WHO", "take that back, and end what is open")
    GRANTS = ("grants", "", "who may open which service of yours, and for how long")
    SERVICES = ("services", "[WHO]", "what you offer, or what somebody lets you open")
    STREAMS = ("streams", "", "what is open now: who, which service, how much, which path")
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
    """A command; ``who``, what follows its name, is empty where nothing does."""

    verb: Verb
    who: str = ""


@attrs.frozen
class Mistake:
    """A line that is neither; ``reason`` says why, and what would be one."""

    reason: str


MAX_NAME = 32  # characters of a command that are looked at; the longest has 10
_UNITS = {"s": 1, "m": 60, "h": 3600}  # seconds
MAX_WHO = 256  # characters of a name or an id; a name has 64 at most

MAX_FILE_PATH = 4096  # characters; Linux has no longer path

_LONGEST = {  # what these take may be longer, and have several lines
    Verb.JOIN.value[0]: MAX_PASTED,
    Verb.REPLY.value[0]: MAX_TEXT + MAX_WHO,
    Verb.EDIT.value[0]: MAX_TEXT + MAX_WHO,
    Verb.SEND.value[0]: MAX_FILE_PATH + MAX_WHO,
}
_LACKS = {
    Verb.JOIN.value[1]: "/join needs an invitation: the line that you were given.",
    Verb.NAME.value[1]: "/name needs a contact and a new name for it.",
    Verb.EXPORT.value[1]: "/export needs a name or an id, and a file.",
    Verb.RELAY_ONLY.value[1]: "/relay-only needs a contact, and on or off.",
    Verb.SEND.value[1]: "/send needs the path of a file or a folder.",
    Verb.INVISIBLE.value[1]: "/invisible on, or /invisible off.",
    Verb.GRANT.value[1]: "/grant needs a service and a contact or an id, and perhaps a time: 8h.",
    Verb.REVOKE.value[1]: "/revoke needs a service and a contact or an id; /grants lists them.",
    Verb.SEARCH.value[1]: "/search needs words to look for.",
}
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


def is_secret(line: str) -> bool:
    """Tell whether a line has an invitation, or the beginning of one: it is kept nowhere."""
    return line.lstrip().lower().startswith(f"/{Verb.JOIN.value[0]}") or has_invitation(line)


@attrs.frozen
class InviteOptions:
    """
    Options of ``/invite``.

    :ivar name: what the contact is to be called, or "".
    :ivar replaces: whether a contact of that name may be replaced.
    :ivar grant: what whoever joins may open.
    """

    name: str = ""
    seconds: int = LONGEST
    is_spoken: bool = False
    replaces: bool = False
    grant: InvitedGrant | None = None

    @classmethod
    def parse(cls, text: str) -> InviteOptions:
        """
        Read what follows the command.

        :raises InvitationRefused, ServiceNameRefused, WhoError: it makes no sense.
        """
        words, name, seconds, grant = iter(text.split()), [], LONGEST, None
        flags = {"--spoken": False, "--replace": False}
        for word in words:
            if word in flags:
                flags[word] = True
            elif word == "--for":
                seconds = _seconds(next(words, ""))
            elif word == "--grant":
                grant = invited_grant(next(words, ""))
            elif word.startswith("--"):
                raise InvitationRefused(
                    f"/invite knows no {word}: --for 2h, --spoken, --replace, --grant web=8h"
                )
            else:
                name.append(word)
        found = flags["--spoken"], flags["--replace"]
        return cls(_petname(" ".join(name)), seconds, *found, grant)


def _seconds(text: str) -> int:
    found = re.fullmatch("([0-9]{1,5})([smh])", text)
    seconds = int(found[1]) * _UNITS[found[2]] if found is not None else 0
    if not 0 < seconds <= LONGEST:
        raise InvitationRefused("--for takes a time such as 30m or 2h, of 24h at most")
    return seconds


def _petname(text: str) -> str:
    name = in_normal_form(text)
    try:
        return check_username(name) if name else ""
    except RemoteProtocolError as error:
        raise InvitationRefused(f"{name!r} can't be a contact's name: {error}") from None


def _is_broken_command(line: str) -> bool:
    """Tell whether a command may have a line break, or has one because it was pasted so."""
    name, who = _parts(line)
    if name in _LONGEST:
        return True
    return name in _VERBS and len(who) <= MAX_WHO and whole_id(who) is not None


def _command(name: str, who: str) -> Command | Mistake:
    if len(name) > MAX_NAME:
        return Mistake(f"Unknown command /{name[:MAX_NAME]}….")
    if len(who) > _LONGEST.get(name, MAX_WHO):
        what = "words" if name == Verb.SEARCH.value[0] else "a name or an id"
        return Mistake(f"/{name} takes {what}, not {len(who):,} characters.")
    if name not in _VERBS:
        return Mistake(f"Unknown command /{name}; {_nearest(name)}")
    _, argument, _ = _VERBS[name].value
    if who and not argument:
        return Mistake(f"/{name} takes no argument.")
    if argument and not argument.startswith("[") and not who:
        return Mistake(_LACKS.get(argument, f"/{name} needs a name or an id."))
    return Command(_VERBS[name], who)


def _nearest(name: str) -> str:
    begun = [known for known in _VERBS if name and known.startswith(name)]
    near = begun or get_close_matches(name, _VERBS, n=1, cutoff=0.5)
    if near:
        return f"did you mean /{near[0]}?"
    return "/help lists them, and // at the start of a line sends a slash."
