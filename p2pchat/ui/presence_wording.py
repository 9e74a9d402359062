"""
Presence in words: what is known of somebody, and when it was seen; pure.

There is no word for "online": a link is open, or a registry said something a moment ago, or we
remember.
"""

from __future__ import annotations

import time

from p2pchat import events
from p2pchat.peer.presence import AWAY, REGISTERED
from p2pchat.peer.settings import ContactInfo
from p2pchat.ui import results
from p2pchat.ui.layout import day

_KNOWN = {REGISTERED: "registered", AWAY: "not registered"}


def presence_facts(info: ContactInfo) -> list[str]:
    """Return what a list says of a contact's presence, beside the state of a conversation."""
    facts = [_KNOWN[info.presence]] if info.presence in _KNOWN else []
    if info.presence in {"", AWAY} and info.last_seen:
        facts.append(f"last seen {seen_at(info.last_seen)}")
    return facts


def came(event: events.PresenceChanged, who: str) -> str:
    """Return that a contact has come."""
    since = f", last seen {seen_at(event.last_seen)}" if event.last_seen else ""
    return f"{who} is registered now{since}. /to writes, /connect calls."


def seen_at(when: float) -> str:
    """Return a time as people say it."""
    return f"at {time.strftime('%H:%M', time.localtime(when))} on {day(when)}"


def record_state(is_online: bool) -> str:
    """Return what a list of the registry says of somebody."""
    return "registered" if is_online else "registered, but can't be called now"


def switched(result: results.PrivacySwitches) -> list[str]:
    """Return rows about the switches."""
    receipts = "contacts see how far you have read, and you see it of them"
    typing = "contacts see that you type, and you see it of them"
    hidden = "on: no registry shows you; contacts can't call you, nor see that you are there"
    shown = "off: contacts see you registered, and can call you"
    return [
        f"  receipts on: {receipts}" if result.receipts else "  receipts off, in both directions",
        f"  typing on: {typing}" if result.typing else "  typing off, in both directions",
        f"  invisible {hidden if result.invisible else shown}",
    ]
