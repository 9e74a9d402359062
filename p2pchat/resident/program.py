"""
One program that is attached to our node: its first line, its requests, and its bound.

::

    connected ── first line ──▶ attached ── too slow, wrong ──▶ dropped, with a reason
        │ HELLO_TIMEOUT, another user, refused                     │
        └──────────────▶ closed ◀──────────────────────────────────┘

What it does is done by parts, one for each thing that it wants; it reaches no other.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import attrs
from twisted.internet.interfaces import IDelayedCall, IFileDescriptorReceiver, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat import __version__
from p2pchat.attach.messages import (
    MAX_REQUEST,
    NodeHello,
    ProgramHello,
    decode,
    decode_program_hello,
    encode,
    encode_hello,
    refusal_of,
)
from p2pchat.attach.node_socket import is_ours
from p2pchat.attach.refusals import sentence_of, word_of
from p2pchat.errors import NodeRefused, P2PChatError, RemoteProtocolError
from p2pchat.interfaces import IAttachedPart
from p2pchat.resident.bounded_output import BoundedOutput
from p2pchat.resident.passing import PassedSocket
from p2pchat.runtime import cancel
from p2pchat.wire.strict_json import JsonObject

HELLO_TIMEOUT = 5.0  # seconds; a program says its first line as soon as it is connected
LAST_WORDS = 2.0  # seconds for whoever was dropped to read why
MAX_ID = 128  # characters of an id, as everywhere in the JSON

_log = Logger()


@attrs.frozen
class WhoServes:
    """
    The node, as it says who it is.

    :ivar parts: makes what does a thing that programs want, by its word.
    """

    peer_id: str
    username: str
    parts: Mapping[str, Callable[[AttachedProgram], IAttachedPart]]


@implementer(IFileDescriptorReceiver)
class AttachedProgram(Protocol):
    """
    A connection of a program.

    :ivar wants: what it is going to do.
    """

    wants: tuple[str, ...] = ()

    def __init__(
        self,
        clock: IReactorTime,
        serves: WhoServes,
        refusal: tuple[str, str],
        gone: Callable[[AttachedProgram], None],
    ) -> None:
        """
        Wait for a program.

        :param refusal: a word and a sentence if none is taken now, else "" twice.
        :param gone: called when it has gone.
        """
        self._clock, self._serves, self._refusal, self._gone = clock, serves, refusal, gone
        self._pieces: list[bytes] = []  # of a line that isn't whole
        self._length = 0
        self._parts: list[IAttachedPart] = []
        self._requests: dict[str, Callable[[JsonObject], None]] = {}
        self._take_line: Callable[[bytes], None] = self._greet
        self._timer: IDelayedCall | None = None
        self._is_over = False

    # -- what comes

    def connectionMade(self) -> None:
        """See who is there, and wait for its first line."""
        self.output = BoundedOutput(self.transport, self._overflowed)
        self.output.begin()
        handle: socket.socket = cast(Any, self.transport).getHandle()
        if not is_ours(handle):
            self._refuse("not-yours", "the program that is running is another user's")
            return
        self._timer = self._clock.callLater(HELLO_TIMEOUT, self._abort)

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """Programs have nothing to pass to a node."""
        os.close(descriptor)
        self.drop("descriptor", "a program passes no descriptors to a node")

    def dataReceived(self, data: bytes) -> None:
        """Take bytes."""
        first, *others = data.split(b"\n")
        self._keep(first)
        for piece in others:
            line, self._pieces, self._length = b"".join(self._pieces), [], 0
            if not self._is_over:
                self._take_line(line)
            self._keep(piece)
        if self._length > MAX_REQUEST:
            self.drop("too-long", f"a line has at most {MAX_REQUEST:,} bytes")

    def _keep(self, piece: bytes) -> None:
        if not self._is_over:
            self._pieces.append(piece)
            self._length += len(piece)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """End what was done for the program."""
        self._is_over = True
        cancel(self._timer)
        for part in self._parts:
            part.end()
        self._gone(self)

    # -- the first line

    def _greet(self, line: bytes) -> None:
        cancel(self._timer)
        try:
            hello = decode_program_hello(line)
        except RemoteProtocolError as error:
            self._refuse("broken", f"the first line of a program says who it is: {error}")
            return
        word, sentence = self._refusal
        if not word:
            word, sentence = refusal_of(hello, self._serves.parts)
        if word:
            self._refuse(word, sentence)
        else:
            self._attach(hello)

    def _attach(self, hello: ProgramHello) -> None:
        self.wants = hello.wants
        self._take_line = self._take_request
        self._say_hello()
        for want in dict.fromkeys(hello.wants):
            part = self._serves.parts[want](self)
            self._parts.append(part)
            self._requests.update(part.requests())
            if self._is_over:
                return
        _log.debug("a program is attached for {wants}", wants=", ".join(hello.wants))

    def _refuse(self, word: str, sentence: str) -> None:
        self._say_hello(word, sentence)
        self._end()

    def _say_hello(self, error: str = "", reason: str = "") -> None:
        who, features = self._serves, tuple(self._serves.parts)
        names = ("", "") if error == "not-yours" else (who.peer_id, who.username)
        hello = NodeHello(__version__, features, os.getpid(), *names, error=error, reason=reason)
        self.output.write(encode_hello(hello))

    # -- requests

    def _take_request(self, line: bytes) -> None:
        if line[:1] != b"{" or b'"do"' not in line:
            self._take_text(line)
            return
        try:
            request = decode(line)
        except RemoteProtocolError:
            self._take_text(line)
            return
        name = request.get("do")
        if name is None:
            self._take_text(line)
        else:
            self._do(str(name), request)

    def _take_text(self, line: bytes) -> None:
        """Let a part have what isn't one of our requests."""
        for part in self._parts:
            if part.take(line):
                return
        self.send({"event": "error", "word": "not-wanted", "reason": _NO_TEXT})

    def _do(self, name: str, request: JsonObject) -> None:
        effect = self._requests.get(name)
        if effect is None:
            reason = f"{name[:MAX_ID]!r} isn't one of: {', '.join(self._requests) or 'nothing'}"
            self.answer(request, {"event": "error", "word": "not-wanted", "reason": reason})
            return
        try:
            effect(request)
        except P2PChatError as error:
            self.fail(request, error)

    # -- answers and events

    def answer(
        self, request: JsonObject, event: JsonObject, passed: socket.socket | None = None
    ) -> None:
        """Answer a request; an id that can't be one is left out."""
        self.send({**event, "request": _id(request)}, passed)

    def fail(self, request: JsonObject, error: BaseException) -> None:
        """Answer a request with an error."""
        word = error.word if isinstance(error, NodeRefused) else word_of(error)
        self.answer(request, {"event": "error", "word": word, "reason": sentence_of(error)})

    def send(self, event: JsonObject, passed: socket.socket | None = None) -> None:
        """Write an event, with a socket that the program gets."""
        if self._is_over:
            if passed is not None:
                passed.close()
            return
        if passed is not None:
            cast(Any, self.transport).sendFileDescriptor(PassedSocket(passed))
            event = {**event, "fds": 1}
        self.output.write(encode(event))

    def leave(self) -> None:
        """Let the program know that it is done, and go."""
        self.send({"event": "left"})
        self._end()

    def drop(self, word: str, reason: str) -> None:
        """Let the program go, with a reason."""
        if not self._is_over:
            _log.info("an attached program was dropped: {reason}", reason=reason)
            self.send({"event": "dropped", "word": word, "reason": reason})
            self._end()

    def _overflowed(self) -> None:
        if not self._is_over:
            reason = "it doesn't read what it is sent"
            _log.info("an attached program was dropped: {reason}", reason=reason)
            event = {"event": "dropped", "word": "slow", "reason": reason}
            cast(Any, self.transport).write(encode(event))
            self._end()

    def end(self) -> None:
        """Close: the node ends."""
        self._end()

    def _end(self) -> None:
        if self._is_over:
            return
        self._is_over = True
        cancel(self._timer)
        self._pieces.clear()
        self.output.end()
        transport = cast(Any, self.transport)
        transport.resumeProducing()  # a front end may have paused it
        transport.loseConnection()
        self._timer = self._clock.callLater(LAST_WORDS, self._abort)

    def _abort(self) -> None:
        cast(Any, self.transport).abortConnection()


_NO_TEXT = 'only a program that wants "json" may send texts and commands'


def _id(request: JsonObject) -> str | int | float | None:
    name = request.get("id")
    if isinstance(name, str):
        return name[:MAX_ID]
    return name if isinstance(name, int | float) else None


def text_of(
    request: JsonObject, name: str, default: str | None = None, choices: Sequence[str] = ()
) -> str:
    """
    Return a text of a request.

    :raises NodeRefused: there is none, or another.
    """
    value = request.get(name, default)
    if not isinstance(value, str) or (choices and value not in choices):
        what = f"one of {', '.join(choices)}" if choices else "a text"
        raise NodeRefused(f'the member "{name}" of the request must be {what}', "broken")
    return value


def number_of(request: JsonObject, name: str, least: float, most: float, default: float) -> float:
    """
    Return a number of a request, within bounds.

    :raises NodeRefused: it is none.
    """
    value = request.get(name, default)
    if type(value) not in {int, float} or not least <= value <= most:
        reason = f'the member "{name}" of the request must be a number from {least:g} to {most:g}'
        raise NodeRefused(reason, "broken")
    return float(value)
