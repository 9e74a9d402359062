"""
The stages of a session with one peer, and what each does with what happens.

::

    ENDED           nothing is under way
    CALLING         our call: offer, ringing, checks, and the proofs on the link
    OFFERED         their offer waits for our person
    ANSWERING       their offer is accepted: checks, and the proofs on the link
    AWAITING_RETRY  an attempt of theirs failed: the next one of the same call needs no approval
    OPEN            both said HELLO, and nobody ended it
    RESCUING        path or link is lost: another is looked for, until RESCUE_PATIENCE ends
    CLOSING         a DISCONNECT is on its way, for LINGERING and GOODBYE

                    ENDED  CALLING    OFFERED  ANSWERING   AWAITING_ OPEN    RESCUING    CLOSING
                                                           RETRY
    we call         call   -          accept   -           call      -       -           call then
    we end it       -      fail       decline  fail        fail      close   close, end  -
    their offer     take   crossing   take     take        take      take    take        end, take
    their HELLO     -      open       -        open        -         open    open        -
    call failed     -      fail       end      retry, end  -         check   again, end  -
    link lost       -      try, fail  -        retry, end  -         rescue  rescue      end
    path lost       -      -          -        -           -         rescue  -           -
    PONG            -      -          -        -           -         -       open        -
    DISCONNECT      -      fail       -        fail        -         end     end         -
    rule broken     -      close      -        close       -         close   close       -
    time is up      -      -          -        -           fail      -       lost        end

*Path lost* is a round of checks without an answer, or heartbeats without one; *link lost* a link
that ended, or isn't heard on its new path.

:mod:`p2pchat.session.peer_session` has the methods; :data:`TRANSITIONS` says where each stage can
lead, and is held to at each change.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import attrs

from p2pchat.events import SessionEvent
from p2pchat.identity.keys import Identity
from p2pchat.identity.proof import Certificate
from p2pchat.session.byte_streams import StreamCount
from p2pchat.session.conversation_events import StoreEvent
from p2pchat.session.privacy import Privacy
from p2pchat.session.qh3_connection import KEY_EXCHANGES
from p2pchat.session.service_stream import ServiceStream
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.path_hint import PathHint
from p2pchat.traversal.round_trips import bounded
from p2pchat.wire.documents import PeerDocument
from p2pchat.wire.messages import Mailbox, Registries

LINGERING = 2.0  # seconds for what was said before DISCONNECT to arrive, ...
LINGERING_RTTS, LONGEST_LINGERING = 3, 10.0  # ... or so many round trips; seconds at most
GOODBYE = 8.0  # seconds for DISCONNECT itself: whoever misses it looks for us, and is let in


class Stage(Enum):
    """Stage of a session; the module docstring has the table."""

    ENDED = "ended"
    CALLING = "calling"
    OFFERED = "offered"
    ANSWERING = "answering"
    AWAITING_RETRY = "awaiting-retry"
    OPEN = "open"
    RESCUING = "rescuing"
    CLOSING = "closing"


RENEWED = (  # for /why
    "no answer came to an offer that the registry took: our connection to the registry was "
    "renewed, in case that it was dead"
)
CONVERSING = frozenset({Stage.OPEN, Stage.RESCUING})

TRANSITIONS = {
    Stage.ENDED: {Stage.CALLING, Stage.OFFERED, Stage.ANSWERING},
    Stage.CALLING: {
        Stage.ENDED,
        Stage.OFFERED,
        Stage.ANSWERING,
        Stage.OPEN,
        Stage.CLOSING,
    },
    Stage.OFFERED: {Stage.ENDED, Stage.ANSWERING},
    Stage.ANSWERING: {
        Stage.ENDED,
        Stage.OFFERED,
        Stage.AWAITING_RETRY,
        Stage.OPEN,
        Stage.CLOSING,
    },
    Stage.AWAITING_RETRY: {
        Stage.ENDED,
        Stage.CALLING,
        Stage.OFFERED,
        Stage.ANSWERING,
    },
    Stage.OPEN: {Stage.ENDED, Stage.RESCUING, Stage.CLOSING},
    Stage.RESCUING: {Stage.ENDED, Stage.OPEN, Stage.CLOSING},
    Stage.CLOSING: {Stage.ENDED},
}

SHOWN = {  # words of p2pchat.peer.settings.ConversationInfo; before a conversation "calling"
    Stage.OFFERED: "offered",
    Stage.OPEN: "open",
    Stage.RESCUING: "reconnecting",
    Stage.CLOSING: "ended",
    Stage.ENDED: "ended",
}


@attrs.frozen
class DocumentReady:
    """A body that is to be signed and delivered to the peer."""

    peer_id: str
    body: PeerDocument


@attrs.frozen
class PathLearned:
    """A hint for the next call: how this peer was reached."""

    peer_id: str
    hint: PathHint


@attrs.frozen
class PathFailed:
    """The path carries nothing any more: the network may have changed."""

    peer_id: str


@attrs.frozen
class SignalingDoubted:
    """No answer came to an offer that the registry took: documents may not reach us."""

    peer_id: str


@attrs.frozen
class StoreRequest:
    """Something that the conversation with a peer has for the store."""

    peer_id: str
    event: StoreEvent


@attrs.frozen
class WordsReady:
    """Both sides of a link know the words by which it is compared: those of this digest."""

    peer_id: str
    digest: bytes


@attrs.frozen
class MailboxLearned:
    """A peer has said where things may be left for it."""

    peer_id: str
    mailbox: Mailbox


@attrs.frozen
class RegistriesLearned:
    """A peer has said where it is found, by a signed list that isn't checked yet."""

    peer_id: str
    document: str


@attrs.frozen
class StreamStirred:
    """A stream of a service is to be looked at."""

    stream: ServiceStream


SessionOutcome = (
    StreamStirred
    | MailboxLearned
    | RegistriesLearned
    | WordsReady
    | SessionEvent
    | DocumentReady
    | PathLearned
    | PathFailed
    | SignalingDoubted
    | StoreRequest
)


@attrs.frozen
class SessionContext:
    """Surroundings that the sessions of one endpoint share."""

    identity: Identity
    certificate: Certificate
    username: str
    attempts: int  # offers that one call may make
    agent: Agent
    wall_of: Callable[[float], float]  # from the machines' time to seconds since 1970
    random_bytes: Callable[[int], bytes]
    key_exchanges: tuple[str, ...] = KEY_EXCHANGES  # those that are taken on a link
    signaling_rtt: Callable[[], float] = lambda: 0.0  # seconds; 0 while unknown
    is_lasting: bool = False  # whether what is stored of conversations outlives the program
    mailbox_for: Callable[[str], Mailbox | None] | None = None  # what a peer is to know of ours
    registries_for: Callable[[str], Registries | None] | None = None  # likewise
    privacy: Privacy = attrs.Factory(Privacy)
    streams: StreamCount = attrs.Factory(StreamCount)  # that others have open here


def lingering(rtt: float) -> float:
    """Return the seconds that CLOSING gives what was said before DISCONNECT."""
    return bounded(LINGERING, LINGERING_RTTS * rtt, LONGEST_LINGERING)
