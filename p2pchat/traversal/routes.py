"""
Which attempt takes what comes over a route.

An attempt *hears* a route that an authentic check came over, and has *proved* one that answered a
check of its own.  Traffic from a route goes to whoever proved it, and only where nobody did to
whoever hears it: the other side of an attempt could forge the source of a check, and would have
what a friend sends from there.  Of several of a kind the last to do so has it.
"""

from __future__ import annotations

import attrs

from p2pchat.traversal.datagrams import Route


@attrs.define
class RouteTable:
    """The routes of all attempts of an agent."""

    _heard: dict[Route, dict[str, None]] = attrs.Factory(dict)
    _proved: dict[Route, dict[str, None]] = attrs.Factory(dict)

    def add(self, route: Route, ufrag: str, proved: bool) -> None:
        """An attempt hears this route, or has proved it."""
        for table in (self._heard, self._proved) if proved else (self._heard,):
            table.setdefault(route, {})[ufrag] = None

    def owner(self, route: Route) -> str | None:
        """Return the attempt that takes what comes from there."""
        for table in (self._proved, self._heard):
            if route in table:
                return next(reversed(table[route]))
        return None

    def remove(self, route: Route, ufrag: str) -> None:
        """An attempt takes nothing from there any more."""
        for table in (self._heard, self._proved):
            ufrags = table.get(route, {})
            ufrags.pop(ufrag, None)
            if not ufrags:
                table.pop(route, None)
