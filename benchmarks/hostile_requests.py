"""
What requests can cost a registry, from many connections and several addresses.

An honest peer at an address of its own registers and looks itself up, by turns, while they come.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import cycle
from typing import Annotated, Any

import attrs

from benchmarks.asking import Site, new_people, signed
from benchmarks.findings import MIB, Found, Plan
from benchmarks.serving import registry, serving
from benchmarks.waits import SETTLING, Pace, attacking, cost_of, requests
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import ALGORITHM, TYP
from p2pchat.wire.base64url import encode_bytes
from p2pchat.wire.documents import Sealed
from p2pchat.wire.members import text
from p2pchat.wire.strict_json import dumps

PORT, STUN_PORT = 27300, 27310
HONEST = "127.5.0.1"
REQUEST_LIMIT = 0.05  # seconds that an honest request may wait
GROWTH = 32 * MIB  # bytes; what it holds of strangers is bounded, and small
SOURCES = tuple(f"127.6.0.{number}" for number in range(1, 51))
CONNECTIONS = 4  # of each address
REQUESTS = 1000  # a second, which takes a line of 100 kB/s
BODIES = 10  # a second, of chunks
CHUNKS = 30_000  # of a body, each with one byte
DOCUMENTS = 400  # a second, what so many keys may have taken
MOST_BYTES = 65536
AUTHORS = 20  # peers that write to one that they never heard of
READS = 400_000  # bytes a second that this one's line carries
READ_BUFFER = 16 * 1024  # bytes that its machine takes ahead
LENGTHS = (13_000, 11_800)  # bytes of their documents: too long, and as those to peers may be
ENVELOPE = 500  # bytes of a document beside its padding
HEADER = 24 * 1024  # bytes of a header that nobody signed; a document may have 32 KiB

Make = Callable[[Site, int], bytes]


def routes(site: Site, number: int) -> bytes:
    """Return requests that need no signature, known and unknown ones by turns."""
    paths = ("/openapi.json", "/nope", "/healthz", "/metrics", "/", "/peers?limit=200", "/status")
    if number % (len(paths) + 1) == len(paths):
        return site.request("PUT", "/register", b"", "Content-Length: 0")
    return site.request("GET", paths[number % (len(paths) + 1)])


def headers(site: Site, number: int) -> bytes:
    """Return a registration that nobody signed, with a long header, another one each time."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": f"{number} {os.getpid()}".ljust(HEADER, "x")}
    head = encode_bytes(dumps({"alg": ALGORITHM, "typ": TYP, "jwk": jwk}))
    return site.post("/register", f"{head[:HEADER]}.e30.e30")


def lengths(site: Site, number: int) -> bytes:
    """Return a request whose length has more digits than Python reads, or two hosts."""
    if number % 2:
        return site.request("GET", "/status", b"", "Host: elsewhere.example")
    return site.request("PUT", "/register", b"", "Content-Length: " + "1" * 4301)


@attrs.define(eq=False)
class Asking:
    """
    One connection of an attacker, with requests under way; opened again when it is closed.

    :ivar source: the address that it comes from.
    """

    site: Site
    source: str
    end: socket.socket | None = None
    unanswered: int = 0

    def send(self, sent: bytes) -> None:
        """Send a request, over a new connection where there is none."""
        if self.end is None:
            self.end = self.site.dial(self.source)
        try:
            self.end.sendall(sent)
        except OSError:
            self.close()
            raise
        self.unanswered += 1

    def answer(self) -> bytes:
        """Return what has come, nothing for the end of the connection."""
        assert self.end is not None
        data = b""
        with suppress(OSError):
            data = self.end.recv(MOST_BYTES)
        if not data or b"\r\nConnection: close\r\n" in data:
            self.close()
        self.unanswered = 0
        return data

    def close(self) -> None:
        """Let the connection go."""
        if self.end is not None:
            self.end.close()
        self.end, self.unanswered = None, 0


def flood(tally: Any, prepared: Callable[[], None], site: Site, make: Make) -> None:
    """Send such requests from all sources, REQUESTS a second; count both."""
    ends = [Asking(site, source) for _ in range(CONNECTIONS) for source in SOURCES]
    prepared()
    pace = Pace(REQUESTS)
    for one in cycle(ends):
        while not pace.is_due():
            tally[1] += _receive(ends, 5)
        if one.unanswered:
            tally[1] += _receive(ends, 0)
            continue
        with suppress(OSError):
            one.send(make(site, tally[0]))
        tally[0] += 1


