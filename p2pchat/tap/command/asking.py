"""
Commands that ask the node one thing, or tell it one: grants, services, why, and joining.

What they print is for people; ``--json`` is the node's answer as it came, one line.
"""

from __future__ import annotations

import getpass
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from p2pchat.attach.messages import JSON
from p2pchat.errors import P2PChatError
from p2pchat.tap.command.attached import attach, failed
from p2pchat.tap.command.grammar import Grammar, duration, service
from p2pchat.tap.command.statuses import DONE, MISTAKE
from p2pchat.wire.visible import visible

Answer = Mapping[str, Any]
WHO = "a contact's name, or a whole id"
_SPANS = ((86_400, "d"), (3600, "h"), (60, "min"))  # seconds


def span(seconds: float | None) -> str:
    """Return a time for people, rounded; ``None``: until it is taken back."""
    if seconds is None:
        return "until you revoke it"
    for size, unit in _SPANS:
        if seconds >= size:
            return f"for {round(seconds / size)} {unit}"
    return f"for {round(seconds)} s"


class NodeCommand(NamedTuple):
    """
    One command.

    :ivar take: takes its words into a command line.
    :ivar line: what the node is asked.
    :ivar rows: what a person reads of the answer.
    """

    description: str
    take: Callable[[Grammar], object]
    line: Callable[[Any], str]
    rows: Callable[[Answer], Iterator[str]]


def _who(answer: Answer) -> str:
    return visible(str(answer.get("name") or answer.get("peer_id", "")))


def _grant_rows(answer: Answer) -> Iterator[str]:
    seconds = answer.get("seconds")
    yield f"{_who(answer)} may open your {visible(answer['service'])}, {span(seconds)}."


def _revoked_rows(answer: Answer) -> Iterator[str]:
    yield f"{_who(answer)} may not open your {visible(answer['service'])} any more."


def _grants_rows(answer: Answer) -> Iterator[str]:
    for one in answer["grants"]:
        yield f"{visible(one['service']):<20} {_who(one):<36} {span(one['seconds'])}"
    if not answer["grants"]:
        yield "Nobody has a grant: p2pchat grant SERVICE WHO gives one."


def _services_rows(answer: Answer) -> Iterator[str]:
    for one in answer["services"]:
        allowed = ", ".join(map(visible, one.get("allow", ())))
        yield f"{visible(one['service']):<20} {allowed}".rstrip()
    if not answer["services"] and answer.get("peer_id"):
        yield f"{_who(answer)} lets you open nothing now."
    elif not answer["services"]:
        yield "You offer nothing now: p2pchat share does."


def _why_rows(answer: Answer) -> Iterator[str]:
    yield from map(visible, answer["story"])


def _joined_rows(answer: Answer) -> Iterator[str]:
    yield f"You and {_who(answer)} are contacts now."


def _take_grant(made: Grammar) -> None:
    made.add_argument("service", type=service, metavar="SERVICE", help="such as ssh")
    made.add_argument("who", metavar="WHO", help=WHO)


def _take_lasting_grant(made: Grammar) -> None:
    _take_grant(made)
    made.add_argument("--for", dest="lifetime", type=duration, metavar="TIME", help="30m, 8h, 2d")


def _take_who(made: Grammar) -> None:
    made.add_argument("who", metavar="WHO", help=WHO)


def _take_anybody(made: Grammar) -> None:
    made.add_argument("who", nargs="?", default="", metavar="WHO", help=f"{WHO}; else your own")


def _take_nothing(_made: Grammar) -> None:
    """Take no words."""


def _grant_line(options: Any) -> str:
    time = "" if options.lifetime is None else f" {options.lifetime}s"
    return f"/grant {options.service} {options.who}{time}"


def _invitation(_options: Any) -> str:
    """Return the command with the invitation, which is a secret and so isn't in the arguments."""
    if sys.stdin.isatty():
        return f"/join {getpass.getpass('Invitation: ').strip()}"
    return f"/join {sys.stdin.readline().strip()}"


ASKING = {
    "grant": NodeCommand(
        "Let somebody open a service of yours.", _take_lasting_grant, _grant_line, _grant_rows
    ),
    "revoke": NodeCommand(
        "Take a grant back, and end what is open by it.",
        _take_grant,
        lambda options: f"/revoke {options.service} {options.who}",
        _revoked_rows,
    ),
    "grants": NodeCommand(
        "List who may open what, and for how long.",
        _take_nothing,
        lambda _options: "/grants",
        _grants_rows,
    ),
    "services": NodeCommand(
        "List what you offer, or what somebody lets you open.",
        _take_anybody,
        lambda options: f"/services {options.who}".rstrip(),
        _services_rows,
    ),
    "why": NodeCommand(
        "Say how somebody is reached, and why not directly, or not at all.",
        _take_who,
        lambda options: f"/why {options.who}",
        _why_rows,
    ),
    "join": NodeCommand(
        "Meet who made an invitation; it is asked for, or read from stdin.",
        _take_nothing,
        _invitation,
        _joined_rows,
    ),
}


def grammar(command: str) -> Grammar:
    """Return the command line."""
    asking = ASKING[command]
    made = Grammar(command, asking.description)
    asking.take(made)
    made.add_argument("--json", action="store_true", help="print the node's answer as JSON")
    made.take_directory()
    return made


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options, asking = grammar(command).parse(arguments), ASKING[command]
    line = asking.line(options)
    if "\n" in line or not line.isprintable():
        sys.stderr.write(f"p2pchat {command}: names have no control characters.\n")
        return MISTAKE
    try:
        answer = attach(options, [JSON]).command(line)
    except P2PChatError as error:
        return failed(command, "", error)
    rows = [json.dumps(answer)] if options.json else asking.rows(answer)
    sys.stdout.write("".join(f"{row}\n" for row in rows))
    return DONE
