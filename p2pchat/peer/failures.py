"""
Errors of connections in words for people, as the end of a sentence of ours.

Twisted's own texts have full stops, class names and byte strings in them, and OpenSSL's name its
functions.  What is wrong with a certificate comes with what to do about it, for the same words
mean a server's mistake, this machine's clock, or somebody on the way.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet import defer, error

from p2pchat.errors import CertificateRefused, P2PChatError
from p2pchat.wire.visible import visible_name

MAX_LENGTH = 500  # characters of somebody else's words
MAX_NAMES = 3  # of a certificate that are told
MAX_NAME = 60  # characters of each

_LATE = "no answer in time"
_WORDS: dict[type[BaseException], str] = {
    defer.TimeoutError: _LATE,
    defer.CancelledError: _LATE,
    error.TimeoutError: _LATE,
    error.TCPTimedOutError: _LATE,
    error.ConnectingCancelledError: _LATE,
    error.ConnectionRefusedError: "nothing listens there",
    error.NoRouteError: "no route leads there",
    error.DNSLookupError: "its name has no address, or no name server tells it",
    error.ConnectionClosed: "the connection was closed",
}

# What OpenSSL says of a failed handshake, and what that means; the first that fits.
_OTHER_VERSION = "it speaks another version of TLS than this program"
_NO_TLS = "what answers there speaks no TLS"
_TLS_WORDS = (
    ("wrong version number", _NO_TLS),
    ("packet length too long", _NO_TLS),
    ("record layer failure", _NO_TLS),
    ("http request", _NO_TLS),
    ("protocol version", _OTHER_VERSION),
    ("unsupported protocol", _OTHER_VERSION),
    ("no protocols available", _OTHER_VERSION),
    ("inappropriate fallback", _OTHER_VERSION),
    ("handshake failure", "it and this program know no encryption in common"),
    ("no shared cipher", "it and this program know no encryption in common"),
    ("insufficient security", "it and this program know no encryption in common"),
    ("too small", "its encryption is too weak"),
    ("too weak", "its encryption is too weak"),
    ("legacy", "its encryption is too old"),
    ("unrecognized name", "it doesn't know the name that it was asked for"),
    ("alert certificate required", "it wants a certificate of ours, and this program has none"),
    ("alert bad certificate", "it wants a certificate of ours, and this program has none"),
    ("alert access denied", "it doesn't let us in"),
    ("alert internal error", "it has trouble of its own"),
    ("certificate verify failed", "its certificate can't be trusted"),
    ("bad record mac", "what comes is changed on the way"),
)

# X509_V_ERR_ of OpenSSL's x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_SELF_SIGNED = {18, 19}  # the server's own, and the last of its chain
_UNKNOWN_ISSUER = {2, 20, 21, 27}
_ELSE = {23: "was revoked", 66: "is too weak", 67: "is too weak", 68: "is too weak"}

_INTERCEPTED = (
    "an antivirus, a proxy, or a network that wants you to log in first (captive portal: open a "
    "web page) may have put its own in place"
)


def in_words(trouble: BaseException | None, otherwise: str) -> str:
    """
    Return why a connection or a request failed: one line, without a full stop.

    :param otherwise: what to say of an error that isn't one of the network.
    """
    known = (_known(one) for one in reasons(trouble))
    return next((words for words in known if words), otherwise)


def reasons(trouble: BaseException | None) -> list[BaseException | None]:
    """Return the errors that an error of an HTTP request stands for, the last one first."""
    inner = [failure.value for failure in getattr(trouble, "reasons", None) or ()]
    return [*reversed(inner), trouble]


def is_of_tls(trouble: BaseException | None) -> bool:
    """Tell whether no encrypted connection came about, though there was one."""
    return any(isinstance(one, (SSL.Error, CertificateRefused)) for one in reasons(trouble))


def _known(trouble: BaseException | None) -> str:
    if isinstance(trouble, P2PChatError):
        return one_line(str(trouble))
    if isinstance(trouble, SSL.Error):
        return _tls_in_words(trouble)
    for kind, words in _WORDS.items():
        if isinstance(trouble, kind):
            return words
    if isinstance(trouble, error.ConnectError):
        return one_line(str(trouble.args[0])) if trouble.args else "can't connect"
    return one_line(trouble.strerror or "") if isinstance(trouble, OSError) else ""


def _tls_in_words(trouble: SSL.Error) -> str:
    said = str(trouble.args).lower()
    return next((words for text, words in _TLS_WORDS if text in said), "TLS was broken off")


def certificate_in_words(code: int, found: Any, depth: int, now: float) -> str:
    """
    Return why a certificate isn't trusted.

    :param code: what OpenSSL says of it (X509_V_ERR_).
    :param found: the certificate, an ``OpenSSL.crypto.X509``.
    :param depth: 0: the server's own; else of those who signed it.
    :param now: this machine's clock, in seconds since 1970.
    """
    certificate = _read(found)
    whose = "its certificate" if depth == 0 else "a certificate that its own hangs on"
    if certificate is None:
        return f"{whose} can't be read"
    if code in {_EXPIRED, _NOT_YET_VALID}:
        return f"{whose} {_dates_in_words(code, certificate, now)}"
    issuer = _name_of(certificate.issuer)
    if code in _SELF_SIGNED and depth == 0:
        return f"{whose} is signed by itself ({issuer}), and nobody vouches for it; {_INTERCEPTED}"
    if code in _SELF_SIGNED | _UNKNOWN_ISSUER:
        return f"{whose} is signed by {issuer}, whom this machine doesn't trust; {_INTERCEPTED}"
    return f"{whose} {_ELSE.get(code, 'is not in order')}"


def _dates_in_words(code: int, certificate: x509.Certificate, now: float) -> str:
    """Return when a certificate is valid, and when this machine believes that it is."""
    clock = f"and this machine's clock says {_date(datetime.fromtimestamp(now, UTC))}"
    if code == _NOT_YET_VALID:
        since = _date(certificate.not_valid_before_utc)
        return f"is valid from {since} on, {clock}: perhaps the clock is wrong, then set it"
    return (
        f"was valid until {_date(certificate.not_valid_after_utc)}, {clock}: if the clock is "
        "right, whoever runs the server must renew it, else set the clock"
    )


def wrong_name_in_words(found: Any, host: str) -> str:
    """Return that a certificate isn't the one of this host, and whose it is."""
    certificate = _read(found)
    if certificate is None:
        return "its certificate can't be read"
    names = _names(certificate)
    shown = ", ".join(visible_name(name, MAX_NAME) for name in names[:MAX_NAMES]) or "no name"
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return (
        f"its certificate is for {shown}{more}, not for {host}: another server answers there, or "
        "this network wants you to log in first (captive portal): open a web page"
    )


def _read(found: Any) -> x509.Certificate | None:
    """Return a certificate as one that can be read; others send what they like."""
    try:
        certificate: x509.Certificate = found.to_cryptography()
        _names(certificate), certificate.issuer, certificate.not_valid_after_utc
    except Exception:  # whatever the parser of a foreign certificate raises
        return None
    return certificate


def _names(certificate: x509.Certificate) -> list[str]:
    """Return for which hosts a certificate is."""
    try:
        kind = x509.SubjectAlternativeName
        names = certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return []
    hosts = names.get_values_for_type(x509.DNSName)
    return [*hosts, *map(str, names.get_values_for_type(x509.IPAddress))]


def _name_of(name: x509.Name) -> str:
    """Return what somebody who signs is called."""
    for kind in (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(kind):
            return f"'{visible_name(str(attribute.value), MAX_NAME)}'"
    return "somebody without a name"


def _date(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def one_line(text: str) -> str:
    """Return somebody else's words on one line of bounded length, without a full stop."""
    return " ".join(text[:MAX_LENGTH].split()).rstrip(".")
