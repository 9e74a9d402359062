"""
The signed documents that peers and the registry exchange, as values.

Every document is the payload of a JWS (:mod:`p2pchat.identity.documents` signs and checks it)
with these members::

    v     1
    type  registration | subscription | removal        to the registry
          offer | answer | candidates | ringing | refusal     to a peer, carried by the registry
    iss   peer id of the author, derived from the signing key
    aud   whom it is meant for: the registry's origin, or a peer id
    iat   when it was made, seconds since 1970
    jti   a random name; nobody accepts it twice

and those of its type, which the classes below list.  Unknown members are ignored; an unknown
``v`` is refused with :class:`p2pchat.errors.UnsupportedVersion`.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

import attrs

from p2pchat.errors import RemoteProtocolError, UnsupportedVersion
from p2pchat.wire.addresses import Address, format_address, parse_address
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.strict_json import JsonObject, field, optional, timestamp
from p2pchat.wire.usernames import username_field
from p2pchat.wire.work import Work

VERSION = 1
MAX_LABEL = 64  # characters of a NAT label, a session or link name, a refusal reason
MAX_DETAIL = 512  # characters of a refusal's sentence
MAX_CANDIDATES = 32  # a host with that many addresses has better ways
MAX_NONCE = 64  # characters


class CandidateType(Enum):
    """Candidate types of RFC 8445 section 4, named as in SDP."""

    HOST = "host"
    SERVER_REFLEXIVE = "srflx"
    PEER_REFLEXIVE = "prflx"
    RELAYED = "relay"


@attrs.frozen
class Candidate:
    """A transport address that a peer may be reached at."""

    type: CandidateType
    address: Address

    def to_json(self) -> JsonObject:
        """Return the JSON form."""
        return {"type": self.type.value, "address": format_address(self.address)}

    @classmethod
    def from_json(cls, members: object) -> Candidate:
        """Read the JSON form, or raise :class:`RemoteProtocolError`."""
        if not isinstance(members, dict):
            raise RemoteProtocolError("a candidate must be an object")
        try:
            kind = CandidateType(field(members, "type", str, MAX_LABEL))
        except ValueError:
            raise RemoteProtocolError("a candidate of unknown type") from None
        return cls(kind, parse_address(members.get("address")))


def nonempty(members: JsonObject, name: str, most: int) -> str:
    """Read a string member that has more than blanks, or raise :class:`RemoteProtocolError`."""
    value = field(members, name, str, most)
    if not value.strip():
        raise RemoteProtocolError(f"member {name!r} is empty")
    return value


def _candidates(members: JsonObject) -> tuple[Candidate, ...]:
    return tuple(
        Candidate.from_json(one) for one in field(members, "candidates", list, MAX_CANDIDATES)
    )


@attrs.frozen
class Registration:
    """
    Asks the registry to hold a record of this peer for one lease.

    :ivar addresses: shown to everybody; empty unless the person asked for it.
    :ivar work: what a registry under pressure asked for (:mod:`p2pchat.wire.work`).
    :ivar listed: whether lists and look-ups by name show it; else it is found by its whole id only.
    """

    TYPE: ClassVar[str] = "registration"

    username: str
    nat: str = ""
    addresses: tuple[Address, ...] = ()
    work: Work | None = None
    listed: bool = True

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return {
            "username": self.username,
            "nat": self.nat,
            "addresses": [format_address(address) for address in self.addresses],
            **({"work": self.work.to_json()} if self.work else {}),
            **({} if self.listed else {"listed": False}),
        }

    @classmethod
    def from_json(cls, members: JsonObject) -> Registration:
        """Read the members of this type."""
        shown = optional(members, "addresses", list, [], MAX_CANDIDATES)
        work = optional(members, "work", dict, {})
        return cls(
            username_field(members),
            optional(members, "nat", str, "", MAX_LABEL),
            tuple(parse_address(address) for address in shown),
            Work.from_json(work) if work else None,
            optional(members, "listed", bool, True),
        )


@attrs.frozen
class _Bare:
    """A document whose type says it all."""

    def to_json(self) -> JsonObject:
        """Return the members of this type: none."""
        return {}


@attrs.frozen
class Subscription(_Bare):
    """Opens the event stream of its author."""

    TYPE: ClassVar[str] = "subscription"

    @classmethod
    def from_json(cls, _members: JsonObject) -> Subscription:
        """Read the members of this type."""
        return cls()


@attrs.frozen
class Removal(_Bare):
    """Ends the record of its author."""

    TYPE: ClassVar[str] = "removal"

    @classmethod
    def from_json(cls, _members: JsonObject) -> Removal:
        """Read the members of this type."""
        return cls()


@attrs.frozen
class NatWords:
    """
    How its author sees its own NAT; an empty word where it doesn't know.

    :ivar mapping: mapping behaviour (RFC 4787 section 4.1).
    :ivar allocation: ``step`` where the author can predict its next mapping, and tells it as a
        candidate; else empty.
    :ivar filtering: filtering behaviour (RFC 4787 section 5).
    """

    mapping: str = ""
    allocation: str = ""
    filtering: str = ""

    def to_json(self) -> JsonObject:
        """Return the members."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, members: JsonObject) -> NatWords:
        """Read the members."""
        return cls(
            optional(members, "mapping", str, "", MAX_LABEL),
            optional(members, "allocation", str, "", MAX_LABEL),
            optional(members, "filtering", str, "", MAX_LABEL),
        )


