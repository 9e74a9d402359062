"""The seams of transfers of files: towards front ends, and what is kept of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from zope.interface import Interface

if TYPE_CHECKING:  # the values that pass a seam belong to the layers on its sides
    from p2pchat.peer.settings import TransferInfo
    from p2pchat.peer.storage.kept_transfers import KeptFile, KeptTransfer


class ITransfers(Interface):
    """
    The transfers of a node; what becomes of them are events.

    A transfer is meant by ``#N``, its number here, or by its id or eight digits of that.
    """

    def send(argument: str, current: str) -> Deferred[TransferInfo]:
        """
        Offer a file or a folder to a peer.

        A Deferred fails with ``TransferRefused`` where it can't be read, and with ``WhoError``.

        :param argument: its path, and perhaps whom it is for: the longest beginning that is there
            is the path, and a path in quotation marks is that.
        :param current: id of whom it is for where nobody is named, or "".
        """

    def find(which: str, peer_id: str = "") -> TransferInfo | None:
        """
        Return the transfer meant, of those that wait for our person where a peer is meant.

        :raises TransferRefused: several are meant.
        """

    def accept(number: int) -> None:
        """Take what is offered; raises ``TransferRefused`` where it isn't."""

    def refuse(number: int) -> None:
        """Want nothing of it; raises ``TransferRefused`` where it isn't offered."""

    def cancel(number: int) -> None:
        """End a transfer for good, of either direction; what came of it is removed."""

    def all() -> list[TransferInfo]:
        """Return those that are under way or wait, oldest first."""


class ITransferStore(Interface):
    """
    Memory of one node's transfers.

    Every Deferred fails with :class:`p2pchat.errors.StorageFailed` where the store can't do it now.
    Changes take effect in the order in which they are made.
    """

    def load() -> Deferred[list[KeptTransfer]]:
        """Return a Deferred of all, oldest first; called once."""

    def put(kept: KeptTransfer) -> Deferred[None]:
        """Keep a transfer, or what it is now, but for its files; fires when it is committed."""

    def put_files(kept: KeptTransfer, files: Mapping[int, KeptFile]) -> Deferred[None]:
        """Keep what has come of some files; fires when it is committed."""

    def remove(kept: KeptTransfer) -> Deferred[None]:
        """Forget a transfer."""
