"""
The listening HTTP port of the registry.

Owns the order of starting and stopping: the port is bound before privileges are shed; on the
way down event streams say ``bye``, and get a moment for it to leave the machine.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IStreamServerEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.signaling.ports import cannot_listen
from p2pchat.signaling.registry import Registry

FLUSH = 0.1  # seconds for the last events; the transports write on the next turn of the reactor

_log = Logger()


@attrs.define(eq=False, slots=False)
class WebService(Service):
    """
    Serves a registry at an endpoint.

    :ivar site: makes the connections' protocols.
    :ivar port: what it listens on, once it does.
    """

    registry: Registry
    site: IProtocolFactory
    endpoint: IStreamServerEndpoint
    port: IListeningPort | None = attrs.field(init=False, default=None)
    _refusal: Exception | None = attrs.field(init=False, default=None)

    def privilegedStartService(self) -> None:
        """
        Bind the port.

        :raises ConfigurationError: it can't be had.
        """
        listening = self.endpoint.listen(self.site)
        listening.addCallbacks(self._bound, self._failed)
        if self._refusal is not None:
            raise self._refusal

    def _bound(self, port: IListeningPort) -> None:
        self.port = port
        _log.info("The registry listens on {where}", where=_where(port))

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, CannotListenError):
            interface = str(error.interface or "")
            self._refusal = cannot_listen("TCP", error.port, interface, error, "--listen")
        elif isinstance(error, Exception):
            self._refusal = error

    def startService(self) -> None:
        """Begin the registry's rhythms."""
        super().startService()
        self.registry.start()

    def stopService(self) -> Deferred[Any]:
        """Take no more connections, and end those that are streams."""
        super().stopService()
        stopping: list[Deferred[Any]] = [self.registry.stop()]
        if self.port is not None:
            stopping.append(maybeDeferred(self.port.stopListening))
        clock = self.registry.runtime.clock
        return gatherResults(stopping).addCallback(lambda _: deferLater(clock, FLUSH))


def _where(port: IListeningPort) -> str:
    host = port.getHost()
    return f"{getattr(host, 'host', host)} port {getattr(host, 'port', '-')}"
