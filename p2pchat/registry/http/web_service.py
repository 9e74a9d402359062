"""
The listening HTTP ports of the registry.

Owns the order of starting and stopping.  Ports are bound before privileges are shed.  On the way
down:

1. the port is closed, and ``/healthz`` says so on connections that are there already;
2. idle connections are closed; the others end with their answers;
3. event streams say ``bye``, GOODBYES of them a second and all within LONGEST_GOODBYE: each
   peer comes back at once, to another process behind the same address, and all of them together
   would be more than that one can take;
4. answers that are still under way have PATIENCE;
5. the store is left, and the last bytes get a moment to leave the machine.
"""

from __future__ import annotations

from itertools import islice
from math import ceil
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pchat.errors import ConfigurationError
from p2pchat.registry.audiences import is_loopback, reachable_origins
from p2pchat.registry.http.site import RegistrySite
from p2pchat.registry.ports import cannot_listen
from p2pchat.registry.registry import Registry
from p2pchat.runtime import give_up_unacknowledged, limit_segments

GOODBYES = 500  # streams a second; a peer's return costs two signatures, half a millisecond
LONGEST_GOODBYE = 20.0  # seconds; service managers kill after 90
STEP = 0.05  # seconds between two looks at what is left
PATIENCE = 5.0  # seconds for answers under way; none takes as long, but its client may
MAX_ORIGINS = 8  # that the log names; a machine may have hundreds of addresses
FLUSH = 0.1  # seconds for the last events; the transports write on the next turn of the reactor

_log = Logger()


@attrs.define(eq=False, slots=False)
class PortService(Service):
    """
    Serves a site at an endpoint.

    :ivar site: makes the connections' protocols.
    :ivar name: what listens there, for the log.
    :ivar option: where the operator chose the endpoint.
    :ivar port: what it listens on, once it does.
    """

    site: RegistrySite
    endpoint: IStreamServerEndpoint
    name: str = attrs.field(default="The registry", kw_only=True)
    option: str = attrs.field(default="--listen", kw_only=True)
    port: IListeningPort | None = attrs.field(init=False, default=None)
    _refusal: Exception | None = attrs.field(init=False, default=None)

    def privilegedStartService(self) -> None:
        """
        Bind the port.

        :raises ConfigurationError: it can't be had.
        """
        listening = maybeDeferred(self.endpoint.listen, self.site)
        listening.addCallbacks(self._bound, self._failed)
        if self._refusal is not None:
            raise self._refusal

    def _bound(self, port: IListeningPort) -> None:
        self.port = port
        opened = getattr(port, "socket", None)
        limit_segments(opened)  # large ones vanish on some peers' paths
        give_up_unacknowledged(opened)
        _log.info("{name} listens on {where}", name=self.name, where=_where(port))
        self.tell(port)

    def tell(self, port: IListeningPort) -> None:
        """Say more of what was bound."""

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, CannotListenError):
            interface = str(error.interface or "")
            self._refusal = cannot_listen("TCP", error.port, interface, error, self.option)
        elif isinstance(error, ConfigurationError):
            self._refusal = error
        else:  # the reactor and endpoint plugins raise what they like
            self._refusal = ConfigurationError(f"{self.option} can't be used: {error}")

    def stopService(self) -> Deferred[Any]:
        """Take no more connections, and let those that are there end."""
        super().stopService()
        port = self.port
        stopped = maybeDeferred(port.stopListening if port is not None else lambda: None)
        return stopped.addCallback(lambda _: self.site.connections.drain())


@attrs.define(eq=False, slots=False)
class WebService(PortService):
    """
    Serves a registry.

    :ivar secure: whether the endpoint speaks TLS.
    """

    registry: Registry = attrs.field(kw_only=True)
    secure: bool = attrs.field(default=False, kw_only=True)

    def tell(self, port: IListeningPort) -> None:
        """Say what peers dial, and who isn't served."""
        public = self.registry.settings.audiences.public
        if public:
            _log.info("Peers use --server {url}", url=" or ".join(public))
            return
        host = port.getHost()
        bound, number = getattr(host, "host", ""), getattr(host, "port", 0)
        addresses = self.registry.runtime.host_addresses()
        origins = reachable_origins(bound, number, self.secure, addresses)[:MAX_ORIGINS]
        if origins:
            _log.info("Peers use --server {url}", url=" or ".join(origins))
        if not is_loopback(bound):
            _log.warn(
                "No --public-url: who dials anything else is refused.  Give it, as {example}, "
                "where peers dial a name, or an address that a router or a proxy passes on to "
                "this machine",
                example=f"--public-url {'https' if self.secure else 'http'}://NAME:{number}",
            )

    def startService(self) -> None:
        """Begin the registry's rhythms."""
        super().startService()
        self.registry.start()

    @inlineCallbacks
    def stopService(self) -> Any:
        """Stop as the module says."""
        yield super().stopService()
        self.registry.stopping = True
        yield self._say_goodbye()
        yield self._await_answers()
        yield self.registry.stop()
        yield self._pause(FLUSH)

    @inlineCallbacks
    def _say_goodbye(self) -> Any:
        streams = self.registry.streams
        rate = max(GOODBYES, len(streams) / LONGEST_GOODBYE)
        while len(streams):
            for peer_id in list(islice(streams, ceil(rate * STEP))):
                streams.end(peer_id, "bye")
            yield self._pause(STEP)

    @inlineCallbacks
    def _await_answers(self) -> Any:
        deadline = self.registry.now() + PATIENCE
        while len(self.site.connections) and self.registry.now() < deadline:
            yield self._pause(STEP)

    def _pause(self, seconds: float) -> Deferred[None]:
        return deferLater(self.registry.runtime.clock, seconds)


def _where(port: IListeningPort) -> str:
    host = port.getHost()
    return f"{getattr(host, 'host', host)} port {getattr(host, 'port', '-')}"
