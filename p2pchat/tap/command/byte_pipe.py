"""
Bytes between stdin and stdout on one side, and a socket on the other, in one thread.

Each direction has its own end: when stdin has no more, the socket is told so and goes on giving;
when the socket has no more, stdout is closed and stdin goes on being sent.  When nobody is at
the socket any more, all of it ends, whether stdin has more or not; stdout is left open then, for
who runs us may end us as soon as it is closed, before we have said why.  Neither direction waits
for the other, and of each at most CHUNK bytes wait here.

Whether stdin and stdout block is theirs to know: they may be a terminal, or shared with programs
beside us, so that isn't changed.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import stat
from collections.abc import Callable
from typing import Protocol

CHUNK = 64 * 1024  # bytes
STDIN, STDOUT = 0, 1  # file descriptors (POSIX)

_GONE = select.POLLHUP | select.POLLERR
_READABLE = select.POLLIN | _GONE
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)  # macOS has none


class Sink(Protocol):
    """One direction's end."""

    def write(self, data: memoryview) -> int:
        """
        Write as much as is taken at once; returns how much.

        :raises BlockingIOError: nothing is.
        :raises OSError: nothing will be.
        """

    def end(self) -> None:
        """Say that no more comes."""


class SocketSink:
    """A socket of our own."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def write(self, data: memoryview) -> int:
        """Send as much as is taken at once; returns how much."""
        return self._connection.send(data, _NO_SIGNAL)

    def end(self) -> None:
        """Close it by half."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)


class OutputSink:
    """An output of this process, without waiting for who reads it."""

    def __init__(self, descriptor: int) -> None:
        """
        Prepare it.

        :raises OSError: it is closed.
        """
        self._descriptor = descriptor
        mode = os.fstat(descriptor).st_mode
        self._pipe = _opened_again(descriptor) if stat.S_ISFIFO(mode) else None
        self._socket = socket.socket(fileno=os.dup(descriptor)) if stat.S_ISSOCK(mode) else None

    def write(self, data: memoryview) -> int:
        """Write as much as is taken at once; returns how much."""
        if self._pipe is not None:
            return os.write(self._pipe, data)
        if self._socket is not None:
            return self._socket.send(data, socket.MSG_DONTWAIT)
        # What poll() calls writable takes this much without waiting.
        return os.write(self._descriptor, data[: select.PIPE_BUF])

    def end(self) -> None:
        """Close it; its number stays taken, so that no other file gets it."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)
            self._socket.close()
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._descriptor)
        os.close(nowhere)


def _opened_again(descriptor: int) -> int | None:
    """
    Open a pipe a second time, so that only our own writes don't wait; ``None`` where that can't be.

    Whether a descriptor blocks belongs to the opened file, which others may share.
    """
    with contextlib.suppress(OSError):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(f"/proc/self/fd/{descriptor}", flags)
    return None


class ByteFlow:
    """Bytes in one direction: what was read and isn't written yet, and whether more comes."""

    def __init__(self, read: Callable[[int], bytes], sink: Sink) -> None:
        self._read = read
        self._sink = sink
        self.waiting = memoryview(b"")
        self.is_open = True

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.is_open and not self.waiting

    @property
    def may_read(self) -> bool:
        """Whether more is taken now."""
        return self.is_open and not self.waiting

    def read(self, is_last: bool = False) -> None:
        """
        Take what is there; where there is nothing, no more comes.

        :param is_last: whether all ends with it, and the sink needn't be told.
        """
        try:
            data = self._read(CHUNK)
        except BlockingIOError:
            return
        except OSError:  # reset, or a terminal that isn't ours any more
            data = b""
        if data:
            self.waiting = memoryview(data)
        else:
            self.is_open = False
            if not is_last:
                self._sink.end()

    def write(self) -> None:
        """
        Write what the sink takes now.

        :raises OSError: it takes no more.
        """
        with contextlib.suppress(BlockingIOError):
            self.waiting = self.waiting[self._sink.write(self.waiting) :]

    def drop(self) -> None:
        """Let go what waits, and take no more."""
        self.waiting = memoryview(b"")
        self.is_open = False


class BytePipe:
    """Stdin and stdout, joined to a socket."""

    def __init__(self, stdin: int, stdout: int, connection: socket.socket) -> None:
        """
        Join descriptors to a socket, which is made non-blocking.

        :raises OSError: one of them is closed.
        """
        os.fstat(stdin)
        connection.setblocking(False)
        self._stdin, self._stdout, self._remote = stdin, stdout, connection.fileno()
        self._outgoing = ByteFlow(lambda most: os.read(stdin, most), SocketSink(connection))
        self._incoming = ByteFlow(connection.recv, OutputSink(stdout))

    def run(self) -> None:
        """
        Pass bytes on until both directions have ended, or nobody is at the socket.

        :raises BrokenPipeError: nobody reads stdout.
        """
        while not (self._incoming.is_done and self._outgoing.is_done):
            poll = select.poll()
            for descriptor, events in self._wanted().items():
                poll.register(descriptor, events)
            self._step(dict(poll.poll()))

    def _wanted(self) -> dict[int, int]:
        """Return what to wait for, by descriptor."""
        outgoing, incoming = self._outgoing, self._incoming
        events = (select.POLLOUT if outgoing.waiting else 0) | (
            select.POLLIN if incoming.may_read else 0
        )
        # The end of the socket would wake us again and again while who reads us is slow.
        wanted = {self._remote: events} if events or not incoming.waiting else {}
        if outgoing.may_read:
            wanted[self._stdin] = select.POLLIN
        if incoming.waiting:
            wanted[self._stdout] = select.POLLOUT
        return wanted

    def _step(self, ready: dict[int, int]) -> None:
        outgoing, incoming, remote = self._outgoing, self._incoming, ready.get(self._remote, 0)
        if remote & _READABLE and incoming.may_read:
            incoming.read(is_last=bool(remote & _GONE))
        if incoming.waiting:
            incoming.write()
        if ready.get(self._stdin, 0) & _READABLE and outgoing.may_read:
            outgoing.read()
        if outgoing.waiting:
            try:
                outgoing.write()
            except OSError:  # nobody takes it; what comes the other way says why
                outgoing.drop()
        if remote & _GONE and incoming.is_done:
            outgoing.drop()
