"""
The link to one peer, and the path that it goes over: a link outlives paths, and a path a link.

::

               ┌────────── heard ───────────┐
               ▼                            │
    begin ──▶ held ──probe, path changed──▶ to be heard within REVIVAL ──▶ is_silent
               └──────────── close ─────────┴──▶ none; its last words still go out

Owns where the datagrams go: over the path in use or, while none is chosen, back to where the last
one came from.  What a silent link means is its owner's to say.
"""

from __future__ import annotations

import attrs

from p2pchat.errors import LinkClosed
from p2pchat.session.link import Link, LinkEvent, LinkState
from p2pchat.traversal.datagrams import Datagram, Route
from p2pchat.traversal.pairs import Path

REVIVAL = 2.0  # seconds for a link to be heard on its new path before a new link is made
BACKLOG = 128 * 1024  # bytes handed to QUIC ahead of the network; one frame may exceed it


@attrs.define(eq=False)
class HeldLink:
    """
    At most one link, and at most one path.

    :ivar name: of the link that was begun last, the same on both sides; empty before any.
    :ivar path: the one in use.
    """

    name: str = ""
    path: Path | None = None
    _link: Link | None = None
    _source: Route | None = None  # of the last datagram
    _silent_at: float | None = None
    _farewell: list[Datagram] = attrs.Factory(list)  # of links that are gone

    def __bool__(self) -> bool:
        """Whether there is a link, open or not."""
        return self._link is not None

    # -- link and path come and go

    def begin(self, link: Link, name: str, now: float) -> None:
        """Hold this link in place of another; its path is to be chosen."""
        self._link, self.name = link, name
        self.path, self._silent_at = None, None
        link.start(now)

    def use(self, path: Path, now: float) -> None:
        """Send over this path from now on."""
        self.path = path
        if self._link is not None:
            self._link.rtt = path.rtt
        self.verified(now)

    def verified(self, now: float) -> None:
        """The path of now was found to carry datagrams."""
        if self._link is not None:
            self._link.wake(now)

    def probe(self, now: float) -> None:
        """The path is about to change: the link must be heard on the new one."""
        self._silent_at = now + REVIVAL

    def heard(self) -> None:
        """The link works over the path of now."""
        self._silent_at = None

    def is_silent(self, now: float) -> bool:
        """Tell whether the link had its time on a new path and wasn't heard."""
        return self._silent_at is not None and now >= self._silent_at

    def close(self, reason: str, now: float) -> None:
        """Let the link go; the path stays."""
        if self._link is not None:
            self._link.hurry(now)
            self._farewell += self._datagrams(now)
            self._link.close(reason, now)
            self._farewell += self._datagrams(now)
        self._link, self._silent_at = None, None

    # -- lines

    @property
    def is_open(self) -> bool:
        """Whether the link takes frames."""
        return self._link is not None and self._link.state is LinkState.OPEN

    @property
    def has_room(self) -> bool:
        """Whether the link is open and takes one more frame."""
        return self._link is not None and self.is_open and self._link.backlog() < BACKLOG

    def send_frame(self, body: bytes, now: float) -> None:
        """Send a frame over an open link; it may turn out to have ended."""
        assert self._link is not None
        try:
            self._link.send_frame(body)
        except LinkClosed as error:
            self._link.close(str(error), now)

    def next_event(self) -> LinkEvent | None:
        """Return, and forget, the link's oldest event."""
        return None if self._link is None else self._link.next_event()

    # -- datagrams and time

    def receive_datagram(self, data: bytes, route: Route, now: float) -> None:
        """Take a datagram; without a link it is nobody's."""
        if self._link is not None:
            self._source = route
            self._link.receive_datagram(data, now)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return, and forget, what goes out: first the last words of links that are gone."""
        farewell, self._farewell = self._farewell, []
        return farewell + self._datagrams(now)

    def _datagrams(self, now: float) -> list[Datagram]:
        target = self._source if self.path is None else self.path.route
        if self._link is None or target is None:
            return []
        return [
            Datagram(data, target.address, base=target.base)
            for data in self._link.datagrams_to_send(now)
        ]

    def handle_timer(self, now: float) -> None:
        """Let the link do what is due."""
        if self._link is not None:
            self._link.handle_timer(now)

    def get_timer(self) -> float | None:
        """Return the earliest wish."""
        linked = None if self._link is None else self._link.get_timer()
        return min((time for time in (linked, self._silent_at) if time is not None), default=None)
