"""
The command of ``--on-message``: run for what contacts say that isn't in view.

Owns when it runs, on what, and for how long; no process::

                    message ┌────────── PAUSE ──────────┐
                            ▼                           │
    IDLE ──▶ RUNNING ── ended ──────────────────────▶ PAUSING
                │ TIME_LIMIT                            ▲
                ▼                                       │
           TERMINATED ── KILL_AFTER ──▶ KILLED ─ ended ─┘

One runs at a time.  Meanwhile messages wait, those of a contact for one run; of what goes beyond
MAX_WAITING only the number is kept.  What a sender chooses is on stdin alone.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from enum import Enum

import attrs
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from p2pchat import events
from p2pchat.interfaces import IChildProcess, IProcessStarter
from p2pchat.runtime import cancel
from p2pchat.ui.results import ON_MESSAGE
from p2pchat.wire.visible import visible, visible_name

TIME_LIMIT = 10.0  # seconds that a command may take
KILL_AFTER = 1.0  # seconds from the request to end to the end
PAUSE = 1.0  # seconds from one command to the next: a contact can't make us start many
MAX_WAITING = 1024 * 1024  # bytes of texts that wait, of all contacts together

_log = Logger()


class CommandStage(Enum):
    """Stages of the command."""

    IDLE = "idle"
    RUNNING = "running"
    TERMINATED = "terminated"  # asked to end
    KILLED = "killed"  # made to end
    PAUSING = "pausing"


@attrs.define
class WaitingTexts:
    """The messages of one contact that wait; there are no more batches than contacts."""

    name: str
    texts: list[bytes] = attrs.Factory(list)
    size: int = 0
    omitted: int = 0  # messages for whose texts there was no room

    def variables(self, peer_id: str) -> dict[str, str]:
        """Return what the command finds in its environment."""
        return {
            "P2PCHAT_ID": peer_id,
            "P2PCHAT_NAME": visible_name(self.name),
            "P2PCHAT_MESSAGES": str(len(self.texts) + self.omitted),
            "P2PCHAT_OMITTED": str(self.omitted),
        }


@attrs.define(eq=False)
class MessageCommand:
    """
    The command, and what waits for it; a listener of a node.

    :ivar arguments: the program and its arguments.
    :ivar is_in_view: whether the person sees what a peer says.
    :ivar tell: called with what the person should know.
    """

    arguments: Sequence[str]
    _starter: IProcessStarter
    _clock: IReactorTime
    is_in_view: Callable[[str], bool] = lambda _peer_id: False
    tell: Callable[[events.Trouble], None] = lambda _trouble: None
    _stage: CommandStage = CommandStage.IDLE
    _waiting: dict[str, WaitingTexts] = attrs.Factory(dict)  # by peer id, the oldest first
    _size: int = 0  # bytes of their texts
    _child: IChildProcess | None = None
    _timer: IDelayedCall | None = None
    _reported: set[str] = attrs.Factory(set)  # kinds of failures
    _stopped: Deferred[None] | None = None

    def __call__(self, event: events.NodeEvent) -> None:
        """Take an event of the node."""
        match event:
            case events.MessageReceived(peer_id, quiet=False) if not self.is_in_view(peer_id):
                self._collect(event)
                self._run_next()
            case events.ContactChanged(peer_id) if (
                event.muted or event.blocked or not event.contact
            ):
                self._take(peer_id)

    def stop(self) -> Deferred[None]:
        """Start nothing more, and end what runs; a Deferred fires when it has ended."""
        self._waiting.clear()
        self._stopped = Deferred()
        if self._child is None:
            cancel(self._timer)
            return succeed(None)
        if self._stage is CommandStage.RUNNING:
            self._advance()
        return self._stopped

    # -- what waits

    def _collect(self, event: events.MessageReceived) -> None:
        if self._stopped is not None:
            return
        batch = self._waiting.setdefault(event.peer_id, WaitingTexts(event.name))
        text = event.text.encode("utf-8", "replace") + b"\n"
        if self._size + len(text) > MAX_WAITING:
            batch.omitted += 1
            return
        batch.texts.append(text)
        batch.size += len(text)
        self._size += len(text)

    def _take(self, peer_id: str) -> WaitingTexts | None:
        batch = self._waiting.pop(peer_id, None)
        self._size -= batch.size if batch is not None else 0
        return batch

    # -- what runs

    def _run_next(self) -> None:
        while self._stage is CommandStage.IDLE and self._waiting:
            peer_id = next(iter(self._waiting))
            batch = self._take(peer_id)
            if batch is not None and not self.is_in_view(peer_id):
                self._run(peer_id, batch)

    def _run(self, peer_id: str, batch: WaitingTexts) -> None:
        variables, text = batch.variables(peer_id), b"".join(batch.texts)
        try:
            self._child = self._starter.start(self.arguments, variables, text, self._ended)
        except OSError as error:
            reason = error.strerror or str(error)
            self._fail("start", f"can't be started: {reason}. Give a program that is there")
            self._enter(CommandStage.PAUSING)
        else:
            self._enter(CommandStage.RUNNING)

    def _ended(self, how: str) -> None:
        if self._stage is CommandStage.RUNNING and how:
            advice = "Its output is thrown away, so try it by hand with a text on its input"
            self._fail("status", f"{how}. {advice}")
        self._child = None
        if self._stopped is None:
            self._enter(CommandStage.PAUSING)
        else:
            cancel(self._timer)
            self._stopped.callback(None)

    def _enter(self, stage: CommandStage) -> None:
        cancel(self._timer)
        self._stage = stage
        if stage in _SECONDS:
            self._timer = self._clock.callLater(_SECONDS[stage], self._advance)

    def _advance(self) -> None:
        """Do what is due at the end of a stage."""
        if self._child is None:
            self._enter(CommandStage.IDLE)
            self._run_next()
        elif self._stage is CommandStage.RUNNING:
            if self._stopped is None:
                late = f"took more than {TIME_LIMIT:.0f} seconds and was ended"
                self._fail("time", f"{late}. What takes longer belongs in a session of its own")
            self._enter(CommandStage.TERMINATED)
            self._child.terminate()
        else:
            self._enter(CommandStage.KILLED)
            self._child.kill()

    def _fail(self, kind: str, sentence: str) -> None:
        """Say it, the first time."""
        if kind not in self._reported:
            self._reported.add(kind)
            what = visible(shlex.join(self.arguments))
            _log.warn("--on-message: {sentence}", sentence=sentence)
            self.tell(
                events.Trouble(f"--on-message: {what} {sentence}. This is said once.", ON_MESSAGE)
            )


_SECONDS = {
    CommandStage.RUNNING: TIME_LIMIT,
    CommandStage.TERMINATED: KILL_AFTER,
    CommandStage.PAUSING: PAUSE,
}
