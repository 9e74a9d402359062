"""
Documents that peers and the registry exchange: types and members.

Every document is the payload of a JWS, which :mod:`p2pchat.identity.signed_documents` signs and
checks, with these members::

    v     2
    type  registration | subscription | removal        to the registry
          claim | completion | release                 likewise (p2pchat.wire.nameplates)
          prekeys | mailbox | fetch | acknowledgement  likewise (p2pchat.wire.mailbox)
          sealed                                       to a peer, carried by the registry
          card                                         to whom we are pairing with, sealed
          registries                                   to a contact, over a link
    iss   peer id of the author, derived from the signing key
    aud   whom it is meant for: the registry's origin, or a peer id
    iat   when it was made, seconds since 1970
    jti   a random name; nobody accepts it twice

and those of its type, which the classes below list.  One whose class names ``OCTETS`` ends in that
member, such as a ``sealed`` one::

    JSON | 0x00 | ciphertext

and not in base64url: a JWS is written in that already, and what is written in it twice takes 16/9
of its length, so that an offer would take more than a TCP segment.  JSON has no zero byte.

What a ciphertext has inside is of type ``offer``, ``answer``, ``candidates``, ``ringing`` or
``refusal``, and has the members of that.  Unknown members are ignored; an unknown ``v`` is refused
with :class:`p2pchat.errors.UnsupportedVersion`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from ipaddress import ip_address
from typing import Annotated, ClassVar, Self, get_args

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import Address, format_address, parse_address
from p2pchat.wire.mailbox import MailAcknowledgement, MailboxTokens, MailFetch, Prekeys
from p2pchat.wire.members import (
    SPARSE,
    As,
    Codec,
    Flag,
    Members,
    Time,
    check_version,
    each,
    inline,
    integer,
    nested,
    nonblank,
    octets,
    octets_up_to,
    text,
)
from p2pchat.wire.nameplates import Claim, Completion, Release
from p2pchat.wire.strict_json import JsonObject, dumps, field, loads
from p2pchat.wire.usernames import Username
from p2pchat.wire.work import Work

VERSION = 2  # of the documents
MAX_LABEL = 64  # characters of a NAT label, a session or link name, a refusal reason
MAX_DETAIL = 512  # characters of a refusal's sentence
MAX_CANDIDATES = 32  # a host with that many addresses has better ways
MAX_KEYS = 8  # public keys in a record; a program has one for each purpose
MAX_KEY = 2048  # characters of a public key; one of ML-KEM-768 with X25519 has 1,622
MAX_FLIGHT = 3000  # bytes of a QUIC client's first flight; with ML-KEM-768 it takes two datagrams
MAX_CIPHERTEXT = 6912  # bytes; our longest answer has 4,400, the rest is for keys of other kinds
MAX_REGISTRIES = 5  # at which a peer is found
MAX_SERVER = 260  # characters of a registry's URL
NONCE = nonblank(64)

Label = Annotated[str, text(MAX_LABEL)]
Session = Annotated[str, nonblank(MAX_LABEL)]  # names an attempt: what belongs to it repeats it

_ADDRESS = Codec(lambda value, _name: parse_address(value), format_address)
_OCTETS_FROM = b"\x00"  # in a payload, where its JSON ends
_IPV4, _IPV6 = 4, 16  # bytes of an address


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


_TYPES = tuple(CandidateType)


def write_candidates(candidates: Iterable[Candidate]) -> bytes:
    """
    Write candidates one after the other.

    Each is its type, 0 to 3 in the order of :class:`CandidateType`, and 0x10 more with IPv6, in a
    byte; the IP address; the port in 2 bytes, big endian.
    """
    written = bytearray()
    for one in candidates:
        host, port = ip_address(one.address[0]).packed, one.address[1]
        written.append(_TYPES.index(one.type) | (0x10 if len(host) == _IPV6 else 0))
        written += host + port.to_bytes(2, "big")
    return bytes(written)


def read_candidates(data: bytes) -> tuple[Candidate, ...]:
    """
    Read candidates.

    :raises RemoteProtocolError: they aren't whole, of an unknown type, without a port, or too many.
    """
    candidates: list[Candidate] = []
    at = 0
    while at < len(data):
        kind, size = data[at] & 0xEF, _IPV6 if data[at] & 0x10 else _IPV4
        host, port = data[at + 1 : at + 1 + size], data[at + 1 + size : at + 3 + size]
        if kind >= len(_TYPES) or len(port) < 2 or not any(port):
            raise RemoteProtocolError("candidates of an unknown type, or without a port")
        if len(candidates) == MAX_CANDIDATES:
            raise RemoteProtocolError(f"more than {MAX_CANDIDATES} candidates")
        address = str(ip_address(host)), int.from_bytes(port, "big")
        candidates.append(Candidate(_TYPES[kind], address))
        at += 3 + size
    return tuple(candidates)


_OCTETS = octets_up_to(MAX_CANDIDATES * (3 + _IPV6))
CandidateList = Annotated[
    tuple[Candidate, ...],
    Codec(
        lambda value, name: read_candidates(_OCTETS.read(value, name)),
        lambda candidates: _OCTETS.write(write_candidates(candidates)),
    ),
]


@attrs.frozen
class RecordKey(Members):
    """
    A public key that a peer shows, for whoever knows what it is for.

    :ivar use: what it is for; ``enc``: documents to the peer are sealed to it.
    :ivar algorithm: a word of the JOSE registries.
    :ivar key: as ``algorithm`` writes it.
    """

    use: Label
    algorithm: Annotated[Label, As("alg")]
    key: Annotated[str, text(MAX_KEY)]


RecordKeys = Annotated[tuple[RecordKey, ...], each(nested(RecordKey), MAX_KEYS), SPARSE]


@attrs.frozen
class Registration(Members):
    """
    A request for a record of its author, held for one lease.

    :ivar addresses: shown to everybody; empty unless the person asked for it.
    :ivar work: what a registry under pressure asked for (:mod:`p2pchat.wire.work`).
    :ivar listed: whether lists and look-ups by name show it; else it is found by its whole id only.
    :ivar keys: the author's; a reader ignores those that it doesn't know.
    :ivar visible: whether it is shown to anybody; else nobody finds it, and documents reach it only
        from those that the author called or answered a moment ago.
    """

    TYPE: ClassVar[str] = "registration"

    username: Username
    nat: Label = ""
    addresses: Annotated[tuple[Address, ...], each(_ADDRESS, MAX_CANDIDATES)] = ()
    work: Annotated[Work | None, nested(Work), SPARSE] = None
    listed: Annotated[Flag, SPARSE] = True
    keys: RecordKeys = ()
    visible: Annotated[Flag, SPARSE] = True


@attrs.frozen
class Subscription(Members):
    """A request for the event stream of its author."""

    TYPE: ClassVar[str] = "subscription"


@attrs.frozen
class Removal(Members):
    """The end of its author's record."""

    TYPE: ClassVar[str] = "removal"


