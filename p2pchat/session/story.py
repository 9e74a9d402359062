"""
The story of a connection, as ``/why`` tells it: values, and the record that they are made from.

:class:`Story` is part of the stable interface (:mod:`p2pchat.traversal.report`).  A record lasts
from one call to the next and keeps the end of what doesn't fit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import attrs

from p2pchat.session.call import MAX_REPORTS
from p2pchat.session.verdict import Surmise, Verdict, judge
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.path_hint import PathMethod
from p2pchat.traversal.relays import Relays
from p2pchat.traversal.report import AttemptReport, RelayReport, in_ms
from p2pchat.wire.addresses import format_address

MAX_NOTES = 100  # things that happened; the oldest go
MAX_PATHS = 50


@attrs.frozen
class Note:
    """Something that happened, as a sentence."""

    milliseconds: float
    text: str


@attrs.frozen
class PathTold:
    """A path that carried the conversation, from ``milliseconds`` on."""

    milliseconds: float
    local: str
    remote: str
    address: str
    rtt_ms: float

    @property
    def is_relayed(self) -> bool:
        """Whether a relay is at either end."""
        return "relay" in {self.local, self.remote}


@attrs.frozen
class Story:
    """
    What was tried to reach a peer since the last call, what came of it, and why.

    :ivar relays_known: what the registry named.
    :ivar path: what carries the conversation now, if anything does.
    """

    attempts: tuple[AttemptReport, ...] = ()
    relays_known: tuple[str, ...] = ()
    relays: tuple[RelayReport, ...] = ()
    paths: tuple[PathTold, ...] = ()
    path: PathTold | None = None
    notes: tuple[Note, ...] = ()
    verdict: Verdict = attrs.Factory(Verdict)


@attrs.define(eq=False)
class Record:
    """
    What happened since the last call.

    :ivar began: when it was made, or came.
    """

    began: float = 0.0
    _attempts: deque[AttemptReport] = attrs.Factory(lambda: deque(maxlen=MAX_REPORTS))
    _paths: deque[PathTold] = attrs.Factory(lambda: deque(maxlen=MAX_PATHS))
    _notes: deque[Note] = attrs.Factory(lambda: deque(maxlen=MAX_NOTES))

    def begin(self, now: float) -> None:
        """A new call: forget the one before."""
        self.began = now
        for kept in (self._attempts, self._paths, self._notes):
            kept.clear()

    def note(self, text: str, now: float) -> None:
        """Keep a sentence."""
        self._notes.append(Note(self._since(now), text))

    def keep(self, attempts: Iterable[AttemptReport]) -> None:
        """Keep the attempts of a call that is over."""
        self._attempts.extend(attempts)

    def path_found(self, path: Path, now: float) -> None:
        """Keep which path is in use from now on."""
        self._paths.append(
            PathTold(
                self._since(now),
                path.local.value,
                path.remote.value,
                format_address(path.address),
                in_ms(path.rtt),
            )
        )

    def tell(
        self, running: Iterable[AttemptReport], relays: Relays, has_path: bool, relay_only: bool
    ) -> Story:
        """
        Return the story so far.

        :param running: attempts of the call that isn't kept yet.
        :param has_path: whether the last path is in use.
        """
        attempts = (*self._attempts, *running)[-MAX_REPORTS:]
        path = self._paths[-1] if has_path and self._paths else None
        told = relays.told(self.began)
        reached = next((one.means for one in reversed(attempts) if one.means), "")
        surmise = Surmise(
            attempts[-1] if attempts else None,
            None if path is None else PathMethod.RELAY if path.is_relayed else _direct(reached),
            bool(relays.known),
            told,
            relay_only,
        )
        return Story(
            attempts, relays.known, told, tuple(self._paths), path, tuple(self._notes),
            judge(surmise),
        )  # fmt: skip

    def _since(self, now: float) -> float:
        return in_ms(now - self.began)


def _direct(reached: str) -> PathMethod:
    """Return what made a direct path, as far as an attempt says so."""
    return PathMethod.PLAIN if reached in {"", PathMethod.RELAY.value} else PathMethod(reached)
