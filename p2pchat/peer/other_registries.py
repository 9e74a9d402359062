"""
Registries where we aren't registered: asked for a while, and left.

An invitation may be for one, and a contact may be found at one.  Each is made when it is wanted,
and closed when it was wanted by nobody for IDLE: so a connection serves the requests of one
errand, and none stays open to a registry that isn't ours.

Refuses what is no URL of a registry, and more than MAX_OTHERS at once: contacts choose where they
are found, and so where our requests go.  How near such a registry may be is the business of
:mod:`p2pchat.peer.registry_location`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from p2pchat.errors import RegistryError, RemoteProtocolError
from p2pchat.interfaces import ISignaling
from p2pchat.runtime import cancel
from p2pchat.wire.addresses import Scope
from p2pchat.wire.documents import MAX_SERVER
from p2pchat.wire.origins import origin, registry_url

IDLE = 60.0  # seconds; a request may take half of it, and a registry is asked again within a call
MAX_OTHERS = 16  # at once; each may have a few connections, and nobody is called at that many

_log = Logger()


def lawful_url(url: str) -> str:
    """Return the URL of a registry that a program wrote, without a final slash; "" for none."""
    try:
        found = registry_url(url) if "://" in url else ""
    except RemoteProtocolError:
        return ""
    return found if len(found) <= MAX_SERVER else ""


def is_same_registry(name: str, server: str) -> bool:
    """Tell whether a way of signaling is the registry at a URL."""
    try:
        return name == server or origin(name) == origin(server)
    except RemoteProtocolError:
        return False


@attrs.define
class _Other:
    """One of them."""

    signaling: ISignaling
    timer: IDelayedCall | None = None


@attrs.define(eq=False)
class OtherRegistries:
    """
    The other registries of one node.

    :ivar make: makes a way to a registry, by its URL, that may be as near as this.
    :ivar nearest: returns how near one may be that a contact names.
    """

    make: Callable[[str, Scope], ISignaling]
    nearest: Callable[[], Scope]
    _clock: IReactorTime
    _kept: dict[tuple[str, Scope], _Other] = attrs.Factory(dict)  # by URL, and how near it may be

    def at(self, server: str, nearest: Scope | None = None) -> ISignaling:
        """
        Return a way to a registry, which isn't started.

        :param nearest: how near it may be; None: as near as one may be that a contact names.
        :raises RegistryError: it can't be asked.
        """
        wanted = self._wanted(server, nearest)
        found = self._kept.get(wanted)
        if found is None:
            if len(self._kept) >= MAX_OTHERS:
                raise RegistryError(
                    f"{MAX_OTHERS} other registries are asked already: try again in a minute",
                    retry_after=IDLE,
                )
            found = self._kept[wanted] = _Other(self.make(*wanted))
        cancel(found.timer)
        found.timer = self._clock.callLater(IDLE, self._leave, wanted)
        return found.signaling

    def take(self, server: str, nearest: Scope | None = None) -> ISignaling:
        """
        Return a way to a registry that is left here no more; it is to be started.

        :param nearest: as above.
        :raises RegistryError: as above.
        """
        signaling = self.at(server, nearest)
        wanted = self._wanted(server, nearest)
        cancel(self._kept.pop(wanted).timer)
        return signaling

    def _wanted(self, server: str, nearest: Scope | None) -> tuple[str, Scope]:
        url = lawful_url(server)
        if not url:
            raise RegistryError(f"{server[:MAX_SERVER]!r} is no URL of a registry")
        return url, self.nearest() if nearest is None else nearest

    def _leave(self, which: tuple[str, Scope]) -> None:
        stopped = self._kept.pop(which).signaling.stop()
        stopped.addErrback(lambda failure: _log.failure("leaving a registry", failure))

    def stop(self) -> Deferred[Any]:
        """Leave them all; a Deferred fires when all is closed."""
        kept, self._kept = self._kept, {}
        for one in kept.values():
            cancel(one.timer)
        return DeferredList([one.signaling.stop() for one in kept.values()], consumeErrors=True)
