"""A resident node for commands: a socket in a state directory, in a thread, that the test plays."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any

from p2pchat.attach.messages import FEATURES, NodeHello, encode, encode_hello
from p2pchat.attach.socket_path import SOCKET_FILE

PATIENCE = 30.0  # seconds that a command may take to begin

Request = dict[str, Any]
# Takes the remote end of a stream; returns the word and the sentence of how it ended.
Service = Callable[[socket.socket], tuple[str, str]]


class FakeNode:
    """
    A node with one program at a time.

    :ivar directory: its state directory, of a short path.
    :ivar requests: what it was asked.
    :ivar services: what is at the other end of streams, by ``WHO:SERVICE``.
    :ivar answers: of commands, by their line.
    :ivar usual: of the others.
    :ivar afterwards: events that follow, likewise.
    :ivar usually_afterwards: those that follow the others.
    """

    def __init__(self) -> None:
        self._place = tempfile.TemporaryDirectory(prefix="p2pchat-")
        self.directory = os.path.realpath(self._place.name)
        self.requests: list[Request] = []
        self.services: dict[str, Service] = {}
        self.answers: dict[str, Mapping[str, Any]] = {}
        self.usually_afterwards: list[Mapping[str, Any]] = []
        self.usual: Mapping[str, Any] = {"event": "done"}
        self.afterwards: dict[str, list[Mapping[str, Any]]] = {}
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(os.path.join(self.directory, SOCKET_FILE))
        self._server.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Be gone."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(PATIENCE)
        self._place.cleanup()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                program, _ = self._server.accept()
                with program, contextlib.suppress(OSError):
                    self._attend(program)

    def _attend(self, program: socket.socket) -> None:
        program.settimeout(PATIENCE)
        lines = program.makefile("rb")
        lines.readline()
        program.sendall(encode_hello(NodeHello("0.1.0", FEATURES, os.getpid(), "an id", "alice")))
        for line in lines:
            request = json.loads(line)
            self.requests.append(request)
            if request.get("do") == "open":
                self._open(program, request)
            else:
                asked = request.get("command", "")
                given = self.answers.get(asked, self.usual)
                program.sendall(encode({**given, "request": request["id"]}))
                for event in self.afterwards.get(asked, self.usually_afterwards):
                    program.sendall(encode(event))

    def _open(self, program: socket.socket, request: Request) -> None:
        service = self.services.get(f"{request['peer']}:{request['service']}")
        if service is None:
            refusal = {"word": "not-granted", "reason": "they offer you no such service"}
            program.sendall(encode({"event": "error", "request": request["id"], **refusal}))
            return
        ours, its = socket.socketpair()
        with ours:
            with its:
                opened = {"event": "opened", "request": request["id"], "stream": 7, "fds": 1}
                socket.send_fds(program, [encode(opened)], [its.fileno()])
            ours.settimeout(PATIENCE)
            word, reason = service(ours)
        ended = {"event": "stream_ended", "stream": 7, "word": word, "reason": reason}
        program.sendall(encode(ended))