@attrs.frozen
class NatWords(Members):
    """
    NAT behaviour as its author reads it; a word is empty where it isn't known.

    :ivar mapping: mapping behaviour (RFC 4787 section 4.1).
    :ivar allocation: ``step`` where the author can predict its next mapping, and tells it as a
        candidate; else empty.
    :ivar filtering: filtering behaviour (RFC 4787 section 5).
    """

    mapping: Annotated[Label, SPARSE] = ""
    allocation: Annotated[Label, SPARSE] = ""
    filtering: Annotated[Label, SPARSE] = ""


@attrs.frozen
class Description(Members):
    """
    Session description (RFC 3264) of one side of an attempt.

    :ivar exchange: the author's ephemeral X25519 public key.
    :ivar ufrag: the author's username fragment for the checks (RFC 8445 section 5.3).
    :ivar link: in an offer the link that a new path is wanted for; in an answer the same where the
        author still holds it.  Empty: a new link is to be made.
    :ivar keys: the author's, as in its record: so that its reader needn't look it up.
    :ivar rtt: milliseconds of a round trip from the author to the registry, 0 while unknown: what
        each side waits for goes over both halves of the way.
    :ivar pause: milliseconds until the author may guess ports again: until then its reader needn't.
    """

    username: Username
    exchange: Annotated[bytes, octets(32)]
    ufrag: Annotated[str, nonblank(32)]
    candidates: CandidateList
    link: Annotated[Label, SPARSE] = ""
    nat: Annotated[NatWords, inline(NatWords.from_json)] = NatWords()
    keys: RecordKeys = ()
    rtt: Annotated[int, integer(), SPARSE] = 0
    pause: Annotated[int, integer(), SPARSE] = 0


