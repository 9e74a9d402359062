"""
Events on their way from the node to its front ends.

::

    sessions, node ──put──▶ every subscription ──▶ its listener
                                                       └─ all have had a line ──▶ confirmed

A front end whose output isn't read pauses its subscription, and only its own.  What peers say
waits there then; it is bounded where it comes from, for a conversation holds so many lines that
somebody hasn't had (:mod:`p2pchat.session.conversation`).  Of everything else the newest MAX_HELD
events wait, and how many are missing is told when things go on.  That a line was sent answers a
request of a front end, which has to bound what it asks: it never waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from p2pchat.events import Incoming, MessageSent, NodeEvent, Trouble

MAX_HELD = 1000  # events that aren't lines of peers; half an hour of a network that comes and goes

Listener = Callable[[NodeEvent], None]

_log = Logger()


@implementer(IPushProducer)
@attrs.define(eq=False)
class ListenerQueue:
    """
    The events for one listener.

    :ivar lines: of peers, that the listener has had or came too late for.
    """

    _queue: EventQueue
    listener: Listener
    lines: int
    _waiting: deque[NodeEvent] = attrs.Factory(deque)
    _others: int = 0  # of those that wait: not lines of peers
    _missing: int = 0
    _is_paused: bool = False

    def pauseProducing(self) -> None:
        """Hand nothing on until :meth:`resumeProducing`."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Hand on what waits, and what comes."""
        self._is_paused = False
        self._queue.hand_on()

    def stopProducing(self) -> None:
        """Never call the listener again."""
        self._queue.unsubscribe(self.listener)

    def clear(self) -> None:
        """Drop what waits."""
        self._waiting.clear()

    def append(self, event: NodeEvent) -> None:
        """Let an event wait."""
        self._waiting.append(event)
        self._others += not isinstance(event, Incoming)
        if self._others > MAX_HELD:
            self._thin()

    def hand_on_one(self) -> bool:
        """Call the listener with what waits longest, if it takes it; tells whether it did."""
        if self._is_paused or not self._waiting:
            return False
        if self._missing:
            missing, self._missing = self._missing, 0
            self.call(Trouble(f"{missing:,} older events were dropped: nobody read them."))
            return True
        event = self._waiting.popleft()
        is_line = isinstance(event, Incoming)
        self._others -= not is_line
        self.call(event)
        self.lines += is_line
        return True

    def call(self, event: NodeEvent) -> None:
        """Call the listener; one that fails has had its chance, and costs nobody else anything."""
        try:
            self.listener(event)
        except Exception:
            _log.failure("a front end failed")

    def _thin(self) -> None:
        """Drop the older half of what isn't a line of a peer: going through all costs."""
        drop = self._others // 2
        self._others -= drop
        self._missing += drop
        kept: deque[NodeEvent] = deque()
        for event in self._waiting:
            if drop and not isinstance(event, Incoming):
                drop -= 1
            else:
                kept.append(event)
        self._waiting = kept


@attrs.define(eq=False)
class EventQueue:
    """
    The queues of one node's listeners.

    :ivar taken: called with lines of peers when every listener has had them.
    """

    _taken: Callable[[list[Incoming]], None]
    _queues: list[ListenerQueue] = attrs.Factory(list)
    _lines: deque[Incoming] = attrs.Factory(deque)  # that somebody hasn't had
    _taken_lines: int = 0
    _is_handing_on: bool = False

    def subscribe(self, listener: Listener) -> ListenerQueue:
        """Call ``listener`` with each event from now on."""
        lines = self._taken_lines + len(self._lines)
        self._queues.append(ListenerQueue(self, listener, lines))
        return self._queues[-1]

    def unsubscribe(self, listener: Listener) -> None:
        """Never call ``listener`` again; what waits for it is dropped."""
        for one in [one for one in self._queues if one.listener == listener]:
            self._queues.remove(one)
            one.clear()
        self.hand_on()

    def put(self, event: NodeEvent) -> None:
        """Hand an event on, after all that wait where a listener pauses."""
        if isinstance(event, MessageSent):
            for one in list(self._queues):
                one.call(event)
            return
        if isinstance(event, Incoming):
            self._lines.append(event)
        for one in self._queues:
            one.append(event)
        self.hand_on()

    def hand_on(self) -> None:
        """Hand on what waits, but to listeners that pause."""
        if self._is_handing_on:  # a listener brought about an event: it comes after this one
            return
        self._is_handing_on = True
        try:
            # One event for each in turn, so that all hear it before the next.
            while True in [one.hand_on_one() for one in list(self._queues)]:
                pass
        finally:
            self._is_handing_on = False
        if self._lines:
            self._confirm()

    def _confirm(self) -> None:
        """Tell of the lines that everybody has had."""
        had = min([one.lines for one in self._queues], default=None)
        count = len(self._lines) if had is None else had - self._taken_lines
        if count:
            self._taken_lines += count
            self._taken([self._lines.popleft() for _ in range(count)])
