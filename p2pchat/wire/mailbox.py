"""
A mailbox: what waits at a registry for somebody who is away.

::

    owner                         registry                     depositor

    prekeys, mailbox    ───────▶   mailbox
                                      │  ◀──────────────────   token
                                      └───────────────────▶   prekeys, one-time key, permit
                                      ◀────────────────────   permit, envelope
    event "mail"        ◀──────       └───────────────────▶   name, how long it is kept
    fetch               ───────▶
                        ◀──────    what waits, envelopes, oldest first
    acknowledgement     ───────▶   these are deleted

``prekeys``, ``mailbox``, ``fetch`` and ``acknowledgement`` are documents that the owner signs for
the registry (:mod:`p2pchat.wire.documents`).  The first is handed on as it is, so that depositors
check its signature; the second says what tokens are good, by their hashes, and leaves out what
isn't any more.  A depositor signs nothing and says nowhere who it is: it shows a token that the
owner gave it.

::

    POST /prekeys/OWNER       prekeys                         MailboxState
    POST /mailbox/OWNER       mailbox                         MailboxState
    POST /prekey/OWNER        Authorization: Mailbox TOKEN    PrekeyAnswer
    POST /mail/OWNER          Authorization: Permit PERMIT    DepositAnswer
         ?replaces=NAME       the envelope's octets
    GET  /mail/OWNER          Authorization: JWS fetch        octets: MailboxState, then envelopes
    POST /acknowledge/OWNER   acknowledgement                 MailboxState

A permit is good for one mailbox and one token, for :data:`PERMIT_LASTS`; it lets the registry know
who may send it as much as an envelope before the first byte of it is there.  The name of an
envelope is made of its octets: so one that is left twice is there once, and whoever acknowledges a
name has that envelope, and not one that came in its place.

What the answer to a fetch has, frames (:mod:`p2pchat.wire.framing`)::

    length 4 | MailboxState, JSON      length 4 | envelope      length 4 | envelope ...

Wherever ``TOKEN``, ``PERMIT`` and ``NAME`` stand they are in base64url.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated, ClassVar, Self

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.framing import FrameReader, encode_frames
from p2pchat.wire.members import Codec, Count, Members, Time, integer, octets, octets_up_to, text
from p2pchat.wire.strict_json import checked, dumps, loads

DAY = 86_400  # seconds
KiB = 1024

PREKEY = 1216  # bytes of an X-Wing public key
ONE_TIME = 32  # bytes of an X25519 public key
MAX_ONE_TIME = 50  # one-time keys of a document: 1,600 bytes
MAX_PREKEYS_LIFETIME = 35 * DAY  # seconds: for an owner who isn't there to replace them each week
TOKEN = 32  # bytes
TOKEN_HASH = 16  # bytes of SHA-256 of a token: nobody finds another by trying
MAX_TOKENS = 512  # of a mailbox: a document of 12 KiB holds as many hashes
MAX_PERMIT = 64  # bytes
PERMIT_LASTS = 300  # seconds: 64 KiB take 50 on a line of 1.3 kB/s

MIN_ENVELOPE = KiB  # bytes; HPKE to an X-Wing key adds 1,136, so that none of ours is shorter
MAX_ENVELOPE = 64 * KiB  # bytes; 100 lines take 12 KB
NAME = 16  # bytes of SHA-256 of an envelope
TOKEN_BYTES = 256 * KiB  # of all envelopes of one token: one contact fills a 16th of a mailbox
TOKEN_ENVELOPES = 100
MAILBOX_BYTES = 4 * KiB * KiB  # of all envelopes of a mailbox
KEPT = 14 * DAY  # seconds for which an envelope waits
MAX_FETCHED = 128  # envelopes of one answer
FETCH_BYTES = 256 * KiB  # of these; a longest one always fits

TOKEN_SCHEME, PERMIT_SCHEME = "Mailbox", "Permit"  # of Authorization
ENVELOPE_TYPE = "application/octet-stream"
FEATURE = "mailbox"  # of registries that have them
EVENT = "mail"  # on the owner's event stream; its data is a MailboxState

_MAX_STATE = 1024  # bytes of JSON; ours has 60


def token_hash(token: bytes) -> bytes:
    """Return what a registry knows of a token."""
    return sha256(token).digest()[:TOKEN_HASH]


def envelope_name(envelope: bytes) -> bytes:
    """Return the name that an envelope has in a mailbox."""
    return sha256(envelope).digest()[:NAME]


def parse_name(text: str) -> bytes:
    """
    Read the name of an envelope.

    :raises RemoteProtocolError: it is none.
    """
    return decode_bytes(text, NAME)


def _cut(value: bytes, length: int, most: int, name: str) -> tuple[bytes, ...]:
    """Cut what stands one after the other."""
    if len(value) % length or len(value) > most * length:
        message = f"member {name!r} must have {most} times {length} bytes at most, and no other"
        raise RemoteProtocolError(message)
    return tuple([value[at : at + length] for at in range(0, len(value), length)])


def _as_octets(value: object, name: str) -> bytes:
    if not isinstance(value, bytes):
        raise RemoteProtocolError(f"member {name!r} must end the document, as octets")
    return value


def _read_keys(value: object, name: str) -> bytes:
    keys = _as_octets(value, name)
    if len(keys) < PREKEY:
        raise RemoteProtocolError(f"member {name!r} must have {PREKEY} bytes at least")
    _cut(keys[PREKEY:], ONE_TIME, MAX_ONE_TIME, name)
    return keys


_NAMES_OCTETS = octets_up_to(NAME * MAX_FETCHED)
_KEYS = Codec(_read_keys)
_TOKENS: Codec[tuple[bytes, ...]] = Codec(
    lambda value, name: _cut(_as_octets(value, name), TOKEN_HASH, MAX_TOKENS, name), b"".join
)
_NAMES: Codec[tuple[bytes, ...]] = Codec(
    lambda value, name: _cut(_NAMES_OCTETS.read(value, name), NAME, MAX_FETCHED, name),
    lambda names: _NAMES_OCTETS.write(b"".join(names)),
)


@attrs.frozen
class Prekeys(Members):
    """
    Keys to which others seal what waits for the author.

    :ivar ends_at: seconds since 1970, until when they are good; see :data:`MAX_PREKEYS_LIFETIME`.
    :ivar keys: the X-Wing key, then the one-time X25519 keys; they end the payload, as octets.
    """

    TYPE: ClassVar[str] = "prekeys"
    OCTETS: ClassVar[str] = "keys"

    ends_at: Time
    keys: Annotated[bytes, _KEYS]

    @classmethod
    def of(cls, prekey: bytes, one_time: Iterable[bytes], ends_at: float) -> Self:
        """Make the body that has these keys."""
        return cls(ends_at, prekey + b"".join(one_time))

    @property
    def prekey(self) -> bytes:
        """The X-Wing key."""
        return self.keys[:PREKEY]

    @property
    def one_time(self) -> tuple[bytes, ...]:
        """The one-time keys."""
        return _cut(self.keys[PREKEY:], ONE_TIME, MAX_ONE_TIME, self.OCTETS)


@attrs.frozen
class MailboxTokens(Members):
    """
    Tokens by which others may leave something in the author's mailbox.

    :ivar tokens: their hashes (:func:`token_hash`), all there are; they end the payload, as octets.
    """

    TYPE: ClassVar[str] = "mailbox"
    OCTETS: ClassVar[str] = "tokens"

    tokens: Annotated[tuple[bytes, ...], _TOKENS]


@attrs.frozen
class MailFetch(Members):
    """A request for what waits longest in the author's mailbox."""

    TYPE: ClassVar[str] = "fetch"


