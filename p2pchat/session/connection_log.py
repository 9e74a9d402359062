"""
Log of one peer since the last call: events at once, and what is kept for ``/why``.

Owns names and numbers: the peer's id and name in every event, and the milliseconds since it all
began.  Decides nothing, and nothing is decided by what it holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs

from p2pchat import events
from p2pchat.session.call import MAX_REPORTS
from p2pchat.session.connection_report import (
    ConnectionReport,
    Ending,
    Evidence,
    Note,
    PathReport,
    diagnose,
)
from p2pchat.session.explanation import causes, checks
from p2pchat.traversal.link_proof import Fitness
from p2pchat.traversal.pairs import Path
from p2pchat.traversal.path_hint import PathMethod
from p2pchat.traversal.relays import Relays
from p2pchat.traversal.report import AttemptReport, in_ms
from p2pchat.traversal.routes import Route
from p2pchat.traversal.size_probe import BASE_SIZE
from p2pchat.wire.addresses import format_address

MAX_NOTES = 100  # things that happened; the oldest go
MAX_PATHS = 50


@attrs.define(eq=False)
class ConnectionLog:
    """
    The log of one peer.

    :ivar name: what the peer calls itself, "" while unknown.
    :ivar emit: takes each event.
    :ivar key_exchange: name of the one of the last link, "" before any.
    :ivar began: when the call, or the search for a lost path, began; events count from then.
    :ivar call_began: when the call was made, or came; the report counts from then.
    :ivar ending: how it ended; ``None`` while it goes on.
    """

    peer_id: str
    name: str
    emit: Callable[[events.SessionEvent], None]
    key_exchange: str = ""
    began: float = 0.0
    call_began: float = 0.0
    ending: Ending | None = None
    _is_too_small: bool = False  # a direct pair was, since there was a direct path last
    _attempts: deque[AttemptReport] = attrs.Factory(lambda: deque(maxlen=MAX_REPORTS))
    _paths: deque[PathReport] = attrs.Factory(lambda: deque(maxlen=MAX_PATHS))
    _notes: deque[Note] = attrs.Factory(lambda: deque(maxlen=MAX_NOTES))

    def begin(self, now: float) -> None:
        """Begin the report of a new call, and forget the one before."""
        self.call_began, self.key_exchange, self.ending = now, "", None
        self._is_too_small = False
        for kept in (self._attempts, self._paths, self._notes):
            kept.clear()

    # -- events

    def happened(self, kind: Callable[..., events.SessionEvent], *facts: object) -> None:
        """Tell an event of this peer; ``facts`` are what it has beside id and name."""
        self.emit(kind(self.peer_id, self.name, *facts))

    def connected(self, resumed: bool, key_exchange: str, now: float) -> None:
        """Tell that lines go through; ``key_exchange`` is the name of the link's."""
        self.key_exchange = key_exchange
        milliseconds = in_ms(now - self.began)
        self.emit(
            events.Connected(
                self.peer_id,
                self.name,
                milliseconds,
                resumed,
                key_exchange=key_exchange,
                packets=self._packets(),
            )
        )

    def _packets(self) -> str:
        """Return what becomes of packets of the link's size, as ``PathFound`` has it."""
        path = self._paths[-1] if self._paths else None
        if path is not None and path.is_relayed:
            return "too-small" if self._is_too_small else ""
        return "fragmented" if path is not None and path.fragmented else ""

    def path_lost(self, reason: str, since: float) -> None:
        """Tell that a new path is looked for, and since when."""
        self.began = since
        self.happened(events.PathLost, reason)

    def take_name(self, name: str, is_used: bool) -> None:
        """Take what the peer calls itself; a change of a name in use is told."""
        before, self.name = self.name, name or self.name
        if is_used and before and self.name != before:
            self.happened(events.Renamed, name, before)

    def disconnected(
        self, reason: str, undelivered: int, ours: bool, explanation: str = ""
    ) -> None:
        """Tell the end of a conversation."""
        self.ending = Ending(reason, ours, True, explanation)
        self.happened(events.Disconnected, reason, undelivered, ours)

    def failed(
        self, reason: str, explanation: str, summary: str, undelivered: int, ours: bool
    ) -> None:
        """Tell that no conversation came of a call."""
        why = explanation.partition("; ")[0]  # the report has the rest
        self.ending = Ending(reason, ours, False, why)
        self.happened(events.CallFailed, reason, explanation, ours, undelivered, summary)

    def ended(self, reason: str) -> None:
        """Note that our side ended a call that wasn't accepted; the person knows."""
        self.ending = Ending(reason, ours=True, conversation=False)

    def offer_ended(self, reason: str, is_quiet: bool) -> None:
        """Tell that an offer is gone that waited."""
        self.ending = Ending(reason, False, False)
        self.happened(events.OfferEnded, reason, is_quiet)

    def path_found(self, path: Path, now: float) -> None:
        """Tell, and keep, which path is in use from now on."""
        local, remote, address = path.local.value, path.remote.value, format_address(path.address)
        rtt, took = in_ms(path.rtt), in_ms(now - self.began)
        self._is_too_small = self._is_too_small and path.is_relayed
        self._paths.append(
            PathReport(self._since(now), local, remote, address, rtt, path.is_fragmented)
        )
        self.happened(events.PathFound, local, remote, address, took, rtt, self._packets())

    def pair_unfit(self, route: Route, fitness: Fitness, now: float) -> None:
        """Keep that a pair of an attempt was found not to carry the link."""
        self._is_too_small |= fitness is Fitness.TOO_SMALL and not route.is_relayed
        self.note(describe_unfit(route, fitness), now)

    # -- the report

    def note(self, text: str, now: float) -> None:
        """Keep a sentence."""
        self._notes.append(Note(self._since(now), text))

    def keep(self, attempts: Iterable[AttemptReport]) -> None:
        """Keep the attempts of a call that is over."""
        self._attempts.extend(attempts)

    def report(
        self,
        running: Iterable[AttemptReport],
        relays: Relays,
        has_path: bool,
        relay_only: bool,
        now: float,
        *,
        is_lost: bool = False,
    ) -> ConnectionReport:
        """
        Return the report so far.

        :param running: attempts that aren't kept yet.
        :param has_path: whether the last path is in use.
        :param is_lost: whether one was lost, and another is looked for.
        """
        attempts = (*self._attempts, *running)[-MAX_REPORTS:]
        path = self._paths[-1] if has_path and self._paths else None
        relay_reports = relays.reports(self.call_began)
        reached = next((one.means for one in reversed(attempts) if one.means), "")
        evidence = Evidence(
            attempts[-1] if attempts else None,
            None if path is None else PathMethod.RELAY if path.is_relayed else _direct(reached),
            bool(relays.urls),
            relay_reports,
            relay_only,
            path is not None and path.fragmented,
            self.ending,
            self._since(now),
            is_lost,
        )
        return ConnectionReport(
            attempts, relays.urls, relay_reports, tuple(self._paths), path, tuple(self._notes),
            diagnose(evidence), self.key_exchange, self.ending,
        )  # fmt: skip

    @staticmethod
    def explain(failure: str, report: ConnectionReport) -> tuple[str, str]:
        """Return the explanation of a failed call, and the summary that it begins with."""
        summary = "; ".join(filter(None, [failure, *causes(report)]))
        return "; ".join(filter(None, [summary, *checks(report)])), summary

    def _since(self, now: float) -> float:
        return in_ms(now - self.call_began)


def _direct(reached: str) -> PathMethod:
    """Return what made a direct path, as far as an attempt says so."""
    return PathMethod.PLAIN if reached in {"", PathMethod.RELAY.value} else PathMethod(reached)


def describe_unfit(route: Route, fitness: Fitness) -> str:
    """Return what was found out of a pair that doesn't carry the link."""
    over = "over our relay, " if route.is_relayed else ""
    what = f"no datagram of {BASE_SIZE} bytes" if fitness is Fitness.TOO_SMALL else "not the link"
    return f"checks pass to {format_address(route.address)}, {over}but {what}"


def describe_path(path: Path) -> str:
    """Return in a few words which path is in use."""
    return (
        f"{path.local.value} to {path.remote.value} {format_address(path.address)}, "
        f"{path.rtt * 1000:.1f} ms"
    )
