"""
Ways to peers: by which one of signaling each was heard or found last.

A way may take an offer and deliver it to nobody: its registry lies, or the peer's event stream
there is dead without anybody knowing.  So it is remembered how many offers a way has taken since
the peer was heard last, and the ways that took the fewest are tried first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

import attrs

MAX_ROUTES = 1000  # peers of whom it is known by which way they were found or last heard

_Way = TypeVar("_Way")


@attrs.define
class _KnownWay:
    """Knowledge of one peer."""

    name: str = ""  # of a way
    unanswered: Counter[str] = attrs.Factory(Counter)  # offers, by the names of ways


@attrs.define(eq=False)
class KnownWays:
    """The ways to peers of one node."""

    _routes: dict[str, _KnownWay] = attrs.Factory(dict)  # by peer

    def best(self, peer_id: str) -> str:
        """Return the name of the way by which a peer was heard or found last, or ""."""
        route = self._routes.get(peer_id)
        return "" if route is None else route.name

    def found(self, peer_id: str, name: str) -> None:
        """A way has found a peer, or taken a document for it."""
        self._of(peer_id).name = name

    def heard(self, peer_id: str, name: str) -> None:
        """A document of a peer came by a way: whatever was offered has arrived."""
        route = self._of(peer_id)
        route.name = name
        route.unanswered.clear()

    def offered(self, peer_id: str, name: str) -> None:
        """A way took an offer."""
        route = self._of(peer_id)
        route.name = name
        route.unanswered[name] += 1

    def in_order(
        self, peer_id: str, ways: Iterable[_Way], name_of: Callable[[_Way], str]
    ) -> list[_Way]:
        """Return ways in their order, but first those that took the fewest offers in vain."""
        route = self._routes.get(peer_id)
        if route is None or not route.unanswered:
            return list(ways)
        return sorted(ways, key=lambda one: route.unanswered[name_of(one)])

    def _of(self, peer_id: str) -> _KnownWay:
        route = self._routes.pop(peer_id, None) or _KnownWay()
        if len(self._routes) >= MAX_ROUTES:
            del self._routes[next(iter(self._routes))]
        self._routes[peer_id] = route
        return route