@attrs.frozen
class MailAcknowledgement(Members):
    """
    Word that the author has stored envelopes, which may be deleted.

    :ivar names: of these; one that isn't there does no harm.
    """

    TYPE: ClassVar[str] = "acknowledgement"

    names: Annotated[tuple[bytes, ...], _NAMES]


@attrs.frozen
class MailboxState(Members):
    """
    The state of a mailbox, as its owner is told.

    :ivar waiting: envelopes.
    :ivar one_time: one-time keys that nobody was given yet.
    :ivar tokens: that are good.
    """

    waiting: Count
    one_time: Count
    tokens: Count


@attrs.frozen
class PrekeyAnswer(Members):
    """
    Keys to which a depositor seals an envelope, and a permit to leave it.

    :ivar prekeys: the owner's document, whose signature is the depositor's to check.
    :ivar one_time: which of its one-time keys is for this depositor; None: none is left.
    :ivar permit: opaque.
    """

    prekeys: Annotated[str, text(12 * KiB)]
    permit: Annotated[bytes, octets_up_to(MAX_PERMIT)]
    one_time: Annotated[int | None, integer(MAX_ONE_TIME - 1)] = None


@attrs.frozen
class DepositAnswer(Members):
    """
    An envelope is kept.

    :ivar name: see :func:`envelope_name`.
    :ivar expires_in: seconds.
    """

    name: Annotated[bytes, octets(NAME)]
    expires_in: Annotated[int, integer(KEPT)]


def credentials(scheme: str, value: bytes) -> str:
    """Return what stands in ``Authorization`` for a token or a permit."""
    return f"{scheme} {encode_bytes(value)}"


def parse_token(text: str) -> bytes:
    """
    Read a token.

    :raises RemoteProtocolError: it is none.
    """
    return decode_bytes(checked(text, "token", str, 2 * TOKEN), TOKEN)


@attrs.frozen
class Mail:
    """The answer to a fetch."""

    state: MailboxState
    envelopes: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Write it."""
        return encode_frames([dumps(self.state.to_json()), *self.envelopes])

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """
        Read it.

        :raises RemoteProtocolError: cut short, too much, or malformed.
        """
        reader, envelopes = FrameReader(), []
        reader.add(data)
        state = reader.next_frame(_MAX_STATE)
        while (envelope := reader.next_frame(MAX_ENVELOPE)) is not None:
            envelopes.append(envelope)
            if len(envelopes) > MAX_FETCHED:
                raise RemoteProtocolError(f"more than {MAX_FETCHED} envelopes at once")
        if state is None or len(reader):
            raise RemoteProtocolError("mail that is cut short")
        return cls(MailboxState.from_json(loads(state)), tuple(envelopes))
