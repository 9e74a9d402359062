"""
Connection of an attached program of Twisted to its node: the other end of the node's socket.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IDelayedCall, IFileDescriptorReceiver, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat import __version__
from p2pchat.attach.messages import (
    FEATURES,
    MAX_HELLO,
    NodeHello,
    ProgramHello,
    decode_node_hello,
    encode,
    encode_hello,
)
from p2pchat.attach.node_socket import HELLO_TIMEOUT, MAX_LINE
from p2pchat.errors import NodeEnded, NodeRefused, P2PChatError, RemoteProtocolError
from p2pchat.runtime import cancel
from p2pchat.wire.strict_json import JsonObject

MAX_DESCRIPTORS = 64  # that came and that no line has claimed yet


@implementer(IFileDescriptorReceiver)
class NodeLink(Protocol):
    """
    One connection to a node.

    :ivar hello: what the node said first, once it has.
    :ivar is_over: whether nobody is there any more.
    """

    hello: NodeHello | None = None

    def __init__(
        self,
        clock: IReactorTime,
        wants: tuple[str, ...],
        attached: Callable[[NodeLink], None],
        take: Callable[[bytes], None],
        ended: Callable[[P2PChatError], None],
    ) -> None:
        """
        Wait for the connection.

        :param attached: called once the node has taken us.
        :param take: called with each line after that.
        :param ended: called once, with ``NodeEnded``, or ``NodeRefused``, which says why.
        """
        self._clock, self._wants = clock, wants
        self._attached, self._take, self._ended = attached, take, ended
        self._pieces: list[bytes] = []
        self._length = 0
        self._descriptors: deque[int] = deque()
        self._timer: IDelayedCall | None = None
        self.is_over = False

    def connectionMade(self) -> None:
        """Say who we are."""
        self._timer = self._clock.callLater(HELLO_TIMEOUT, self._is_silent)
        self._write(encode_hello(ProgramHello(__version__, FEATURES, self._wants)))

    def send(self, request: JsonObject) -> None:
        """Write a request."""
        self._write(encode(request))

    def _write(self, data: bytes) -> None:
        if not self.is_over:
            cast(Any, self.transport).write(data)

    def take_socket(self) -> socket.socket:
        """
        Return the socket that was passed with a line.

        :raises RemoteProtocolError: there is none.
        """
        if not self._descriptors:
            raise RemoteProtocolError("the node passed no descriptor")
        return socket.socket(fileno=self._descriptors.popleft())

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """Keep a descriptor for the line that it belongs to."""
        os.set_inheritable(descriptor, False)
        self._descriptors.append(descriptor)
        if len(self._descriptors) > MAX_DESCRIPTORS:
            self._end(NodeRefused("the node passes descriptors and doesn't say why", "broken"))

    def dataReceived(self, data: bytes) -> None:
        """Take bytes."""
        first, *others = data.split(b"\n")
        self._keep(first)
        for piece in others:
            line, self._pieces, self._length = b"".join(self._pieces), [], 0
            if not self.is_over:
                self._take_line(line)
            self._keep(piece)
        if self._length > (MAX_HELLO if self.hello is None else MAX_LINE):
            self._end(NodeRefused("the node sends a line without an end", "broken"))

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._length += len(piece)

    def _take_line(self, line: bytes) -> None:
        if self.hello is not None:
            self._take(line)
            return
        cancel(self._timer)
        try:
            hello = decode_node_hello(line)
        except RemoteProtocolError as error:
            self._end(NodeRefused(f"no node of p2pchat serves there: {error}", "broken"))
            return
        if hello.error:
            self._end(NodeRefused(hello.reason, hello.error))
        else:
            self.hello = hello
            self._attached(self)

    def _is_silent(self) -> None:
        self._end(NodeRefused("the program that is running answers nothing: restart it", "silent"))

    def close(self) -> None:
        """Let the node go; nobody is called any more."""
        self.is_over = True
        self._forget()
        cast(Any, self.transport).loseConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """The node has gone."""
        self._end(NodeEnded())

    def _end(self, error: P2PChatError) -> None:
        if not self.is_over:
            self.is_over = True
            self._forget()
            cast(Any, self.transport).abortConnection()
            self._ended(error)

    def _forget(self) -> None:
        cancel(self._timer)
        while self._descriptors:
            os.close(self._descriptors.popleft())
