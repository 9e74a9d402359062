"""
Keys and ids that a link derives from its secrets, beside those of QUIC itself (RFC 9001).

::

    handshake secret of the attempt ──▶ id of the first packet, secrets of Initial packets
    server's first traffic secret ────▶ channel binding
    secret in RENEW ──────────────────▶ both connection ids and traffic secrets from then on

All are bytes in and bytes out; who may know them is for :mod:`p2pchat.session.quic` to see to.
"""

from __future__ import annotations

import hmac
from hashlib import sha256

CONNECTION_ID = 8  # bytes
ROLES = ("client", "server")  # of the sides in TLS

BINDING_LABEL = b"p2pchat 2 channel binding\x00"
ID_LABEL = b"p2pchat 2 connection id"
INITIAL_LABEL = b"p2pchat 2 initial "
RENEWED_LABEL = b"p2pchat 2 renewed "


def channel_binding(secret: bytes) -> bytes:
    """Return the channel binding that follows from the server's first traffic secret."""
    return sha256(BINDING_LABEL + secret).digest()


def connection_id(secret: bytes) -> bytes:
    """Return the destination connection id of the first packet, from the handshake secret."""
    return hmac.digest(secret, ID_LABEL, "sha256")[:CONNECTION_ID]


def initial_secret(secret: bytes, role: str) -> bytes:
    """
    Return the traffic secret of the Initial packets that one side sends.

    It stands where RFC 9001 section 5.2 has client_initial_secret or server_initial_secret.

    :param secret: the handshake secret of the attempt.
    :param role: of the side that sends them, ``client`` or ``server``.
    """
    label = INITIAL_LABEL + role.encode("ascii") + b"\x00"
    return hmac.digest(secret, label + connection_id(secret), "sha256")


def next_id(secret: bytes, role: str) -> bytes:
    """Return the connection id of what one side is sent after a RENEW with this secret."""
    return _renewed(secret, f"{role} id")[:CONNECTION_ID]


def next_secret(secret: bytes, role: str) -> bytes:
    """Return the traffic secret of what one side sends after a RENEW with this secret."""
    return _renewed(secret, f"{role} secret")


def _renewed(secret: bytes, what: str) -> bytes:
    return hmac.digest(secret, RENEWED_LABEL + what.encode("ascii"), "sha256")
