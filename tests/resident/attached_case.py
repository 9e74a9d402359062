"""A program that is attached to a node of tests, without a socket between them."""

from __future__ import annotations

import json
import os
import socket
from typing import Any, cast

from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pchat import events
from p2pchat.attach.messages import FEATURES, ProgramHello, encode, encode_hello
from p2pchat.interfaces import INode
from p2pchat.resident.program import AttachedProgram
from p2pchat.resident.server import ResidentServer
from p2pchat.resident.serving import server_of
from p2pchat.runtime import Runtime
from tests.ui.fake_node import ALICE, FakeNode


class UnixTransport(StringTransport):
    """A transport of a UNIX socket, that notes what is passed."""

    def __init__(self, handle: socket.socket | None = None) -> None:
        super().__init__()
        self.handle = handle
        self.passed: list[int] = []
        self.is_aborted = False

    def getHandle(self) -> Any:
        return self.handle

    def sendFileDescriptor(self, number: int) -> None:
        self.passed.append(number)

    def abortConnection(self) -> None:
        self.is_aborted = True

    def loseWriteConnection(self) -> None:
        self.disconnecting = True


class FakeReactor:
    """
    A reactor that takes sockets and does nothing with them.

    :ivar adopted: the protocols of sockets, with their transports.
    """

    def __init__(self) -> None:
        self.adopted: list[tuple[Any, UnixTransport]] = []

    def adoptStreamConnection(self, number: int, family: int, factory: Any) -> None:
        protocol = factory.buildProtocol(None)
        transport = UnixTransport()
        self.adopted.append((protocol, transport))
        protocol.makeConnection(transport)


class AttachedCase(SynchronousTestCase):
    """A node whose server has no socket; programs attach by :meth:`attached`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.reactor = FakeReactor()
        self.node = FakeNode()
        self.runtime = Runtime(self.reactor, cast(Any, self.clock), lambda: 0.0, bytes, list)
        self.starting = events.Starting(ALICE, "alice", "http://r", "1.0", "/state")
        self.server: ResidentServer = self.make_server(self.node)

    def make_server(self, node: INode) -> ResidentServer:
        """Make the server of a node."""
        return server_of(self.runtime, node, self.starting)

    def connected(self) -> tuple[AttachedProgram, UnixTransport]:
        """Let a program connect, which says nothing yet."""
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        transport = UnixTransport(ours)
        program = self.server.buildProtocol(None)
        program.makeConnection(cast(Any, transport))
        return program, transport

    def attached(self, *wants: str) -> tuple[AttachedProgram, UnixTransport]:
        """Let a program attach, and forget what it was told so far."""
        program, transport = self.connected()
        program.dataReceived(encode_hello(ProgramHello("0.1.0", FEATURES, wants)))
        said(transport)
        return program, transport

    def ask(
        self, program: AttachedProgram, transport: UnixTransport, **request: Any
    ) -> list[dict[str, Any]]:
        """Let a program ask for something; return what it is told."""
        program.dataReceived(encode(request))
        return said(transport)


def said(transport: StringTransport) -> list[dict[str, Any]]:
    """Return the lines that were written since the last time."""
    lines = transport.value().splitlines()
    transport.clear()
    return [json.loads(line) for line in lines]


def end(protocol: Protocol, reason: Exception | None = None) -> None:
    """Let a connection be lost."""
    protocol.connectionLost(Failure(reason or ConnectionError()))


def words(found: list[dict[str, Any]]) -> list[Any]:
    """Return what events are, with their words."""
    return [(one.get("event"), one.get("word", "")) for one in found]


def is_open(number: int) -> bool:
    """Tell whether a descriptor is open."""
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
