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

from typing import ClassVar

import attrs

from p2pchat.errors import RemoteProtocolError, UnsupportedVersion
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.documents import MAX_LABEL, nonempty
from p2pchat.wire.strict_json import JsonObject, dumps, field, loads, optional, timestamp
from p2pchat.wire.usernames import username_field

VERSION = 1
REASONS = frozenset(  # of DISCONNECT
    {"left", "not-read", "unsupported-version", "protocol-error"}
)
MAX_TEXT = 32768  # characters of one message; a page of print has 3,000


@attrs.frozen
class Proof:
    """The raw Ed25519 public key of the sender, and its signature bound to this TLS session."""

    TYPE: ClassVar[str] = "PROOF"

    key: bytes
    signature: bytes

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return {"key": encode_bytes(self.key), "signature": encode_bytes(self.signature)}

    @classmethod
    def from_json(cls, members: JsonObject) -> Proof:
        """Read the members of this type."""
        return cls(
            decode_bytes(field(members, "key", str, 64), 32),
            decode_bytes(field(members, "signature", str, 128), 64),
        )


@attrs.frozen
class Hello:
    """
    Opens a conversation, or continues one on a new link.

    :ivar epoch: names the sender's log.
    :ivar oldest: the lowest number that the sender may still send; what a receiver that doesn't
        know the log never saw before it, it never will.
    :ivar known_epoch: the receiver's log as the sender knows it; empty when it knows none.
    :ivar received: the last number of that log that was read at the sender's.
    """

    TYPE: ClassVar[str] = "HELLO"

    username: str
    epoch: str
    oldest: int = 1
    known_epoch: str = ""
    received: int = 0

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, members: JsonObject) -> Hello:
        """Read the members of this type."""
        return cls(
            username_field(members),
            nonempty(members, "epoch", MAX_LABEL),
            max(1, optional(members, "oldest", int, 1)),
            optional(members, "known_epoch", str, "", MAX_LABEL),
            optional(members, "received", int, 0),
        )


@attrs.frozen
class Message:
    """
    One line of the author's log.

    :ivar sequence: counts from 1 without gaps.
    :ivar sent_at: when the person sent it, seconds since 1970 by the author's clock.
    """

    TYPE: ClassVar[str] = "MESSAGE"

    sequence: int
    text: str
    sent_at: float

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, members: JsonObject) -> Message:
        """Read the members of this type."""
        sequence = field(members, "sequence", int)
        if sequence == 0:
            raise RemoteProtocolError("messages are numbered from 1")
        return cls(sequence, field(members, "text", str, MAX_TEXT), timestamp(members, "sent_at"))


@attrs.frozen
class Receipt:
    """Everything up to this number of the receiver's log was read."""

    TYPE: ClassVar[str] = "RECEIPT"

    received: int

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, members: JsonObject) -> Receipt:
        """Read the members of this type."""
        return cls(field(members, "received", int))


@attrs.frozen
class _Beat:
    number: int

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return {"number": self.number}


@attrs.frozen
class Ping(_Beat):
    """Asks for a PONG with the same number."""

    TYPE: ClassVar[str] = "PING"

    @classmethod
    def from_json(cls, members: JsonObject) -> Ping:
        """Read the members of this type."""
        return cls(field(members, "number", int))


@attrs.frozen
class Pong(_Beat):
    """Answers the PING of that number."""

    TYPE: ClassVar[str] = "PONG"

    @classmethod
    def from_json(cls, members: JsonObject) -> Pong:
        """Read the members of this type."""
        return cls(field(members, "number", int))


@attrs.frozen
class Disconnect:
    """
    Ends the conversation on purpose.

    :ivar reason: one of REASONS; any other word means ``left``.
    """

    TYPE: ClassVar[str] = "DISCONNECT"

    reason: str = "left"
    detail: str = ""

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, members: JsonObject) -> Disconnect:
        """Read the members of this type."""
        return cls(
            field(members, "reason", str, MAX_LABEL), optional(members, "detail", str, "", 512)
        )


ChatMessage = Proof | Hello | Message | Receipt | Ping | Pong | Disconnect

_TYPES: dict[str, type[ChatMessage]] = {
    kind.TYPE: kind for kind in (Proof, Hello, Message, Receipt, Ping, Pong, Disconnect)
}


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
    version = field(members, "v", int)
    if version != VERSION:
        raise UnsupportedVersion(
            f"a chat message of version {version}; this program knows version {VERSION}: update it"
        )
    kind = _TYPES.get(field(members, "type", str, MAX_LABEL))
    timestamp(members, "time")
    return None if kind is None else kind.from_json(members)
