"""
TLS to a server that is known by its name.

The check is that of ``twisted.internet.ssl.optionsForClientTLS`` (RFC 5280, RFC 9525): somebody
whom this machine trusts signed the certificate, it is valid now, and it has the server's name.  The
callback here does the same once more, to say what is wrong: OpenSSL tells a callback alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from OpenSSL import SSL
from service_identity.hazmat import DNS_ID, IPAddress_ID, verify_service_identity
from service_identity.pyopenssl import extract_patterns
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import optionsForClientTLS, platformTrust
from twisted.python.failure import Failure
from zope.interface import implementer

from p2pchat.errors import CertificateRefused, RemoteProtocolError
from p2pchat.peer.failures import certificate_in_words, wrong_name_in_words
from p2pchat.wire.addresses import parse_ip

_VERIFY = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT


@implementer(IOpenSSLClientConnectionCreator)
@attrs.frozen
class ServerTls:
    """
    Makes TLS connections to one server.

    :ivar host: its name, or its IP address, as it was given.
    :ivar wall_time: seconds since 1970, by which certificates are valid.
    :ivar trust_root: who may have signed its certificate, as ``optionsForClientTLS`` takes it; by
        default whom the platform trusts.
    """

    host: str
    wall_time: Callable[[], float]
    trust_root: Any = None
    _options: Any = attrs.field(init=False)  # which reads the platform's certificates, once

    @_options.default
    def _make_options(self) -> Any:
        return optionsForClientTLS(self.host, trustRoot=self.trust_root or platformTrust())

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See `IOpenSSLClientConnectionCreator`."""
        connection: SSL.Connection = self._options.clientConnectionForTLS(tlsProtocol)
        waiting: list[Any] = [tlsProtocol]  # emptied: the connection belongs to the protocol

        def verify(_: SSL.Connection, found: Any, code: int, depth: int, is_good: int) -> bool:
            words = "" if is_good else certificate_in_words(code, found, depth, self.wall_time())
            if is_good and depth == 0:
                words = self._trouble_with_name(found)
            if words and waiting:
                waiting.pop().failVerification(Failure(CertificateRefused(words)))
            if depth == 0:
                waiting.clear()
            return not words

        connection.set_verify(_VERIFY, verify)
        return connection

    def _trouble_with_name(self, found: Any) -> str:
        """Return why a certificate isn't this server's, or ""."""
        try:
            verify_service_identity(extract_patterns(found), [_service(self.host)], [])
        except Exception:  # VerificationError, or whatever a name raises that none can have
            return wrong_name_in_words(found, self.host)
        return ""


def _service(host: str) -> Any:
    try:
        return IPAddress_ID(str(parse_ip(host)))
    except RemoteProtocolError:
        return DNS_ID(host)
