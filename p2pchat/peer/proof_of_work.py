"""
Proof of work for a registry under pressure (:mod:`p2pchat.wire.work`).

Searched for in slices of a few milliseconds, between which the program does everything else: a
thread would get the interpreter no more often.  Refuses work beyond MAX_DIFFICULTY, so that no
registry can keep a machine busy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from p2pchat.errors import RegistryError
from p2pchat.wire.work import ALGORITHM, MAX_DIFFICULTY, Challenge, search

SLICE = 4096  # nonces; 2 to 10 milliseconds
SEARCH_LIMIT = 16  # times the nonces expected; one search in nine million takes longer


@inlineCallbacks
def solve(
    challenge: Challenge, peer_id: str, clock: IReactorTime, wanted: Callable[[], bool]
) -> Any:
    """
    Return a Deferred of the :class:`p2pchat.wire.work.Work` that meets a challenge.

    :param wanted: asked before each slice; the search ends when it says no.

    It fails with :class:`RegistryError` where the work is too much, or was given up.
    """
    _refuse(challenge)
    for start in range(0, SEARCH_LIMIT << challenge.difficulty, SLICE):
        if not wanted():
            break
        done = search(challenge, peer_id, start, SLICE)
        if done is not None:
            return done
        yield deferLater(clock, 0)
    raise RegistryError("the work for the registry was given up", reason="work-required")


def _refuse(challenge: Challenge) -> None:
    if challenge.algorithm != ALGORITHM:
        raise RegistryError(
            "the registry asks for a kind of work that this program doesn't know: update it",
            reason="unknown-work",
        )
    if challenge.difficulty > MAX_DIFFICULTY:
        raise RegistryError(
            f"the registry asks for work of {challenge.difficulty} bits, and this program does "
            f"{MAX_DIFFICULTY} at most: try again later, or another registry",
            reason="too-much-work",
        )
