"""
The program ``p2pchat``, also ``python -m p2pchat``: the peer; ``p2pchat registry``: the registry.

Owns the process before the reactor runs: nothing of ours takes the number of a closed descriptor,
and an interrupt while everything is imported ends it like any other program, without a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program that the command line names; it ends with this process."""
    _open_standard_descriptors()
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # in the background it is ignored, and stays so
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from p2pchat.tap.runner import run  # noqa: PLC0415 - it takes a while

    # The reactor takes the signal from Python's own handler only.
    run(sys.argv[1:] if arguments is None else arguments, lambda: _set_interrupt(before))


def _set_interrupt(before: object) -> None:
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _open_standard_descriptors() -> None:
    """See that no socket or file of ours takes the number of a closed stdin, stdout or stderr."""
    while (handle := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(handle, True)
    os.close(handle)
