"""
Log lines of a node's events: when the registry was there, and how calls and talks went.

Peers stand there by their ids; no address, no name and nothing that anybody said.
"""

from __future__ import annotations

import attrs
from twisted.logger import Logger

from p2pchat import events
from p2pchat.wire.visible import visible

_log = Logger()

_LINES = {
    events.Starting: "p2pchat {event.version} starts: peer {event.peer_id}, "
    "registry {event.server}, state {state}",
    events.Registered: "registered at {event.server}",
    events.RegistryLost: "registry lost: {reason}",
    events.Calling: "calling {event.peer_id}, attempt {event.attempt}",
    events.OfferReceived: "{call} of {event.peer_id}",
    events.OfferEnded: "call of {event.peer_id} ended: {reason}",
    events.CallFailed: "call to or of {event.peer_id} ended: {reason}",
    events.Disconnected: "conversation with {event.peer_id} ended: {reason}",
    events.PathFound: "path to {event.peer_id} after {event.milliseconds:.0f} ms: "
    "{event.local} to {event.remote}",
    events.PathLost: "path to {event.peer_id} lost",
    events.Connected: "conversation with {event.peer_id} {begun}",
}


@attrs.define
class EventLog:
    """The log of a node's events."""

    _registry_lost: bool = False

    def __call__(self, event: events.NodeEvent) -> None:
        """Take an event of the node."""
        if isinstance(event, events.RegistryLost) and self._registry_lost:
            return  # said once; every vain try would be noise
        if isinstance(event, events.Registered | events.RegistryLost):
            self._registry_lost = isinstance(event, events.RegistryLost)
        if type(event) in _LINES:
            _log.info(
                _LINES[type(event)],
                event=event,
                reason=visible(getattr(event, "reason", "")),
                state=visible(getattr(event, "state", "")) or "in memory",
                call="call accepted" if getattr(event, "accepted", False) else "call",
                begun="resumed" if getattr(event, "resumed", False) else "begun",
            )
