"""
Control frames: JSON objects on the control stream of each side, and how every other stream opens.

::

    PROOF       first frame of each side: key and signature bound to the TLS session
    HELLO       second: who speaks, and what its program can do beyond this version
    PING PONG   heartbeat, and the measure of round-trip time
    CREDIT      a stream of the reader may carry more
    REFUSED     a stream of the reader isn't taken
    RENEW       what follows is under other keys, which are made from its secret
    COMMIT      the sender is bound to a nonce, for words that people compare
    REVEAL      that nonce
    REGISTRIES  where the sender is found from now on
    MAILBOX     where the reader may leave what waits for the sender, and by which token
    TYPING      the sender's person types at this moment
    DISCONNECT  the sender leaves on purpose

Every object has ``type``, and the members of its type.  Unknown members are ignored, and so is an
unknown type, for the sake of newer programs.

Every other stream opens with one object ``{kind, of}``.  What follows is the kind's matter; of a
conversation it is in :mod:`p2pchat.wire.entries`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, get_args

import attrs

from p2pchat.wire.documents import (
    MAX_DETAIL,
    MAX_LABEL,
    MAX_REGISTRIES,
    MAX_SERVER,
    Label,
)
from p2pchat.wire.members import Count, Members, each, nested, octets, octets_up_to, text
from p2pchat.wire.strict_json import dumps, field, loads
from p2pchat.wire.usernames import Username

REASONS = frozenset({"left", "protocol-error"})  # of DISCONNECT
MAX_STREAMS = 64  # open ones of a side, which its DISCONNECT lists
MAX_FEATURES = 64  # words in a HELLO
RENEWS = "renew"  # the feature of who takes RENEW
VERIFIES = "verify"  # the feature of who takes COMMIT and REVEAL
MAILS = "mailbox"  # the feature of who takes MAILBOX
LISTS = "registries"  # the feature of who takes REGISTRIES
SERVES = "services"  # the feature of who takes streams of services
TOKEN = 32  # bytes
MAX_LIST = 8192  # characters of a signed list; five long URLs and a key take 4,300


@attrs.frozen
class Proof(Members):
    """The raw Ed25519 public key of the sender, and its signature bound to this TLS session."""

    TYPE: ClassVar[str] = "PROOF"

    key: Annotated[bytes, octets(32)]
    signature: Annotated[bytes, octets(64)]


@attrs.frozen
class Hello(Members):
    """
    The opening of what is said on a link.

    :ivar features: words for what the sender's program can do beyond version 2.
    """

    TYPE: ClassVar[str] = "HELLO"

    username: Username
    features: Annotated[tuple[str, ...], each(text(MAX_LABEL), MAX_FEATURES)] = ()


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
class Credit(Members):
    """Permission for a stream to carry so many bytes in all."""

    TYPE: ClassVar[str] = "CREDIT"

    stream: Count
    offset: Count


@attrs.frozen
class StreamRefusal(Members):
    """
    A stream isn't taken; what is written on it is lost.

    :ivar reason: a word: ``unknown-kind``, ``unknown``, ``duplicate``, ``too-many``,
        ``not-granted``.
    """

    TYPE: ClassVar[str] = "REFUSED"

    stream: Count
    reason: Label
    detail: Annotated[str, text(MAX_DETAIL)] = ""


@attrs.frozen
class Renew(Members):
    """The last frame under the keys of now, where the other side has the feature RENEWS."""

    TYPE: ClassVar[str] = "RENEW"

    secret: Annotated[bytes, octets(32)] = attrs.field(repr=False)


@attrs.frozen
class Commitment(Members):
    """The hash of a nonce that is revealed when both sides have committed."""

    TYPE: ClassVar[str] = "COMMIT"

    commitment: Annotated[bytes, octets(32)]


@attrs.frozen
class Reveal(Members):
    """That nonce."""

    TYPE: ClassVar[str] = "REVEAL"

    nonce: Annotated[bytes, octets(32)]


@attrs.frozen
class Mailbox(Members):
    """
    Permission for the reader to leave envelopes for the sender.

    :ivar token: from which that of each registry is derived; empty: no permission any more.
    :ivar registries: URLs of those that have a mailbox of the sender.
    """

    TYPE: ClassVar[str] = "MAILBOX"

    token: Annotated[bytes, octets_up_to(TOKEN)] = attrs.field(default=b"", repr=False)
    registries: Annotated[tuple[str, ...], each(text(MAX_SERVER), MAX_REGISTRIES)] = ()


@attrs.frozen
class Registries(Members):
    """
    A signed list of registries where the sender is found.

    :ivar document: a compact JWS, of a :class:`p2pchat.wire.documents.RegistryList`.
    """

    TYPE: ClassVar[str] = "REGISTRIES"

    document: Annotated[str, text(MAX_LIST)]


@attrs.frozen
class Typing(Members):
    """The sender's person types at this moment."""

    TYPE: ClassVar[str] = "TYPING"


@attrs.frozen
class Written(Members):
    """Number of bytes that were written on a stream, of all frames."""

    stream: Count
    offset: Count


@attrs.frozen
class Disconnect(Members):
    """
    The end of the conversation, on purpose.

    :ivar reason: one of REASONS; any other word means ``left``.
    :ivar streams: what the sender wrote, all of which was said before.
    """

    TYPE: ClassVar[str] = "DISCONNECT"

    reason: Label
    detail: Annotated[str, text(MAX_DETAIL)] = ""
    streams: Annotated[tuple[Written, ...], each(nested(Written), MAX_STREAMS)] = ()


ControlMessage = (
    Proof
    | Hello
    | Ping
    | Pong
    | Credit
    | StreamRefusal
    | Renew
    | Commitment
    | Reveal
    | Mailbox
    | Registries
    | Typing
    | Disconnect
)

_TYPES: dict[str, type[ControlMessage]] = {kind.TYPE: kind for kind in get_args(ControlMessage)}


def encode(message: ControlMessage) -> bytes:
    """Write a control frame."""
    return dumps({"type": message.TYPE, **message.to_json()})


def decode(data: bytes) -> ControlMessage | None:
    """
    Read a control frame; ``None`` stands for a type from a newer program.

    :raises RemoteProtocolError: anything malformed.
    """
    members = loads(data)
    kind = _TYPES.get(field(members, "type", str, MAX_LABEL))
    return None if kind is None else kind.from_json(members)


@attrs.frozen
class Opening(Members):
    """
    The first frame of a stream.

    :ivar kind: says what the frames after it are.
    :ivar of: what the stream belongs to, as its kind names it.
    """

    kind: Label
    of: Label = ""

    def encode(self) -> bytes:
        """Write the frame."""
        return dumps(self.to_json())

    @classmethod
    def decode(cls, data: bytes) -> Opening:
        """
        Read the frame.

        :raises RemoteProtocolError: anything malformed.
        """
        return cls.from_json(loads(data))
