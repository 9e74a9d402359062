"""
Envelopes: what one peer leaves for another in a mailbox, signed inside and sealed.

::

    contents    author's public key 32 | signature 64 | frames (p2pchat.wire.envelopes)
    signature   Ed25519 of  LABEL | author's id 16 | reader's id 16 | SHA-256 of the frames

Bound to author and reader, and to no registry: so who reads it can't pass it on as meant for
another.  That one comes twice, or late, does no harm by itself: what is inside counts once
(:mod:`p2pchat.session.mail`), so no memory of nonces is needed, and no clock.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from hashlib import sha256

import attrs

from p2pchat.identity.keys import Identity, peer_id_octets, peer_id_of, verify
from p2pchat.identity.prekeys import Prekey, seal, unseal

LABEL = b"p2pchat 2 mail\x00"
TOKEN_LABEL = b"p2pchat 2 mailbox\x00"

_KEY, _SIGNED = 32, 96  # where the signature begins, and the frames


@attrs.frozen
class OpenedEnvelope:
    """
    An envelope that is signed by its author, for us.

    :ivar author: peer id.
    :ivar key: of the author.
    :ivar frames: what a link would have carried, encoded.
    :ivar one_time: id of the one-time key that it took, b"" for none.
    """

    author: str
    key: bytes
    frames: bytes
    one_time: bytes


def _statement(author: str, reader: str, frames: bytes) -> bytes:
    return LABEL + peer_id_octets(author) + peer_id_octets(reader) + sha256(frames).digest()


def seal_envelope(
    identity: Identity, reader: str, frames: bytes, prekey: bytes, one_time: bytes = b""
) -> bytes:
    """
    Sign frames and seal them to a reader's prekey, and one-time key if there is one.

    :raises RemoteProtocolError: one of the keys is none.
    """
    signature = identity.sign(_statement(identity.peer_id, reader, frames))
    return seal(identity.public_key + signature + frames, prekey, one_time)


def open_envelope(
    envelope: bytes,
    reader: str,
    prekey: Callable[[bytes], Prekey | None],
    one_time: Callable[[bytes], bytes | None],
) -> OpenedEnvelope:
    """
    Open an envelope for us.

    :param reader: our peer id.
    :raises SealBroken: the keys aren't here, or aren't here any more; or it was changed.
    :raises BadSignature: its author didn't sign it for us.
    :raises RemoteProtocolError: what is inside is malformed.
    """
    inside = unseal(envelope, prekey, one_time)
    key, signature = inside.contents[:_KEY], inside.contents[_KEY:_SIGNED]
    frames, author = inside.contents[_SIGNED:], peer_id_of(key)
    verify(key, signature, _statement(author, reader, frames))
    return OpenedEnvelope(author, key, frames, inside.one_time)


def deposit_token(token: bytes, origin: str) -> bytes:
    """
    Derive what a registry is shown by whoever leaves an envelope there.

    :param token: what the reader gave the author.
    :param origin: of the registry.
    """
    return hmac.digest(token, TOKEN_LABEL + origin.encode("ascii"), "sha256")
