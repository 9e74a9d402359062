"""
The way to a node: its lock, or its socket, whichever is had first.

::

    seek ── lock free ─────────────▶ become: we are the node
      ▲  └─ taken ── its socket ───▶ attached ── the node ends ──▶ ended; seek again
      │                 └─ none yet: LOOK later
      └──────────────────────┘ for PATIENCE, then it has failed

The lock decides: of several programs that seek at once one becomes the node, and the others find
its socket a moment later.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory

from p2pchat.attach.node_socket import connect
from p2pchat.attach.socket_path import socket_path
from p2pchat.errors import DirectoryInUse, NodeEnded, NodeRefused, P2PChatError
from p2pchat.peer.state_directory import StateDirectory
from p2pchat.resident.node_link import NodeLink
from p2pchat.runtime import Runtime, cancel

LOOK = 0.05  # seconds between looks
PATIENCE = 5.0  # seconds; from its lock to its socket a program takes one, on a busy machine two


@attrs.define(eq=False, kw_only=True)
class Succession:
    """
    One program's way to the node of a state directory, again and again.

    :ivar wants: what the program wants of a node that is another's.
    :ivar become: called with the directory, locked, where this program is to be the node.
    :ivar attached: called with the link to another's.
    :ivar take: called with each line of that.
    :ivar ended: called when it has ended.
    :ivar failed: called with what makes all of it vain.
    """

    runtime: Runtime
    path: str
    environment: Mapping[str, str]
    wants: tuple[str, ...]
    become: Callable[[StateDirectory], None]
    attached: Callable[[NodeLink], None]
    take: Callable[[bytes], None]
    ended: Callable[[], None]
    failed: Callable[[P2PChatError], None]
    _deadline: float = 0.0
    _timer: IDelayedCall | None = None
    _link: NodeLink | None = None
    _is_over: bool = False

    def seek(self) -> None:
        """Become the node, or attach to it."""
        self._deadline = self.runtime.clock.seconds() + PATIENCE
        self._look()

    def stop(self) -> None:
        """Seek no more, and let the node go."""
        self._is_over = True
        cancel(self._timer)
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _look(self) -> None:
        try:
            directory = StateDirectory.open(self.path)
        except DirectoryInUse as error:
            self._attach(error)
        except P2PChatError as error:
            self.failed(error)
        else:
            self.become(directory)

    def _attach(self, in_use: DirectoryInUse) -> None:
        try:
            connection = connect(socket_path(self.path, self.environment))
        except (FileNotFoundError, ConnectionRefusedError):
            self._look_later(in_use)
        except OSError as error:
            self.failed(NodeRefused(f"{in_use} Its socket: {error.strerror or error}", "socket"))
        except P2PChatError as error:
            self.failed(error)
        else:
            self._adopt(connection)

    def _look_later(self, in_use: DirectoryInUse) -> None:
        if self._is_over:
            return
        if self.runtime.clock.seconds() < self._deadline:
            self._timer = self.runtime.clock.callLater(LOOK, self._look)
            return
        self.failed(
            NodeRefused(f"{in_use} It serves no other program: an older one does that.", "socket")
        )

    def _adopt(self, connection: socket.socket) -> None:
        clock = self.runtime.clock
        link = NodeLink(clock, self.wants, self._is_attached, self.take, self._lost)
        self._link = link
        factory: Any = Factory.forProtocol(lambda: link)
        with connection:
            connection.setblocking(False)
            self.runtime.reactor.adoptStreamConnection(connection.fileno(), socket.AF_UNIX, factory)

    def _is_attached(self, link: NodeLink) -> None:
        self._deadline = float("inf")
        self.attached(link)

    def _lost(self, error: P2PChatError) -> None:
        link, self._link = self._link, None
        if self._is_over:
            return
        if not isinstance(error, NodeEnded):
            self.failed(error)
        elif link is not None and link.hello is not None:
            self.ended()
        else:  # it ended just as we came
            self._timer = self.runtime.clock.callLater(LOOK, self._look)
