"""
Permits to leave an envelope: whoever shows one had a token that was good a moment ago.

::

    expires 8 | hash of the token 16 | the beginning of HMAC-SHA256 16

of ``LABEL | mailbox | 0x00 | expires | hash``, expires in milliseconds since 1970.  Nothing is
remembered of a permit: so it tells from the head of a request alone, and at every process that has
the key, who may send as many bytes as an envelope has.  Whether the token is still good is looked
up when the envelope is there.

Pure.
"""

from __future__ import annotations

import hmac
from struct import Struct
from struct import error as StructError

import attrs

from p2pchat.wire.mailbox import PERMIT_LASTS, TOKEN_HASH

LABEL = b"p2pchat 2 permit\x00"
KEY = 32  # bytes
MAC = 16  # bytes: nobody tries 2 to the power of 127 in its 300 seconds

_PERMIT = Struct(f"!Q{TOKEN_HASH}s{MAC}s")


@attrs.frozen
class Permits:
    """The permits of one key."""

    _key: bytes = attrs.field(repr=False)

    def issue(self, peer: str, token: bytes, now: float) -> bytes:
        """
        Write a permit.

        :param peer: whose mailbox it is for.
        :param token: hash of the token that was shown.
        :param now: seconds since 1970.
        """
        expires = int((now + PERMIT_LASTS) * 1000)
        return _PERMIT.pack(expires, token, self._mac(peer, expires, token))

    def check(self, peer: str, permit: bytes, now: float) -> bytes | None:
        """Return the hash of the token that a permit is for; None: it isn't good (any more)."""
        try:
            expires, token, mac = _PERMIT.unpack(permit)
        except StructError:
            return None
        is_ours = hmac.compare_digest(mac, self._mac(peer, expires, token))
        return token if is_ours and now * 1000 < expires else None

    def _mac(self, peer: str, expires: int, token: bytes) -> bytes:
        said = LABEL + peer.encode("ascii") + b"\x00" + expires.to_bytes(8, "big") + token
        return hmac.digest(self._key, said, "sha256")[:MAC]
