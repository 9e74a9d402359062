"""
Short-lived TURN credentials: "TURN REST", draft-uberti-behave-turn-rest; ``use-auth-secret`` in
coturn, which shares one secret with this registry and knows nothing else of it::

    username   EXPIRY:PSEUDONYM      seconds since 1970, and 16 hexadecimal digits
    password   base64(HMAC-SHA1(secret, username))

The pseudonym isn't the peer id, so that the operator of a relay can't tell who is using it.  It is
the same for a peer as long as this process runs, because coturn counts its ``user-quota`` by what
follows the colon; it is keyed with random bytes that never leave this process, so that nobody,
the relay's operator included, can compute it from a peer id.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

import attrs

from p2pchat.wire.servers import LongTermCredential
from p2pchat.wire.strict_json import JsonObject

PSEUDONYM_KEY = 16  # bytes
PSEUDONYM = 8  # bytes; peers of one registry don't collide


@attrs.frozen
class RelayCredentials:
    """
    The relays that peers are given, and the secret of their credentials.

    :ivar urls: TURN URLs (RFC 7065).
    :ivar ttl: seconds that credentials are good for.
    """

    urls: tuple[str, ...]
    ttl: int
    _secret: bytes = attrs.field(repr=False)
    _pseudonym_key: bytes = attrs.field(repr=False)

    def issue(self, peer_id: str, wall_time: float) -> LongTermCredential:
        """Return credentials for a peer, good for ``ttl`` seconds from now."""
        key = self._pseudonym_key
        pseudonym = hmac.digest(key, peer_id.encode("utf-8"), hashlib.sha256)[:PSEUDONYM].hex()
        username = f"{int(wall_time) + self.ttl}:{pseudonym}"
        password = hmac.digest(self._secret, username.encode("ascii"), hashlib.sha1)
        return LongTermCredential(username, base64.b64encode(password).decode("ascii"))

    def show(self, peer_id: str, wall_time: float) -> JsonObject:
        """Return what the answer to a registration says of relays."""
        issued = self.issue(peer_id, wall_time).to_json()
        return {"urls": list(self.urls), **issued, "ttl": self.ttl}
