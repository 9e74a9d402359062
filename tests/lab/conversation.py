"""
Two peers of the lab talking, step by step; a step that fails tells the story of the peer it waited
for.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.lab.peers import Event, JsonPeer

CALL_LIMIT = 60.0  # seconds; from calling until both sides are connected
DELIVERY_LIMIT = 20.0  # seconds; on a working path


def connect(caller: JsonPeer, callee: JsonPeer) -> Event:
    """Call by name, wait until both are connected, and return the caller's `connected`."""
    caller.send(f"/connect {callee.username}")
    connected = caller.wait_for("connected", CALL_LIMIT, name=callee.username)
    callee.wait_for("connected", CALL_LIMIT, name=caller.username)
    return connected


def say(speaker: JsonPeer, texts: Sequence[str]) -> None:
    """Type these lines."""
    for text in texts:
        speaker.send(text)


def hear(
    speaker: JsonPeer, listener: JsonPeer, texts: Sequence[str], limit: float = DELIVERY_LIMIT
) -> None:
    """Wait until the listener has these texts and the speaker knows of each delivery."""
    for text in texts:
        listener.wait_for("message", limit, name=speaker.username, text=text)
        sent = speaker.wait_for("sent", limit, text=text)
        speaker.wait_for("delivered", limit, id=sent["id"])


def exchange(one: JsonPeer, two: JsonPeer, topic: str = "", count: int = 3) -> list[str]:
    """Say `count` lines each way at once, wait until all are delivered, and return the topics."""
    lines = [f"{topic} line {n}".strip() for n in range(count)]
    for speaker in (one, two):
        say(speaker, lines)
    hear(one, two, lines)
    hear(two, one, lines)
    return lines
