"""What is told of an error: a sentence for people, and a word that programs can compare."""

from __future__ import annotations

from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.errors import P2PChatError, RegistryError, TextTooLong, TooManyLines, WhoError
from p2pchat.peer.events import Trouble

_log = Logger()

WHO = "who"  # nobody, or nobody single, is meant
TOO_LONG = "too-long"  # the text, or the line of the input
TOO_MANY = "too-many"  # lines that wait for delivery
COMMAND = "command"  # there is no such command, or it takes something else
INPUT = "input"  # a line of JSON that says nothing
INTERNAL = "internal"  # a fault of this program; its log has the traceback


def trouble_of(failure: Failure) -> Trouble:
    """Return what is told of an error; what is no error of ours is a fault, and is logged."""
    error = failure.value
    if isinstance(error, P2PChatError):
        return Trouble(str(error), _word(error))
    _log.failure("a command failed", failure)
    told = "Something went wrong inside this program; its log has the details (--log FILE)."
    return Trouble(told, INTERNAL)


def _word(error: P2PChatError) -> str:
    if isinstance(error, RegistryError):
        return error.reason
    words = {WhoError: WHO, TextTooLong: TOO_LONG, TooManyLines: TOO_MANY}
    return next((word for kind, word in words.items() if isinstance(error, kind)), "")
