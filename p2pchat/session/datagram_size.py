"""
Size of the datagrams that a path carries (RFC 9000 section 14.3, RFC 8899), as far as it pays.

::

    BASE ── WORTH bytes were sent ──▶ SIZES, one after the other ── one isn't carried ──▶ settled
     ▲                                                               or all are
     ├── another path
     └── a black hole: what is large goes missing; it pays after AGAIN times as much, then

What is proved is used, and nothing else.  The probes are checks of the attempt
(:mod:`p2pchat.traversal.size_probe`).
"""

from __future__ import annotations

import attrs

from p2pchat.session.qh3_connection import DATAGRAM_SIZE

# Bytes of UDP payload: what IPv6 leaves of a WireGuard tunnel, of Ethernet, and of jumbo frames;
# and what is left of loopback where more makes nothing faster.  Checks have multiples of 4.
SIZES = (1372, 1452, 8952, 16_384)
WORTH = 128 * 1024  # bytes on one path, before a probe pays
AGAIN = 8  # times as many after each black hole, or after a probe without any answer


@attrs.define(eq=False)
class DatagramSize:
    """
    The machine of one path after another.

    :ivar proved: bytes that datagrams may have.
    """

    proved: int = DATAGRAM_SIZE
    _left: int = WORTH  # bytes to be sent before a probe
    _worth: int = WORTH
    _asked: int | None = None
    _is_settled: bool = False

    def path_changed(self) -> None:
        """Begin anew."""
        self.proved, self._left, self._worth = DATAGRAM_SIZE, WORTH, WORTH
        self._asked, self._is_settled = None, False

    def lost(self) -> None:
        """What is large goes missing."""
        self._worth *= AGAIN
        self.proved, self._left = DATAGRAM_SIZE, self._worth
        self._asked, self._is_settled = None, False

    def sent(self, octets: int) -> None:
        """Count what was sent."""
        self._left -= octets

    def next_probe(self) -> int | None:
        """Return, once, a size to be probed now."""
        if self._left > 0 or self._is_settled:
            return None
        self._asked = next(size for size in SIZES if size > self.proved)
        self._left = AGAIN * WORTH  # if nobody answers
        return self._asked

    def probed(self, size: int, is_carried: bool) -> bool:
        """Take what a probe found; tells whether that was the last one."""
        if size != self._asked:
            return False
        self._asked, self._left = None, 0
        if is_carried:
            self.proved = size
        self._is_settled = not is_carried or size == SIZES[-1]
        return self._is_settled
