"""
Host names to IP addresses, in both address families.

Asks the reactor's name resolver, which ``/etc/hosts`` and search domains belong to.  A name that
has no address, or none in time, has none: who asked goes on without it.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from p2pchat.errors import RemoteProtocolError
from p2pchat.runtime import Runtime
from p2pchat.wire.addresses import Family, family, parse_ip

RESOLVE_TIMEOUT = 3.0  # seconds


@implementer(IResolutionReceiver)
@attrs.define(eq=False)
class _Receiver:
    """Collects the addresses of one name; ``done`` fires with them, the first of each family."""

    done: Deferred[list[str]] = attrs.Factory(Deferred)
    _found: dict[Family, str] = attrs.Factory(dict)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Wait."""

    def addressResolved(self, address: IAddress) -> None:
        """Keep an address."""
        host = str(getattr(address, "host", "")).partition("%")[0]
        self._found.setdefault(family(host), host)

    def resolutionComplete(self) -> None:
        """Tell what was found, unless nobody waits any more."""
        if not self.done.called:
            self.done.callback(sorted(self._found.values(), key=lambda host: ":" in host))


def resolve(runtime: Runtime, name: str) -> Deferred[list[str]]:
    """
    Return a Deferred of one address of each family that a name has, the IPv4 one first.

    It never fails, and fires within RESOLVE_TIMEOUT; an IP literal is its own address.
    """
    try:
        return succeed([str(parse_ip(name))])
    except RemoteProtocolError:
        receiver = _Receiver()
        resolver: Any = runtime.reactor.nameResolver
        resolver.resolveHostName(receiver, name)
        timed = receiver.done.addTimeout(RESOLVE_TIMEOUT, runtime.clock)
        return timed.addErrback(lambda _failure: [])
