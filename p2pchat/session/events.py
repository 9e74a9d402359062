"""
What a dialogue tells its node, and the node its user interface: one value an event.

The classes are a stable interface: ``--json`` prints each as one object whose ``event`` is the
class's NAME and whose members are its fields.  Fields may be
added; none is renamed or removed.

``peer_id`` is proved by a signature, ``name`` is what the peer calls itself and proves nothing.
``milliseconds`` count from the person's command or the incoming offer that began it all.
"""

from __future__ import annotations

from typing import ClassVar

import attrs


@attrs.frozen
class Calling:
    """
    An offer goes out: attempt ``attempt`` of ``attempts``.

    ``attempts`` is 0 where a path is looked for while a conversation is open: a lost one, until
    patience ends, or a better one than a relay's.
    """

    NAME: ClassVar[str] = "calling"

    peer_id: str
    name: str
    attempt: int
    attempts: int


@attrs.frozen
class Rings:
    """The other side got the offer and a person is being asked."""

    NAME: ClassVar[str] = "ringing"

    peer_id: str
    name: str


@attrs.frozen
class OfferReceived:
    """Somebody wants to talk; where ``accepted`` is false, a person must say ``/accept``."""

    NAME: ClassVar[str] = "offer"

    peer_id: str
    name: str
    accepted: bool


@attrs.frozen
class Checking:
    """Both sides' candidates are known and checks are under way."""

    NAME: ClassVar[str] = "checking"

    peer_id: str
    name: str
    addresses: tuple[str, ...]


@attrs.frozen
class PathFound:
    """A check was answered: this path carries the conversation from now on."""

    NAME: ClassVar[str] = "path"

    peer_id: str
    name: str
    local: str  # candidate type of our end: host, srflx, prflx, relay
    remote: str  # candidate type of the other end
    address: str
    milliseconds: float
    rtt_ms: float


@attrs.frozen
class Connected:
    """The other side proved who it is; what is typed arrives now."""

    NAME: ClassVar[str] = "connected"

    peer_id: str
    name: str
    milliseconds: float
    resumed: bool  # the conversation went on where it was; nobody needs to be told twice


@attrs.frozen
class MessageSent:
    """A line of ours is in the log and goes out as soon as there is a path."""

    NAME: ClassVar[str] = "sent"

    peer_id: str
    id: str
    text: str


@attrs.frozen
class MessageReceived:
    """A line of theirs, exactly once, in order."""

    NAME: ClassVar[str] = "message"

    peer_id: str
    name: str
    id: str
    text: str
    sent_at: float  # seconds since 1970 by the author's clock


@attrs.frozen
class MessageDelivered:
    """The other side has this line of ours."""

    NAME: ClassVar[str] = "delivered"

    peer_id: str
    id: str
    milliseconds: float  # since it was sent


@attrs.frozen
class PathLost:
    """Nothing comes through any more; a new path is being looked for."""

    NAME: ClassVar[str] = "path_lost"

    peer_id: str
    name: str
    reason: str


@attrs.frozen
class Disconnected:
    """
    A conversation ended.

    ``reason`` is ``left`` (they said so), ``closed`` (we did), ``lost`` (patience ended) or a word
    of the chat protocol or of a refusal.
    """

    NAME: ClassVar[str] = "disconnected"

    peer_id: str
    name: str
    reason: str
    undelivered: int  # lines of ours that the other side never confirmed


@attrs.frozen
class CallFailed:
    """
    No conversation came of a call, or a lost path couldn't be replaced.

    ``reason`` is a word: ``unknown-peer``, ``peer-offline``, ``declined``, ``cancelled``, ``busy``,
    ``no-answer``, ``no-path``, ``registry``, ``not-proved``, ``unsupported-version``, or another
    one of a refusal.
    """

    NAME: ClassVar[str] = "failed"

    peer_id: str
    name: str
    reason: str
    explanation: str  # what was tried, why it failed, what to do


@attrs.frozen
class OfferEnded:
    """An incoming offer that nobody had accepted yet is gone."""

    NAME: ClassVar[str] = "offer_ended"

    peer_id: str
    name: str
    reason: str


DialogueEvent = (
    Calling
    | Rings
    | OfferReceived
    | Checking
    | PathFound
    | Connected
    | MessageSent
    | MessageReceived
    | MessageDelivered
    | PathLost
    | Disconnected
    | CallFailed
    | OfferEnded
)
