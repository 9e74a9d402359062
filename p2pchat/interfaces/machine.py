"""
The seam of the pure protocol machines.

A machine does no I/O and reads no clock: its adapter hands it datagrams and the time, and takes
from it datagrams, events and the time of its next wish.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:  # the values that pass a seam belong to the layers on its sides
    from p2pchat.traversal.routes import Datagram

_Event_co = TypeVar("_Event_co", covariant=True)


class IMachine(Protocol[_Event_co]):
    """A pure protocol machine, as its driver sees it; inputs are methods of its own."""

    def handle_timer(self, now: float) -> None:
        """Do what is due; called at or after the time of :meth:`get_timer`."""

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called, in seconds, or ``None``."""

    def datagrams_to_send(self, now: float) -> Sequence[Datagram]:
        """Return, and forget, the datagrams that wait; fewer than PORTION are all of them."""

    def next_event(self) -> _Event_co | None:
        """Return, and forget, the oldest event, or ``None``."""
