"""
Liveness of a link: heartbeats, overdue answers, round-trip time, and idle time before a loss.

What is sent and wants an answer, a PING or a line, is expected to be answered within SUSPICION, or
SUSPICION_RTTS round-trip times where those are longer.  An answer that is overdue is told again at
growing distances, each time for the owner to check the path; SILENT_BEATS heartbeats without an
answer are silence.  Whatever the other side sends, MAX_PONGS of PONG and one PING wait to go out.

Owns no decision about path or link: it measures.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from p2pchat.traversal.keepalive import Keepalive
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.round_trips import RTT_WEIGHT
from p2pchat.wire.messages import Ping, Pong

SUSPICION = 0.4  # seconds without an answer before the path is checked, and ...
SUSPICION_RTTS = 4  # ... at least that many round-trip times
SUSPICION_BACKOFF = 2.0  # each check of the path waits that many times longer than the last
MAX_SUSPICION = 15.0  # seconds, longest wait between two checks of the path
SILENT_BEATS = 3
UNANSWERED = 3  # suspicions in a row without an acknowledgement, though something comes: of a path
# that loses 60 % one way one in 30 lines is so unlucky, and a check has to pass then, too
MAX_PONGS = 8  # newest PINGs of theirs that will be answered; SILENT_BEATS of them suffice


@attrs.define(eq=False)
class Liveness:
    """
    The machine of one link's liveness.

    :ivar rtt: smoothed round-trip time in seconds, 0 while unknown.
    """

    rtt: float = 0.0
    _pongs: deque[int] = attrs.Factory(lambda: deque(maxlen=MAX_PONGS))
    _pings: dict[int, float] = attrs.Factory(dict)  # when each was sent
    _next_ping: int = 1
    _ping_due: bool = False
    _line_sent_at: float | None = None  # the last one, while any is unanswered
    _answered_at: float = 0.0  # when the newest PING that was answered was sent
    _suspect_at: float | None = None
    _suspicion: float = SUSPICION
    _measured_from: float = 0.0  # what was sent before tells nothing of the path
    _was_overdue: bool = False  # the answer that was measured last

    def link_ended(self) -> None:
        """Expect nothing any more; the round-trip time stays."""
        self._pongs.clear()
        self._pings.clear()
        self._ping_due, self._line_sent_at = False, None
        self._suspect_at, self._suspicion = None, SUSPICION

    def path_changed(self, now: float, rtt: float = 0.0) -> None:
        """Measure anew, from what its checks measured: times and silence were another path's."""
        self.rtt, self._measured_from = rtt, now
        self._pings.clear()

    # -- what goes out

    def beat(self, now: float) -> bool:
        """Make a PING due; tells whether SILENT_BEATS of them went unanswered."""
        is_silent = len(self._pings) >= SILENT_BEATS
        if is_silent:
            self._pings.clear()
        self._pings[self._next_ping] = now
        self._next_ping += 1
        self._ping_due = True
        self._expect(now)
        return is_silent

    def next_message(self, now: float) -> Ping | Pong | None:
        """Return, and forget, what goes out next."""
        if self._pongs:
            return Pong(self._pongs.popleft())
        if not self._ping_due:
            return None
        number, self._ping_due = self._next_ping - 1, False
        self._pings[number] = now
        return Ping(number)

    def line_sent(self, now: float) -> None:
        """A line went out: its receipt is expected."""
        self._line_sent_at = now
        self._expect(now)

    # -- what comes in

    def receive_ping(self, ping: Ping) -> None:
        """Owe a PONG."""
        self._pongs.append(ping.number)

    def receive_pong(self, pong: Pong, now: float) -> bool:
        """Take a PONG; tells whether it answers a PING of ours."""
        self._notice_pause(now)
        sent_at = self._pings.pop(pong.number, None)
        if sent_at is not None:
            self._measure(sent_at, now)
            self._answered_at = max(self._answered_at, sent_at)
            self._pings = {number: at for number, at in self._pings.items() if number > pong.number}
        self.relax(now)
        return sent_at is not None

    def lines_confirmed(self, sent_at: Iterable[float], are_all: bool, now: float) -> None:
        """
        Take what a receipt says.

        :param sent_at: when each of the lines went out on this link.
        :param are_all: whether no line is unanswered now.
        """
        self._notice_pause(now)
        for when in sent_at:  # they don't measure, since a receipt waits for a reader
            self._counts(when, now)
        if are_all:
            self._line_sent_at = None
        self.relax(now)

    def _notice_pause(self, now: float) -> None:
        """
        Measure nothing that was under way when an overdue answer comes: one of us slept.

        Only if the next answer is overdue, too, the path has become slower.
        """
        if self._is_overdue(now) and not self._was_overdue:
            self._measured_from, self._was_overdue = now, True

    def _counts(self, sent_at: float, now: float) -> bool:
        """Tell whether an answer to what was sent then says something of the path."""
        counts = sent_at >= self._measured_from
        if counts:
            self._was_overdue = self._is_overdue(now)
        return counts

    def _measure(self, sent_at: float, now: float) -> None:
        if self._counts(sent_at, now):
            rtt = now - sent_at
            self.rtt += (rtt - self.rtt) * RTT_WEIGHT if self.rtt else rtt

    # -- overdue answers

    def _expect(self, now: float) -> None:
        """An answer is due from now on."""
        if self._suspect_at is None:
            self._suspect_at = now + max(self._suspicion, SUSPICION_RTTS * self.rtt)

    def relax(self, now: float) -> None:
        """Something was answered: what is still open gets its full time again."""
        self._suspect_at, self._suspicion = None, SUSPICION
        line = self._line_sent_at
        if self._pings or (line is not None and line > self._answered_at):
            self._expect(now)

    def _is_overdue(self, now: float) -> bool:
        """Tell whether what is answered now was waited for too long."""
        late = self._suspect_at is not None and now >= self._suspect_at
        return late or self._suspicion > SUSPICION

    def handle_timer(self, now: float) -> bool:
        """Tell whether an answer is overdue, for the first time or again."""
        if self._suspect_at is None or now < self._suspect_at:
            return False
        self._suspect_at = None
        self._suspicion = min(self._suspicion * SUSPICION_BACKOFF, MAX_SUSPICION)
        self._expect(now)
        return True

    def get_timer(self) -> float | None:
        """Return when :meth:`handle_timer` wants to be called."""
        return self._suspect_at


