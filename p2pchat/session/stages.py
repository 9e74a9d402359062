"""
The stages of a session with one peer, and what each does with what happens.

::

    stage       what is under way
    ENDED       nothing
    CALLING     our call: offer, ringing, checks, and the proofs on the link
    ASKED       their offer waits for our person
    ANSWERING   their offer is accepted: checks, and the proofs on the link
    WAITING     an attempt of theirs failed: the next one of the same call needs no new yes
    OPEN        both said HELLO, and nobody ended it
    RESCUING    path or link is lost: another is looked for, until RESCUE_PATIENCE ends
    CLOSING     a goodbye is on its way, for LINGERING

                  ENDED   CALLING    ASKED   ANSWERING   WAITING  OPEN    RESCUING    CLOSING
    we call       call    -          accept  -           call     -       -           call then
    we end it     -       fail       reject  fail        fail     close   close, end  -
    their offer   take    crossing   take    take        take     take    take        end, take
    HELLO         -       open       -       open        -        open    open        -
    call failed   -       fail       end     wait, fail  -        check   again, end  -
    link lost     -       try, fail  -       wait, fail  -        rescue  rescue      end
    silence       -       -          -       -           -        rescue  -           -
    heartbeat     -       -          -       -           -        heard   open        heard
    DISCONNECT    -       fail       -       fail        -        end     end         -
    time is up    -       -          -       -           fail     -       lost        end

:mod:`p2pchat.session.peer_session` has the methods; :data:`TRANSITIONS` says where each stage can
lead, and is held to at each change.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import attrs

from p2pchat.events import SessionEvent
from p2pchat.identity.certificates import Certificate
from p2pchat.identity.keys import Identity
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.path_hint import PathHint
from p2pchat.wire.documents import Delivered


class Stage(Enum):
    """What is under way with a peer; the module docstring has the table."""

    ENDED = "ended"
    CALLING = "calling"
    ASKED = "asked"
    ANSWERING = "answering"
    WAITING = "waiting"
    OPEN = "open"
    RESCUING = "rescuing"
    CLOSING = "closing"


CONVERSING = frozenset({Stage.OPEN, Stage.RESCUING})

TRANSITIONS = {
    Stage.ENDED: {Stage.CALLING, Stage.ASKED, Stage.ANSWERING},
    Stage.CALLING: {
        Stage.ENDED,
        Stage.ASKED,
        Stage.ANSWERING,
        Stage.OPEN,
        Stage.CLOSING,
    },
    Stage.ASKED: {Stage.ENDED, Stage.ANSWERING},
    Stage.ANSWERING: {
        Stage.ENDED,
        Stage.ASKED,
        Stage.WAITING,
        Stage.OPEN,
        Stage.CLOSING,
    },
    Stage.WAITING: {
        Stage.ENDED,
        Stage.CALLING,
        Stage.ASKED,
        Stage.ANSWERING,
    },
    Stage.OPEN: {Stage.ENDED, Stage.RESCUING, Stage.CLOSING},
    Stage.RESCUING: {Stage.ENDED, Stage.OPEN, Stage.CLOSING},
    Stage.CLOSING: {Stage.ENDED},
}

SHOWN = {  # the words of p2pchat.peer.settings.ConversationInfo; the others are "calling"
    Stage.ASKED: "offered",
    Stage.OPEN: "open",
    Stage.RESCUING: "reconnecting",
    Stage.ENDED: "ended",
}


@attrs.frozen
class DocumentReady:
    """A body that is to be signed and delivered to the peer."""

    peer_id: str
    body: Delivered


@attrs.frozen
class PathLearned:
    """How this peer was reached: worth keeping for the next call."""

    peer_id: str
    memory: PathHint


@attrs.frozen
class PathFailed:
    """The path carries nothing any more: the network may have changed."""

    peer_id: str


SessionOutcome = SessionEvent | DocumentReady | PathLearned | PathFailed


@attrs.frozen
class SessionContext:
    """What the sessions of one endpoint have in common."""

    identity: Identity
    certificate: Certificate
    username: str
    attempts: int  # offers that one call may make
    agent: Agent
    wall_of: Callable[[float], float]  # from the machines' time to seconds since 1970
    random_bytes: Callable[[int], bytes]
