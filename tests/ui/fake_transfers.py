"""Transfers of files that a test makes up."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from p2pchat.interfaces import ITransfers
from p2pchat.peer.settings import TransferInfo


@implementer(ITransfers)
@attrs.define
class FakeTransfers:
    """
    Transfers that are only remembered.

    :ivar asked: takes what is asked.
    :ivar infos: those that there are.
    :ivar result: what sending gives, or fails with.
    """

    asked: list[tuple[Any, ...]]
    infos: list[TransferInfo] = attrs.Factory(list)
    result: TransferInfo | Exception | None = None

    def send(self, argument: str, current: str) -> Deferred[TransferInfo]:
        """Remember it."""
        self.asked.append(("send file", argument, current))
        found: Deferred[Any] = (
            fail(self.result) if isinstance(self.result, Exception) else succeed(self.result)
        )
        return found

    def find(self, which: str, peer_id: str = "") -> TransferInfo | None:
        """Return the first of those."""
        for one in self.infos:
            is_offered = one.state == "offered" and peer_id in {"", one.peer_id}
            if which == f"#{one.number}" or (not which and is_offered):
                return one
        return None

    def accept(self, number: int) -> None:
        """Remember it."""
        self.asked.append(("accept files", number))

    def refuse(self, number: int) -> None:
        """Remember it."""
        self.asked.append(("refuse files", number))

    def cancel(self, number: int) -> None:
        """Remember it."""
        self.asked.append(("cancel files", number))

    def all(self) -> list[TransferInfo]:
        """Return all."""
        return self.infos
