"""
Datagrams of one side's part in a QUIC handshake, kept to be sent again until it is done.

A flight is sent again when a path is found, and then at growing distances::

    sent ──FIRST_WAIT──▶ again ──2 x──▶ again ... at most REPEATS times

The copies are the very datagrams, so that they need no new packet: QUIC drops what it has had.
That helps where QUIC can't help itself: what was sent before there was a path never arrived, and
lost packets can bring qh3's client into a state in which it sends nothing any more, although RFC
9002 section 6.2.2.1 wants a probe.  Data beyond MAX_KEPT datagrams is QUIC's own to send again.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

MAX_KEPT = 12  # datagrams; a flight of the handshake has at most four, the rest are first words
FIRST_WAIT = 0.25  # seconds; QUIC's own probe comes sooner where the path is known to be faster
REPEATS = 6  # times that time alone sends it again; the last one 16 seconds after the first


@attrs.define
class Flight:
    """The datagrams that one side has sent during the handshake."""

    _kept: list[bytes] = attrs.Factory(list)
    _repeats: int = 0
    _at: float | None = None  # when to send it again
    _is_due: bool = False

    def sent(self, datagrams: Sequence[bytes], now: float) -> None:
        """Keep what has just been sent."""
        self._kept += datagrams[: MAX_KEPT - len(self._kept)]
        if self._kept and self._at is None and not self._repeats:
            self._at = now + FIRST_WAIT

    def send_again(self) -> None:
        """Let all of it go out again at once: it may reach the other side now."""
        self._is_due = bool(self._kept)

    def take_due(self) -> list[bytes]:
        """Return, once, what is to be sent again."""
        due, self._is_due = self._kept if self._is_due else [], False
        return list(due)

    def forget(self) -> None:
        """Drop it: the handshake is done."""
        self._kept, self._at, self._is_due = [], None, False
        self._repeats = REPEATS

    def handle_timer(self, now: float) -> None:
        """Let the flight go out again, if it is time."""
        if self._at is not None and now >= self._at:
            self._is_due = True
            self._repeats += 1
            wait = FIRST_WAIT * 2**self._repeats
            self._at = now + wait if self._repeats < REPEATS else None

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` has something to do."""
        return self._at
