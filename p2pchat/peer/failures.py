"""
What went wrong with a connection, in words that a person reads, as the end of a sentence of ours.

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

_IN_TIME = "no answer in time"
_CLOSED = "the connection was closed"
_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, _IN_TIME),
    (ConnectTimeoutError, _IN_TIME),
    (TCPTimedOutError, _IN_TIME),
    (ConnectingCancelledError, _IN_TIME),
    (CancelledError, _IN_TIME),
    (ConnectionRefusedError, "nothing listens there"),
    (NoRouteError, "no route leads there"),
    (DNSLookupError, "its name has no address"),
    (ConnectionDone, _CLOSED),
    (ConnectionAborted, _CLOSED),
    (ConnectionLost, _CLOSED),
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
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words
    if isinstance(error, ConnectError):
        return one_line(str(error.args[0])) if error.args else "can't connect"
    return one_line(error.strerror or "") if isinstance(error, OSError) else ""


def one_line(text: str) -> str:
    """Return somebody else's words on one line of bounded length, without a full stop."""
    return " ".join(text[:MAX_LENGTH].split()).rstrip(".")
