"""base64url without padding (RFC 7515 section 2), one spelling only."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64

from p2pchat.errors import RemoteProtocolError

# The decoder leaves out what isn't base64, such as a full stop: so the length tells.
_TO_BASE64, _TO_URL = bytes.maketrans(b"-_+/=", b"+/..."), bytes.maketrans(b"+/", b"-_")

# By the characters that follow the last whole four: those that may come last, with no loose bits.
_LAST = (None, "", "AQgw", "AEIMQUYcgkosw048")


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
        # Padding that isn't needed does no harm.
        value = a2b_base64(text.encode("ascii").translate(_TO_BASE64) + b"==")
    except ValueError:
        raise RemoteProtocolError("not base64url") from None
    last = _LAST[len(text) % 4]
    # To write it again and compare would take as long again; documents are most of what is read.
    if len(value) != len(text) * 3 // 4 or (last is not None and text[-1] not in last):
        raise RemoteProtocolError("not base64url in its one spelling")
    if length is not None and len(value) != length:
        raise RemoteProtocolError(f"{length} bytes of base64url are expected")
    return value
