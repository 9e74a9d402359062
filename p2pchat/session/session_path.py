"""
The path of a session, as its agent finds and keeps it for the link.

Owns what is asked of the agent for it, and what the link's word on it means there; what follows for
the session is decided in :mod:`p2pchat.session.peer_session`.
"""

from __future__ import annotations

import attrs

from p2pchat.session.call import Call
from p2pchat.session.chat_consent import ChatConsent
from p2pchat.session.stages import PathLearned, Stage
from p2pchat.traversal.pairs import Path

STALL_INTERVAL = 2.0  # seconds from one check of the path for a stalled link to the next


@attrs.define(eq=False)
class SessionPath(ChatConsent):
    """The state of everything with one peer, and its path."""

    _stalled_at: float = -STALL_INTERVAL

    def _begin_call(self, attempts: int, patient: bool, now: float) -> Call:
        hint = self.hint
        is_fresh = hint is not None and hint.is_fresh(self._context.wall_of(now))
        self.log.keep(self._call.reports())
        self._call = self._new_call(attempts, patient, hint if is_fresh else None)
        return self._call

    def _begin_report(self, now: float) -> None:
        self.log.begin(now)
        self._call = self._new_call(0, False, None)

    def _use(self, path: Path, now: float) -> None:
        """Send over this path from now on, and say so."""
        self.link.use(path, now)
        if self._loss.due is None:  # else it is the one that was lost, or wasn't
            self.log.path_found(path, now)

    def _verified(self, rtt: float, now: float) -> None:
        """Checks on the path were answered."""
        self._loss.checks_answered(rtt, now)
        self.link.verified(now)
        self._learn(now)
        if self.stage is Stage.RESCUING:
            self.link.control.beat(now)  # is the link there, too?

    def _learn(self, now: float) -> None:
        """The checks of a round are over, and the path holds: remember what made it."""
        if self._call.ufrag == self._ufrag and self._ufrag:
            learned = self._call.attempt.next_hint(self._context.wall_of(now))
            if learned is not None and not learned.repeats(self.hint):
                self.hint = learned
                self._events.append(PathLearned(self.peer_id, learned))

    def _heard(self) -> None:
        """Something came of the link: there is no doubt about the path any more."""
        if self.link.stops_doubt():
            self._context.agent.link_heard(self._ufrag)

    def _carries(self) -> None:
        """The link works over the path of now."""
        self.link.heard()
        self._context.agent.link_heard(self._ufrag)

    def _note_silence(self, now: float) -> None:
        """Let the path be judged that has had its time and didn't carry the link."""
        if self.link.takes_overdue():
            self._context.agent.link_unheard(self._ufrag, now)

    def _doubt_path(self, is_stalled: bool, now: float) -> None:
        """
        Check the path; where nothing came since an answer was overdue, judge it, too.

        :param is_stalled: whether something isn't acknowledged though answers may come: the path
            may lose what is large, and heartbeats are small.
        """
        if not is_stalled:
            self.link.is_doubted = self.link.idle.suspected(now)
            self.link.is_answer_doubted = self.link.idle.is_unanswered
            if self.link.is_doubted or self.link.is_answer_doubted:
                self._context.agent.link_unheard(self._ufrag, now)
        elif now < self._stalled_at + STALL_INTERVAL:
            return
        else:
            self._stalled_at = now
        self._check_path(now)

    def _check_path(self, now: float) -> None:
        self._context.agent.check_again(self._ufrag, now)

    def _release(self, phrase: str, now: float) -> None:
        """Let link and path go; ``phrase`` is the reason phrase of QUIC's CONNECTION_CLOSE."""
        self.link.close(phrase, now)
        self.link.path = None
        self._context.agent.forget(self._ufrag)
