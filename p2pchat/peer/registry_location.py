"""
Location of a registry, by the addresses that our connections to it have.

Its name may lead to another address at any time, and whoever runs it decides where.  So its scope
is that of the farthest address that a connection is open to, or was last; a name that only a proxy
looks up counts as far.  Over ``http://`` nothing proves who answers: a registry that was on the
internet isn't asked at an address in our network later, where somebody else would get our requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import Scope, readable_ip, scope

_NEAREST_FIRST = (Scope.LOOPBACK, Scope.UNUSABLE, Scope.PRIVATE, Scope.GLOBAL)


@attrs.define
class RegistryLocation:
    """
    The location of one registry.

    :ivar server: its URL.
    :ivar warn: takes a sentence for the person.
    """

    server: str
    warn: Callable[[str], None]
    _open: Counter[Scope] = attrs.Factory(Counter)
    _last: Scope = Scope.GLOBAL
    _was_global: bool = False  # over http://

    @property
    def scope(self) -> Scope:
        """How near it is."""
        found = [one for one in _NEAREST_FIRST if self._open[one]]
        return found[-1] if found else self._last

    def opened(self, host: str) -> str:
        """Note a connection to this address; returns why it can't be used, or ""."""
        where = _scope(host)
        self._open[where] += 1
        if not self.server.lower().startswith("http:"):
            return ""
        if where is not Scope.GLOBAL and self._was_global:
            return (
                f"its name led to a public address before and leads to {host} now, in your own "
                "network; if that is right, start this program anew"
            )
        if where is Scope.GLOBAL and not self._was_global:
            self._was_global = True
            self.warn(
                f"{self.server} is http:// {_way_in_words(host)} "
                "can read whom you call, and can answer in the registry's place; what you say to "
                "people stays secret; use https:// if the registry has it"
            )
        return ""

    def closed(self, host: str) -> None:
        """A connection to this address is gone."""
        self._last = _scope(host)
        self._open[self._last] -= 1


def _way_in_words(host: str) -> str:
    """Return who is on the way to this address, or to a name that a proxy looks up."""
    if readable_ip(host):
        return f"to a public address ({host}): whoever is on the way"
    return "through a proxy: that, and whoever is on the way behind it,"


def _scope(host: str) -> Scope:
    try:
        return scope(host)
    except RemoteProtocolError:
        return Scope.GLOBAL
