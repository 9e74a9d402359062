"""Name resolution without threads: IP literals, and the names in `Internet.dns` and `dns6`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
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
        """See `IHostnameResolver`."""
        resolution = HostResolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        for answer in (self._host.lookup(hostName), self._host.lookup6(hostName)):
            kind = IPv6Address if answer is not None and ":" in answer else IPv4Address
            if answer is not None and (addressTypes is None or kind in addressTypes):
                address = kind(transportSemantics, answer, portNumber)  # type: ignore[arg-type]
                self._host.reactor.callLater(0, resolutionReceiver.addressResolved, address)
        self._host.reactor.callLater(0, resolutionReceiver.resolutionComplete)
        return resolution
