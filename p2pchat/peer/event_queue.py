"""
Events on their way from the node to its front ends.

::

    dialogues, node ──put──▶ queue ──▶ every listener ──▶ taken: the line is confirmed to its author
                               ▲
                     pauseProducing() of any subscription: nothing is handed on

A front end whose output isn't read pauses its subscription.  What peers say waits here then; it is
bounded where it comes from, for a conversation holds so many lines that nobody has taken
(:mod:`p2pchat.session.conversation`).  Of everything else the newest MAX_HELD events wait, and how
many are missing is told when things go on.  That a line was sent answers a request of a front end,
which has to bound what it asks: it never waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from p2pchat.peer.events import MessageReceived, MessageSent, NodeEvent, Trouble

MAX_HELD = 1000  # events that aren't lines of peers; half an hour of a network that comes and goes

Listener = Callable[[NodeEvent], None]


@implementer(IPushProducer)
@attrs.define(eq=False)
class Subscription:
    """What one listener hears."""

    _queue: EventQueue
    listener: Listener
    is_paused: bool = False

    def pauseProducing(self) -> None:
        """Hand nothing on until :meth:`resumeProducing`."""
        self.is_paused = True

    def resumeProducing(self) -> None:
        """Hand on what waits, and what comes."""
        self.is_paused = False
        self._queue.hand_on()

    def stopProducing(self) -> None:
        """Never call the listener again."""
        self._queue.cancel(self)


@attrs.define(eq=False)
class EventQueue:
    """
    The queue of one node.

    :ivar taken: called with lines of peers when every listener has had them.
    """

    _taken: Callable[[list[MessageReceived]], None]
    _subscriptions: list[Subscription] = attrs.Factory(list)
    _waiting: deque[NodeEvent] = attrs.Factory(deque)
    _others: int = 0  # of those that wait: not lines of peers
    _missing: int = 0
    _is_handing_on: bool = False

    def subscribe(self, listener: Listener) -> Subscription:
        """Call ``listener`` with each event from now on."""
        self._subscriptions.append(Subscription(self, listener))
        return self._subscriptions[-1]

    def cancel(self, subscription: Subscription) -> None:
        """Forget a subscription."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self.hand_on()

    def put(self, event: NodeEvent) -> None:
        """Hand an event on after all that wait."""
        if isinstance(event, MessageSent):
            self._call(event)
            return
        self._waiting.append(event)
        self._others += not isinstance(event, MessageReceived)
        if self._others > MAX_HELD:
            self._thin()
        self.hand_on()

    def hand_on(self) -> None:
        """Hand on what waits, unless a listener pauses."""
        if self._is_handing_on:  # a listener brought about an event: it comes after this one
            return
        self._is_handing_on = True
        lines: list[MessageReceived] = []
        try:
            while self._waiting and not self._is_paused:
                self._hand_on_one(lines)
        finally:
            self._is_handing_on = False
            if lines:
                self._taken(lines)

    @property
    def _is_paused(self) -> bool:
        return any(one.is_paused for one in self._subscriptions)

    def _hand_on_one(self, lines: list[MessageReceived]) -> None:
        if self._missing:
            missing, self._missing = self._missing, 0
            event: NodeEvent = Trouble(f"{missing} older events were dropped: nobody read them.")
        else:
            event = self._waiting.popleft()
            self._others -= not isinstance(event, MessageReceived)
        if isinstance(event, MessageReceived):
            lines.append(event)  # a listener that fails has had its chance, too
        self._call(event)

    def _call(self, event: NodeEvent) -> None:
        for one in list(self._subscriptions):
            one.listener(event)

    def _thin(self) -> None:
        """Drop the older half of what isn't a line of a peer: going through all costs."""
        kept: deque[NodeEvent] = deque()
        drop = self._others // 2
        for event in self._waiting:
            if drop and not isinstance(event, MessageReceived):
                drop -= 1
                self._missing += 1
            else:
                kept.append(event)
        self._others -= self._others // 2
        self._waiting = kept
