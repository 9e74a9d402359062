"""Name resolution without threads: IP literals, and whatever a host, or a test, knows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorTime,
    IResolutionReceiver,
)
from zope.interface import implementer


@implementer(IHostResolution)
@attrs.frozen
class HostResolution:
    """A resolution in progress; it can't be cancelled."""

    name: str

    def cancel(self) -> None:
        """Do nothing: the answer comes in the same instant of virtual time, or never."""


@implementer(IHostnameResolver)
@attrs.define(eq=False)
class HostnameResolver:
    """
    Resolves, one turn of the reactor later.

    :ivar lookup: returns the addresses of a name; None: whoever asks is kept waiting.
    :ivar asked: the names that were looked up.
    :ivar waiting: those who wait, and whom a test may answer.
    """

    lookup: Callable[[str], Sequence[str] | None]
    _clock: IReactorTime
    asked: list[str] = attrs.Factory(list)
    waiting: list[IResolutionReceiver] = attrs.Factory(list)

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See `IHostnameResolver`."""
        self.asked.append(hostName)
        resolution = HostResolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        answers = self.lookup(hostName)
        if answers is None:
            self.waiting.append(resolutionReceiver)
            return resolution
        for answer in answers:
            kind = IPv6Address if ":" in answer else IPv4Address
            if addressTypes is None or kind in addressTypes:
                address = kind(transportSemantics, answer, portNumber)  # type: ignore[arg-type]
                self._clock.callLater(0, resolutionReceiver.addressResolved, address)
        self._clock.callLater(0, resolutionReceiver.resolutionComplete)
        return resolution
