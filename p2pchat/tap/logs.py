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
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsJSON,
    eventAsText,
)


def json_lines(file: TextIO | None = None) -> ILogObserver:
    """Return the observer that ``twistd`` is to have, for standard output or another file."""
    observer = FileLogObserver(file or sys.stdout, _line)
    return FilteringLogObserver(observer, [LogLevelFilterPredicate(LogLevel.info)])


def _line(event: LogEvent) -> str:
    message = eventAsText(event, includeTimestamp=False, includeSystem=False)
    return eventAsJSON({**event, "message": message}) + "\n"
