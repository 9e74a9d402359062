"""
A registry that means ill, for attackers: it answers one peer as its kind says.

Requests of anybody else are refused for the moment, so that what is seen of the victim is the
victim's own.  Beside it stands the bait: TCP and UDP at the next port of 127.0.0.1, where no peer
has any business.
"""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from http import HTTPStatus
from threading import Thread
from typing import Any

import attrs

from p2pchat.errors import P2PChatError
from p2pchat.identity.signed_documents import open_document
from p2pchat.wire.problems import CONTENT_TYPE, Problem

PORT = 27200
YEAR = 365 * 86400.0  # seconds
BOMB = 256 * 1024 * 1024  # bytes that a compressed answer has when it is inflated
FAR_OFF = 2 * 86400.0  # seconds; a clock that is believed a day at most is never further off
ANSWERED, LURED, FAR_DATED = range(3)  # places in the tally
KINDS = (
    *("redirect", "redirect events", "gzip answer", "gzip events"),
    *("line feeds", "endless line", "values", "clock"),
)
MOST_BYTES = 65536
BAIT_BUFFER = 1024
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n"
READY = b"event: ready\ndata: {}\n\n"
LONE = "\ud800"  # half of a character

#: Answers to a registration that no registry gives, each with what it changes in a good one.
STRANGE: tuple[dict[str, Any], ...] = (
    {"turn": {"urls": ["turn:192.0.2.1:3478"], "username": "u", "password": "p", "ttl": 10**400}},
    {"turn": {"urls": [LONE], "username": LONE, "password": LONE, "ttl": -1}},
    {"turn": {"urls": "turn", "username": [], "password": {}, "ttl": "0"}},
    {"lease": 10**400},
    {"lease": -1},
    {"lease": "60"},
    {"renewal": LONE},
    {"renewal": "x\r\nHost: 192.0.2.1"},
    {"renewal": "x" * 100_000},
    {"stun": [LONE, 10**400, None, {}]},
    {"stun": {"a": "b"}},
    {"your_ip": LONE, "ip": []},
    {"peer_id": None, "username": 7},
)


def bomb() -> bytes:
    """Return a compressed body of BOMB bytes, all of them line feeds."""
    return gzip.compress(b"\n" * BOMB, 6)


