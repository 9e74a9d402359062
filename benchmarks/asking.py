"""
The peers' end of a registry on the loopback interface: requests as bytes, connections on which
they are asked one after the other or several at once, and event streams.

An answer is taken to come in one piece, and anything but a good one ends the program.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

import attrs

from p2pchat.identity.keys import Identity
from p2pchat.identity.sealing import Envelope, SealingKey, usable
from p2pchat.identity.signed_documents import open_document, seal_document, sign_document
from p2pchat.wire.documents import (
    Body,
    Candidate,
    CandidateType,
    Description,
    Offer,
    PeerDocument,
    RecordKey,
    Registration,
    Sealed,
    Subscription,
)
from p2pchat.wire.strict_json import loads

TIMEOUT = 5.0  # seconds for anything to come
MOST_BYTES = 65536  # that are read at a time

_LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")  # no name may look like an id

CANDIDATES = tuple(
    Candidate(CandidateType.HOST, (f"192.0.2.{number}", 40000)) for number in range(1, 5)
)


SEALING_KEY = SealingKey.from_seed(bytes(32))  # of every peer here


def new_people(count: int) -> list[Identity]:
    """Return so many peers that nobody knows yet."""
    return [Identity.from_seed(os.urandom(32)) for _ in range(count)]


def signed(author: Identity, audience: str, body: Body) -> str:
    """Sign a document."""
    return sign_document(author, audience, body, time.time(), os.urandom(16).hex())


def sealed(
    author: Identity, reader: str, body: PeerDocument, key: RecordKey = SEALING_KEY.record_key
) -> str:
    """Seal a document to a peer, one of ours if no key is given, and sign it."""
    nonce = os.urandom(16).hex()
    return seal_document(author, reader, body, key, now=time.time(), nonce=nonce)


def opened(token: str, reader: str) -> PeerDocument:
    """Return what a document to one of our peers has inside."""
    document = open_document(token)
    assert isinstance(document.body, Sealed)
    return SEALING_KEY.open(document.body, Envelope(document.issuer, reader, document.nonce))


@attrs.frozen
class Site:
    """Where a registry is, and the requests to it."""

    port: int

    @property
    def origin(self) -> str:
        """The audience of documents for the registry."""
        return f"http://127.0.0.1:{self.port}"

    def dial(self, source: str = "") -> socket.socket:
        """Open a connection, from this loopback address if one is given."""
        bound = (source, 0) if source else None
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT, bound)

    def request(self, method: str, path: str, body: bytes = b"", *fields: str) -> bytes:
        """Write a request as it stands on the wire."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *fields]
        if method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body

    def post(self, path: str, token: str) -> bytes:
        """Write the request that sends a document."""
        return self.request("POST", path, token.encode(), "Content-Type: application/jose")

    def registration(self, author: Identity) -> bytes:
        """Write a registration."""
        name = f"peer {author.peer_id[:8].translate(_LETTERS)}"
        body = Registration(name, keys=(SEALING_KEY.record_key,))
        return self.post("/register", signed(author, self.origin, body))

    def renewal(self, author: Identity, token: str) -> bytes:
        """Write the renewal that the answer to a registration allows."""
        return self.request(
            "POST", f"/renew/{author.peer_id}", b"", f"Authorization: Lease {token}"
        )

    def look_up(self, author: Identity) -> bytes:
        """Write the request for a peer's record."""
        return self.request("GET", f"/peer/{author.peer_id}")

    def subscription(self, author: Identity) -> bytes:
        """Write the request for an event stream."""
        token = signed(author, self.origin, Subscription())
        path = f"/events/{author.peer_id}?keepalive=5"  # as peers ask
        return self.request("GET", path, b"", f"Authorization: JWS {token}")

    def offer(
        self, author: Identity, peer_id: str, candidates: tuple[Candidate, ...] = CANDIDATES
    ) -> bytes:
        """Write an offer; with the default candidates it is as long as most are."""
        body = Offer(os.urandom(16).hex(), Description("benchmark", bytes(32), "ufrag", candidates))
        return self.post(f"/deliver/{peer_id}", sealed(author, peer_id, body))

    def document(self, author: Identity, peer_id: str, body: PeerDocument) -> bytes:
        """Write a document to a peer that somebody else runs, and whose key its record shows."""
        return self.post(
            f"/deliver/{peer_id}", sealed(author, peer_id, body, _key_at(self, peer_id))
        )


