"""
Signatures of the entries of a log.

An author signs, with its Ed25519 key, ::

    LABEL | SHA-256 of the entry, up to its signature

Conversation, author, log and number stand in the entry, and so does the hash of the one before it:
one signature covers every entry before it.  So of entries that are written together the last one
alone has a signature.
"""

from __future__ import annotations

from hashlib import sha256

from p2pchat.errors import BadSignature, RemoteProtocolError
from p2pchat.identity.keys import Identity, verify
from p2pchat.wire.entries import LogEntry

LABEL = b"p2pchat 2 entry\x00"


def entry_statement(unsigned: bytes) -> bytes:
    """Return what is signed of an entry's bytes."""
    return LABEL + sha256(unsigned).digest()


def sign_entry(identity: Identity, unsigned: bytes) -> bytes:
    """Return the signature of an entry, of which all bytes before that are given."""
    return identity.sign(entry_statement(unsigned))


def check_entry(public_key: bytes, entry: LogEntry, raw: bytes) -> None:
    """
    Check the signature of an entry.

    :param public_key: of its author.
    :param raw: the entry as it came.
    :raises RemoteProtocolError: it isn't its author's.
    """
    try:
        verify(public_key, entry.signature, entry_statement(raw[: entry.unsigned_size]))
    except BadSignature:
        raise RemoteProtocolError(f"message {entry.number} isn't signed by its author") from None
