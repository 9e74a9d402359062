"""The base of both machines of a transfer: bytes of their stream in and out, and events; pure."""

from __future__ import annotations

from collections import deque

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.session.transfer_events import TransferEvent, WasCancelled, WasStopped
from p2pchat.wire.framing import PartReader
from p2pchat.wire.transfers import (
    MAX_PIECE_FRAME,
    Cancelled,
    Piece,
    Stopped,
    TransferMessage,
    decode,
    encode,
)

BROKEN = "protocol"  # the other side broke the rules


@attrs.define(eq=False)
class TransferStream:
    """
    The base of the machines.

    :ivar has_ended: whether nothing more is said or heard.
    """

    has_ended: bool = attrs.field(default=False, init=False)
    _reader: PartReader = attrs.field(factory=PartReader, init=False)
    _out: deque[bytes | memoryview] = attrs.field(factory=deque, init=False, repr=False)
    _events: deque[TransferEvent] = attrs.field(factory=deque, init=False)

    def receive(self, data: bytes) -> None:
        """Take bytes of the stream; what breaks the rules ends it, and is an event."""
        if self.has_ended:
            return
        self._reader.add(data)
        try:
            while not self.has_ended:
                frame = self._reader.next_frame(MAX_PIECE_FRAME)
                if frame is None:
                    return
                self._receive(decode(frame))
        except RemoteProtocolError as error:
            self._stop(f"{BROKEN}: {error}")

    def next_bytes(self) -> bytes | memoryview | None:
        """Return, and forget, what is to be written next; ``None``: nothing now."""
        return self._out.popleft() if self._out else None

    def next_event(self) -> TransferEvent | None:
        """Return, and forget, the next event."""
        return self._events.popleft() if self._events else None

    def stop(self, reason: str) -> None:
        """End the stream, so that another one may go on later; a word says why."""
        if not self.has_ended:
            self._stop(reason)

    def _stop(self, reason: str) -> None:
        self._say(Stopped(reason[:200]))
        self._end(WasStopped(reason, is_ours=True))

    def cancel(self, name: bytes) -> None:
        """End a transfer for good."""
        if not self.has_ended:
            self._say(Cancelled(name))
            self.has_ended = True

    def _receive(self, message: TransferMessage | Piece) -> None:
        match message:
            case Stopped(reason):
                self._end(WasStopped(reason, is_ours=False))
            case Cancelled(name):
                self._end(WasCancelled(name))
            case _:
                raise RemoteProtocolError(f"{type(message).__name__} isn't expected now")

    def _say(self, message: TransferMessage | Piece) -> None:
        self._out += encode(message)

    def _tell(self, event: TransferEvent) -> None:
        self._events.append(event)

    def _end(self, event: TransferEvent) -> None:
        self.has_ended = True
        self._tell(event)
