"""
The way that the event streams of one registry take, by when what comes down them arrives.

Pure.  Between a peer and its registry there may be an antivirus, a proxy or a firewall that

holds back
    what the registry sends, for a time or until there is enough of it.  ``ready`` and each comment
    say how long the stream has been live (docs/protocol.rst), so lateness shows without any clock
    but our own: it is measured from the request for the stream, less one round trip.  Where nothing
    comes at all, padding is asked for: most proxies that buffer pass on what fills their buffer.

ends streams
    after a time without anything (``proxy_read_timeout``), mostly longer than SHORT_KEEPALIVE, or
    after a time altogether.  Of streams that end at the same age, twice running, shorter keepalives
    are asked for where that is young; where that doesn't help, they are to be opened anew before
    that age, unless that would be every few seconds.

loses them in silence
    as a router does that was started anew.  Comments show how often something comes: when nothing
    has come for that long, LATE and some round trips more, the stream is dead.  Where what comes is
    late, silence says nothing, and SILENCE has to do.

The person reads a sentence, once for each of the first two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import attrs

from p2pchat.peer.event_stream import SILENCE
from p2pchat.traversal.round_trips import TRIPS

LATE = 3.0  # seconds; two people whose registry is so far away wait as long for each answer
WATCHED = 4  # deliveries, of which two late ones tell; one alone may be this machine's sleep
SAME = 1.5  # seconds by which ages differ that count as the same, or a tenth of them
AGES = (2.5, 200.0)  # seconds; limits of proxies are between, and what else may end streams isn't
SHORT_KEEPALIVE = 5  # seconds, which a registry grants; most proxies give up later
SHORTEST_KEEPALIVE = 2  # where streams end at an age of less than YOUNG
YOUNG = 6.0  # seconds; a stream and a registration more often than that would be no help
PADDING = 8192  # bytes behind each event; twice what nginx collects
RENEWED_AT = 0.8  # of the age at which streams end


@attrs.define
class StreamHealth:
    """
    Habits of the way, as far as they show.

    :ivar warn: takes a sentence for the person.
    :ivar keepalive: seconds to ask for.
    :ivar padding: bytes to ask for behind each event.
    :ivar renew_after: seconds after which to open a stream anew, or None.
    """

    warn: Callable[[str], None]
    keepalive: int = SHORT_KEEPALIVE
    padding: int = 0
    renew_after: float | None = None
    _asked_at: float = 0.0
    _round_trip: float = 0.0
    _ready_at: float = 0.0
    _written_at: float = 0.0  # the last comment, in seconds since the first event
    _interval: float = 0.0  # from one to the next
    _is_late: bool = False  # this stream
    _first_late: float = 0.0
    _last_age: float = 0.0  # at which the last stream ended, or 0
    _late: deque[float] = attrs.Factory(lambda: deque(maxlen=WATCHED))
    _is_late_said: bool = False
    _is_padding_said: bool = False

    @property
    def wanted(self) -> dict[str, int]:
        """What to ask the registry for, by the names that it knows."""
        found = {"keepalive": self.keepalive, "padding": self.padding}
        return {name: number for name, number in found.items() if number}

    def asked(self, now: float, round_trip: float) -> None:
        """A stream is asked for; the registry's last answer took so long."""
        self._asked_at, self._round_trip = now, round_trip
        self._written_at, self._interval, self._is_late = 0.0, 0.0, False

    def ready(self, now: float) -> None:
        """Its first event is there."""
        self._ready_at = now
        self._first_late = max(0.0, now - self._asked_at - self._round_trip)
        self._note(self._first_late)
        if not self.padding:
            return
        if self._first_late >= LATE:
            self.padding = 0  # it came late even so
        elif not self._is_padding_said:
            self._is_padding_said = True
            self.warn(
                "something on the way passes on what the registry sends only when there is much of "
                "it, as a proxy that buffers does: this program asks for more, which helps; better "
                "is to turn that off there (nginx: proxy_buffering off)"
            )

    def held_back(self) -> None:
        """Nothing of the stream came in time."""
        self.padding = PADDING

    def alive(self, seconds: float, now: float) -> None:
        """A comment is there, which the registry wrote so many seconds after the first event."""
        late = self._first_late + now - self._ready_at - seconds
        if late >= 0:
            self._note(late)
        self._interval = max(self._interval, seconds - self._written_at)
        self._written_at = seconds

    def patience(self, round_trip: float) -> float:
        """Return the seconds without anything that show that the stream is dead."""
        if self._is_late or not self._interval:
            return SILENCE
        least = max(self._interval, SHORT_KEEPALIVE) + LATE
        return min(least + TRIPS * round_trip, SILENCE)

    def _note(self, late: float) -> None:
        self._late.append(late)
        self._is_late = self._is_late or late >= LATE
        often = sum(one >= LATE for one in self._late) >= WATCHED // 2
        if often and not self._is_late_said:
            self._is_late_said = True
            self.warn(
                f"what the registry sends arrives up to {max(self._late):.0f} seconds late: "
                "something on the way holds it back (an antivirus, a proxy, a firewall that reads "
                "along); calls and answers take that much longer, or fail"
            )

    def ended(self, now: float) -> None:
        """The stream was closed, and the registry said nothing of it."""
        age = now - self._ready_at
        before, self._last_age = self._last_age, age
        shortest, longest = AGES
        if not shortest <= age <= longest or abs(age - before) > max(SAME, age / 10):
            return
        if age < YOUNG and self.keepalive > SHORTEST_KEEPALIVE:
            self.keepalive, self._last_age = SHORTEST_KEEPALIVE, 0.0
        elif self.renew_after is None and min(age, before) >= YOUNG:
            self.renew_after = RENEWED_AT * min(age, before)
            self.warn(
                f"something on the way ends the registry's event stream every {age:.0f} seconds, "
                "as a proxy's time limit does: this program opens it anew each time; a call in "
                "such a moment may take a second longer"
            )
