"""
Proof of work that is required from unknown keys while the registry is under load.

A stranger is a key that wasn't registered here within KNOWN seconds.  The registry remembers no
challenge: the seed is its MAC over peer id, difficulty and expiry, so that a challenge that
comes back proves itself, for this peer and until it expires.  Work done once may be shown again
within that time by the same key, which is no stranger then anyway; by another it is worth nothing.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict

import attrs

from p2pchat.registry.admission.load import LoadMeter
from p2pchat.registry.refusals import Refused, refused
from p2pchat.wire.work import ALGORITHM, MIN_DIFFICULTY, SEED, Challenge, Work

KEY = 32  # random bytes
KNOWN = 3600.0  # seconds after its last registration that a key is no stranger
MAX_KNOWN = 100_000  # keys, about 200 bytes each; the one that registered longest ago goes
LIFETIME = 120  # seconds of a challenge; a slow machine may need twenty


@attrs.define
class ProofOfWork:
    """
    The proof-of-work policy of one process.

    ``now`` is in seconds on any clock that isn't set back, ``wall_time`` since 1970.

    :ivar capacity: keys that are remembered.
    """

    load: LoadMeter
    _key: bytes = attrs.field(repr=False)
    capacity: int = MAX_KNOWN
    _known: OrderedDict[str, float] = attrs.field(init=False, factory=OrderedDict)

    def __len__(self) -> int:
        return len(self._known)

    def is_required(self, peer_id: str, now: float) -> bool:
        """Tell whether this key must work for a registration."""
        return self.load.difficulty > 0 and not self._knows(peer_id, now)

    def verify(self, peer_id: str, work: Work | None, wall_time: float) -> None:
        """
        Check the work of a stranger.

        :raises Refused: it wasn't done, or not well; the refusal says what is to be done.
        """
        if work is None:
            detail = "many strangers register now: do the work in 'work' and register again"
        elif not self._is_ours(work.challenge, peer_id, wall_time):
            detail = "that work is for a challenge that has expired, or isn't this registry's"
        elif not work.is_done(peer_id):
            detail = "the nonce doesn't meet the challenge"
        else:
            return
        raise self._refusal(detail, peer_id, wall_time)

    def record(self, peer_id: str, now: float) -> None:
        """Remember a key that has registered."""
        if not self._knows(peer_id, now):
            self.load.count_stranger(now)
        self._known[peer_id] = now
        self._known.move_to_end(peer_id)
        if len(self._known) > self.capacity:
            self._known.popitem(last=False)

    def _knows(self, peer_id: str, now: float) -> bool:
        registered = self._known.get(peer_id)
        return registered is not None and now - registered < KNOWN

    def _refusal(self, detail: str, peer_id: str, wall_time: float) -> Refused:
        # The load may have ended while another process was asked.
        difficulty = max(self.load.difficulty, MIN_DIFFICULTY)
        expires = int(wall_time) + LIFETIME
        challenge = Challenge(
            ALGORITHM, self._seed(peer_id, difficulty, expires), difficulty, expires
        )
        return refused(429, "work-required", detail, retry_after=LIFETIME, work=challenge)

    def _is_ours(self, challenge: Challenge, peer_id: str, wall_time: float) -> bool:
        seed = self._seed(peer_id, challenge.difficulty, challenge.expires)
        genuine = hmac.compare_digest(seed, challenge.seed)
        return genuine and challenge.difficulty >= MIN_DIFFICULTY and wall_time <= challenge.expires

    def _seed(self, peer_id: str, difficulty: int, expires: int) -> bytes:
        terms = f"{peer_id} {difficulty} {expires}".encode("ascii")
        return hmac.digest(self._key, terms, hashlib.sha256)[:SEED]
