"""
The process that a service runs in: its standard streams, exit status, open files, threads and
garbage.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import gc
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import Any, TextIO, cast

import attrs

# Seconds that a thread may have to wait for Python's lock while the reactor is busy.  A thread that
# stores messages lets go of it for every step of SQLite; Python's own 5 ms would let a busy peer
# store 60 messages a second, this one 500, and the reactor loses a percent.
SWITCH_INTERVAL = 0.0005
STDIN, STDOUT = 0, 1  # file descriptors (POSIX)
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def why_unwritable(descriptor: int = STDOUT) -> str:
    """
    Return why an output that was lost can't be written to; "" where nobody reads it any more.

    Twisted doesn't tell one from the other, so that an empty line is tried.
    """
    try:
        os.write(descriptor, b"\n")
    except OSError as error:
        return os.strerror(error.errno) if error.errno in FULL else ""
    return ""


@attrs.frozen
class Process:
    """
    The process of a service, reactor and stdin apart.

    :ivar stdout: not ``sys.stdout``, which twistd turns into log lines.
    :ivar set_exit_status: decides what the process exits with when it ends.
    :ivar program: what its sentences on stderr begin with.
    :ivar started: called when all is there that stays.
    :ivar why_unwritable: why stdout was lost, if not by its reader.
    """

    stdout: TextIO
    stderr: TextIO
    set_exit_status: Callable[[int], None]
    program: str
    started: Callable[[], None] = lambda: None
    why_unwritable: Callable[[], str] = lambda: ""


def this_process(program: str) -> Process:
    """Return the process that we are."""
    stdout, stderr = _or_nowhere(sys.__stdout__), _or_nowhere(sys.__stderr__)
    return Process(stdout, stderr, _exit_with, program, spare_long_lived, why_unwritable)


def _or_nowhere(stream: TextIO | None) -> TextIO:
    return open(os.devnull, "w", encoding="utf-8") if stream is None else stream


def _exit_with(status: int) -> None:
    # Nothing that twistd calls could tell it with what to exit.
    atexit.register(_exit_now, status)


def _exit_now(status: int) -> None:
    for stream in (sys.__stdout__, sys.__stderr__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            cast(TextIO, stream).flush()
    os._exit(status)


def spare_long_lived() -> None:
    """
    Leave out what there is now from every garbage collection to come; call it once all is loaded.

    A whole collection of Python's looks at every object that there is, and nothing is answered
    meanwhile.  With the 300,000 of the modules that takes 50 milliseconds, on a busy machine a
    tenth of a second or more, and comes so seldom that the garbage of thousands of requests waits
    for it.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # of next to nothing: the next one waits for a quarter of what this one leaves


def leave_threads_behind(reactor: Any) -> None:
    """
    Let the program end without waiting for the reactor's threads; call it before the reactor runs.

    What they do is other libraries' work and can't be stopped: to look a name up takes half a
    minute where name servers are dead.  Nothing of ours that must be finished is done in them.
    """
    pool = reactor.getThreadPool()
    pool.threadFactory = partial(Thread, daemon=True)
    with contextlib.suppress(ValueError):  # it was done before
        reactor.removeSystemEventTrigger(reactor.threadpoolShutdownID)


def share_interpreter() -> None:
    """Let threads that work for the reactor run in between where it is busy."""
    sys.setswitchinterval(SWITCH_INTERVAL)


def leave_once(reactor: Any) -> None:
    """
    Let a signal that comes while the program leaves change nothing; call it before that.

    Goodbyes have a deadline.  Whoever presses Ctrl-C twice, or is sent the signal by two others,
    would find Twisted's complaint in the log that the reactor has been stopped already.
    """

    def ignore_more() -> None:
        with contextlib.suppress(ValueError):  # signals are the main thread's
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, lambda *_: None)

    reactor.addSystemEventTrigger("before", "shutdown", ignore_more)


def allow_open_files(wanted: int) -> int:
    """
    Raise the soft limit of open files, sockets included, towards this number.

    Returns how many may be open, at most that.
    """
    if sys.platform == "win32":  # no such limit is in the way there
        return wanted
    import resource  # noqa: PLC0415 - there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