@attrs.frozen
class Offer(Members):
    """A call: a peer is asked to find a path and to talk."""

    TYPE: ClassVar[str] = "offer"

    session: Session
    description: Annotated[Description, inline(Description.from_json)]


@attrs.frozen
class Answer(Members):
    """
    The acceptance of an offer.

    :ivar flight: the datagrams of the author's first flight of QUIC, if it makes that.
    """

    TYPE: ClassVar[str] = "answer"

    session: Session
    description: Annotated[Description, inline(Description.from_json)]
    flight: Annotated[bytes, octets_up_to(MAX_FLIGHT), SPARSE] = b""


@attrs.frozen
class Candidates(Members):
    """
    More candidates of an offer or answer, or word that its author's checks have begun.

    :ivar began: set by the offering side right after its first checks: its NAT now has the
        mappings, so the other side may send at full TTL.
    :ivar nat: as it looks now; without a mapping: nothing new.
    """

    TYPE: ClassVar[str] = "candidates"

    session: Session
    candidates: CandidateList
    began: Annotated[Flag, SPARSE] = False
    nat: Annotated[NatWords, inline(NatWords.from_json)] = NatWords()


@attrs.frozen
class Ringing(Members):
    """Word to the offering side that a person is being asked."""

    TYPE: ClassVar[str] = "ringing"

    session: Session


@attrs.frozen
class Refusal(Members):
    """
    The refusal of an offer, or its withdrawal by its author.

    :ivar reason: a word for programs: ``declined``, ``cancelled``, ``no-answer``, ``busy``,
        ``clock``, ``no-handshake``; from a newer program ``unsupported-version``.
    :ivar detail: a sentence for the person.
    """

    TYPE: ClassVar[str] = "refusal"

    session: Session
    reason: Annotated[str, nonblank(MAX_LABEL)]
    detail: Annotated[str, text(MAX_DETAIL), SPARSE] = ""


def _read_ciphertext(value: object, name: str) -> bytes:
    if not isinstance(value, bytes) or len(value) > MAX_CIPHERTEXT:
        raise RemoteProtocolError(f"member {name!r} must be there, in {MAX_CIPHERTEXT} bytes")
    return value


@attrs.frozen
class Sealed(Members):
    """
    A body for one peer, which nobody else can read (:mod:`p2pchat.identity.sealing`).

    :ivar ciphertext: HPKE's encapsulated key and ciphertext, one after the other.
    """

    TYPE: ClassVar[str] = "sealed"
    OCTETS: ClassVar[str] = "ciphertext"

    ciphertext: Annotated[bytes, Codec(_read_ciphertext)]


