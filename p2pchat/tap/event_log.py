"""
What a node's events leave in the log: when the registry was there, and how calls and talks went.

Peers stand there by their ids; no address, no name and nothing that anybody said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
from twisted.logger import Logger

from p2pchat.peer import events
from p2pchat.wire.visible import visible

_log = Logger()


@attrs.define
class EventLog:
    """Writes a line for each event that is worth one."""

    _registry_lost: bool = False

    def __call__(self, event: Any) -> None:
        """Take an event of the node."""
        write = _LINES.get(type(event))
        if write is not None:
            write(self, event)

    def _starting(self, event: events.Starting) -> None:
        _log.info(
            "p2pchat {version} starts: peer {peer_id}, registry {server}, state {state}",
            version=event.version,
            peer_id=event.peer_id,
            server=event.server,
            state=visible(event.state) or "in memory",
        )

    def _registered(self, event: events.Registered) -> None:
        self._registry_lost = False
        _log.info("registered at {server}", server=event.server)

    def _lost_registry(self, event: events.RegistryLost) -> None:
        if not self._registry_lost:  # said once; every vain try would be noise
            self._registry_lost = True
            _log.info("registry lost: {reason}", reason=visible(event.reason))

    def _calling(self, event: events.Calling) -> None:
        _log.info("calling {peer_id}, attempt {n}", peer_id=event.peer_id, n=event.attempt)

    def _offered(self, event: events.OfferReceived) -> None:
        what = "call accepted" if event.accepted else "call"
        _log.info("{what} of {peer_id}", what=what, peer_id=event.peer_id)

    def _offer_ended(self, event: events.OfferEnded) -> None:
        self._ended("call of", event.peer_id, event.reason)

    def _failed(self, event: events.CallFailed) -> None:
        self._ended("call to or of", event.peer_id, event.reason)

    def _disconnected(self, event: events.Disconnected) -> None:
        self._ended("conversation with", event.peer_id, event.reason)

    def _ended(self, what: str, peer_id: str, reason: str) -> None:
        _log.info(
            "{what} {peer_id} ended: {reason}", what=what, peer_id=peer_id, reason=visible(reason)
        )

    def _path(self, event: events.PathFound) -> None:
        _log.info(
            "path to {peer_id} after {milliseconds:.0f} ms: {local} to {remote}",
            peer_id=event.peer_id,
            milliseconds=event.milliseconds,
            local=event.local,
            remote=event.remote,
        )

    def _path_lost(self, event: events.PathLost) -> None:
        _log.info("path to {peer_id} lost", peer_id=event.peer_id)

    def _connected(self, event: events.Connected) -> None:
        what = "resumed" if event.resumed else "begun"
        _log.info("conversation with {peer_id} {what}", peer_id=event.peer_id, what=what)


_LINES: dict[type, Callable[[EventLog, Any], None]] = {
    events.Starting: EventLog._starting,
    events.Registered: EventLog._registered,
    events.RegistryLost: EventLog._lost_registry,
    events.Calling: EventLog._calling,
    events.OfferReceived: EventLog._offered,
    events.OfferEnded: EventLog._offer_ended,
    events.CallFailed: EventLog._failed,
    events.Disconnected: EventLog._disconnected,
    events.PathFound: EventLog._path,
    events.PathLost: EventLog._path_lost,
    events.Connected: EventLog._connected,
}
