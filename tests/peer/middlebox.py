"""A proxy before a registry that does to its event streams what antiviruses and proxies do."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.simulation.host import Host


@attrs.define
class Habits:
    """
    What is done to an event stream; other answers pass.

    :ivar holds: "": nothing; "body": what follows its head, "whole": its head, too, for ever.
    :ivar collects: bytes of the body that it passes on at once, and never fewer.
    :ivar late: seconds by which its body is late.
    :ivar lumps: seconds between the lumps that it comes in.
    :ivar idle: seconds without a byte after which it is closed.
    :ivar longest: seconds after which it is closed in any case.
    """

    holds: str = ""
    collects: int = 0
    late: float = 0.0
    lumps: float = 0.0
    idle: float = 0.0
    longest: float = 0.0


class Upstream(Protocol):
    """The connection to the registry."""

    def __init__(self, client: Downstream) -> None:
        self._client = client

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        self._client.answered(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `IProtocol`."""
        self._client.hang_up()


class Downstream(Protocol):
    """The connection from a peer, with one to the registry of its own."""

    def __init__(self, box: Middlebox) -> None:
        self._box = box
        self._clock = box.host.reactor
        self._asked = bytearray()
        self._above: Any = None
        self._is_stream = False
        self._has_head = False
        self._heard_at = self._began_at = 0.0
        self._lump = bytearray()
        self._gone = False

    def connectionMade(self) -> None:
        """See `IProtocol`."""
        self._box.requests.add(self)
        endpoint = TCP4ClientEndpoint(self._clock, *self._box.registry)
        endpoint.connect(Factory.forProtocol(lambda: Upstream(self))).addCallback(self._connected)

    def _connected(self, above: Any) -> None:
        self._above = above
        above.transport.write(bytes(self._asked))

    def dataReceived(self, data: bytes) -> None:
        """See `IProtocol`."""
        self._asked += data
        if data.startswith(b"GET /events/"):
            self._box.asked.append(data.partition(b" HTTP")[0].decode())
            self._is_stream = True
            self._box.requests.discard(self)
            self._heard_at = self._began_at = self._clock.seconds()
            self._watch()
        if self._above is not None:
            self._above.transport.write(data)

    def answered(self, data: bytes) -> None:
        """Pass on what the registry sends, as the habits are."""
        habits = self._box.habits
        self._heard_at = self._clock.seconds()
        if not self._is_stream:
            self._say(data)
        elif habits.holds != "whole":
            head, mark, body = b"", b"", data
            if not self._has_head:
                head, mark, body = data.partition(b"\r\n\r\n")
                self._has_head = True
            self._say(head + mark)
            self._body(body, habits)

    def _body(self, body: bytes, habits: Habits) -> None:
        if habits.holds or not body:
            return
        if habits.lumps:
            self._lump += body
        elif habits.collects:
            self._lump += body
            full = len(self._lump) - len(self._lump) % habits.collects
            self._say(bytes(self._lump[:full]))
            del self._lump[:full]
        elif habits.late:
            self._clock.callLater(habits.late, self._say, body)
        else:
            self._say(body)

    def _watch(self) -> None:
        """Look every tenth of a second what time it is."""
        if self._gone:
            return
        habits, now = self._box.habits, self._clock.seconds()
        if habits.lumps and self._lump and now % habits.lumps < 0.1:
            self._say(bytes(self._lump))
            self._lump.clear()
        idle, age = now - self._heard_at, now - self._began_at
        if (habits.idle and idle >= habits.idle) or (habits.longest and age >= habits.longest):
            self.hang_up()
        else:
            self._clock.callLater(0.1, self._watch)

    def _say(self, data: bytes) -> None:
        if data and not self._gone and self.transport is not None:
            self.transport.write(data)

    def hang_up(self) -> None:
        """Close both connections."""
        if not self._gone and self.transport is not None:
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """See `IProtocol`."""
        self._gone = True
        self._box.requests.discard(self)
        if self._above is not None:
            self._above.transport.loseConnection()


@attrs.define(eq=False)
class Middlebox:
    """
    The proxy.

    :ivar requests: the connections without an event stream.
    :ivar asked: the request lines of event streams.
    """

    host: Host
    registry: tuple[str, int]
    habits: Habits = attrs.Factory(Habits)
    requests: set[Downstream] = attrs.Factory(set)
    asked: list[str] = attrs.Factory(list)

    def move(self, registry: tuple[str, int]) -> None:
        """Lead to another registry from now on; event streams that there are go on."""
        self.registry = registry
        for one in list(self.requests):
            one.hang_up()

    def listen(self, port: int) -> None:
        """Begin to listen."""
        self.host.reactor.listenTCP(port, Factory.forProtocol(lambda: Downstream(self)))
