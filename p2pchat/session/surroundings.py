"""What the dialogues of one node have in common."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from p2pchat.identity.certificates import Certificate
from p2pchat.identity.keys import Identity
from p2pchat.traversal.agent import Agent


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
