"""
Renewal of a link's connection: both ends go on under new keys, each with the size that it wants.

::

    QUIET ── wanted ──▶ ASKING ── all is acknowledged, RENEW goes out ──▶ ASKED ── heard ──▶ QUIET
      │                    │ RENEW came                                     │ the same, unless
      └────── RENEW came ──┴──▶ ANSWERING ── all is acknowledged ──▶ QUIET  ▼ we dialed

The new keys have packet numbers and streams from 0 on.  So nothing may be under way: whoever isn't
QUIET writes nothing, and goes on when all that it wrote is acknowledged.  That costs two round
trips in which nothing is written.  If both ask at once, the side that dialed does not answer.
"""

from __future__ import annotations

from enum import Enum

import attrs

from p2pchat.errors import RemoteProtocolError

MOST = 256  # renewals of a link that a side may ask for; each makes the other a packet core


class RenewalStage(Enum):
    """Stage of a renewal."""

    QUIET = "quiet"
    ASKING = "asking"
    ASKED = "asked"
    ANSWERING = "answering"


@attrs.define(eq=False)
class Renewal:
    """
    The machine of one link's renewals.

    :ivar dials: whether our side sent the first flight.
    :ivar secret: what the new keys are made from, while there is one.
    """

    dials: bool
    stage: RenewalStage = RenewalStage.QUIET
    secret: bytes = attrs.field(default=b"", repr=False)
    _asks: int = 0  # by us
    _asked: int = 0  # by the other side

    @property
    def is_quiet(self) -> bool:
        """Whether the link may be written to."""
        return self.stage is RenewalStage.QUIET

    def want(self, secret: bytes) -> None:
        """Ask for it as soon as all is acknowledged, unless one is under way or they are many."""
        if self.is_quiet and self._asks < MOST:
            self.stage, self.secret = RenewalStage.ASKING, secret

    def ask(self) -> None:
        """Note that RENEW goes out."""
        self.stage, self._asks = RenewalStage.ASKED, self._asks + 1

    def receive(self, secret: bytes) -> None:
        """
        Take RENEW.

        :raises RemoteProtocolError: it was answered, or they were too many.
        """
        self._asked += 1
        if self.stage is RenewalStage.ANSWERING or self._asked > MOST:
            raise RemoteProtocolError("RENEW again")
        if self.stage is not RenewalStage.ASKED or not self.dials:
            self.stage, self.secret = RenewalStage.ANSWERING, secret

    def done(self) -> None:
        """Both ends have gone on, or are about to."""
        self.stage, self.secret = RenewalStage.QUIET, b""
