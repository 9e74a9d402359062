"""A front end that keeps what it is to show."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock

from p2pchat.interfaces import INode
from p2pchat.runtime import Runtime
from p2pchat.ui.stdio import FrontEnd


class ListingFrontEnd(FrontEnd):
    """
    Joined to a node and to no terminal.

    :ivar shown: events and answers, oldest first.
    :ivar left: how often it was asked to leave.
    """

    def __init__(self, node: INode) -> None:
        super().__init__(Runtime(None, cast(Any, Clock()), lambda: 0.0, bytes, list))
        self.shown: list[Any] = []
        self.left = 0
        self.join(node, self._leave)

    def show(self, value: Any) -> None:
        """Keep it."""
        self.shown.append(value)

    def _leave(self) -> None:
        self.left += 1
