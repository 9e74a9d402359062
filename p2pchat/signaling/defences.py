"""
What stands between strangers and the registry: rates, and work under pressure.

Owns the order in which a request pays::

    unsigned   a token of its address (reads)
    signed     a token of its address (documents), before the signature is checked; then
               room in the bucket of its key; where the document was taken, a token of that
    stranger   under pressure, work, beside the above

A key pays only for what was taken: whoever has got hold of a document of somebody's can't use that
one's tokens up by showing it again.
"""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from p2pchat.signaling.lag import LagProbe
from p2pchat.signaling.pressure import GRACE, Pressure
from p2pchat.signaling.rates import Rates, TokenBuckets
from p2pchat.signaling.refusals import refused
from p2pchat.signaling.toll import Toll


class Defences:
    """
    The buckets of one process, and its toll.

    Call :meth:`start` for the event loop to be watched, and :meth:`stop` after.

    :param work_from: strangers a second from which on they must work; 0: never.
    :param key: random bytes, the same in all processes that share a store.
    """

    def __init__(self, clock: IReactorTime, rates: Rates, work_from: float, key: bytes) -> None:
        self._clock = clock
        self._documents = TokenBuckets(rates.documents)
        self._keys = TokenBuckets(rates.keys)
        self._reads = TokenBuckets(rates.reads)
        self.lag = LagProbe(clock)
        self.toll = Toll(Pressure(work_from, clock.seconds() + GRACE), key)

    def start(self) -> None:
        """Begin to watch the event loop."""
        self.lag.start()

    def stop(self) -> None:
        """Watch it no more."""
        self.lag.stop()

    def measure(self, share: float) -> None:
        """Take the share of the directory that is taken, about once a second."""
        self.toll.pressure.measure(share, self.lag.lag, self._clock.seconds())

    def admit(self, address: str) -> None:
        """
        Count a request with a document.

        :raises Refused: this address sends too many.
        """
        _refuse(self._documents.take(address, self._clock.seconds()), "your address")

    def admit_read(self, address: str) -> None:
        """
        Count a request without a document.

        :raises Refused: this address sends too many.
        """
        _refuse(self._reads.take(address, self._clock.seconds()), "your address")

    def admit_key(self, peer_id: str) -> None:
        """
        Let a document of this key pass.

        :raises Refused: too many were taken.
        """
        _refuse(self._keys.wait(peer_id, self._clock.seconds()), "your key")

    def charge_key(self, peer_id: str) -> None:
        """Count a document that was taken."""
        self._keys.take(peer_id, self._clock.seconds())


def _refuse(wait: float, whose: str) -> None:
    if wait > 0:
        detail = f"too many requests from {whose}: slow down"
        raise refused(429, "too-many-requests", detail, retry_after=int(wait) + 1)
