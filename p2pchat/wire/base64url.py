"""base64url without padding (RFC 7515 section 2), one spelling only."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from p2pchat.errors import RemoteProtocolError


def encode_bytes(value: bytes) -> str:
    """Write bytes."""
    return urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def decode_bytes(text: str, length: int) -> bytes:
    """
    Read exactly ``length`` bytes.

    :raises RemoteProtocolError: another length, or not base64url.
    """
    try:
        value = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise RemoteProtocolError("not base64url") from None
    if len(value) != length or encode_bytes(value) != text:
        raise RemoteProtocolError(f"{length} bytes of base64url are expected")
    return value
