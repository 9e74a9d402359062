"""A registry with its own limits, and the peers of a scenario around it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

from benchmarks.asking import Site
from benchmarks.programs import PATIENCE, Peer, peer
from benchmarks.serving import registry, serving

PORT, STUN_PORT = 27100, 27110
LOOK_AGAIN = 0.2  # seconds; the registry bounds how often one may ask


@attrs.define
class Scene:
    """
    A registry, and the peers around it.

    :ivar home: where they keep what they keep.
    """

    site: Site
    home: Path
    _stack: ExitStack

    def peers(self, **options: Sequence[str]) -> list[Peer]:
        """Run peers, by name with their options, at once; all are registered."""
        started = [
            self._stack.enter_context(peer(self.home, name, self.site.origin, *more))
            for name, more in options.items()
        ]
        for one in started:
            one.registered()
        return started


@contextmanager
def scene(*options: str, port: int = PORT) -> Iterator[Scene]:
    """Run a registry with its own limits; whatever is started beside it ends with it."""
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        stack.enter_context(serving(registry(port, f"--stun={STUN_PORT}", *options), port))
        yield Scene(Site(port), Path(home), stack)


def connected(caller: Peer, called: str) -> None:
    """Let a peer call another one that accepts."""
    since = len(caller.told)
    caller.command(f"/connect {called}")
    caller.expect("connected", since=since, peer_id=called)


def id_of(asking: Peer, name: str) -> str:
    """Return the id of the peer that is registered by a name."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        since = len(asking.told)
        asking.command("/peers")
        listed = asking.expect("peers", since=since)["peers"]
        for record in listed:
            if record["username"] == name and record["online"]:
                return str(record["peer_id"])
        time.sleep(LOOK_AGAIN)
    raise SystemExit(f"{name} doesn't register")