@attrs.define(eq=False)
class FakeRegistry:
    """
    One kind of malice.

    :ivar kind: one of KINDS, or ``relays``.
    :ivar host: the address that it listens at.
    :ivar port: the port; the next one is the bait's.
    :ivar victim: the id of the peer that it is after.
    """

    kind: str
    host: str
    port: int
    victim: str
    tally: Any
    _bomb: bytes = b""
    _turn: int = 0

    def serve(self, prepared: Callable[[], None]) -> None:
        """Answer for ever, once the honest registry has gone."""
        if self.kind in {"gzip answer", "gzip events"}:
            self._bomb = bomb()
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            Thread(target=self._bait, args=(kind,), daemon=True).start()
        prepared()
        listening = socket.create_server((self.host, self.port), backlog=128)
        while True:
            end, _ = listening.accept()
            Thread(target=self._serve, args=(end,), daemon=True).start()

    def _bait(self, kind: socket.SocketKind) -> None:
        bait = socket.socket(socket.AF_INET, kind)
        bait.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bait.bind(("127.0.0.1", self.port + 1))
        if kind is socket.SOCK_STREAM:
            bait.listen()
        while True:
            if kind is socket.SOCK_STREAM:
                bait.accept()
            else:
                bait.recv(BAIT_BUFFER)
            self.tally[LURED] += 1

    def _serve(self, end: socket.socket) -> None:
        with end, suppress(OSError):
            heard = b""
            while True:
                while b"\r\n\r\n" not in heard:
                    data = end.recv(MOST_BYTES)
                    if not data:
                        return
                    heard += data
                head, _, heard = heard.partition(b"\r\n\r\n")
                length = _length(head)
                while len(heard) < length:
                    heard += end.recv(MOST_BYTES)
                body, heard = heard[:length], heard[length:]
                self._answer(end, head.decode("latin-1"), body.decode("latin-1"))

    def _answer(self, end: socket.socket, head: str, body: str) -> None:
        path = head.split()[1]
        token = body or head.rpartition("JWS ")[2].split("\r")[0]
        author, dated = _author(token)
        if self.victim not in {author, path.rpartition("/")[2]} and path != "/peers":
            problem = Problem(503, "shutting-down", "another time")
            end.sendall(answer(503, problem.encode(), f"Content-Type: {CONTENT_TYPE.decode()}"))
            return
        self.tally[ANSWERED] += 1
        self.tally[FAR_DATED] += abs(dated - time.time()) > FAR_OFF
        if path == "/register":
            self._register(end)
        elif path.startswith("/events/"):
            self._events(end)
        elif self.kind.startswith("redirect"):
            self._redirect(end)
        elif path.startswith("/deliver/"):
            end.sendall(answer(202, b'{"delivered": true}'))
        else:
            end.sendall(answer(404, Problem(404, "unknown-lease", "gone").encode()))

    def _register(self, end: socket.socket) -> None:
        good: dict[str, Any] = {
            "username": "victim",
            "peer_id": self.victim,
            "lease": 60,
            "renewal": "token",
            "stun": [],
            "your_ip": "192.0.2.1",
        }
        match self.kind:
            case "redirect":
                self._redirect(end)
            case "gzip answer":
                end.sendall(answer(200, self._bomb, "Content-Encoding: gzip"))
            case "clock":
                problem = Problem(401, "stale-document", "set your clock").encode()
                date = f"Date: {formatdate(time.time() + YEAR, usegmt=True)}"
                kind = f"Content-Type: {CONTENT_TYPE.decode()}"
                end.sendall(answer(401, problem, date, kind))
            case "values":
                good.update(STRANGE[self._turn % len(STRANGE)])
                self._turn += 1
                end.sendall(answer(200, json.dumps(good).encode()))
            case "relays":
                end.sendall(answer(200, json.dumps({**good, **self._relays()}).encode()))
            case _:
                end.sendall(answer(200, json.dumps(good).encode()))

    def _redirect(self, end: socket.socket) -> None:
        end.sendall(answer(302, b"", f"Location: http://127.0.0.1:{self.port + 1}/reboot"))

    def _relays(self) -> dict[str, Any]:
        bait = f"localhost:{self.port + 1}"
        urls = [f"turn:{bait}?transport=tcp", f"turn:{bait}", f"turns:{bait}?transport=tcp"]
        turn = {"urls": urls, "username": "u", "password": "p", "ttl": 600}
        silent = f"stun:{self.host}:{self.port + 2}"  # UDP seems blocked, and a relay needed
        return {"turn": turn, "stun": [f"stun:{bait}", silent]}

    def _events(self, end: socket.socket) -> None:
        match self.kind:
            case "redirect" | "redirect events":
                self._redirect(end)
            case "gzip events":
                end.sendall(EVENTS + b"Content-Encoding: gzip\r\n\r\n" + self._bomb)
            case "line feeds":
                self._pour(end, b"\n" * MOST_BYTES)
            case "endless line":
                end.sendall(EVENTS + b"\r\n" + READY + b"data: ")
                self._pour(end, b"a" * MOST_BYTES, b"")
            case "values":
                end.sendall(EVENTS + b"\r\n" + READY)  # and registers anew
                time.sleep(0.2)
                end.shutdown(socket.SHUT_RDWR)
            case _:
                end.sendall(EVENTS + b"\r\n" + READY)
                end.recv(MOST_BYTES)

    @staticmethod
    def _pour(end: socket.socket, data: bytes, head: bytes = EVENTS + b"\r\n" + READY) -> None:
        end.sendall(head)
        while True:
            end.sendall(data)


def serve(tally: Any, prepared: Callable[[], None], kind: str, host: str, victim: str) -> None:
    """Be such a registry, as an attacker."""
    FakeRegistry(kind, host, PORT, victim, tally).serve(prepared)


def answer(status: int, body: bytes, *fields: str) -> bytes:
    """Write an answer."""
    first = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"
    head = "\r\n".join([first, f"Content-Length: {len(body)}", *fields, "", ""])
    return head.encode("latin-1") + body


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _author(token: str) -> tuple[str, float]:
    """Return who signed a document and when, or nobody now."""
    try:
        document = open_document(token.strip())
    except P2PChatError:
        return "", time.time()
    return document.issuer, document.issued_at
