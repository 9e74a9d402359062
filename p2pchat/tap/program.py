"""
The program ``p2pchat``, also ``python -m p2pchat``: the peer; ``p2pchat registry``: the registry;
``p2pchat pipe`` and other commands, which are in :mod:`p2pchat.tap.command`.

Owns the process before the reactor runs: nothing of ours takes the number of a closed descriptor,
and an interrupt while everything is imported ends it like any other program, without a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from p2pchat.tap.command import commands
from p2pchat.tap.command.commands import COMMANDS


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program that the command line names; it ends with this process."""
    _open_standard_descriptors()
    words = sys.argv[1:] if arguments is None else list(arguments)
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # in the background it is ignored, and stays so
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    if words and words[0] in COMMANDS:
        sys.exit(commands.run(words[0], words[1:]))
    from p2pchat.tap.runner import run  # noqa: PLC0415 - it takes a while

    # The reactor takes the signal from Python's own handler only.
    run(words, lambda: _set_interrupt(before))


def _set_interrupt(before: object) -> None:
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _open_standard_descriptors() -> None:
    """See that no socket or file of ours takes the number of a closed stdin, stdout or stderr."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
