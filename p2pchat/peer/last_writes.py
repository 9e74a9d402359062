"""The last writes of a node that ends: a disk that hangs is left behind."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from p2pchat.interfaces import IMessageStore

LAST_WRITES = 0.5  # seconds more for a disk that hangs

_log = Logger()


def close_store(store: IMessageStore, clock: IReactorTime) -> Deferred[None]:
    """Let what waits be written, for a while."""
    closed: Deferred[None] = store.close()
    return closed.addTimeout(LAST_WRITES, clock, _leave_disk)


def _leave_disk(_failure: object, seconds: float) -> None:
    _log.error("the disk took more than {seconds} s: what wasn't stored is lost", seconds=seconds)
