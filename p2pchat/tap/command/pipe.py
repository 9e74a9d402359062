"""
``p2pchat pipe WHO:SERVICE``: stdin and stdout, joined to a service of somebody.

Nothing else goes to stdout; sentences go to stderr.  Ends as ``cat`` does: by SIGPIPE where
nobody reads stdout, with a status that says why where the stream broke.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from p2pchat.attach.messages import STREAM
from p2pchat.errors import P2PChatError
from p2pchat.tap.command.attached import attach, failed
from p2pchat.tap.command.byte_pipe import STDIN, STDOUT, BytePipe
from p2pchat.tap.command.grammar import Grammar, target
from p2pchat.tap.command.statuses import BROKEN, DONE, FAILED

_EPILOG = """\
ssh through it, with this in ~/.ssh/config:
  Host bob
    ProxyCommand p2pchat pipe %h:ssh

Exit status: 0 both sides have ended; 1 failed; 2 a mistake in the command line; 3 not granted;
4 no such contact; 5 offline; 6 no path; 7 broken; 8 no program of yours is running."""


def grammar(command: str) -> Grammar:
    """Return the command line."""
    made = Grammar(command, "Join stdin and stdout to a service of somebody.", _EPILOG)
    made.add_argument("target", type=target, metavar="WHO:SERVICE", help="such as bob:ssh")
    made.take_path()
    made.take_directory()
    return made


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    options = grammar(command).parse(arguments)
    who, service = options.target
    try:
        node = attach(options, [STREAM])
        number, connection = node.open(who, service, options.path, options.timeout)
    except P2PChatError as error:
        return failed(command, str(options.target), error)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        with connection:
            BytePipe(STDIN, STDOUT, connection).run()
    except OSError as error:  # where SIGPIPE is blocked
        sys.stderr.write(f"p2pchat {command}: stdin or stdout: {error.strerror}.\n")
        return FAILED
    word, reason = node.why_ended(number)
    if not word:
        return DONE
    sys.stderr.write(f"p2pchat {command}: {options.target}: {reason}.\n")
    return BROKEN
