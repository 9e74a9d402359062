"""
Output of an attached program: what it hasn't read waits within a bound.

Nobody else waits for it: a console that hangs must not keep a friend's lines from being delivered.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

# Bytes that may wait beyond the 64 KiB of a transport.  Answers with a long history are some of
# them; with 64 programs that read nothing it is 256 MiB, all of one person.
MAX_WAITING = 4 * 1024 * 1024


@implementer(IPushProducer)
@attrs.define(eq=False)
class Unpaused:
    """A producer that goes on, whoever asks it to pause."""

    def pauseProducing(self) -> None:
        """Go on."""

    def resumeProducing(self) -> None:
        """Go on."""

    def stopProducing(self) -> None:
        """Go on."""


@implementer(IPushProducer)
@attrs.define(eq=False)
class BoundedOutput:
    """
    The output of one program.

    :ivar transport: to the program.
    :ivar overflow: called once, when more waits than may.
    :ivar follower: the protocol of a front end that is told when nothing is read.
    """

    transport: Any
    overflow: Callable[[], None]
    follower: Any = None
    _is_full: bool = False
    _waiting: int = 0
    _is_over: bool = False

    def begin(self) -> None:
        """Count from now on."""
        self.transport.registerProducer(self, True)

    def write(self, data: bytes) -> None:
        """Write bytes, or find that too many wait."""
        if self._is_over:
            return
        self.transport.write(data)
        if self._is_full:
            self._waiting += len(data)
            if self._waiting > MAX_WAITING:
                self._is_over = True
                self.overflow()

    def pauseProducing(self) -> None:
        """The program doesn't read just now."""
        self._is_full, self._waiting = True, 0
        if self.follower is not None:
            self.follower.pauseProducing()

    def resumeProducing(self) -> None:
        """It has read everything."""
        self._is_full = False
        if self.follower is not None:
            self.follower.resumeProducing()

    def stopProducing(self) -> None:
        """It has gone."""
        self._is_over = True

    def end(self) -> None:
        """Write nothing more."""
        self._is_over = True
        self.transport.unregisterProducer()


@attrs.define(eq=False)
class FrontEndTransport:
    """
    The transport of a front end whose output an attached program gets.

    :ivar ended: called when the front end has let go.
    """

    _output: BoundedOutput
    _ended: Callable[[], None]

    def write(self, data: bytes) -> None:
        """Write bytes."""
        self._output.write(data)

    def registerProducer(self, producer: Any, _streaming: bool) -> None:
        """Tell a front end from now on when nothing is read."""
        self._output.follower = producer

    def unregisterProducer(self) -> None:
        """Tell it no more."""
        self._output.follower = None

    def pauseProducing(self) -> None:
        """Read no more of the program's input for now."""
        self._output.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self._output.transport.resumeProducing()

    def loseConnection(self) -> None:
        """Let go."""
        self._ended()
