"""
Signed documents on demand.

A fuzzer can't sign, and what it made once it may send again, when the document would be stale or
used.  So it makes *wishes*: a word, a person and the members of a document.  A wish is signed
when it is sent.  Anything else that it makes goes out as it is.
"""

from __future__ import annotations

import time
from uuid import uuid4

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import sign_document
from p2pchat.wire.base64url import decode_bytes, encode_bytes
from p2pchat.wire.documents import Body, Document, Sealed
from p2pchat.wire.mailbox import MailboxTokens, Prekeys
from p2pchat.wire.strict_json import dumps, field, loads

PREFIX = "wish:"
OCTETS = {kind.TYPE: kind.OCTETS for kind in (Sealed, Prekeys, MailboxTokens)}


def person(number: int) -> Identity:
    """Return one of the people of these tests."""
    return Identity.from_seed(number.to_bytes(32, "big"))


HOSTS = tuple(person(number) for number in range(1, 4))  # online all the time
GUESTS = tuple(person(number) for number in range(4, 10))  # the fuzzer's own
PEOPLE = {one.peer_id: one for one in (*HOSTS, *GUESTS)}
OWN = {one.peer_id: one for one in GUESTS}


def newcomer() -> Identity:
    """Return somebody new: whoever was removed comes back as nobody."""
    identity = Identity.from_seed(uuid4().bytes * 2)
    OWN[identity.peer_id] = identity
    return identity


def sign(identity: Identity, audience: str, body: Body) -> str:
    """Sign a document now."""
    return sign_document(identity, audience, body, time.time(), uuid4().hex)


@attrs.frozen
class Wish:
    """A document that is to be signed."""

    author: Identity
    body: Body

    def __str__(self) -> str:
        members = Document(self.author.peer_id, "-", 0.0, "-", self.body).to_json()
        if (name := OCTETS.get(self.body.TYPE)) is not None:
            members[name] = encode_bytes(members[name])
        return PREFIX + dumps(members).decode("utf-8")

    @classmethod
    def read(cls, text: str) -> Wish | None:
        """Read what ``str`` wrote; return None where it was something else, or damaged since."""
        if not text.startswith(PREFIX):
            return None
        try:
            members = loads(text.removeprefix(PREFIX).encode("utf-8"))
            if (name := OCTETS.get(field(members, "type", str))) is not None:
                members[name] = decode_bytes(field(members, name, str))
            document = Document.from_json(members)
        except (RemoteProtocolError, UnicodeEncodeError):
            return None
        author = PEOPLE.get(document.issuer)
        return None if author is None else cls(author, document.body)

    def sign(self, audience: str) -> str:
        """Return the document, signed now."""
        return sign(self.author, audience, self.body)