@attrs.frozen
class Card(Members):
    """
    The card of its author, for somebody who shares an invitation with it.

    :ivar keys: what documents to the author are sealed to.
    :ivar registries: URLs of those where the author is found, the usual one first.
    :ivar reader: peer id of whom it is for, "" where the author doesn't know it yet.
    """

    TYPE: ClassVar[str] = "card"

    username: Username
    keys: RecordKeys = ()
    registries: Annotated[tuple[str, ...], each(text(MAX_SERVER), MAX_REGISTRIES), SPARSE] = ()
    reader: Annotated[str, text(MAX_LABEL), SPARSE] = ""


@attrs.frozen
class RegistryList(Members):
    """
    Registries of its author, for a contact, who had an older list of them.

    :ivar keys: what documents to the author are sealed to.
    :ivar registries: URLs of those where the author is found, the usual one first.
    """

    TYPE: ClassVar[str] = "registries"

    keys: RecordKeys = ()
    registries: Annotated[tuple[str, ...], each(text(MAX_SERVER), MAX_REGISTRIES), SPARSE] = ()


PeerDocument = Offer | Answer | Candidates | Ringing | Refusal
Body = (
    Registration
    | Subscription
    | Removal
    | Claim
    | Completion
    | Release
    | Prekeys
    | MailboxTokens
    | MailFetch
    | MailAcknowledgement
    | Sealed
    | Card
    | RegistryList
    | PeerDocument
)

_BODIES: dict[str, type[Body]] = {kind.TYPE: kind for kind in get_args(Body)}
_ENDINGS = {kind.TYPE: kind.OCTETS for kind in (Sealed, Prekeys, MailboxTokens)}
_PEER_BODIES: dict[str, type[PeerDocument]] = {kind.TYPE: kind for kind in get_args(PeerDocument)}


def _read_body(members: JsonObject) -> Body:
    kind = _BODIES.get(field(members, "type", str, MAX_LABEL))
    if kind is None:
        raise RemoteProtocolError("a document of unknown type")
    return kind.from_json(members)


def write_peer_body(body: PeerDocument) -> JsonObject:
    """Return the members of what a peer writes to another, its type first."""
    return {"type": body.TYPE, **body.to_json()}


def read_peer_body(members: JsonObject) -> PeerDocument:
    """
    Read what a peer writes to another.

    :raises RemoteProtocolError: a member is missing or malformed, or the type is unknown.
    """
    kind = _PEER_BODIES.get(field(members, "type", str, MAX_LABEL))
    if kind is None:
        raise RemoteProtocolError("a sealed document of unknown type")
    return kind.from_json(members)


def payload_members(payload: bytes) -> JsonObject:
    """
    Return the members that a payload has, octets at its end among them.

    :raises RemoteProtocolError: it isn't JSON, or isn't up to where its octets begin.
    """
    text, mark, octets = payload.partition(_OCTETS_FROM)
    members = loads(text)
    if mark:
        members[_ENDINGS.get(str(members.get("type")), Sealed.OCTETS)] = octets
    return members


@attrs.frozen
class Document(Members):
    """A document with its envelope."""

    issuer: Annotated[str, nonblank(64), As("iss")]
    audience: Annotated[str, nonblank(512), As("aud")]
    issued_at: Annotated[Time, As("iat")]
    nonce: Annotated[str, NONCE, As("jti")]
    body: Annotated[Body, inline(_read_body)]

    def to_json(self) -> JsonObject:
        """Return the members, version and type first, and octets as they are."""
        return {"v": VERSION, "type": self.body.TYPE, **super().to_json()}

    def to_payload(self) -> bytes:
        """Return the payload that has these members."""
        members = self.to_json()
        name = _ENDINGS.get(self.body.TYPE)
        if name is None:
            return dumps(members)
        octets: bytes = members.pop(name)
        return dumps(members) + _OCTETS_FROM + octets

    @classmethod
    def from_json(cls, members: JsonObject) -> Self:
        """
        Read the members.

        :raises UnsupportedVersion: the version isn't ours.
        :raises RemoteProtocolError: a member is missing or malformed, or the type is unknown.
        """
        check_version(members, VERSION, "a document")
        return super().from_json(members)
