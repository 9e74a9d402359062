"""
Drives a pure machine on a clock: one timer, armed anew after each step.

Owns no decision.  Whoever has something for the machine says it between two steps::

    with driver as now:
        machine.receive_datagram(data, address, now)

and at the end of the block the machine's events are handed on, its datagrams sent, and the timer
set to its wish, until the machine is quiet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from p2pchat.interfaces import IMachine
from p2pchat.runtime import cancel
from p2pchat.traversal.routes import PORTION, Datagram

GRANULARITY = 0.0001  # seconds; below it a machine that wants to be called "now" would spin

_Event = TypeVar("_Event")


@attrs.define(eq=False)
class Driver(Generic[_Event]):
    """
    The adapter of one machine.

    :ivar send: takes what a step sends.
    :ivar react: takes one event.
    """

    machine: IMachine[_Event]
    clock: IReactorTime
    send: Callable[[Sequence[Datagram]], None]
    react: Callable[[_Event], None]
    _stepping: bool = False
    _again: bool = False
    _timer: IDelayedCall | None = None
    _wanted: float = 0.0  # the machine's wish, for which the timer is armed
    _stopped: bool = False

    def __enter__(self) -> float:
        """Let the machine be told something; returns the time."""
        return self.clock.seconds()

    def __exit__(self, *_error: object) -> None:
        """Take what came of it; also where the machine refused a part of it."""
        self.step()

    def step(self) -> None:
        """Take from the machine what it has, and arm the timer."""
        self._again = True
        if self._stepping or self._stopped:
            return  # an event led back here; the step that is under way goes round again
        self._stepping = True
        try:
            while self._again and not self._stopped:
                self._empty()
        finally:  # whatever went wrong, the machine goes on
            self._stepping = False
            self._arm(self.clock.seconds())

    def _empty(self) -> None:
        """Take what there is; what events lead to may call for another round."""
        self._hand_on()  # before datagrams: what they lead to, as a reply, goes out with the rest
        self._again = False
        outgoing = self.machine.datagrams_to_send(self.clock.seconds())
        self._hand_on()  # before they go out: events may open what they leave from
        if outgoing and not self._stopped:
            self.send(outgoing)
        self._again = self._again or len(outgoing) >= PORTION

    def _hand_on(self) -> None:
        while not self._stopped and (event := self.machine.next_event()) is not None:
            self.react(event)

    def _arm(self, now: float) -> None:
        wanted = self.machine.get_timer()
        if wanted is None or self._stopped:
            cancel(self._timer)
            self._timer = None
            return
        self._wanted = wanted
        delay = max(GRANULARITY, wanted - now)
        if self._timer is None:
            self._timer = self.clock.callLater(delay, self._due)
        else:  # cheaper than another call
            self._timer.reset(delay)

    def _due(self) -> None:
        self._timer = None
        with self as now:
            # A float sum may fall a hair short of the wish; the machine must find its time come.
            self.machine.handle_timer(max(now, min(self._wanted, now + 1e-3)))

    def stop(self) -> None:
        """Never call the machine again."""
        self._stopped = True
        cancel(self._timer)
        self._timer = None
