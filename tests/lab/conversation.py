"""
Two peers of the lab talking, step by step; a step that fails tells the story of the peer it waited
for. `Traffic` lets them talk all the while, to see how long a disturbance silences them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import attrs

from tests.lab.peers import PATIENCE, Event, JsonPeer

CALL_LIMIT = 60.0  # seconds; from calling until both sides are connected
SPOKEN_INTERVAL = 0.05  # seconds; between two lines of `Traffic`

DIRECT, RELAYED = "direct", "relay"  # kinds of path


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
    speaker: JsonPeer, listener: JsonPeer, texts: Sequence[str], limit: float = PATIENCE
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


def kind_of(path: Event) -> str:
    """Return the kind of a path that a peer told of."""
    return RELAYED if RELAYED in (path["local"], path["remote"]) else DIRECT


def is_local(path: Event) -> bool:
    """Tell whether a path leads from one local address to another."""
    return (path["local"], path["remote"]) == ("host", "host")


def await_path(peer: JsonPeer, kind: str) -> str:
    """Wait until the path is of this kind, for as long as that may take; return what it is."""
    with suppress(AssertionError):
        peer.await_last("path", lambda path: kind_of(path) == kind)
    return kind_of(peer.named("path")[-1])


@attrs.define
class Speaker:
    """One direction of the traffic: who speaks to whom, and which lines were typed when."""

    peer: JsonPeer
    listener: JsonPeer
    typed: list[tuple[float, str]] = attrs.Factory(list)

    def speak(self, topic: str) -> None:
        """Type the next numbered line."""
        text = f"{topic} {self.peer.username} {len(self.typed)}"
        self.typed.append((self.peer.send(text), text))

    @property
    def lines(self) -> list[str]:
        """All lines, in the order they were typed."""
        return [text for _, text in self.typed]

    def heard(self) -> dict[str, float]:
        """Return when each line of any speaker reached the listener."""
        return {found["text"]: found["arrived"] for found in self.listener.named("message")}

    def heard_after(self, moment: float) -> float | None:
        """Return when the first line typed after `moment` was heard; None where it was not yet."""
        heard = self.heard()
        later = (heard[text] for at, text in self.typed if at > moment and text in heard)
        return min(later, default=None)


class Traffic:
    """Lines both ways in a steady rhythm, from a thread of its own, until `stop`."""

    def __init__(self, one: JsonPeer, two: JsonPeer, topic: str) -> None:
        self.speakers = Speaker(one, two), Speaker(two, one)
        self._topic = topic
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()

    def back_after(self, moment: float, limit: float) -> float:
        """
        Return how many seconds after `moment` lines typed after it were heard both ways.

        Raises AssertionError, with the story of who heard nothing, after `limit` seconds.
        """
        heard: list[float] = []
        for speaker in self.speakers:
            while (first := speaker.heard_after(moment)) is None:
                if time.monotonic() > moment + limit:
                    speaker.listener.wait_for("line typed after a disturbance", 0.0)
                time.sleep(0.01)
            heard.append(first)
        return max(heard) - moment

    def stop(self, limit: float = PATIENCE) -> None:
        """Fall silent, and wait until all that was typed is heard, in order, once."""
        self._over.set()
        self._thread.join()
        for speaker in self.speakers:
            speaker.listener.wait_for("message", limit, text=speaker.lines[-1])
            heard = [text for text in speaker.listener.texts() if text in set(speaker.lines)]
            assert heard == speaker.lines, f"{speaker.lines}\nwere heard as\n{heard}"

    def _speak(self) -> None:
        while not self._over.wait(SPOKEN_INTERVAL):
            for speaker in self.speakers:
                speaker.speak(self._topic)
