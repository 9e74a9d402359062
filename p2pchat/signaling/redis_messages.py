"""
What the processes of one registry tell each other through Redis, words with spaces between::

    deliver {request} {instance} {peer} {document}   put this on the peer's stream, then answer
    answer {request} {0, 1 or 2}                     no live stream; one took it; one had no room
    end {peer} {serial} {event}                      end this stream of the peer with this event

Only processes of the registry can write to Redis; still, what can't be read is nothing.
"""

from __future__ import annotations

import attrs

from p2pchat.signaling.directory import Delivery

_ANSWERS = (Delivery.OFFLINE, Delivery.TAKEN, Delivery.FULL)
EVENTS = frozenset({"superseded", "removed"})


@attrs.frozen
class Deliver:
    """A document for a peer whose stream hangs on the reader."""

    request: int
    instance: str
    peer_id: str
    token: str

    def encode(self) -> str:
        """Write it."""
        return f"deliver {self.request} {self.instance} {self.peer_id} {self.token}"


@attrs.frozen
class Answer:
    """What became of a document: OFFLINE, TAKEN or FULL."""

    request: int
    delivery: Delivery

    def encode(self) -> str:
        """Write it."""
        return f"answer {self.request} {_ANSWERS.index(self.delivery)}"


@attrs.frozen
class End:
    """The end of a stream that hangs on the reader; the scripts write it."""

    peer_id: str
    serial: int
    event: str


def read(text: str) -> Deliver | Answer | End | None:
    """Read a message; None: it is none."""
    match text.split(" "):
        case ["deliver", request, instance, peer_id, token] if request.isdigit():
            return Deliver(int(request), instance, peer_id, token)
        case ["answer", request, "0" | "1" | "2" as delivery] if request.isdigit():
            return Answer(int(request), _ANSWERS[int(delivery)])
        case ["end", peer_id, serial, event] if serial.isdigit() and event in EVENTS:
            return End(peer_id, int(serial), event)
    return None
