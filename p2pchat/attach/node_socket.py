"""
A program's end of the socket of a resident node, for programs that do one thing at a time.

Blocks, and imports no event loop.  What is refused raises the error that it raises in the node.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from p2pchat import __version__
from p2pchat.attach.messages import (
    FEATURES,
    MAX_HELLO,
    NodeHello,
    ProgramHello,
    decode,
    decode_node_hello,
    encode,
    encode_hello,
)
from p2pchat.attach.refusals import error_of
from p2pchat.attach.socket_path import check_place, socket_path
from p2pchat.errors import NodeEnded, NodeRefused, NoResidentNode, RemoteProtocolError

HELLO_TIMEOUT = 5.0  # seconds that a node may be too busy to say its first line
STARTING = 2.0  # seconds that a program may take from the lock of its directory to the socket
LOOK = 0.05  # seconds between looks for the socket of one that starts
ANSWER_TIMEOUT = 35.0  # seconds; what a request waits for in the network is over before
MAX_LINE = 256 * 1024 * 1024  # bytes of a line of a node: a long history is one
MAX_FDS = 64  # descriptors taken with one read
_READ = 64 * 1024  # bytes
_CREDENTIALS = struct.Struct("3i")  # process, user, group


class IncomingStream(NamedTuple):
    """
    A stream that a peer has opened to a service that we serve.

    :ivar stream: its number; ``stream_ended`` has it.
    :ivar connection: carries its bytes.
    """

    service: str
    stream: int
    peer_id: str
    connection: socket.socket


class NodeSocket:
    """
    A connection to the node that is resident in a state directory.

    :ivar hello: what the node said first.
    """

    def __init__(self, connection: socket.socket, wants: Collection[str]) -> None:
        """
        Greet the node at the other end of a connection.

        :raises NodeRefused: it takes us not; says why.
        """
        self._connection = connection
        self._pieces: list[bytes] = []
        self._length = 0
        self._lines: deque[bytes] = deque()
        self._descriptors: deque[int] = deque()
        self._events: deque[dict[str, Any]] = deque()  # that nobody has asked for yet
        self._last_id = 0
        self._send(encode_hello(ProgramHello(__version__, FEATURES, tuple(wants))))
        line = self._read_line(time.monotonic() + HELLO_TIMEOUT, MAX_HELLO)
        if line is None:
            raise NodeRefused("the program that is running answers nothing: restart it", "silent")
        self.hello: NodeHello = decode_node_hello(line)
        if self.hello.error:
            raise NodeRefused(self.hello.reason, self.hello.error)

    @classmethod
    def attach(
        cls,
        directory: str,
        wants: Collection[str],
        environment: Mapping[str, str] = os.environ,
        patience: float = STARTING,
    ) -> NodeSocket:
        """
        Connect to the node of a state directory.

        :param patience: seconds for one that is just starting.
        :raises NoResidentNode: there is none.
        :raises NodeRefused: it takes us not; says why.
        :raises ConfigurationError: the directory has no place for a socket.
        """
        path = socket_path(directory, environment)
        until = time.monotonic() + patience
        while True:
            try:
                return cls(connect(path), wants)
            except (FileNotFoundError, ConnectionRefusedError):
                if not _is_held(directory) or time.monotonic() > until:
                    raise NoResidentNode(f"no program of yours uses {directory} now") from None
            except OSError as error:
                raise NodeRefused(f"{path}: {error.strerror or error}", "socket") from None
            time.sleep(LOOK)

    def fileno(self) -> int:
        """Return the descriptor, for ``select``; what was read already may wait beside it."""
        return self._connection.fileno()

    def close(self) -> None:
        """Let the node go, and with it all that we serve, and our streams."""
        self._connection.close()
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def open(
        self, peer: str, service: str, path: str = "any", timeout: float = 30.0
    ) -> tuple[int, socket.socket]:
        """
        Open a stream to a service of a peer; returns its number, and the socket of its bytes.

        :param peer: a contact's name, or a whole peer id.
        :raises P2PChatError: NotGranted, NoSuchContact, PeerOffline, NoPath, NodeRefused.
        """
        request = {"do": "open", "peer": peer, "service": service, "path": path}
        answer = self.ask({**request, "timeout": timeout}, timeout + HELLO_TIMEOUT)
        return answer["stream"], self._take_socket(answer)

    def serve(self, service: str, allow: Collection[str] = ()) -> None:
        """
        Serve a service until we are closed; :meth:`incoming` gives what peers open.

        :raises P2PChatError: it is served by another program, or such; says why.
        """
        self.ask({"do": "serve", "service": service, "allow": list(allow)})

    def incoming(self, timeout: float | None = None) -> IncomingStream | None:
        """Return the next stream that a peer opens; ``None`` where there is none in time."""
        event = self.receive(timeout, lambda one: one.get("event") == "incoming")
        if event is None:
            return None
        who = event["service"], event["stream"], event["peer_id"]
        return IncomingStream(*who, self._take_socket(event))

    def why_ended(self, stream: int, timeout: float = 1.0) -> tuple[str, str]:
        """Return the word and the sentence of how a stream ended; "" twice: as it should."""
        try:
            event = self.receive(
                timeout,
                lambda one: (one.get("event"), one.get("stream")) == ("stream_ended", stream),
            )
        except NodeEnded as error:
            return "node-ended", str(error)
        return ("", "") if event is None else (event["word"], event["reason"])

    def command(self, line: str, timeout: float = ANSWER_TIMEOUT) -> dict[str, Any]:
        """
        Give a command as a person types it, such as ``/contacts``; returns the first answer.

        :raises P2PChatError: the command failed.
        """
        return self.ask({"command": line}, timeout)

    def ask(self, request: Mapping[str, Any], timeout: float = ANSWER_TIMEOUT) -> dict[str, Any]:
        """
        Send a request and return its first answer.

        :raises P2PChatError: it was refused, or isn't answered in time.
        """
        self._last_id += 1
        name = self._last_id
        self.send({**request, "id": name})
        answer = self.receive(timeout, lambda one: one.get("request") == name)
        if answer is None:
            raise NodeRefused(f"the node doesn't answer within {timeout:g} seconds", "silent")
        if answer.get("event") == "error":
            raise error_of(answer.get("word", ""), answer.get("reason", ""))
        return answer

    def send(self, request: Mapping[str, Any]) -> None:
        """
        Send a request.

        :raises NodeEnded: nobody is there to take it.
        """
        self._send(encode(request))

    def receive(
        self,
        timeout: float | None = None,
        wanted: Callable[[dict[str, Any]], bool] = lambda _event: True,
    ) -> dict[str, Any] | None:
        """
        Return the next event that is wanted; ``None`` where there is none in time.

        Other events wait for another call.

        :raises NodeEnded: the node has gone.
        :raises NodeRefused: it has dropped us; says why.
        """
        for event in self._events:
            if wanted(event):
                self._events.remove(event)
                return event
        deadline = None if timeout is None else time.monotonic() + timeout
        while (line := self._read_line(deadline, MAX_LINE)) is not None:
            event = decode(line, MAX_LINE)
            if event.get("event") == "dropped":
                raise NodeRefused(event.get("reason", ""), event.get("word", ""))
            if wanted(event):
                return event
            self._events.append(event)
        return None

    def _take_socket(self, event: Mapping[str, Any]) -> socket.socket:
        if event.get("fds") != 1 or not self._descriptors:
            raise RemoteProtocolError("the node sent no descriptor with a stream")
        return socket.socket(fileno=self._descriptors.popleft())

    def _send(self, data: bytes) -> None:
        try:
            self._connection.settimeout(None)
            self._connection.sendall(data)
        except OSError:
            raise NodeEnded from None

    def _read_line(self, deadline: float | None, limit: int) -> bytes | None:
        """Return a line without its line feed; ``None`` where none is whole in time."""
        while not self._lines:
            if self._length > limit:
                raise RemoteProtocolError(f"a line has at most {limit:,} bytes")
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return None
            self._read(left)
        return self._lines.popleft()

    def _read(self, seconds: float | None) -> None:
        try:
            self._connection.settimeout(seconds)
            data, found, _, _ = socket.recv_fds(self._connection, _READ, MAX_FDS)
        except TimeoutError:
            return
        except OSError:
            raise NodeEnded from None
        for descriptor in found:
            os.set_inheritable(descriptor, False)
            self._descriptors.append(descriptor)
        if not data:
            raise NodeEnded
        first, *others = data.split(b"\n")
        self._keep(first)
        for piece in others:
            self._lines.append(b"".join(self._pieces))
            self._pieces, self._length = [], 0
            self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._length += len(piece)


def connect(path: str) -> socket.socket:
    """
    Connect to a socket, and see that its other end is ours.

    :raises NodeRefused: another user serves there.
    :raises ConfigurationError: others could have put it there.
    :raises OSError: nobody serves there.
    """
    check_place(path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(HELLO_TIMEOUT)
        connection.connect(path)
        if not is_ours(connection):
            raise NodeRefused(f"{path} is served by another user", "not-yours")
    except BaseException:
        connection.close()
        raise
    return connection


def is_ours(connection: socket.socket) -> bool:
    """Tell whether the other end of a UNIX connection runs as our own user."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:  # not Linux: the modes of directory and socket have to do
        return True
    found = connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(found)[1] == os.geteuid())


def _is_held(directory: str) -> bool:
    """Tell whether a program that runs has written itself into the lock file."""
    try:
        with open(os.path.join(directory, "lock"), "rb") as file:
            os.kill(int(file.read(20)), 0)
    except PermissionError:
        return True  # it runs
    except (OSError, ValueError, OverflowError):
        return False
    return True
