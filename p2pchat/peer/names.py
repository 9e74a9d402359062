"""
Host names to IP addresses, in both address families.

Asks the reactor's name resolver, which ``/etc/hosts`` and search domains belong to.  A name that
has no address, or none in time, has none: who asked goes on without it.  A resolver that answers
late, or never, has no more than MAX_UNDER_WAY of our questions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from p2pchat.errors import RemoteProtocolError
from p2pchat.runtime import Runtime
from p2pchat.wire.addresses import parse_ip

RESOLVE_TIMEOUT = 3.0  # seconds
MAX_ADDRESSES = 16  # of one name; whoever has more has them for other reasons
MAX_UNDER_WAY = 8  # names; each may hold a thread for half a minute, and there are ten


@implementer(IResolutionReceiver)
@attrs.define(eq=False)
class _Receiver:
    """Collects the addresses of one name; ``done`` fires with them."""

    _ended: Callable[[], None]
    done: Deferred[list[str]] = attrs.Factory(Deferred)
    _found: dict[str, None] = attrs.Factory(dict)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Wait."""

    def addressResolved(self, address: IAddress) -> None:
        """Keep an address."""
        host = str(getattr(address, "host", "")).partition("%")[0]
        if len(self._found) < MAX_ADDRESSES:
            self._found[host] = None

    def resolutionComplete(self) -> None:
        """Tell what was found, unless nobody waits any more."""
        self._ended()
        if not self.done.called:
            self.done.callback(sorted(self._found, key=lambda host: ":" in host))


@attrs.define(eq=False)
class Names:
    """The names that somebody else gave us, and their addresses."""

    _runtime: Runtime
    _under_way: int = 0

    def addresses(self, name: str) -> Deferred[list[str]]:
        """
        Return a Deferred of the addresses that a name has, those of IPv4 first.

        It never fails, and fires within RESOLVE_TIMEOUT; an IP literal is its own address.
        """
        try:
            return succeed([str(parse_ip(name))])
        except RemoteProtocolError:
            pass
        if self._under_way >= MAX_UNDER_WAY:
            return succeed([])
        self._under_way += 1
        receiver = _Receiver(self._ended)
        resolver: Any = self._runtime.reactor.nameResolver
        resolver.resolveHostName(receiver, name)
        timed = receiver.done.addTimeout(RESOLVE_TIMEOUT, self._runtime.clock)
        return timed.addErrback(lambda _failure: [])

    def _ended(self) -> None:
        self._under_way -= 1
