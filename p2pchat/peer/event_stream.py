"""
Server-sent events, as far as the registry uses them.

:class:`EventReader` cuts bytes into events; :class:`EventStream` is the protocol that takes the
body of the response.  An event longer than MAX_EVENT ends the stream: no document is as long.
Events are handed on no faster than EVENT_RATE, for each may cost the check of a signature; while
some wait, nothing is read.  A stream on which nothing comes is ended after SILENCE, or sooner where
its owner knows how often something comes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from p2pchat.errors import RemoteProtocolError
from p2pchat.runtime import cancel
from p2pchat.session.token_bucket import TokenBucket

MAX_EVENT = 48 * 1024  # bytes; a document has 12 KiB at most
SILENCE = 45.0  # seconds, while it isn't known how often the registry writes a comment
EVENT_RATE = 500.0  # a second; strangers' ones, of which most are dropped, mustn't hold up others
EVENT_BURST = 1000.0  # at once: what was sent while this machine slept
KEEPALIVE = "keepalive"  # the name under which a comment is handed on whose data is a number
_COMMENT = b": keepalive "
_NUMBER = re.compile(rb"[0-9]{1,9}(\.[0-9]{1,3})?")
_ID = re.compile(r"[0-9]{1,15}")
_FIELDS = (b"event", b"data", b"id")  # whose lines mean anything to us
CLOSED = "the registry closed the event stream"
SILENT = "the registry fell silent"


@attrs.frozen
class Event:
    """One event: its name, its data, and its id, a number or ""."""

    name: str
    data: str
    id: str = ""


@attrs.define
class EventReader:
    """
    Cuts a byte stream into events; comments, and fields that mean nothing here, are skipped.

    The registry's keepalives are handed on as events, between two others.
    """

    _buffer: bytearray = attrs.Factory(bytearray)  # a line that isn't complete
    _name: str = "message"
    _id: str = ""
    _data: list[str] = attrs.Factory(list)
    _size: int = 0  # bytes of the event so far

    def receive(self, data: bytes) -> list[Event]:
        """
        Add bytes and return the events that are complete.

        :raises RemoteProtocolError: an event is too long or isn't UTF-8.
        """
        first, *rest = data.split(b"\n")
        self._buffer += first
        found: list[Event] = []
        if rest:
            lines = [bytes(self._buffer), *rest[:-1]]
            self._buffer = bytearray(rest[-1])
            for line in lines:
                # Other lines cost next to nothing, however many come.
                if line.startswith(_COMMENT):
                    found += _keepalive(line.removeprefix(_COMMENT).removesuffix(b"\r"))
                elif line.startswith(_FIELDS):
                    self._line(line.removesuffix(b"\r"))
                elif self._size and line in {b"", b"\r"}:
                    found += self._complete()
        self._check(self._size + len(self._buffer))
        return found

    @staticmethod
    def _check(size: int) -> None:
        if size > MAX_EVENT:
            raise RemoteProtocolError("the registry sent an event that is too long")

    def _line(self, line: bytes) -> None:
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
        elif name == "id" and _ID.fullmatch(value):
            self._id = value

    def _complete(self) -> list[Event]:
        event = Event(self._name, "\n".join(self._data), self._id)
        empty = not self._data and self._name == "message"
        self._name, self._id, self._data, self._size = "message", "", [], 0
        return [] if empty else [event]


def _keepalive(number: bytes) -> list[Event]:
    """Return a comment with a number as an event; others have none."""
    return [Event(KEEPALIVE, number.decode("ascii"))] if _NUMBER.fullmatch(number) else []


@attrs.define(eq=False, slots=False)
class EventStream(Protocol):
    """
    Receives the body of an event stream.

    :ivar received: called with each event.
    :ivar ended: called once with the reason.
    """

    _clock: IReactorTime
    _received: Callable[[Event], None]
    _ended: Callable[[str], None] | None
    _reader: EventReader = attrs.Factory(EventReader)
    _waiting: deque[Event] = attrs.Factory(deque)  # those of one read at most
    _allowed: TokenBucket = attrs.Factory(lambda: TokenBucket(EVENT_BURST, 1 / EVENT_RATE))
    _next: IDelayedCall | None = None  # those that wait may be handed on
    _patience: float = SILENCE
    _silence: IDelayedCall = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._silence = self._clock.callLater(SILENCE, self.stop, SILENT)

    def expect(self, within: float) -> None:
        """Take so many seconds without anything for the end, from now on."""
        self._patience = within
        if self._ended is not None:
            self._silence.reset(within)

    def dataReceived(self, data: bytes) -> None:
        """Read bytes of the body."""
        if self._ended is None:
            return
        self._silence.reset(self._patience)
        try:
            self._waiting += self._reader.receive(data)
        except RemoteProtocolError as error:
            self.stop(str(error))
        else:
            self._hand_on()

    def _hand_on(self) -> None:
        """Hand on as many events as are allowed now; read nothing while others wait."""
        now = self._clock.seconds()
        while self._waiting and self._allowed.take(now):  # none waits once it has ended
            self._received(self._waiting.popleft())
        if self._waiting and self._next is None:
            self._body_transport().pauseProducing()
            self._next = self._clock.callLater(1 / EVENT_RATE, self._go_on)

    def _go_on(self) -> None:
        self._next = None
        self._silence.reset(self._patience)  # it isn't read, which is no silence of theirs
        self._hand_on()
        if self._next is None and self._ended is not None:
            self._body_transport().resumeProducing()

    def _body_transport(self) -> Any:
        return self.transport

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The registry, or the network, ended the stream."""
        self.stop(CLOSED)

    def stop(self, reason: str) -> None:
        """End the stream from our side."""
        cancel(self._silence)
        cancel(self._next)
        self._waiting.clear()
        ended, self._ended = self._ended, None
        if self.transport is not None:
            self.transport.loseConnection()
        if ended is not None:
            ended(reason)
