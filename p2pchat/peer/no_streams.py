"""Streams of a node whose links carry none: nothing can be opened, and nobody opens anything."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocol
from zope.interface import implementer

from p2pchat.errors import LinkLost
from p2pchat.interfaces.streams import IPeerStreams, StreamInfo


@implementer(IPeerStreams)
class NoStreams:
    """No streams."""

    def open(self, peer_id: str, service: str, protocol: IProtocol) -> Deferred[None]:
        """Fail."""
        return fail(LinkLost("this version opens no streams to others"))

    def accept(self, decide: Callable[[str, str], IProtocol | None]) -> None:
        """Never ask."""

    def watch(self, changed: Callable[[StreamInfo, bool], None]) -> None:
        """Never tell."""

    def close(self, peer_id: str, service: str = "") -> None:
        """End nothing."""

    def open_streams(self) -> list[StreamInfo]:
        """Return none."""
        return []
