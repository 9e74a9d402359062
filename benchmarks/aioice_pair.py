"""
Two aioice agents in a lab, connecting to each other once.

Owns their processes. The clock is aioice's own: it holds `Connection.connect` alone, and starts
when both agents know all candidates of the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs

from tests.lab.machines import Host
from tests.lab.relay import TURN_PORT, Relay
from tests.lab.topology import Lab

AGENT = str(Path(__file__).with_name("aioice_agent.py"))
STUN_PORT = 3478
CONNECT_LIMIT = 60.0  # seconds; unless told otherwise


@attrs.frozen
class Joined:
    """How two agents connected: milliseconds until the controlling one was, and until both were."""

    controlling: float
    both: float
    local: str  # candidate types of the controlling agent's pair
    remote: str


def turn_options(relay: Relay | None, transport: str) -> dict[str, Any]:
    """Return what aioice's Connection needs in order to use the relay over `transport`."""
    if relay is None:
        return {}
    username, password = relay.credentials()
    return {
        "turn_server": (relay.host.address, TURN_PORT),
        "turn_username": username,
        "turn_password": password,
        "turn_transport": transport,
    }


@attrs.define
class AioiceAgent:
    """One aioice agent in a lab host, spoken to line by line."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, host: Host, **orders: Any) -> AioiceAgent:
        """Start an agent, which begins to gather at once."""
        pipe = subprocess.PIPE
        agent = cls(
            host.popen([sys.executable, AGENT], stdin=pipe, stdout=pipe, text=True, bufsize=1)
        )
        agent.tell(**orders)
        return agent

    def hear(self) -> dict[str, Any]:
        """Return the next thing it tells; raises ConnectionError where it tells of failure."""
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline() or '{"failed": "it ended"}')
        if "failed" in told:
            raise ConnectionError(f"aioice: {told['failed']}")
        return dict(told)

    def tell(self, **fields: Any) -> None:
        """Send it a line of JSON; with nothing to say, an empty line."""
        assert self.process.stdin is not None
        self.process.stdin.write((json.dumps(fields) if fields else "") + "\n")

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


def connect_aioice(
    lab: Lab,
    relay: Relay | None = None,
    transport: str = "udp",
    limit: float = CONNECT_LIMIT,
) -> Joined:
    """Connect two agents once; raises ConnectionError when they cannot, after `limit` seconds."""
    lab.reboot_nats()
    orders = {
        "stun": (lab.server.address, STUN_PORT),
        "turn": turn_options(relay, transport),
        "limit": limit,
    }
    one = AioiceAgent.start(lab.left, controlling=True, **orders)
    two = AioiceAgent.start(lab.right, controlling=False, **orders)
    try:
        return meet(one, two)
    finally:
        one.close()
        two.close()


def meet(one: AioiceAgent, two: AioiceAgent) -> Joined:
    """Pass the candidates between two agents that gather, and start both at once."""
    of_one, of_two = one.hear(), two.hear()
    one.tell(**of_two)
    two.tell(**of_one)
    for agent in (one, two):
        agent.hear()
    for agent in (one, two):
        agent.tell()
    first, second = one.hear(), two.hear()
    took = first["milliseconds"], second["milliseconds"]
    return Joined(took[0], max(took), first["local"], first["remote"])
