"""
Drives a pure machine on a clock: one timer, armed anew after each step.

Owns no decision.  After every input the machine's events are handed on, its datagrams sent, and
the timer set to its wish, until the machine is quiet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from p2pchat.traversal.datagrams import Datagram

GRANULARITY = 0.0001  # seconds; below it a machine that wants to be called "now" would spin


@attrs.define(eq=False)
class Driver:
    """
    The adapter of one machine.

    :ivar machine: provides :class:`p2pchat.interfaces.IMachine`.
    :ivar send: takes one :class:`Datagram`.
    :ivar react: takes one event.
    :ivar after: called after each step, for whatever else the machine has to give.
    """

    machine: Any
    clock: IReactorTime
    send: Callable[[Datagram], None]
    react: Callable[[Any], None]
    after: Callable[[], None] = lambda: None
    _stepping: bool = False
    _again: bool = False
    _timer: IDelayedCall | None = None
    _stopped: bool = False

    def receive(self, data: bytes, address: tuple[str, int]) -> None:
        """Hand a datagram to the machine."""
        self.machine.receive_datagram(data, address, self.clock.seconds())
        self.step()

    def step(self) -> None:
        """Take from the machine what it has, and arm the timer."""
        self._again = True
        if self._stepping or self._stopped:
            return  # an event led back here; the step that is under way goes round again
        self._stepping = True
        try:
            while self._again:
                self._again = False
                self._empty()
        finally:  # whatever went wrong, the machine goes on
            self._stepping = False
            self._arm(self.clock.seconds())

    def _empty(self) -> None:
        """Take what there is; what taking it brings forth is for another round."""
        self._hand_on()
        if self._stopped:
            return
        outgoing = self.machine.datagrams_to_send(self.clock.seconds())
        for datagram in outgoing:
            self.send(datagram)
        self.after()
        self._again = self._hand_on() or bool(outgoing) or self._again

    def _hand_on(self) -> bool:
        """Hand on the machine's events; tells whether there were any."""
        any_came = False
        while not self._stopped and (event := self.machine.next_event()) is not None:
            any_came = True
            self.react(event)
        return any_came

    def _arm(self, now: float) -> None:
        wanted = self.machine.get_timer()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if wanted is not None and not self._stopped:
            delay = max(GRANULARITY, wanted - now)
            self._timer = self.clock.callLater(delay, self._due)

    def _due(self) -> None:
        self._timer = None
        # A float sum may fall a hair short of the wish; the machine must find its time come.
        wanted = self.machine.get_timer()
        now = self.clock.seconds()
        try:
            self.machine.handle_timer(now if wanted is None else max(now, min(wanted, now + 1e-3)))
        finally:
            self.step()

    def stop(self) -> None:
        """Never call the machine again."""
        self._stopped = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
