"""
A node where nobody is to be asked: calls that a person would have to accept are refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import attrs

from p2pchat.errors import WhoError
from p2pchat.events import NodeEvent, OfferReceived
from p2pchat.interfaces import INode


@attrs.frozen(eq=False)
class Unattended:
    """
    The answer to calls while nobody is there.

    :ivar is_attended: tells whether somebody is.
    """

    _node: INode
    _is_attended: Callable[[], bool]

    def __call__(self, event: NodeEvent) -> None:
        """Take an event of the node."""
        if isinstance(event, OfferReceived) and not event.accepted and not self._is_attended():
            with contextlib.suppress(WhoError):  # it was taken back meanwhile
                self._node.reject(event.peer_id)
