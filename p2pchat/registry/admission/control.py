"""
Admission control of one process: rate limits, and proof of work under load.

::

    request    a token of its address, whatever it asks for and before that is looked at: of those
               for documents, for watching, or for all the rest
    document   beside that, room in the bucket of its key; where it was taken, a token of that
    stranger   under load, proof of work, beside the above

A key pays only for what was taken: whoever has got hold of a document of somebody's can't use that
one's tokens up by showing it again.
"""

from __future__ import annotations

import attrs
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from p2pchat.registry.admission.load import GRACE, LoadMeter
from p2pchat.registry.admission.proof_of_work import ProofOfWork
from p2pchat.registry.admission.rates import Rates, TokenBuckets
from p2pchat.registry.refusals import Refused, refused
from p2pchat.runtime import cancel

INTERVAL = 1.0  # seconds between two measurements of the event loop

# By the first word of a path: what a load balancer and Prometheus ask for, and what needs a
# signature.
_WATCHED = frozenset({b"healthz", b"metrics"})
_SIGNED = frozenset(
    {(b"POST", b"register"), (b"POST", b"deliver"), (b"DELETE", b"peer"), (b"GET", b"events")}
    | {(b"POST", b"claim"), (b"POST", b"complete"), (b"DELETE", b"nameplate")}
    | {(b"POST", word) for word in (b"prekeys", b"mailbox", b"acknowledge")}
    | {(b"GET", b"mail")}
)

ADDRESS, KEY = (
    refused(429, "too-many-requests", f"too many requests from {whose}: slow down")
    for whose in ("your address", "your key")
)


@attrs.define(eq=False)
class EventLoopLag:
    """
    Measures from :meth:`start` to :meth:`stop`.

    :ivar seconds: by how many the last timer came too late.
    """

    _clock: IReactorTime
    seconds: float = attrs.field(init=False, default=0.0)
    _timer: IDelayedCall | None = attrs.field(init=False, default=None)

    def start(self) -> None:
        """Begin to measure."""
        self._timer = self._clock.callLater(INTERVAL, self._due, self._clock.seconds() + INTERVAL)

    def _due(self, when: float) -> None:
        self.seconds = max(0.0, self._clock.seconds() - when)
        self.start()

    def stop(self) -> None:
        """Measure no more."""
        cancel(self._timer)


class AdmissionControl:
    """
    The rate limits and the proof-of-work policy of one process.

    :ivar lag: that of the event loop, to be started and stopped.
    :param work_from: strangers a second from which on they must work; 0: never.
    :param key: random bytes, the same in all processes that share a store.
    """

    def __init__(self, clock: IReactorTime, rates: Rates, work_from: float, key: bytes) -> None:
        self._clock = clock
        self._documents = TokenBuckets(rates.documents)
        self._keys = TokenBuckets(rates.keys)
        self._reads = TokenBuckets(rates.reads)
        self._watching = TokenBuckets(rates.watching)
        self._guesses = TokenBuckets(rates.nameplates)
        self._ids = TokenBuckets(rates.presence)
        self.lag = EventLoopLag(clock)
        self.proof_of_work = ProofOfWork(LoadMeter(work_from, clock.seconds() + GRACE), key)

    def measure(self, share: float) -> None:
        """Take the share of the directory that is taken, about once a second."""
        self.proof_of_work.load.measure(share, self.lag.seconds, self._clock.seconds())

    def admit(self, method: bytes, path: bytes, address: str) -> None:
        """
        Count a request.

        :raises Refused: this address sends too many of its kind.
        """
        word = path[1:].partition(b"/")[0]
        if (method, word) in _SIGNED:
            buckets = self._documents
        else:
            buckets = self._watching if word in _WATCHED else self._reads
        wait = buckets.take(address, self._clock.seconds())
        if wait:
            _refuse(wait, ADDRESS)

    def admit_guess(self, address: str) -> None:
        """
        Let an address name a nameplate that it need not know.

        :raises Refused: it was wrong too often.
        """
        _refuse(self._guesses.wait(address, self._clock.seconds()), ADDRESS)

    def count_guess(self, address: str) -> None:
        """Count a nameplate that nobody has."""
        self._guesses.take(address, self._clock.seconds())

    def admit_ids(self, address: str, count: int) -> None:
        """
        Let an address ask whether so many peers are online.

        :raises Refused: it asks about too many.
        """
        _refuse(self._ids.take(address, self._clock.seconds(), count), ADDRESS)

    def admit_key(self, peer_id: str) -> None:
        """
        Let a document of this key pass.

        :raises Refused: too many were taken.
        """
        _refuse(self._keys.wait(peer_id, self._clock.seconds()), KEY)

    def count_key(self, peer_id: str) -> None:
        """Count a document that was taken."""
        self._keys.take(peer_id, self._clock.seconds())


def _refuse(wait: float, refusal: Refused) -> None:
    if wait > 0:
        retry_after = {"Retry-After": str(int(wait) + 1)}
        raise Refused(refusal.problem, retry_after, refusal.body)
