"""
Log lines for programs: ``twistd -n --logger p2pchat.tap.logs.json_lines p2psignal``.

Each event is one line of JSON on standard output, as :mod:`twisted.logger` writes it, so that
``twisted.logger.eventsFromJSONLogFile`` reads it back; and ``message``, what a text log would
have, with the traceback of a failure.  From level ``info`` on: what is below may name addresses.
"""

from __future__ import annotations

import sys
from typing import TextIO

from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsJSON,
    eventAsText,
)
from zope.interface import implementer


@implementer(ILogObserver)
class JSONLines:
    """An observer that writes each event as a line of JSON."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def __call__(self, event: LogEvent) -> None:
        """Write an event."""
        message = eventAsText(event, includeTimestamp=False, includeSystem=False)
        self._file.write(eventAsJSON({**event, "message": message}) + "\n")
        self._file.flush()


def json_lines() -> ILogObserver:
    """Return the observer that ``twistd`` is to have."""
    return FilteringLogObserver(JSONLines(sys.stdout), [LogLevelFilterPredicate(LogLevel.info)])
