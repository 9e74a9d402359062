"""base64url without padding (RFC 7515 section 2), one spelling only."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

from p2pchat.errors import RemoteProtocolError

_TO_BASE64, _TO_URL = bytes.maketrans(b"-_", b"+/"), bytes.maketrans(b"+/", b"-_")


def encode_bytes(value: bytes) -> str:
    """Write bytes."""
    return b2a_base64(value, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")


def decode_bytes(text: str, length: int | None = None) -> bytes:
    """
    Read bytes.

    :param length: how many there must be, if that matters.
    :raises RemoteProtocolError: another length, or not what :func:`encode_bytes` writes.
    """
    try:
        # Padding that isn't needed does no harm; characters that aren't base64 are left out.
        value = a2b_base64(text.encode("ascii").translate(_TO_BASE64) + b"==")
    except ValueError:
        raise RemoteProtocolError("not base64url") from None
    if encode_bytes(value) != text:
        raise RemoteProtocolError("not base64url in its one spelling")
    if length is not None and len(value) != length:
        raise RemoteProtocolError(f"{length} bytes of base64url are expected")
    return value