@attrs.define
class IdleTracker:
    """
    For how long a path carried nothing before it failed, as evidence for the keepalive.

    Only a failure after an idle time is evidence of a NAT that forgets early
    (:mod:`p2pchat.traversal.keepalive`).  Silence is noticed only when something stays
    unanswered: the time of the first suspicion counts, less what it waited for.
    """

    _keepalive: Keepalive
    _heard_at: float | None = None
    _suspected_at: float | None = None  # for the first time since then
    _unanswered: int = 0  # suspicions since anything was acknowledged
    _lost: tuple[float, float] | None = None  # for how long it had been idle, and when

    def heard(self, now: float) -> None:
        """Something came over the link."""
        self._heard_at, self._suspected_at = now, None

    def answered(self) -> None:
        """It acknowledges something that we sent; or else what isn't went over another path."""
        self._unanswered = 0

    def has_heard(self, since: float) -> bool:
        """Tell whether anything came since then."""
        return self._heard_at is not None and self._heard_at >= since

    def suspected(self, now: float) -> bool:
        """Something should have been answered by now; tells whether it should have before."""
        was_suspected = self._suspected_at is not None
        if not was_suspected:
            self._suspected_at = now
        self._unanswered += 1
        return was_suspected

    @property
    def is_unanswered(self) -> bool:
        """Whether whatever comes acknowledges nothing any more."""
        return self._unanswered >= UNANSWERED

    def moved(self, before: Path | None, after: Path, now: float) -> None:
        """Checks moved the path; it counts if but their port is another."""
        if before is None or before.is_relayed or after.is_relayed:
            return
        if before.address[0] == after.address[0] and before.address != after.address:
            self._keepalive.path_moved(self._idle(now), now)

    def lost(self, now: float) -> None:
        """The path gives no answer any more."""
        idle = 0.0 if self._suspected_at is None else self._idle(self._suspected_at)
        self._lost = (idle, now)

    def revived(self) -> None:
        """The path was only slow."""
        self._lost = None

    def found(self, now: float) -> None:
        """There is a path again."""
        lost, self._lost = self._lost, None
        if lost is not None:
            self._keepalive.path_found_anew(*lost, now)

    def _idle(self, until: float) -> float:
        return 0.0 if self._heard_at is None else max(0.0, until - self._heard_at - SUSPICION)
