"""A whole registry behind its real site, on a clock that the test turns; no sockets."""

from __future__ import annotations

from itertools import count
from typing import Any, cast

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.components import proxyForInterface
from twisted.python.failure import Failure

from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import sign_document
from p2pchat.interfaces import IRegistryStore
from p2pchat.registry.admission.rates import Rate, Rates
from p2pchat.registry.http.resource import HttpSettings, RegistryResource
from p2pchat.registry.http.site import RegistrySite
from p2pchat.registry.mailbox.sqlite_store import SqliteMailboxes
from p2pchat.registry.registry import MailboxMaker, Registry, Settings, StoreMaker
from p2pchat.registry.store.memory import MemoryStore
from p2pchat.runtime import Runtime
from p2pchat.wire.documents import Body, Registration
from p2pchat.wire.strict_json import JsonObject, loads

START = 1_800_000_000.0  # seconds since 1970 when the clock is at 0
ADDRESS, PORT = "192.0.2.80", 8000  # where it listens
HOST = f"{ADDRESS}:{PORT}"
ORIGIN = f"http://{HOST}"

UNLIMITED = Rates(*[Rate(0, 0)] * len(attrs.fields(Rates)))

_nonces = count()


def _numbered(size: int) -> bytes:
    """Return bytes that never came before."""
    return next(_nonces).to_bytes(size, "big")


class SlowStore(proxyForInterface(IRegistryStore)):  # type: ignore[misc]
    """
    A store that finds nobody until the test says so.

    :ivar answers: one for each time that somebody was looked for.
    """

    def __init__(self, original: IRegistryStore) -> None:
        super().__init__(original)
        self.answers: list[Deferred[None]] = []

    def find(self, peer_id: str) -> Deferred[None]:
        """Let whoever asks wait."""
        self.answers.append(Deferred())
        return self.answers[-1]


@attrs.frozen
class Response:
    """What came back for one request."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> JsonObject:
        """The body as an object."""
        return loads(self.body)

    @property
    def reason(self) -> str:
        """The reason of a problem document."""
        assert self.headers["content-type"] == "application/problem+json", self
        assert self.json["status"] == self.status, self
        return str(self.json["type"]).removeprefix("/problems/")


class Wire(StringTransport):
    """The server's end of a connection."""

    aborted = False
    protocol: Any = None

    def abortConnection(self) -> None:
        """Note that the server cut the connection."""
        if not self.aborted:
            self.aborted = True
            self.protocol.connectionLost(Failure(ConnectionAborted()))


@attrs.define
class Connection:
    """A client's connection to the site."""

    wire: Wire
    protocol: Any

    def send(self, data: bytes) -> bytes:
        """Let the server read bytes; return what it wrote, ever."""
        self.protocol.dataReceived(data)
        return bytes(self.wire.value())

    def hang_up(self) -> None:
        """Close the connection."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def fill(self) -> None:
        """Let the connection take no more bytes from the server."""
        cast(IPushProducer, self.wire.producer).pauseProducing()

    def drain(self) -> None:
        """Let it take bytes again."""
        cast(IPushProducer, self.wire.producer).resumeProducing()

    def response(self) -> Response:
        """Read the one complete response that came."""
        head, _, body = bytes(self.wire.value()).partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        headers = {name.lower(): value for name, _, value in pairs}
        return Response(int(first.split()[1]), headers, body)


def request_bytes(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> bytes:
    """Write a request."""
    fields = {"Host": HOST, "Content-Length": str(len(body)), **(headers or {})}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {v}" for name, v in fields.items() if v)]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


@attrs.define
class Web:
    """A registry, and ways to ask it."""

    settings: Settings = attrs.field(factory=Settings)
    clock: Clock = attrs.field(factory=Clock)
    make_store: StoreMaker = MemoryStore
    make_mailboxes: MailboxMaker | None = None
    http: HttpSettings = attrs.field(factory=HttpSettings)
    registry: Registry = attrs.field(init=False)
    resource: RegistryResource = attrs.field(init=False)
    site: RegistrySite = attrs.field(init=False)
    torn: bool = False  # whether requests come in two pieces, so that twisted.web reads them

    def __attrs_post_init__(self) -> None:
        runtime = Runtime(None, self.clock, self.wall_time, _numbered, list)
        self.registry = Registry(runtime, self.settings, self.make_store, self.make_mailboxes)
        self.resource = RegistryResource(self.registry, self.http)
        self.site = self.resource.site()
        self.registry.start()

    def wall_time(self) -> float:
        """Return seconds since 1970."""
        return START + self.clock.seconds()

    @property
    def registered(self) -> int:
        """How many records the registry has."""
        counts: list[Any] = []
        self.registry.store.count().addCallback(counts.append)
        return int(counts[0])

    def slow_down(self) -> list[Deferred[None]]:
        """Let look-ups wait for the test; returns the answers that they wait for."""
        slow = SlowStore(self.registry.store)
        self.registry.store = slow
        return slow.answers

    def pass_time(self, seconds: int) -> None:
        """Turn the clock, a second at a time."""
        self.clock.pump([1.0] * seconds)

    def connect(self, ip: str = "203.0.113.5", to: str = ADDRESS) -> Connection:
        """Open a connection from this address."""
        address = IPv4Address("TCP", ip, 40000)
        wire = Wire(peerAddress=address, hostAddress=IPv4Address("TCP", to, PORT))
        wire.protocol = self.site.buildProtocol(address)
        wire.protocol.makeConnection(wire)
        return Connection(wire, wire.protocol)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        ip: str = "203.0.113.5",
    ) -> Response:
        """Ask on a connection of its own, and return the answer."""
        connection = self.connect(ip)
        sent = request_bytes(method, path, body, headers)
        first = sent.index(b"\r\n") + 3 if self.torn else 0
        if first:
            connection.send(sent[:first])
        connection.send(sent[first:])
        connection.hang_up()
        return connection.response()

    def post(self, path: str, token: str, **more: Any) -> Response:
        """Post a signed document."""
        return self.ask("POST", path, token.encode(), {"Content-Type": "application/jose"}, **more)

    def signed(
        self, identity: Identity, body: Body, audience: str = ORIGIN, age: float = 0.0
    ) -> str:
        """Sign a document, ``age`` seconds ago."""
        return sign_document(
            identity, audience, body, self.wall_time() - age, f"nonce-{next(_nonces)}"
        )

    def register(self, identity: Identity, username: str = "alice", **fields: Any) -> Response:
        """Register a peer."""
        token = self.signed(identity, Registration(username, **fields))
        return self.post("/register", token)

    def subscribe(
        self,
        identity: Identity,
        token: str,
        ip: str = "203.0.113.5",
        query: str = "",
        last: str = "",
    ) -> Connection:
        """Ask for an event stream, after one on which ``last`` was the id of the last document."""
        connection = self.connect(ip)
        path = f"/events/{identity.peer_id}{query}"
        headers = {"Authorization": f"JWS {token}", **({"Last-Event-ID": last} if last else {})}
        connection.send(request_bytes("GET", path, headers=headers))
        return connection


def in_memory(capacity: int = 8 * 1024 * 1024) -> MailboxMaker:
    """Return what makes a store of mailboxes, in memory."""
    return lambda runtime, streams, _store: SqliteMailboxes(runtime, streams, None, capacity)


def identity(number: int) -> Identity:
    """Return one of many identities, always the same for a number."""
    return Identity.from_seed(number.to_bytes(32, "big"))
