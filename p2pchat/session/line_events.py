"""
Events of front ends, made of what a conversation tells of its lines.

A session knows with whom the conversation is; the rest is in the conversation's own event.
"""

from __future__ import annotations

from p2pchat import events
from p2pchat.session import conversation_events as talk
from p2pchat.traversal.report import in_ms
from p2pchat.wire.references import DELETE, EDIT, REPLY

_MEMBERS = {REPLY: "reply_to", EDIT: "edits", DELETE: "deletes"}  # of MessageSent, by kind


def line_event(peer_id: str, name: str, event: talk.LineEvent) -> events.SessionEvent:
    """Return the event of one peer."""
    match event:
        case talk.Received(id, text, sent_at, kind, reply_to):
            return events.MessageReceived(peer_id, name, id, text, sent_at, kind, reply_to=reply_to)
        case talk.Sent(id, text, kind, refers):
            about = {_MEMBERS[kind]: refers} if kind in _MEMBERS else {}
            return events.MessageSent(peer_id, id, text, **about)
        case talk.Changed(id, change, kind, text, sent_at):
            if kind == DELETE:
                return events.MessageDeleted(peer_id, name, id, change, sent_at)
            return events.MessageEdited(peer_id, name, id, change, sent_at, text)
        case _:
            return _their_state(peer_id, name, event)


def _their_state(
    peer_id: str, name: str, event: talk.Delivered | talk.LinesRead | talk.Paused
) -> events.SessionEvent:
    """Return the event of what their side has, has read, or doesn't take."""
    match event:
        case talk.Delivered(id, seconds):
            return events.MessageDelivered(peer_id, id, in_ms(seconds))
        case talk.LinesRead(id):
            return events.MessagesRead(peer_id, id)
        case talk.Paused(until):
            return events.DeliveryPaused(peer_id, name, until)
