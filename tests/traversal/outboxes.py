"""What a machine has put out, taken by kind, as its parent would take it in order."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol, TypeVar

from p2pchat.traversal.attempt_events import CheckDatagram
from p2pchat.traversal.punching import Punching
from p2pchat.traversal.routes import Datagram

_Kind = TypeVar("_Kind")


class Child(Protocol):
    """A machine with an outbox."""

    @property
    def outbox(self) -> deque[Any]:
        """What its parent is to take."""


def take(child: Child, kind: type[_Kind]) -> list[_Kind]:
    """Take what is of one kind; the rest stays, in its order."""
    taken = [one for one in child.outbox if isinstance(one, kind)]
    kept = [one for one in child.outbox if not isinstance(one, kind)]
    child.outbox.clear()
    child.outbox.extend(kept)
    return taken


def checks_of(attempt: Punching) -> list[Datagram]:
    """Take the checks of an attempt, and its answers to checks."""
    return [one.datagram for one in take(attempt, CheckDatagram)]
