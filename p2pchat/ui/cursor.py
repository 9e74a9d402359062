"""
The current conversation, and whom a command means that names nobody.

Pure.  Plain lines go to the current conversation.

- ``/to``, ``/connect`` and ``/accept`` choose it.  A conversation that begins by itself becomes it
  only if there never was one.
- When it ends, whoever ended it, there is none: what is being typed must not reach somebody else.
  It stays where what is typed waits for the same contact, unless our person ended it.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from p2pchat import events
from p2pchat.errors import WhoError
from p2pchat.peer.settings import ConversationInfo

OFFERED = "offered"  # the state of a ConversationInfo that waits for /accept
MAX_NAMED = 5  # people in one sentence
_ENDS = events.Disconnected | events.CallFailed | events.OfferEnded


@attrs.define
class Cursor:
    """
    The current conversation of one front end.

    :ivar current: peer id of the current conversation, or "".
    :ivar was_chosen: whether there ever was one, or somebody was looked for.
    :ivar last: id and name of whom the last event was about.
    """

    current: str = ""
    was_chosen: bool = False
    last: tuple[str, str] = ("", "")
    _rang: str = ""  # whose call was shown last
    _gone: str = ""  # its name, if that call has ended

    def follow(self, event: events.NodeEvent) -> str:
        """Take an event of the node; return who is to be current from now on."""
        if hasattr(event, "name") and hasattr(event, "peer_id"):
            self.last = (event.peer_id, event.name)
        if isinstance(event, events.OfferReceived) and (event.contact or not event.quiet):
            self._rang, self._gone = event.peer_id, ""
        elif isinstance(event, events.OfferEnded) and event.peer_id == self._rang:
            self._gone = event.name
        if isinstance(event, events.Connected) and not self.was_chosen:
            return event.peer_id
        is_over = isinstance(event, _ENDS) and event.peer_id == self.current
        return "" if is_over and not _goes_on(event) else self.current

    def only_offer(self, under_way: list[ConversationInfo]) -> str:
        """
        Return who is meant by an answer without a name: the one whose call the person saw.

        :raises WhoError: nobody, or nobody single.
        """
        waiting = [info for info in under_way if info.state == OFFERED]
        shown = _shown(waiting)
        known = [info for info in shown if info.contact]
        if not shown and waiting:
            raise WhoError("Only silent calls wait: /me lists them.")
        if not shown:
            raise WhoError("Nobody is calling.")
        gone, self._gone = self._gone, ""
        if gone:
            raise WhoError(f"{gone} no longer calls; name whom you mean: {names(shown)}.")
        if len(known) == 1:
            return known[0].peer_id  # strangers don't stand in a contact's way
        if len(shown) > 1:
            raise WhoError(f"Several are calling; name one of them: {names(known or shown)}.")
        return shown[0].peer_id


def _goes_on(event: events.NodeEvent) -> bool:
    """Tell whether lines for the one with whom something ended wait for a next time."""
    if not isinstance(event, events.Disconnected | events.CallFailed):
        return False
    return event.waits and not event.ours


def advice(under_way: list[ConversationInfo]) -> str:
    """Return what to do where there is no current conversation."""
    offers = _shown(info for info in under_way if info.state == OFFERED)
    if offers:
        return f"{names(offers)} is calling; /accept or /reject."
    others = [info for info in under_way if info.state != OFFERED]
    if others:
        return f"choose with /to WHO: {names(others)}."
    return "/connect WHO calls somebody, /peers lists who is online."


def names(conversations: list[ConversationInfo]) -> str:
    """Return the names of the first few, and how many there are beside."""
    shown = [_named(info) for info in conversations[:MAX_NAMED]]
    more = len(conversations) - MAX_NAMED
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _named(info: ConversationInfo) -> str:
    warning = ", not your contact" if info.mistaken_for else ""
    return f"{info.name} ({info.peer_id[:8]}{warning})"


def _shown(waiting: Iterable[ConversationInfo]) -> list[ConversationInfo]:
    """Return those whose calls were shown."""
    return [info for info in waiting if info.contact or not info.quiet]
