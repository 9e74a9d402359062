"""
Verification of a link: words that two people compare, and that are the same only if nobody is
between them.

::

    IDLE, COMPARED ──COMMIT, or our person──▶ COMMITTED ──COMMIT──▶ REVEALED ──REVEAL──▶ COMPARED

    COMMIT   SHA-256(LABEL | 0x01 | own public key | own nonce)
    REVEAL   own nonce, 32 random bytes; sent when both commitments are known
    words    of SHA-256(LABEL | 0x00 | channel binding | lower key | higher key
                        | nonce of the lower key's side | of the higher's)

Each side is bound to its nonce before it knows the other's: so whoever is between the two, with a
link to each, has one guess.  Words made of the keys alone could be forged: keys that make the same
words are found in seconds.  The channel binding is that of this link's TLS session.

Refuses a nonce that isn't the one that was committed to, and what comes out of order.  A round that
the other side wants within INTERVAL of the last one waits, since each puts words before our person.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import Enum
from hashlib import sha256

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.messages import Commitment, Reveal

LABEL = b"p2pchat 1 verification"
NONCE = 32  # bytes
INTERVAL = 10.0  # seconds from one round to the next that the other side wants


class VerificationStage(Enum):
    """Stages of a round."""

    IDLE = "idle"
    COMMITTED = "committed"  # our commitment is out
    REVEALED = "revealed"  # theirs is here, and our nonce out
    COMPARED = "compared"  # the words are known


@attrs.define(eq=False)
class Verification:
    """
    The rounds of one link after another.

    :ivar compared: takes what the words are made of.
    """

    _key: bytes
    _random_bytes: Callable[[int], bytes]
    compared: Callable[[bytes], None]
    stage: VerificationStage = VerificationStage.IDLE
    _their_key: bytes = b""
    _binding: bytes = b""
    _nonce: bytes = attrs.field(default=b"", repr=False)
    _theirs: bytes | None = None  # their commitment
    _since: float = float("-inf")  # when the last round began
    _outgoing: deque[Commitment | Reveal] = attrs.Factory(deque)

    def link_opened(self, binding: bytes, their_key: bytes) -> None:
        """Begin anew, on a link that is proved."""
        self.stage, self._theirs = VerificationStage.IDLE, None
        self._binding, self._their_key = binding, their_key
        self._outgoing.clear()

    def start(self, now: float) -> None:
        """Begin a round for our person; one that is under way goes on."""
        if self.stage in {VerificationStage.IDLE, VerificationStage.COMPARED}:
            self._begin(now)

    def _begin(self, now: float) -> None:
        self._nonce, self._since = self._random_bytes(NONCE), now
        self.stage = VerificationStage.COMMITTED
        self._outgoing.append(Commitment(_commitment(self._key, self._nonce)))
        self._reveal()

    def _reveal(self) -> None:
        if self._theirs is not None:
            self.stage = VerificationStage.REVEALED
            self._outgoing.append(Reveal(self._nonce))

    def receive(self, message: Commitment | Reveal, now: float) -> None:
        """
        Take what the other side says.

        :raises RemoteProtocolError: it is out of order, or isn't what was committed to.
        """
        if isinstance(message, Reveal):
            self._compare(message.nonce)
            return
        if self._theirs is not None:
            raise RemoteProtocolError("COMMIT twice in a round")
        self._theirs = message.commitment
        if self.stage is VerificationStage.COMMITTED:
            self._reveal()
        else:
            self.beat(now)

    def beat(self, now: float) -> None:
        """Take part in the round that the other side wants, if it is time for another."""
        is_wanted = self._theirs is not None and self.stage is not VerificationStage.REVEALED
        if is_wanted and now >= self._since + INTERVAL:
            self._begin(now)

    def _compare(self, nonce: bytes) -> None:
        if self.stage is not VerificationStage.REVEALED:
            raise RemoteProtocolError("REVEAL before both have committed")
        if _commitment(self._their_key, nonce) != self._theirs:
            raise RemoteProtocolError("REVEAL of another nonce than was committed to")
        self.stage, self._theirs = VerificationStage.COMPARED, None
        sides = sorted([(self._key, self._nonce), (self._their_key, nonce)])
        keys, nonces = (b"".join(one) for one in zip(*sides, strict=True))
        self.compared(sha256(LABEL + b"\x00" + self._binding + keys + nonces).digest())

    def next_message(self) -> Commitment | Reveal | None:
        """Return, and forget, what goes out next."""
        return self._outgoing.popleft() if self._outgoing else None


def _commitment(key: bytes, nonce: bytes) -> bytes:
    return sha256(LABEL + b"\x01" + key + nonce).digest()
