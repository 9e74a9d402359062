"""
Lines of the socket of a resident node: JSON objects, one a line, the same as ``--json`` speaks.

::

    program                                        node
      │ {"p2pchat":1,"version":..,"features":[..],"wants":["stream"]}  ──▶ │
      │ ◀── {"p2pchat":1,"version":..,"features":[..],"pid":..,"peer_id":..,"username":..}
      │                                       or {"p2pchat":1,..,"error":WORD,"reason":..}, end
      │ {"do":"open","id":1,"peer":"bob","service":"ssh"}  ──▶             │
      │ ◀── {"event":"opened","request":1,"peer_id":..,"stream":7,"fds":1}  + 1 descriptor
      │ {"do":"serve","id":2,"service":"web","allow":["contacts"]}  ──▶    │
      │ ◀── {"event":"serving","request":2,"service":"web"}
      │ ◀── {"event":"incoming","service":"web","stream":8,"peer_id":..,"fds":1}  + 1
      │ ◀── {"event":"stream_ended","stream":7,"word":"","reason":""}
      │ ◀── {"event":"dropped","word":..,"reason":..}, end

``fds`` is how many descriptors belong to a line; they arrive with it or before it, in order.  Each
is one end of a pair of sockets that carries the bytes of a stream.  An error answers a request as
everywhere in the JSON: ``{"event":"error","request":1,"word":..,"reason":..}``.

Who knows a feature uses it only if the other side names it; WANTS are features, too.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.strict_json import JsonObject, loads

PROTOCOL = 1  # raised where a side can't go on without knowing what is new
CONSOLE, JSON, SERVICE, STREAM = "console", "json", "service", "stream"
WANTS = (CONSOLE, JSON, SERVICE, STREAM)
FEATURES = WANTS

MAX_HELLO = 4096  # bytes of a first line; ours have some 200
MAX_REQUEST = 1024 * 1024  # bytes of a later one; the longest message, escaped, is a fifth of it
MAX_WORDS = 64  # of a list in a first line; a later version may know more than ours
MAX_WORD = 64  # characters of each


class ProgramHello(NamedTuple):
    """
    The first line of a program.

    :ivar wants: what it is going to do; it gets no more.
    """

    version: str
    features: tuple[str, ...]
    wants: tuple[str, ...]
    protocol: int = PROTOCOL


class NodeHello(NamedTuple):
    """
    The first line of a node.

    :ivar pid: of its process.
    :ivar error: a word of why it takes us not, or "".
    :ivar reason: the sentence of that.
    """

    version: str
    features: tuple[str, ...]
    pid: int
    peer_id: str = ""
    username: str = ""
    error: str = ""
    reason: str = ""
    protocol: int = PROTOCOL


def encode(members: Mapping[str, Any]) -> bytes:
    """Write one line, its line feed included."""
    return json.dumps(members, separators=(",", ":"), default=str).encode("ascii") + b"\n"


def encode_hello(hello: ProgramHello | NodeHello) -> bytes:
    """Write a first line."""
    members = {"p2pchat": hello.protocol, **hello._asdict()}
    del members["protocol"]
    return encode({name: value for name, value in members.items() if value != ""})


def decode(line: bytes, limit: int = MAX_REQUEST) -> JsonObject:
    """
    Read one line.

    :raises RemoteProtocolError: it is no JSON object, or too long.
    """
    if len(line) > limit:
        raise RemoteProtocolError(f"a line has at most {limit:,} bytes")
    return loads(line)


def decode_program_hello(line: bytes) -> ProgramHello:
    """
    Read the first line of a program.

    :raises RemoteProtocolError: it is none.
    """
    members = decode(line, MAX_HELLO)
    return ProgramHello(
        _text(members, "version"),
        _words(members, "features"),
        _words(members, "wants"),
        _number(members, "p2pchat"),
    )


def decode_node_hello(line: bytes) -> NodeHello:
    """
    Read the first line of a node.

    :raises RemoteProtocolError: it is none.
    """
    members = decode(line, MAX_HELLO)
    return NodeHello(
        _text(members, "version"),
        _words(members, "features"),
        _number(members, "pid"),
        _text(members, "peer_id"),
        _text(members, "username"),
        _text(members, "error"),
        _text(members, "reason"),
        _number(members, "p2pchat"),
    )


def refusal_of(hello: ProgramHello, features: Collection[str]) -> tuple[str, str]:
    """Return the word and the sentence of why a node takes a program not, or "" twice."""
    unknown = [one for one in hello.wants if one not in features]
    if hello.protocol > PROTOCOL or (unknown and set(unknown) - set(WANTS)):
        return "restart-node", (
            f"the program that is running is older (it can't {_list(unknown) or 'speak with you'}):"
            " restart it"
        )
    if hello.protocol < PROTOCOL:
        return "restart-program", "this program is older than the node that is running: restart it"
    if unknown:
        return "not-offered", f"the program that is running offers no {_list(unknown)}"
    if not hello.wants:
        return "nothing-wanted", 'a program says what it "wants"'
    return "", ""


def _list(words: Collection[str]) -> str:
    return ", ".join(words)


def _text(members: JsonObject, name: str) -> str:
    value = members.get(name, "")
    if not isinstance(value, str):
        raise RemoteProtocolError(f"{name} must be a text")
    return value


def _number(members: JsonObject, name: str) -> int:
    value = members.get(name)
    if type(value) is not int:
        raise RemoteProtocolError(f"{name} must be a whole number")
    return value


def _words(members: JsonObject, name: str) -> tuple[str, ...]:
    value = members.get(name, [])
    is_list = isinstance(value, list) and len(value) <= MAX_WORDS
    if not is_list or not all(isinstance(one, str) and len(one) <= MAX_WORD for one in value):
        raise RemoteProtocolError(f"{name} must be a list of at most {MAX_WORDS} words")
    return tuple(value)
