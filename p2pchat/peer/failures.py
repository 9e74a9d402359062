"""
Errors of connections in words for people, as the end of a sentence of ours.

Twisted's own texts have full stops, class names and byte strings in them.
"""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet import defer, error

from p2pchat.errors import P2PChatError

MAX_LENGTH = 500  # characters of somebody else's words

_LATE = "no answer in time"
_WORDS: dict[type[BaseException], str] = {
    defer.TimeoutError: _LATE,
    defer.CancelledError: _LATE,
    error.TimeoutError: _LATE,
    error.TCPTimedOutError: _LATE,
    error.ConnectingCancelledError: _LATE,
    error.ConnectionRefusedError: "nothing listens there",
    error.NoRouteError: "no route leads there",
    error.DNSLookupError: "its name has no address",
    error.ConnectionClosed: "the connection was closed",
}


def in_words(trouble: BaseException | None, otherwise: str) -> str:
    """
    Return why a connection or a request failed: one line, without a full stop.

    :param otherwise: what to say of an error that isn't one of the network.
    """
    reasons = [failure.value for failure in getattr(trouble, "reasons", None) or ()]
    known = (_known(one) for one in [*reversed(reasons), trouble])
    return next((words for words in known if words), otherwise)


def _known(trouble: BaseException | None) -> str:
    if isinstance(trouble, P2PChatError):
        return one_line(str(trouble))
    if isinstance(trouble, SSL.Error):
        details = trouble.args[0] if trouble.args else ()
        return f"TLS: {one_line(str(details[0][-1])) if details else 'broken off'}"
    for kind, words in _WORDS.items():
        if isinstance(trouble, kind):
            return words
    if isinstance(trouble, error.ConnectError):
        return one_line(str(trouble.args[0])) if trouble.args else "can't connect"
    return one_line(trouble.strerror or "") if isinstance(trouble, OSError) else ""


def one_line(text: str) -> str:
    """Return somebody else's words on one line of bounded length, without a full stop."""
    return " ".join(text[:MAX_LENGTH].split()).rstrip(".")
