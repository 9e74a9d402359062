"""Programs at the ends of streams, which keep what they see."""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer


class Program(Protocol):
    """
    Keeps what it sees, and does what a test wants.

    :ivar chunks: bytes of each piece that came.
    :ivar reason: what it was lost with, once it was.
    :ivar echoes: whether it writes what it reads.
    :ivar fails: whether it raises on what it reads.
    """

    def __init__(self) -> None:
        self.data = bytearray()
        self.chunks: list[int] = []
        self.reason: Failure | None = None
        self.echoes = self.fails = False

    def dataReceived(self, data: bytes) -> None:
        if self.fails:
            raise ValueError("of the program")
        self.data += data
        self.chunks.append(len(data))
        if self.echoes and self.transport is not None:
            self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert self.reason is None
        self.reason = reason

    @property
    def end(self) -> type | None:
        """The type of what it was lost with."""
        return None if self.reason is None else self.reason.type


@implementer(IHalfCloseableProtocol)
class HalfProgram(Program):
    """
    The same, which cares for each half.

    :ivar halves: those that have ended, in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.halves: list[str] = []

    def readConnectionLost(self) -> None:
        self.halves.append("read")

    def writeConnectionLost(self) -> None:
        self.halves.append("write")
