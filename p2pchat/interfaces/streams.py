"""The seam of streams: what services ride on, over the links to peers."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from zope.interface import Interface


@attrs.frozen
class StreamInfo:
    """
    One open stream of a service.

    :ivar is_ours: whether we opened it, at their service.
    :ivar opened_at: seconds, by the node's steady clock.
    :ivar received: bytes that came.
    :ivar sent: bytes that went.
    :ivar number: of this stream among all of the node.
    """

    peer_id: str
    service: str
    is_ours: bool
    opened_at: float
    received: int = 0
    sent: int = 0
    number: int = 0


class IPeerStreams(Interface):
    """
    The streams of one node, both ways.

    A protocol gets a transport that is ITransport, IPushProducer and IConsumer, and has
    ``loseWriteConnection`` and ``abortConnection`` as TCP's, with addresses of
    :mod:`p2pchat.peer.peer_address`.  It is lost with
    ``ConnectionDone``, with ``ConnectionLost`` for a reset, and with ``StreamLost``, which is
    both a ``ConnectionLost`` and a ``LinkLost``, where the link was lost.
    """

    def open(peer_id: str, service: str, protocol: IProtocol) -> Deferred[None]:
        """
        Open a stream on the link that is open to a peer.

        A Deferred fires when it was accepted and the protocol has its transport; it fails with
        ``NotGranted``, the same for unknown and forbidden; with ``LinkLost``, where there is none
        or it ended; or with ``TooManyStreams``.
        """

    def accept(decide: Callable[[str, str], IProtocol | None]) -> None:
        """
        Let this decide on streams that peers open: by peer id and service, its protocol or None.

        None refuses, with the same words after the same time, whatever the reason.
        """

    def watch(changed: Callable[[StreamInfo, bool], None]) -> None:
        """Let this know of each stream that was accepted (True), and that has ended (False)."""

    def close(peer_id: str, service: str = "") -> None:
        """End open streams of a peer at once, those of one service or all."""

    def open_streams() -> list[StreamInfo]:
        """Return what is open now."""