@attrs.frozen
class Description:
    """
    What one side of an attempt says of itself, as a session description does (RFC 3264).

    :ivar exchange: the author's ephemeral X25519 public key, 32 bytes.
    :ivar ufrag: the author's username fragment for the checks (RFC 8445 section 5.3).
    :ivar link: in an offer the link that a new path is wanted for; in an answer the same where the
        author still holds it.  Empty: a new link is to be made.
    """

    username: str
    exchange: bytes
    ufrag: str
    candidates: tuple[Candidate, ...]
    link: str = ""
    nat: NatWords = NatWords()

    def to_json(self) -> JsonObject:
        """Return the members."""
        return {
            "username": self.username,
            "exchange": encode_bytes(self.exchange),
            "ufrag": self.ufrag,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "link": self.link,
            **self.nat.to_json(),
        }

    @classmethod
    def from_json(cls, members: JsonObject) -> Description:
        """Read the members."""
        return cls(
            username_field(members),
            decode_bytes(field(members, "exchange", str, 64), 32),
            nonempty(members, "ufrag", 32),
            _candidates(members),
            optional(members, "link", str, "", MAX_LABEL),
            NatWords.from_json(members),
        )


@attrs.frozen
class Offer:
    """
    Asks a peer to find a path and to talk.

    :ivar session: names this attempt; everything that belongs to it repeats it.
    """

    TYPE: ClassVar[str] = "offer"

    session: str
    description: Description

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return {"session": self.session, **self.description.to_json()}

    @classmethod
    def from_json(cls, members: JsonObject) -> Offer:
        """Read the members of this type."""
        return cls(nonempty(members, "session", MAX_LABEL), Description.from_json(members))


@attrs.frozen
class Answer:
    """Accepts an offer."""

    TYPE: ClassVar[str] = "answer"

    session: str
    description: Description

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return {"session": self.session, **self.description.to_json()}

    @classmethod
    def from_json(cls, members: JsonObject) -> Answer:
        """Read the members of this type."""
        return cls(nonempty(members, "session", MAX_LABEL), Description.from_json(members))


@attrs.frozen
class Candidates:
    """
    Adds candidates to an offer or answer, or says that its author's checks have begun.

    :ivar began: set by the offering side right after its first checks: its NAT now has the
        mappings, so the other side may send at full TTL.
    :ivar nat: as it looks now; without a mapping: nothing new.
    """

    TYPE: ClassVar[str] = "candidates"

    session: str
    candidates: tuple[Candidate, ...] = ()
    began: bool = False
    nat: NatWords = NatWords()

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return {
            "session": self.session,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "began": self.began,
            **self.nat.to_json(),
        }

    @classmethod
    def from_json(cls, members: JsonObject) -> Candidates:
        """Read the members of this type."""
        return cls(
            nonempty(members, "session", MAX_LABEL),
            _candidates(members),
            optional(members, "began", bool, False),
            NatWords.from_json(members),
        )


@attrs.frozen
class Ringing:
    """Tells the offering side that a person is being asked."""

    TYPE: ClassVar[str] = "ringing"

    session: str

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return {"session": self.session}

    @classmethod
    def from_json(cls, members: JsonObject) -> Ringing:
        """Read the members of this type."""
        return cls(nonempty(members, "session", MAX_LABEL))


@attrs.frozen
class Refusal:
    """
    Declines an offer, or takes one's own back.

    :ivar reason: a word for programs: ``declined``, ``cancelled``, ``busy``,
        ``unsupported-version``, ``clock``.
    :ivar detail: a sentence for the person.
    """

    TYPE: ClassVar[str] = "refusal"

    session: str
    reason: str
    detail: str = ""

    def to_json(self) -> JsonObject:
        """Return the members of this type."""
        return {"session": self.session, "reason": self.reason, "detail": self.detail}

    @classmethod
    def from_json(cls, members: JsonObject) -> Refusal:
        """Read the members of this type."""
        return cls(
            nonempty(members, "session", MAX_LABEL),
            nonempty(members, "reason", MAX_LABEL),
            optional(members, "detail", str, "", MAX_DETAIL),
        )


Body = Registration | Subscription | Removal | Offer | Answer | Candidates | Ringing | Refusal
Delivered = Offer | Answer | Candidates | Ringing | Refusal

_BODIES: dict[str, type[Body]] = {
    kind.TYPE: kind
    for kind in (Registration, Subscription, Removal, Offer, Answer, Candidates, Ringing, Refusal)
}


@attrs.frozen
class Document:
    """A document with its envelope."""

    issuer: str
    audience: str
    issued_at: float
    nonce: str
    body: Body

    def to_json(self) -> JsonObject:
        """Return all members."""
        return {
            "v": VERSION,
            "type": self.body.TYPE,
            "iss": self.issuer,
            "aud": self.audience,
            "iat": self.issued_at,
            "jti": self.nonce,
            **self.body.to_json(),
        }

    @classmethod
    def from_json(cls, members: JsonObject) -> Document:
        """
        Read all members.

        :raises UnsupportedVersion: the version isn't ours.
        :raises RemoteProtocolError: a member is missing or malformed, or the type is unknown.
        """
        version = field(members, "v", int)
        if version != VERSION:
            raise UnsupportedVersion(
                f"a document of version {version}; this program knows version {VERSION}: update it"
            )
        kind = _BODIES.get(field(members, "type", str, MAX_LABEL))
        if kind is None:
            raise RemoteProtocolError("a document of unknown type")
        return cls(
            nonempty(members, "iss", 64),
            nonempty(members, "aud", 512),
            timestamp(members, "iat"),
            nonempty(members, "jti", MAX_NONCE),
            kind.from_json(members),
        )
