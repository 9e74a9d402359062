"""
Server-sent events, as far as the registry uses them.

Pure reading in :class:`EventReader`; :class:`EventStream` is the protocol that takes the body of
the response.  An event longer than MAX_EVENT ends the stream: no document is as long.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from p2pchat.errors import RemoteProtocolError

MAX_EVENT = 128 * 1024  # bytes
SILENCE = 45.0  # seconds; the registry writes a comment every 15


@attrs.frozen
class Event:
    """One event: its name and its data."""

    name: str
    data: str


@attrs.define
class EventReader:
    """Cuts a byte stream into events; comments are skipped."""

    _buffer: bytes = b""
    _name: str = "message"
    _data: list[str] = attrs.Factory(list)
    _size: int = 0  # bytes of the event so far

    def receive(self, data: bytes) -> list[Event]:
        """
        Add bytes and return the events that are complete.

        :raises RemoteProtocolError: an event is too long or isn't UTF-8.
        """
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        found = [self._line(line.rstrip(b"\r")) for line in lines]
        self._check(self._size + len(self._buffer))
        return [event for event in found if event is not None]

    @staticmethod
    def _check(size: int) -> None:
        if size > MAX_EVENT:
            raise RemoteProtocolError("the registry sent an event that is too long")

    def _line(self, line: bytes) -> Event | None:
        self._size += len(line) + 1
        self._check(self._size)
        try:
            name, _, value = line.decode("utf-8").partition(":")
        except UnicodeDecodeError:
            raise RemoteProtocolError("the registry's events must be UTF-8") from None
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif not line:
            return self._complete()
        return None

    def _complete(self) -> Event | None:
        event = Event(self._name, "\n".join(self._data))
        empty = not self._data and self._name == "message"
        self._name, self._data, self._size = "message", [], 0
        return None if empty else event


class EventStream(Protocol):
    """
    Receives the body of an event stream.

    :param received: called with each event.
    :param ended: called once with the reason.
    """

    def __init__(
        self,
        clock: IReactorTime,
        received: Callable[[Event], None],
        ended: Callable[[str], None],
    ) -> None:
        self._received = received
        self._ended: Callable[[str], None] | None = ended
        self._reader = EventReader()
        self._silence = clock.callLater(SILENCE, self._silent)

    def dataReceived(self, data: bytes) -> None:
        """Read bytes of the body."""
        if self._ended is None:
            return
        self._silence.reset(SILENCE)
        try:
            for event in self._reader.receive(data):
                if self._ended is not None:
                    self._received(event)
        except RemoteProtocolError as error:
            self.stop(str(error))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The registry, or the network, ended the stream."""
        self.stop("the registry closed the event stream")

    def _silent(self) -> None:
        self.stop("the registry fell silent")

    def stop(self, reason: str) -> None:
        """End the stream from our side."""
        if self._silence.active():
            self._silence.cancel()
        ended, self._ended = self._ended, None
        if self.transport is not None:
            self.transport.loseConnection()
        if ended is not None:
            ended(reason)
