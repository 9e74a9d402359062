"""
The report of a connection, as ``/why`` shows it: values.

:class:`Story` is part of the stable interface (:mod:`p2pchat.traversal.report`); who makes it is
:mod:`p2pchat.session.connection_log`.
"""

from __future__ import annotations

import attrs

from p2pchat.session.verdict import Verdict
from p2pchat.traversal.report import AttemptReport, RelayReport


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
