"""Values that pass between a call and its session: what it says, and word of its documents."""

from __future__ import annotations

import attrs

from p2pchat.traversal.pairs import Path
from p2pchat.wire.documents import PeerDocument


@attrs.frozen
class DeliveryFailure:
    """
    A document that the registry didn't deliver, and what it said of that.

    :ivar reason: the registry's word, such as ``peer-offline``.
    :ivar explanation: a sentence for the person.
    :ivar retry_after: seconds after which it wants to be asked again, if it said so.
    """

    body: PeerDocument
    reason: str
    explanation: str
    retry_after: float | None = None


@attrs.frozen
class SendDocument:
    """A document is to be signed and delivered."""

    body: PeerDocument


@attrs.frozen
class AttemptBegan:
    """An offer goes out."""

    attempt: int


@attrs.frozen
class PeerRings:
    """The other side is asking its person."""


@attrs.frozen
class ChecksBegan:
    """Checks go out to these addresses of the other side."""

    addresses: tuple[str, ...]


@attrs.frozen
class Agreed:
    """
    Both descriptions are there: :meth:`Call.check` is to follow, with our flight of a new link.

    :ivar session: the name of the link that is to be made, unless ``continues``.
    :ivar secret: for its handshake.
    :ivar continues: whether both sides still hold the link that the offer named.
    :ivar dials: whether our side makes the link's first flight: the answering side does.
    :ivar flight: the other side's, if that made it.
    :ivar trip: seconds that a document and its answer take, 0 while unknown.
    """

    session: str
    secret: bytes = attrs.field(repr=False)
    continues: bool
    dials: bool
    flight: tuple[bytes, ...]
    trip: float = 0.0


@attrs.frozen
class StreamDoubted:
    """The registry took our offer, and no answer came: our event stream may be dead."""


@attrs.frozen
class PathReady:
    """
    The checks found a path.

    :ivar session: the name of the link that was to be made, unless ``continues``.
    """

    session: str
    path: Path
    continues: bool


@attrs.frozen
class CallEnded:
    """
    The call ended without a path.

    :ivar reason: a word of :class:`p2pchat.events.CallFailed`.
    :ivar explanation: a sentence for the person.
    """

    reason: str
    explanation: str


CallEvent = (
    SendDocument
    | AttemptBegan
    | PeerRings
    | Agreed
    | ChecksBegan
    | StreamDoubted
    | PathReady
    | CallEnded
)
