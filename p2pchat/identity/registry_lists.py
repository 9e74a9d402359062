"""
Signed lists of registries: where somebody is found, for one contact.

A list is a signed document (:mod:`p2pchat.identity.signed_documents`) of type ``registries``, whose
audience is the contact's peer id.  It has no freshness of its own, since whoever brings it may
bring it late: the newest one that its reader has seen counts, by when it was made.  So bringing an
older one again changes nothing.

Refuses a list that is dated more than AHEAD in the future: or a clock that was wrong once would
make all later lists older.
"""

from __future__ import annotations

import attrs

from p2pchat.errors import RemoteProtocolError, StaleDocument, WrongAudience, WrongIssuer
from p2pchat.identity.keys import Identity
from p2pchat.identity.signed_documents import open_document, sign_document
from p2pchat.wire.documents import RegistryList

AHEAD = 86_400.0  # seconds; of two clocks, and of a time zone set as another


@attrs.frozen
class DatedList:
    """A list, and when it was made, seconds since 1970."""

    body: RegistryList
    as_of: float


def sign_list(identity: Identity, reader: str, body: RegistryList, now: float, nonce: str) -> str:
    """
    Write and sign a list for a contact.

    :param now: seconds since 1970.
    :param nonce: a random name of at most 64 characters.
    """
    return sign_document(identity, reader, body, now, nonce)


def open_list(token: str, author: str, reader: str, now: float) -> DatedList:
    """
    Check a list and read it.

    :param author: who must have signed it.
    :param reader: whom it must be for.
    :param now: seconds since 1970.
    :raises RemoteProtocolError: it is no list, or another's, or for another, or from the future.
    """
    document = open_document(token)
    if not isinstance(document.body, RegistryList):
        raise RemoteProtocolError(f"a {document.body.TYPE} in place of a list of registries")
    if document.issuer != author:
        raise WrongIssuer("a list of registries that somebody else signed")
    if document.audience != reader:
        raise WrongAudience(f"a list of registries for {document.audience}")
    if document.issued_at > now + AHEAD:
        raise StaleDocument("a list of registries that is dated more than a day ahead")
    return DatedList(document.body, document.issued_at)
