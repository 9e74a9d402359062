"""
Used nonces, against replay: none is taken twice while its document is fresh.

Bounded, and never forgetful before time: when it is full of nonces that may still come back, a
new one is refused.  To forget the oldest instead would let whoever sends enough documents have an
old one accepted again.

A nonce is kept as a digest of 16 bytes, in the bucket of the time at which its document becomes
stale; a bucket is dropped as a whole.
"""

from __future__ import annotations

from hashlib import blake2b

import attrs

from p2pchat.errors import ReplayedDocument, TooManyDocuments

MAX_USED = 100_000  # nonces, in the memory of a peer; about 120 bytes each
BUCKET = 10.0  # seconds; how much longer than needed a nonce may be kept


@attrs.define
class UsedNonces:
    """
    A memory of used nonces, by issuer.

    :ivar capacity: nonces that are remembered at the same time.
    """

    capacity: int = MAX_USED
    _buckets: dict[int, set[bytes]] = attrs.field(init=False, factory=dict)
    _count: int = attrs.field(init=False, default=0)
    _oldest: float = attrs.field(init=False, default=float("inf"))  # when the next bucket goes

    def __len__(self) -> int:
        return self._count

    def use(self, issuer: str, nonce: str, until: float, now: float) -> None:
        """
        Take a nonce and remember it.

        :param until: when its document is stale at the latest, on the clock of ``now``.
        :raises ReplayedDocument: it was taken before.
        :raises TooManyDocuments: no more can be remembered.
        """
        if self._oldest < now:
            self._drop(now)
        digest = _digest(issuer, nonce)
        for bucket in self._buckets.values():
            if digest in bucket:
                raise ReplayedDocument()
        if self._count >= self.capacity:
            raise TooManyDocuments()
        number = int(until // BUCKET)
        self._buckets.setdefault(number, set()).add(digest)
        self._oldest = min(self._oldest, (number + 1) * BUCKET)
        self._count += 1

    def forget(self, issuer: str, nonce: str, until: float) -> None:
        """Give a nonce back that was taken for nothing."""
        bucket = self._buckets.get(int(until // BUCKET), set())
        digest = _digest(issuer, nonce)
        self._count -= digest in bucket
        bucket.discard(digest)

    def _drop(self, now: float) -> None:
        for number in [one for one in self._buckets if (one + 1) * BUCKET < now]:
            self._count -= len(self._buckets.pop(number))
        self._oldest = (min(self._buckets) + 1) * BUCKET if self._buckets else float("inf")


def _digest(issuer: str, nonce: str) -> bytes:
    # An issuer is a UUID, so that the space can't be part of it.
    return blake2b(f"{issuer} {nonce}".encode(), digest_size=16).digest()
