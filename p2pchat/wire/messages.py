"""
The chat protocol: JSON objects, one a frame, on each side's own QUIC stream.

::

    PROOF       first frame of each side: key and signature bound to the TLS session
    HELLO       who speaks, and what was received before the link was made
    MESSAGE     one numbered line of the author's log
    RECEIPT     everything up to a number was read: the author marks it delivered
    PING PONG   heartbeat, and the measure of round-trip time
    DISCONNECT  the sender leaves on purpose

Every object has ``v`` (1), ``type`` and ``time`` (seconds since 1970; 0 in PROOF).  Unknown
members are ignored, and so is an unknown type, for the sake of newer programs; an unknown
version is refused with :class:`p2pchat.errors.UnsupportedVersion`.

A log is named by its author's ``epoch``, a random name made at the author's start, and its
messages are numbered from 1.  HELLO says which epoch of the other side is known and the last
number read; the other side sends what comes after.  So each message is on the wire at
least once, and on the screen exactly once.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, get_args

import attrs

from p2pchat.wire.documents import MAX_DETAIL, MAX_LABEL, Label
from p2pchat.wire.members import (
    Codec,
    Count,
    Members,
    Time,
    check_version,
    integer,
    nonblank,
    octets,
    text,
)
from p2pchat.wire.strict_json import checked, dumps, field, loads, timestamp
from p2pchat.wire.usernames import Username

VERSION = 1  # of the messages
REASONS = frozenset(  # of DISCONNECT
    {"left", "not-read", "unsupported-version", "protocol-error"}
)
_FIRST = Codec(lambda value, name: max(1, checked(value, name, int)))  # 0 means the first, too
MAX_TEXT = 32768  # characters of one message; a page of print has 3,000


@attrs.frozen
class Proof(Members):
    """The raw Ed25519 public key of the sender, and its signature bound to this TLS session."""

    TYPE: ClassVar[str] = "PROOF"

    key: Annotated[bytes, octets(32)]
    signature: Annotated[bytes, octets(64)]


@attrs.frozen
class Hello(Members):
    """
    The opening of a conversation, or its continuation on a new link.

    :ivar epoch: names the sender's log.
    :ivar oldest: the lowest number that the sender may still send; what a receiver that doesn't
        know the log never saw before it, it never will.
    :ivar known_epoch: the receiver's log as the sender knows it; empty when it knows none.
    :ivar received: the last number of that log that was read at the sender's.
    """

    TYPE: ClassVar[str] = "HELLO"

    username: Username
    epoch: Annotated[str, nonblank(MAX_LABEL)]
    oldest: Annotated[int, _FIRST] = 1
    known_epoch: Label = ""
    received: Count = 0


@attrs.frozen
class TextMessage(Members):
    """
    One line of the author's log.

    :ivar sequence: counts from 1 without gaps.
    :ivar sent_at: when the person sent it, seconds since 1970 by the author's clock.
    """

    TYPE: ClassVar[str] = "MESSAGE"

    sequence: Annotated[int, integer(least=1)]
    text: Annotated[str, text(MAX_TEXT)]
    sent_at: Time


@attrs.frozen
class Receipt(Members):
    """The last number of the receiver's log that was read, with everything before it."""

    TYPE: ClassVar[str] = "RECEIPT"

    received: Count


@attrs.frozen
class Ping(Members):
    """A request for a PONG with the same number."""

    TYPE: ClassVar[str] = "PING"

    number: Count


@attrs.frozen
class Pong(Members):
    """The answer to the PING of that number."""

    TYPE: ClassVar[str] = "PONG"

    number: Count


@attrs.frozen
class Disconnect(Members):
    """
    The end of the conversation, on purpose.

    :ivar reason: one of REASONS; any other word means ``left``.
    """

    TYPE: ClassVar[str] = "DISCONNECT"

    reason: Label
    detail: Annotated[str, text(MAX_DETAIL)] = ""


ChatMessage = Proof | Hello | TextMessage | Receipt | Ping | Pong | Disconnect

_TYPES: dict[str, type[ChatMessage]] = {kind.TYPE: kind for kind in get_args(ChatMessage)}


def encode(message: ChatMessage, now: float) -> bytes:
    """Write a message; ``now`` is its time stamp, seconds since 1970."""
    return dumps({"v": VERSION, "type": message.TYPE, "time": now, **message.to_json()})


def decode(data: bytes) -> ChatMessage | None:
    """
    Read a message; ``None`` stands for a type from a newer program.

    :raises UnsupportedVersion: the version isn't ours.
    :raises RemoteProtocolError: anything malformed.
    """
    members = loads(data)
    check_version(members, VERSION, "a chat message")
    kind = _TYPES.get(field(members, "type", str, MAX_LABEL))
    timestamp(members, "time")
    return None if kind is None else kind.from_json(members)
