"""
Loss of a stream together with its link, as a protocol of Twisted is told it.

Stands here and not beside the other errors, because those are imported by programs that do without
Twisted (:mod:`p2pchat.attach`).
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost

from p2pchat.errors import LinkLost


class StreamLost(LinkLost, ConnectionLost):
    """The link to them was lost, and with it what was open on it."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.sentence()
