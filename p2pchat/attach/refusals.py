"""
Errors of services, and the words by which they pass the socket of a node.

What one program is refused with, another raises as the same error.
"""

from __future__ import annotations

from p2pchat import errors
from p2pchat.errors import P2PChatError

REFUSED = "refused"  # where there is no other word
ENDED = "node-ended"  # of streams whose node has gone
_KINDS: dict[str, type[P2PChatError]] = {
    "no-such-contact": errors.NoSuchContact,
    "service-name": errors.ServiceNameRefused,
    "not-granted": errors.NotGranted,
    "offline": errors.PeerOffline,
    "no-path": errors.NoPath,
    "lost": errors.LinkLost,
    "too-many": errors.TooManyStreams,
    ENDED: errors.NodeEnded,
}


def word_of(error: BaseException) -> str:
    """Return the word for an error: of the nearest kind that has one, else REFUSED."""
    found = [word for word, kind in _KINDS.items() if isinstance(error, kind)]
    return found[0] if found else REFUSED


def sentence_of(error: BaseException) -> str:
    """Return what a person reads of an error, with what explains it."""
    text = str(error) or type(error).__name__
    explanation = getattr(error, "explanation", ())
    return ". ".join([text, *(one.removesuffix(".") for one in explanation)])


def error_of(word: str, sentence: str) -> P2PChatError:
    """Return the error that a word and its sentence stand for."""
    kind = _KINDS.get(word)
    if kind is None:
        return errors.NodeRefused(sentence, word)
    return kind(sentence)