@attrs.frozen
class Connection:
    """A kept connection on which requests are answered one after the other."""

    socket: socket.socket

    def ask(self, sent: bytes) -> bytes:
        """Send a request, and return the answer."""
        self.socket.sendall(sent)
        return self.answer()

    def answer(self) -> bytes:
        """Read an answer of a few hundred bytes."""
        answer = self.socket.recv(MOST_BYTES)
        if not answer.startswith(b"HTTP/1.1 20"):
            raise SystemExit(f"not a good answer: {answer!r}")
        return answer


@lru_cache(maxsize=100)
def _key_at(site: Site, peer_id: str) -> RecordKey:
    with site.dial() as asked:
        answer = Connection(asked).ask(site.request("GET", f"/peer/{peer_id}"))
    record = loads(answer.partition(b"\r\n\r\n")[2])
    registration = open_document(record["registration"]).body
    assert isinstance(registration, Registration)
    key = usable(registration.keys)
    assert key is not None
    return key


def ask_all(connections: Sequence[Connection], requests: Sequence[bytes]) -> list[bytes]:
    """
    Ask over several connections at once, and return the answers in the order of the requests.

    Each connection is given the next request as soon as it has its answer.
    """
    answers = [b""] * len(requests)
    waiting = iter(enumerate(requests))
    asked: dict[int, tuple[int, Connection]] = {}  # places of their requests, by descriptor

    def ask_next(connection: Connection) -> None:
        for place, sent in waiting:
            asked[connection.socket.fileno()] = place, connection
            connection.socket.sendall(sent)
            return

    with select.epoll() as poll:
        for connection in connections:
            poll.register(connection.socket, select.EPOLLIN)
            ask_next(connection)
        while asked:
            ready = poll.poll(TIMEOUT)
            if not ready:
                raise SystemExit(f"{len(asked)} requests aren't answered")
            for number, _ in ready:
                place, connection = asked.pop(number)
                answers[place] = connection.answer()
                ask_next(connection)
    return answers


@attrs.define
class Streams:
    """The subscribers' ends."""

    site: Site
    sockets: dict[int, socket.socket] = attrs.Factory(dict)
    ends: dict[str, int] = attrs.Factory(dict)  # descriptors by peer id
    poll: select.epoll = attrs.field(factory=select.epoll)

    def open(self, people: Sequence[Identity], at_once: int) -> None:
        """Open the streams of some peers, so many at once, and wait until they are live."""
        for start in range(0, len(people), at_once):
            self._open(people[start : start + at_once])

    def _open(self, people: Sequence[Identity]) -> None:
        waiting = set()
        requests = [self.site.subscription(person) for person in people]
        for person, sent in zip(people, requests, strict=True):
            end = self.site.dial()
            end.sendall(sent)
            self.sockets[end.fileno()] = end
            self.ends[person.peer_id] = end.fileno()
            self.poll.register(end, select.EPOLLIN)
            waiting.add(end.fileno())
        until = time.monotonic() + TIMEOUT
        while waiting:
            waiting -= {number for number, data in self.read(0.1) if b"event: ready" in data}
            if time.monotonic() > until:
                raise SystemExit(f"{len(waiting)} streams don't open")

    def read(self, timeout: float) -> Iterator[tuple[int, bytes]]:
        """Read what has come."""
        for number, _ in self.poll.poll(timeout):
            data = self.sockets[number].recv(MOST_BYTES)
            if not data:
                raise SystemExit("the registry has ended a stream")
            yield number, data

    def await_documents(self, count: int) -> None:
        """Read until so many documents have come, on whichever streams."""
        until = time.monotonic() + TIMEOUT
        while count > 0:
            count -= sum(data.count(b"event: document") for _, data in self.read(0.1))
            if time.monotonic() > until:
                raise SystemExit(f"{count} offers didn't arrive")

    def await_offer(self, peer_id: str) -> float:
        """Read until a document is on this peer's stream; return when it was."""
        until = time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            for number, data in self.read(0.1):
                if number == self.ends[peer_id] and b"event: document" in data:
                    return time.perf_counter()
        raise SystemExit("an offer didn't arrive")

    def close(self) -> None:
        """Close all."""
        self.poll.close()
        for end in self.sockets.values():
            end.close()
