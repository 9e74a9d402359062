"""
The order in which the addresses of a name are tried (RFC 8305 section 4).

Both families take turns, the first one of the system's order (RFC 6724) first.  An address where
nothing useful answered comes after all others, for FAILED_FOR: a connection that is made, and leads
to a dead service or to somebody else, mustn't hide the address beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, zip_longest

import attrs
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from zope.interface import implementer

MAX_PER_FAMILY = 4  # addresses of a name that are tried
MAX_ADDRESSES = 32  # of a name that are looked at
FAILED_FOR = 600.0  # seconds; then the system's order may be right again


def interleaved(hosts: Iterable[str]) -> list[str]:
    """Return addresses with both families in turns, beginning with the first one's."""
    found = list(dict.fromkeys(hosts))
    first = [host for host in found if (":" in host) is (":" in found[0])]
    other = [host for host in found if host not in first]
    pairs = zip_longest(first[:MAX_PER_FAMILY], other[:MAX_PER_FAMILY])
    return [host for host in chain.from_iterable(pairs) if host is not None]


@attrs.define(eq=False)
class AddressTurns:
    """
    The addresses of one name, and which of them were of no use.

    :ivar now: seconds of a clock that nobody sets.
    """

    now: Callable[[], float]
    _failed_at: dict[str, float] = attrs.Factory(dict)

    def failed(self, host: str) -> None:
        """Note that nothing useful answered there."""
        self._failed_at.pop(host, None)
        self._failed_at[host] = self.now()
        if len(self._failed_at) > MAX_ADDRESSES:
            del self._failed_at[next(iter(self._failed_at))]

    def order(self, hosts: Iterable[str]) -> list[str]:
        """Return addresses in the order in which they are to be tried."""
        since = self.now() - FAILED_FOR
        self._failed_at = {host: at for host, at in self._failed_at.items() if at > since}
        found = list(hosts)
        good = [host for host in found if host not in self._failed_at]
        return interleaved(good) + [host for host in self._failed_at if host in found]


@implementer(IHostnameResolver)
@attrs.frozen
class ResolverInTurn:
    """A resolver that hands addresses on in this order, when all are there."""

    _turns: AddressTurns
    _inner: IHostnameResolver

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """See `IHostnameResolver`."""
        receiver = _AddressesInTurn(resolutionReceiver, self._turns)
        return self._inner.resolveHostName(
            receiver, hostName, portNumber, addressTypes, transportSemantics
        )


@implementer(IResolutionReceiver)
@attrs.frozen
class _AddressesInTurn:
    """Collects the addresses of one name."""

    _receiver: IResolutionReceiver
    _turns: AddressTurns
    _found: dict[str, IAddress] = attrs.Factory(dict)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """See `IResolutionReceiver`."""
        self._receiver.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        """Keep an address."""
        if len(self._found) < MAX_ADDRESSES:
            self._found.setdefault(str(getattr(address, "host", "")), address)

    def resolutionComplete(self) -> None:
        """Hand them on."""
        for host in self._turns.order(self._found):
            self._receiver.addressResolved(self._found[host])
        self._receiver.resolutionComplete()
