"""daphne with an endpoint string of ours (``-e STRING``), on streams in memory; says the answer."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from daphne.server import Server
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.identity.people import ALICE, BOB
from tests.peer.fake_streams import FakeStreams
from tests.peer.service_case import Side

LATER = 0.2  # seconds until daphne listens


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Say who asks."""
    host, port = scope["client"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"client {host} {port}".encode()})


def main(endpoint: str) -> None:
    """Serve, ask once, and end."""
    import treq  # noqa: PLC0415 - after daphne has chosen its reactor
    from treq.client import HTTPClient  # noqa: PLC0415

    clock: Any = reactor
    others: dict[str, FakeStreams] = {}
    alice, bob = Side(ALICE, clock, others), Side(BOB, clock, others)
    alice.contacts.keep(BOB.peer_id, "bob")
    bob.contacts.keep(ALICE.peer_id, "alice")
    found: Any = ModuleType("p2pchat.tap.node_for")

    def node_for(_reactor: object, _directory: Path) -> Deferred[Any]:
        return succeed(bob.services)

    found.node_for = node_for
    sys.modules["p2pchat.tap.node_for"] = found

    def ask() -> Deferred[Any]:
        answer = HTTPClient(alice.services.web_agent()).get("p2p://dj.bob/")
        return answer.addCallback(lambda one: treq.text_content(one).addCallback(show, one.code))

    def show(text: str, code: int) -> None:
        sys.stdout.write(f"{code} {text}\n")

    def ended(result: object) -> None:
        if isinstance(result, Failure):
            result.printTraceback()
        clock.stop()

    deferLater(clock, LATER, ask).addBoth(ended)
    Server(application, endpoints=[endpoint], signal_handlers=False).run()


if __name__ == "__main__":
    main(sys.argv[2])
