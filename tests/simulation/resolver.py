"""Name resolution without threads: IP literals, and the names in `Internet.dns`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from zope.interface import implementer

if TYPE_CHECKING:
    from tests.simulation.host import Host


@implementer(IHostResolution)
@attrs.frozen
class HostResolution:
    """A resolution in progress; it can't be cancelled."""

    name: str

    def cancel(self) -> None:
        """Do nothing: the answer comes in the same instant of virtual time."""


@implementer(IHostnameResolver)
@attrs.frozen
class HostnameResolver:
    """Resolves, one turn of the reactor later; a host that is offline resolves no name."""

    _host: Host

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See `IHostnameResolver`; only IPv4 addresses are known."""
        resolution = HostResolution(hostName)
        answer = self._host.lookup(hostName)
        if addressTypes is not None and IPv4Address not in addressTypes:
            answer = None
        resolutionReceiver.resolutionBegan(resolution)
        if answer is not None:
            address = IPv4Address(transportSemantics, answer, portNumber)  # type: ignore[arg-type]
            self._host.reactor.callLater(0, resolutionReceiver.addressResolved, address)
        self._host.reactor.callLater(0, resolutionReceiver.resolutionComplete)
        return resolution
