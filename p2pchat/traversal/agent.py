"""
The traversal of one socket: gathering, and any number of attempts side by side.

Owns the way of a STUN datagram to the child that it concerns: a request by the username
fragment that it is addressed to, a response by its transaction.  Everything else that comes is
refused and counted.  An attempt is named by our username fragment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import attrs
from zope.interface import implementer

from p2pchat.errors import RemoteProtocolError
from p2pchat.interfaces import IMachine
from p2pchat.traversal.datagrams import Datagram
from p2pchat.traversal.gathering import Gathering
from p2pchat.traversal.punching import Credentials, Path, Phase, Punching
from p2pchat.wire import stun
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate


@attrs.frozen
class CandidatesChanged:
    """Gathering learned something new, or completed."""


@attrs.frozen
class PathMoved:
    """An attempt chose a path."""

    ufrag: str
    path: Path


@attrs.frozen
class RoundEnded:
    """An attempt stopped checking; ``confirmed`` says whether it has a path."""

    ufrag: str
    confirmed: bool


AgentEvent = CandidatesChanged | PathMoved | RoundEnded


@implementer(IMachine)
@attrs.define
class Agent:
    """
    The machine of one socket.

    :ivar gathering: our candidates.
    :ivar refused: datagrams that concerned nobody.
    """

    gathering: Gathering
    _random_bytes: Callable[[int], bytes]
    refused: int = 0
    _attempts: dict[str, Punching] = attrs.Factory(dict)
    _events: deque[AgentEvent] = attrs.Factory(deque)

    def new_ufrag(self) -> str:
        """Return a fresh username fragment, 64 random bits (RFC 8445 section 5.3 wants 24)."""
        return self._random_bytes(8).hex()

    def punch(
        self, credentials: Credentials, candidates: Iterable[Candidate], now: float, low_ttl: bool
    ) -> Punching:
        """Begin an attempt; see :meth:`p2pchat.traversal.punching.Punching.begin`."""
        attempt = Punching(
            credentials,
            self.gathering.host_addresses,
            self.gathering.reflexive_addresses,
            self._random_bytes,
        )
        self._attempts[credentials.local_ufrag] = attempt
        attempt.begin(candidates, now, low_ttl)
        return attempt

    def forget(self, ufrag: str) -> None:
        """End an attempt and its path."""
        self._attempts.pop(ufrag, None)

    def attempt(self, ufrag: str) -> Punching | None:
        """Return a running attempt."""
        return self._attempts.get(ufrag)

    def attempts_hearing(self, source: Address) -> list[str]:
        """Return the attempts, the newest first, that an address is known to belong to."""
        return [ufrag for ufrag, one in reversed(self._attempts.items()) if one.hears(source)]

    def receive_datagram(self, data: bytes, addr: Address, now: float) -> None:
        """Take a STUN datagram."""
        try:
            message = stun.decode(data)
        except RemoteProtocolError:
            self.refused += 1
            return
        if message.message_class is stun.MessageClass.REQUEST:
            known = self._receive_request(message, addr, now)
        else:
            known = self._receive_response(message, addr, now)
        if not known:
            self.refused += 1
        self._drain()

    def _receive_request(self, message: stun.Message, addr: Address, now: float) -> bool:
        ufrag, _, _ = message.attributes.get("USERNAME", "").partition(":")
        attempt = self._attempts.get(ufrag)
        return attempt is not None and attempt.receive_request(message, addr, now)

    def _receive_response(self, message: stun.Message, addr: Address, now: float) -> bool:
        if self.gathering.receive_response(message, addr):
            return True
        attempts = self._attempts.values()
        return any(attempt.receive_response(message, addr, now) for attempt in attempts)

    def handle_timer(self, now: float) -> None:
        """Let every child do what is due."""
        self.gathering.handle_timer(now)
        for attempt in self._attempts.values():
            attempt.handle_timer(now)
        self._drain()

    def get_timer(self) -> float | None:
        """Return the earliest wish of a child."""
        times = [self.gathering.get_timer()]
        times += [attempt.get_timer() for attempt in self._attempts.values()]
        return min((time for time in times if time is not None), default=None)

    def datagrams_to_send(self, now: float) -> list[Datagram]:
        """Return, and forget, what the children want to send."""
        outgoing = self.gathering.take_datagrams()
        for attempt in self._attempts.values():
            outgoing += attempt.take_datagrams()
        self._drain()
        return outgoing

    def next_event(self) -> AgentEvent | None:
        """Return, and forget, the oldest event."""
        self._drain()
        return self._events.popleft() if self._events else None

    def _drain(self) -> None:
        if self.gathering.take_change():
            self._events.append(CandidatesChanged())
        for ufrag, attempt in self._attempts.items():
            path = attempt.take_move()
            if path is not None:
                self._events.append(PathMoved(ufrag, path))
            ended = attempt.take_end()
            if ended is not None:
                self._events.append(RoundEnded(ufrag, ended is Phase.QUIET))