def _receive(ends: list[Asking], milliseconds: int) -> int:
    """Read what has come on any connection; returns on how many."""
    poll = select.poll()
    asked = {one.end.fileno(): one for one in ends if one.end is not None and one.unanswered}
    for number in asked:
        poll.register(number, select.POLLIN)
    return sum(bool(asked[number].answer()) for number, _ in poll.poll(milliseconds))


def chunks(tally: Any, prepared: Callable[[], None], site: Site) -> None:
    """Send bodies in chunks of one byte, BODIES a second; count bodies, and answers or ends."""
    fields = ("Content-Type: application/jose", "Transfer-Encoding: chunked")
    head = site.request("PUT", "/register", b"", *fields).replace(b"PUT", b"POST", 1)
    body = head + b"1\r\n.\r\n" * CHUNKS + b"0\r\n\r\n"
    prepared()
    pace = Pace(BODIES)
    for source in cycle(SOURCES):
        pace.wait()
        with suppress(OSError), site.dial(source) as end:
            tally[0] += 1
            end.sendall(body)
            end.recv(MOST_BYTES)
            tally[1] += 1


def authors(tally: Any, prepared: Callable[[], None], site: Site) -> None:
    """
    Write long documents to somebody who reads as fast as a common line can.

    Counts documents that were sent, those that were taken, how often the reader's stream was cut,
    and bytes that it read.
    """
    reader, *people = new_people(1 + AUTHORS)
    ends = [Asking(site, f"127.7.0.{number}") for number in range(1, AUTHORS + 1)]
    for person, end in [*zip(people, ends, strict=True), (reader, ends[0])]:
        end.send(site.registration(person))
        end.answer()
    stream = _subscribe(site, reader)
    prepared()
    began, pace = time.monotonic(), Pace(DOCUMENTS)
    for person, end in cycle(zip(people, ends, strict=True)):
        pace.wait()
        tally[0] += 1
        with suppress(OSError):
            end.send(_long_document(site, person, reader.peer_id, tally[0]))
            tally[1] += end.answer().startswith(b"HTTP/1.1 20")
        while tally[3] < READS * (time.monotonic() - began):
            data = _read(stream)
            if data is None:
                break
            tally[3] += len(data)
            if not data:
                tally[2] += 1
                stream = _subscribe(site, reader)
                break


def _read(stream: socket.socket) -> bytes | None:
    """Return what has come, nothing where the stream is at its end, or ``None``."""
    try:
        return stream.recv(8192)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _subscribe(site: Site, reader: Identity) -> socket.socket:
    stream = site.dial("127.7.1.1")
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, READ_BUFFER)
    stream.sendall(site.subscription(reader))
    stream.recv(MOST_BYTES)
    stream.setblocking(False)
    return stream


@attrs.frozen
class Padded(Sealed):
    """A document with a member that nobody knows."""

    padding: Annotated[str, text(MIB)] = ""


def _long_document(site: Site, author: Identity, reader: str, number: int) -> bytes:
    """Write one that is too long, or as long as those between peers may be."""
    size = LENGTHS[number % len(LENGTHS)] * 3 // 4  # in base64 it is longer
    body = Padded(b"", "." * (size - ENVELOPE))
    return site.post(f"/deliver/{reader}", signed(author, reader, body))


def beside(plan: Plan, site: Site, pid: int, attack: Callable[..., None], *made: object) -> Found:
    """Time honest requests alone and beside an attack."""
    alone, complaints = requests(site, HONEST, plan.alone)
    with attacking(attack, site, *made) as attacker, cost_of(pid) as cost:
        found, more = requests(site, HONEST, plan.seconds)
        faults = [*complaints, *more, *attacker.complaints()]
        sent, answered, cut = attacker.tally[:3]
    faults += [f"the event stream was cut {cut} times"] if cut else []
    notes = [f"{sent} sent, {answered} {'taken' if attack is authors else 'answered'}"]
    return Found(REQUEST_LIMIT, alone, found, cost, GROWTH, faults, notes)


def _scenario(attack: Callable[..., None], *arguments: object) -> Callable[[Plan], Found]:
    def play(plan: Plan) -> Found:
        with serving(registry(PORT, f"--stun={STUN_PORT}"), PORT) as pid:
            time.sleep(SETTLING)  # it listens a little before its start is over
            return beside(plan, Site(PORT), pid, attack, *arguments)

    return play


REQUEST_SCENARIOS: dict[str, Callable[[Plan], Found]] = {
    "requests, routes": _scenario(flood, routes),
    "requests, headers": _scenario(flood, headers),
    "requests, lengths": _scenario(flood, lengths),
    "requests, chunks": _scenario(chunks),
    "requests, authors": _scenario(authors),
}
