"""What the dialogues of one node have in common."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.identity.certificates import Certificate
from p2pchat.identity.keys import Identity
from p2pchat.session.call import Call
from p2pchat.traversal.agent import Agent
from p2pchat.traversal.path_hint import PathHint


@attrs.frozen
class Surroundings:
    """What every dialogue of a node shares."""

    identity: Identity
    certificate: Certificate
    username: str
    attempts: int  # offers that one call may make
    agent: Agent
    wall_of: Callable[[float], float]  # from the machines' time to seconds since 1970
    random_bytes: Callable[[int], bytes]

    def negotiation(
        self,
        held_link: str,
        attempts: int,
        patient: bool,
        now: float,
        *,
        began: float,
        memory: PathHint | None,
        known: bool,
    ) -> Call:
        """Make a call, as :class:`p2pchat.session.call.Call` has it."""
        is_fresh = memory is not None and memory.is_fresh(self.wall_of(now))
        return Call(
            self.agent,
            self.username,
            held_link,
            attempts,
            patient,
            self.random_bytes,
            began,
            memory if is_fresh else None,
            known,
        )
