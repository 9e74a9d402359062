"""
Probe of a size that a candidate pair may carry (RFC 8899, with checks as probe packets).

::

    PROBING ── a padded check is answered by as much ──▶ CARRIED
       ├────── CONTROLS small ones were answered, and no padded one ──▶ LOST, or FRAGMENTED
       └────── LONGEST is over, or the round ──▶ UNDECIDED

The first padded check goes out alone.  Each one after it has a small check beside it, its control:
loss and long queues meet both alike, so only a path that small ones pass and large ones don't is
found to lose that size, however lossy or slow it is.  Where it may, it sends from the DOUBT on a
third one, which routers may fragment: if those are answered, that is how the size gets through.

The answer may be fragmented on its way, and the probe not: a side finds out what it can send.

Where BASE_SIZE doesn't pass whole, a search by halves tells people what does.
"""

from __future__ import annotations

from enum import Enum

import attrs

# Bytes of UDP payload that a path must carry, BASE_PLPMTU of QUIC (RFC 9000 section 14.1).
BASE_SIZE = 1200
CONTROLS = 10  # where p of the round trips succeed, ((1 - p) / (2 - p)) ** CONTROLS are judged
# wrongly: one in 12,000 for 0.36, which is a loss of 40 % each way
DOUBT = 3  # controls that were answered
INTERVAL = 0.05  # seconds from one padded check to the next
FIRST_WAIT = 1.25  # round-trip times from the first one to the second, and INTERVAL at least
MAX_SENT = 60  # padded checks; of a path that answers one in six they suffice
LONGEST = 3.0  # seconds, and LONGEST_RTTS round-trip times
LONGEST_RTTS = 3
LEAST = 128  # bytes; small checks have about as many
GRAIN = 4  # bytes, of which padded checks have a multiple


class ProbeState(Enum):
    """State of a probe."""

    PROBING = "probing"
    CARRIED = "carried"
    FRAGMENTED = "fragmented"
    LOST = "lost"
    UNDECIDED = "undecided"


@attrs.define(eq=False)
class SizeProbe:
    """
    The machine of one probe.

    :ivar size: bytes of UDP payload.
    :ivar rtt: seconds of a round trip.
    :ivar enough: controls that have to be answered.
    :ivar due: when the next padded check is to go out; ``None``: no more.
    :ivar sent: padded checks that went out.
    """

    size: int
    rtt: float
    _may_fragment: bool
    _began: float
    enough: int = CONTROLS
    due: float | None = attrs.field(init=False)
    sent: int = 0
    state: ProbeState = ProbeState.PROBING
    _controls: int = 0  # small checks beside padded ones that were answered
    _was_short: bool = False  # a padded check has had a small answer
    _is_fragmented: bool = False  # one that could be fragmented was answered

    def __attrs_post_init__(self) -> None:
        self.due = self._began

    @property
    def _ends(self) -> float:
        return self._began + LONGEST + LONGEST_RTTS * self.rtt

    @property
    def has_control(self) -> bool:
        """Whether a small check goes out beside the next padded one."""
        return self.sent > 0

    @property
    def tries_fragments(self) -> bool:
        """Whether one that may be fragmented goes out beside it."""
        return self._may_fragment and self._controls >= DOUBT

    def is_on(self, now: float) -> bool:
        """Tell whether it goes on; it ends here when its time is over."""
        if now >= self._ends:
            self.end()
        return self.due is not None

    def check_sent(self, now: float) -> None:
        """Note that a padded check went out."""
        wait = INTERVAL if self.sent else max(INTERVAL, FIRST_WAIT * self.rtt)
        self.sent += 1
        self.due = self._ends if self.sent >= MAX_SENT else now + wait

    def held_back(self, wait: float, now: float) -> None:
        """Note that none could go out now."""
        self.due = now + wait

    def take(self, asked: int, octets: int, could_fragment: bool, now: float) -> bool:
        """
        Take the answer to one of its checks; tells whether that decides it.

        :param asked: bytes that the answer should have; 0 for a control's.
        :param octets: bytes that it has.
        :param could_fragment: whether routers were allowed to fragment the check.
        """
        before = self.state
        if not asked:
            self._control_answered()
        elif octets >= self.size:
            self._padded_answered(could_fragment)
        elif not self._was_short and self.due is not None:
            # The other side hadn't had our answer to its own check; by now it has.
            self._was_short, self.due = True, now
        return self.state is not before

    def _padded_answered(self, could_fragment: bool) -> None:
        self._is_fragmented = self._is_fragmented or could_fragment
        if not could_fragment:
            self._decide(ProbeState.CARRIED)

    def _control_answered(self) -> None:
        self._controls += 1
        if self._controls >= self.enough and self.state is ProbeState.PROBING:
            self._decide(ProbeState.FRAGMENTED if self._is_fragmented else ProbeState.LOST)

    def end(self) -> None:
        """Send no more."""
        if self.state is ProbeState.PROBING:
            self._decide(ProbeState.UNDECIDED)

    def _decide(self, state: ProbeState) -> None:
        self.state, self.due = state, None


@attrs.define
class SizeSearch:
    """
    The search for the largest size that passes whole, below one that doesn't.

    :ivar carried: bytes of UDP payload that do; 0 while none is known.
    """

    carried: int = 0
    _lost: int = BASE_SIZE

    def take(self, probe: SizeProbe) -> None:
        """Take what a probe has found."""
        if probe.state is ProbeState.CARRIED:
            self.carried = max(self.carried, probe.size)
        else:
            self._lost = min(self._lost, probe.size)

    def next_size(self) -> int | None:
        """Return what is to be probed; ``None``: it is over."""
        least = max(self.carried, LEAST)
        size = (least + self._lost) // 2 // GRAIN * GRAIN
        return size if size > least else None

    def next_probe(self, rtt: float, now: float) -> SizeProbe | None:
        """Return the next probe, judged after DOUBT controls: people only read the outcome."""
        size = self.next_size()
        return None if size is None else SizeProbe(size, rtt, False, now, DOUBT)
