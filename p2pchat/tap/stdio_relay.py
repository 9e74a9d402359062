"""
Standard input and output of an attached program: bytes between them and whoever has them now.

::

    stdin ──▶ StdioRelay ──▶ far side: a console of the node's, or its JSON interface
    stdout ◀──────┘ ◀──────────┘         │ the node ends
                  └── hand_over ──▶ a front end of our own, with the same stdio

While there is no far side, input waits where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import attrs
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IPushProducer)
@attrs.frozen(eq=False)
class Keyboard:
    """Our input, for a far side whose end isn't the end of it."""

    _transport: Any

    def pauseProducing(self) -> None:
        """Read nothing."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """Wait for another far side."""


@implementer(IHalfCloseableProtocol)
class StdioRelay(Protocol):
    """
    The protocol of stdio.

    :ivar typed: called with what comes, before it is sent on.
    :ivar gone: called when nobody reads our output any more.
    """

    typed: Callable[[bytes], None]
    gone: Callable[[], None]

    def __init__(self) -> None:
        self._far: Any = None
        self._finish: Callable[[], None] = lambda: None
        self._held: list[bytes] = []
        self._has_ended = False

    def connectionMade(self) -> None:
        """Wait for a far side."""
        cast(Any, self.transport).pauseProducing()

    def join(self, far: Any, finish: Callable[[], None]) -> None:
        """
        Send on what comes.

        :param far: a transport.
        :param finish: lets it know that nothing more comes.
        """
        transport = cast(Any, self.transport)
        self._far, self._finish = far, finish
        far.registerProducer(Keyboard(transport), True)
        transport.registerProducer(far, True)
        for data in self._held:
            far.write(data)
        self._held.clear()
        if self._has_ended:
            finish()
        transport.resumeProducing()

    def part(self) -> None:
        """Send on nothing more: the far side has gone."""
        if self._far is not None:
            self._far = None
            transport = cast(Any, self.transport)
            transport.unregisterProducer()
            transport.pauseProducing()

    def hand_over(self, protocol: IProtocol) -> None:
        """Let another protocol have stdio from now on."""
        transport = cast(Any, self.transport)
        self.part()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        for data in self._held:
            protocol.dataReceived(data)
        self._held.clear()
        if self._has_ended:
            IHalfCloseableProtocol(protocol).readConnectionLost()
        transport.resumeProducing()

    def write(self, data: bytes) -> None:
        """Write to stdout."""
        cast(Any, self.transport).write(data)

    def close(self) -> None:
        """Write what is left, and let stdio go."""
        self.part()
        if self.transport is not None:
            cast(Any, self.transport).loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """Send on what comes."""
        self.typed(data)
        if self._far is None:
            self._held.append(data)  # one read: nothing more is read meanwhile
        else:
            self._far.write(data)

    def readConnectionLost(self) -> None:
        """Nothing more comes."""
        self._has_ended = True
        if self._far is not None:
            self._finish()

    def writeConnectionLost(self) -> None:
        """Nobody reads our output."""
        self.gone()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Nor is there any input."""
        self.gone()
