"""
Errors of connections in words for people, as the end of a sentence of ours.

Twisted's own texts have full stops, class names and byte strings in them.
"""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, TimeoutError
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
    NoRouteError,
    TCPTimedOutError,
)
from twisted.internet.error import TimeoutError as ConnectTimeoutError

from p2pchat.errors import P2PChatError

MAX_LENGTH = 500  # characters of somebody else's words

_LATE = (
    TimeoutError,
    ConnectTimeoutError,
    TCPTimedOutError,
    ConnectingCancelledError,
    CancelledError,
)
_WORDS: tuple[tuple[tuple[type[BaseException], ...], str], ...] = (
    (_LATE, "no answer in time"),
    ((ConnectionRefusedError,), "nothing listens there"),
    ((NoRouteError,), "no route leads there"),
    ((DNSLookupError,), "its name has no address"),
    ((ConnectionDone, ConnectionAborted, ConnectionLost), "the connection was closed"),
)


def in_words(error: BaseException | None, otherwise: str) -> str:
    """
    Return why a connection or a request failed: one line, without a full stop.

    :param otherwise: what to say of an error that isn't one of the network.
    """
    reasons = [failure.value for failure in getattr(error, "reasons", None) or ()]
    known = (_known(one) for one in [*reversed(reasons), error])
    return next((words for words in known if words), otherwise)


def _known(error: BaseException | None) -> str:
    if isinstance(error, P2PChatError):
        return one_line(str(error))
    if isinstance(error, SSL.Error):
        details = error.args[0] if error.args else ()
        return f"TLS: {one_line(str(details[0][-1])) if details else 'broken off'}"
    for kinds, words in _WORDS:
        if isinstance(error, kinds):
            return words
    if isinstance(error, ConnectError):
        return one_line(str(error.args[0])) if error.args else "can't connect"
    return one_line(error.strerror or "") if isinstance(error, OSError) else ""


def one_line(text: str) -> str:
    """Return somebody else's words on one line of bounded length, without a full stop."""
    return " ".join(text[:MAX_LENGTH].split()).rstrip(".")
