"""
``p2pchat send``: files and folders to a contact, through the node that is running.

The node sends them, and goes on when this command has ended; ``-`` is stdin, which is kept in a
file until it is sent.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from p2pchat.attach.messages import JSON
from p2pchat.attach.node_socket import NodeSocket
from p2pchat.errors import P2PChatError
from p2pchat.tap.command.attached import attach, failed, state_directory
from p2pchat.tap.command.grammar import Grammar
from p2pchat.tap.command.statuses import DONE, FAILED, MISTAKE
from p2pchat.wire.visible import visible

_EPILOG = """\
  p2pchat send photo.jpg notes/ bob    a file and a folder
  tar c . | p2pchat send - bob         what comes on stdin; --name says what it is called

It waits until all has arrived, or was refused; --no-wait leaves that to the node.  To somebody who
is away the offer waits at the node, and so does this command: Ctrl-C ends it alone."""
_ENDS = {"done", "refused", "cancelled"}


def grammar(command: str) -> Grammar:
    """Return the command line."""
    made = Grammar(command, "Send files and folders to a contact.", _EPILOG)
    made.add_argument("paths", nargs="+", metavar="FILE", help="a file, a folder, or - for stdin")
    made.add_argument("who", metavar="WHO", help="a contact's name, or a whole id")
    made.add_argument("--name", default="stdin", help="what stdin is called (default: stdin)")
    made.add_argument("--no-wait", action="store_true", help="end as soon as they are offered")
    made.take_directory()
    return made


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = grammar(command).parse(arguments)
    if any("\n" in one or '"' in one for one in (*options.paths, options.who, options.name)):
        sys.stderr.write(f"p2pchat {command}: no name with a line feed or a quote can be given.\n")
        return MISTAKE
    try:
        node = attach(options, [JSON])
        waiting = {}
        for one in options.paths:
            path = _path(options, one)
            waiting[_offer(node, path, options.who)] = path if one == "-" else ""
        return DONE if options.no_wait else _wait(node, waiting)
    except (OSError, KeyboardInterrupt) as error:
        sys.stderr.write(f"p2pchat {command}: {getattr(error, 'strerror', '') or 'ended'}.\n")
        return FAILED
    except P2PChatError as error:
        return failed(command, "", error)


def _path(options: Any, path: str) -> str:
    """Return the absolute path of what is sent; stdin is copied to a file first."""
    if path != "-":
        return os.path.abspath(path)
    place = os.path.join(state_directory(options), "outgoing")
    os.makedirs(place, 0o700, exist_ok=True)
    folder = tempfile.mkdtemp(dir=place)
    copy = os.path.join(folder, os.path.basename(options.name) or "stdin")
    with open(copy, "xb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    return copy


def _offer(node: NodeSocket, path: str, who: str) -> str:
    """Offer one; returns the id of the transfer."""
    answer = node.command(f'/send "{path}" {who}')
    transfer = answer["transfer"]
    sys.stdout.write(f"{visible(str(transfer['title']))} is offered to {visible(who)}.\n")
    sys.stdout.flush()
    return str(transfer["id"])


def _wait(node: NodeSocket, waiting: dict[str, str]) -> int:
    """
    Wait for the end of each; returns the exit status.

    :param waiting: the copy of stdin, or "", by the id of the transfer.
    """
    status = DONE
    while waiting and (event := node.receive(None)) is not None:
        if event.get("id") not in waiting:
            continue
        if event["event"] == "transfer":
            _tell(event)
            if event["state"] in _ENDS:
                _remove(waiting.pop(event["id"]))
                status = status if event["state"] == "done" else FAILED
        elif event["event"] == "transfer_progress" and sys.stderr.isatty():
            _show(event)
    return status


def _remove(copy: str) -> None:
    """Remove a copy of stdin that isn't needed any more, and its folder."""
    if copy:
        shutil.rmtree(os.path.dirname(copy), ignore_errors=True)


def _tell(event: Mapping[str, Any]) -> None:
    why = event.get("explanation") or event.get("reason") or ""
    rest = f": {visible(str(why))}" if why else ""
    sys.stdout.write(f"{visible(str(event['title']))}: {event['state']}{rest}\n")
    sys.stdout.flush()


def _show(event: Mapping[str, Any]) -> None:
    done, size, rate = event["done"], event["size"], event["rate"]
    part = f"{100 * done / size:.0f} %" if size else f"{done / 1e6:,.1f} MB"
    sys.stderr.write(f"\r{visible(str(event['title']))}: {part}, {rate / 1e6:,.1f} MB/s   \r")
    sys.stderr.flush()
