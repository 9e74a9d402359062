"""
Location of a registry, by the addresses that our connections to it have.

Its name may lead to another address at any time, and whoever runs it decides where.  So its scope
is that of the farthest address that a connection is open to, or was last; a name that only a proxy
looks up counts as far.  Over ``http://`` nothing proves who answers: a registry that was on the
internet isn't asked at an address in our network later, where somebody else would get our requests.
One that only a contact named is asked at no address that is nearer than our own registries are: or
a contact could make this program ask machines of our network, or this one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import Scope, readable_ip, scope
from p2pchat.wire.origins import host as host_of

_NEAREST_FIRST = (Scope.LOOPBACK, Scope.UNUSABLE, Scope.PRIVATE, Scope.GLOBAL)


@attrs.define
class RegistryLocation:
    """
    The location of one registry.

    :ivar server: its URL.
    :ivar warn: takes a sentence for the person.
    :ivar nearest: how near it may be.
    """

    server: str
    warn: Callable[[str], None]
    nearest: Scope = Scope.LOOPBACK
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
        if not is_far_enough(where, self.nearest):
            return (
                f"its name leads to {host}, which is nearer to you than your own registries are; a "
                "contact named it, and it is used only where you give it to --server"
            )
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


def is_far_enough(where: Scope, nearest: Scope) -> bool:
    """Tell whether an address of this scope is no nearer than it may be."""
    if nearest is Scope.LOOPBACK:
        return True
    return where is not Scope.UNUSABLE and _NEAREST_FIRST.index(where) >= _NEAREST_FIRST.index(
        nearest
    )


def scope_of_url(url: str) -> Scope:
    """Return how near the host of a registry's URL is, by its address; a name counts as far."""
    return _scope(host_of(url).strip("[]"))


def nearest_of(scopes: Iterable[Scope]) -> Scope:
    """Return the nearest of some scopes."""
    return min(scopes, key=_NEAREST_FIRST.index, default=Scope.GLOBAL)


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
