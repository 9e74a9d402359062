"""
The endpoint ``tlsfiles:PORT:privateKey=FILE:certKey=FILE``: TLS whose certificate may be replaced.

Of Twisted's own, ``ssl:`` reads the files once, and ``tls:`` again only when somebody asks for a
name that it doesn't know, which strangers can do as often as they like; a certificate that is
renewed under its name would need a restart with both.  This one looks at the files when somebody
connects, once a second at most, and reads them again when they have changed.  Connections that
there are go on.

Files that can't be used, such as a certificate without its new key yet, change nothing: the log
says so once, and they are looked at again when they change again.  At the start they are an error.

Imports neither OpenSSL nor a reactor: ``twistd`` imports this module with the plugin file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import (
    IReactorTime,
    IStreamServerEndpoint,
    IStreamServerEndpointStringParser,
)
from twisted.logger import Logger
from twisted.plugin import IPlugin
from zope.interface import implementer

from p2pchat.errors import ConfigurationError
from p2pchat.runtime import MonotonicClock

if TYPE_CHECKING:
    from OpenSSL.SSL import Connection, Context
    from twisted.internet.interfaces import IListeningPort, IProtocolFactory

LOOK = 1.0  # seconds between two looks at the files

_log = Logger()

Stamp = tuple[tuple[int, int, int], ...]


def read_context(private_key: str, certificates: str) -> Context:
    """
    Return what new connections are to use: HTTP/1.1 over TLS with this certificate.

    :param certificates: a PEM file with the server's certificate first, then those of its chain.
    :raises OSError: a file can't be read.
    :raises ValueError: the files have no key or certificate, or the two don't belong together.
    """
    from OpenSSL import SSL, crypto  # noqa: PLC0415
    from twisted.internet.ssl import CertificateOptions  # noqa: PLC0415

    found = _certificates(Path(certificates).read_bytes())
    key_text = Path(private_key).read_bytes()
    try:
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, key_text)
        own, *chain = [crypto.load_certificate(crypto.FILETYPE_PEM, one) for one in found]
        options = CertificateOptions(
            privateKey=key,
            certificate=own,
            extraCertChain=chain,
            acceptableProtocols=[b"http/1.1"],
        )
        context = options.getContext()
        context.check_privatekey()
    except (SSL.Error, crypto.Error) as error:
        raise ValueError(f"{private_key} and {certificates} can't be used: {error}") from None
    return context


def _certificates(text: bytes) -> list[bytes]:
    end = b"-----END CERTIFICATE-----"
    found = [part + end for part in text.split(end)[:-1]]
    if not found:
        raise ValueError("no certificate in PEM form")
    return found


@attrs.define(eq=False)
class CertificateFiles:
    """
    A key and a certificate that may be replaced at any time.

    :raises OSError: at the start, they can't be read.
    :raises ValueError: at the start, they can't be used.
    """

    private_key: str
    certificates: str
    clock: IReactorTime
    read: Callable[[str, str], Any] = read_context
    _context: Any = attrs.field(init=False)
    _stamp: Stamp = attrs.field(init=False)
    _looked: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._looked = self.clock.seconds()
        self._stamp = self._look()
        self._context = self.read(self.private_key, self.certificates)

    def _look(self) -> Stamp:
        stats = [os.stat(path) for path in (self.private_key, self.certificates)]
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in stats)

    def context(self) -> Any:
        """Return what a new connection is to use."""
        now = self.clock.seconds()
        if now - self._looked >= LOOK:
            self._looked = now
            self._refresh()
        return self._context

    def _refresh(self) -> None:
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._context = self.read(self.private_key, self.certificates)
        except (OSError, ValueError) as error:
            _log.error("The new certificate isn't used: {error}", error=error)
        else:
            _log.info("A new certificate is used from now on")


def _connection_creator(files: CertificateFiles) -> Any:
    from OpenSSL.SSL import Connection  # noqa: PLC0415
    from twisted.internet.interfaces import IOpenSSLServerConnectionCreator  # noqa: PLC0415

    @implementer(IOpenSSLServerConnectionCreator)
    class Creator:
        def serverConnectionForTLS(self, tlsProtocol: object) -> Connection:
            return Connection(files.context(), None)

    return Creator()


@implementer(IStreamServerEndpoint)
@attrs.define(eq=False)
class TLSServerEndpoint:
    """TLS over another endpoint."""

    private_key: str
    certificates: str
    clock: IReactorTime
    below: IStreamServerEndpoint

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; fails with ConfigurationError where the files can't be used."""
        from twisted.protocols.tls import TLSMemoryBIOFactory  # noqa: PLC0415

        try:
            files = CertificateFiles(self.private_key, self.certificates, self.clock)
        except (OSError, ValueError) as error:
            return fail(ConfigurationError(f"no TLS: {error}"))
        creator = _connection_creator(files)
        return self.below.listen(TLSMemoryBIOFactory(creator, False, protocolFactory, self.clock))


@implementer(IPlugin, IStreamServerEndpointStringParser)
class TLSParser:
    """Reads the endpoint string."""

    prefix = "tlsfiles"

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> TLSServerEndpoint:
        """Return the endpoint; ``certKey`` may be left out where one file has both."""
        return self._endpoint(reactor, *args, **kwargs)

    @staticmethod
    def _endpoint(
        reactor: Any,
        port: str,
        *,
        privateKey: str,
        certKey: str = "",
        interface: str = "",
        backlog: str = "50",
    ) -> TLSServerEndpoint:
        from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint  # noqa: PLC0415

        over = TCP6ServerEndpoint if ":" in interface else TCP4ServerEndpoint
        below = over(reactor, int(port), int(backlog), interface)
        clock = MonotonicClock(reactor)
        return TLSServerEndpoint(privateKey, certKey or privateKey, clock, below)
