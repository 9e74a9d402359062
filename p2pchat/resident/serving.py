"""
The server of a node: what programs may want of it.
"""

from __future__ import annotations

from collections.abc import Callable

from p2pchat.attach.messages import CONSOLE, JSON, SERVICE, STREAM
from p2pchat.events import Starting
from p2pchat.interfaces import IAttachedPart, INode, IServices
from p2pchat.resident.front_ends import AttachedConsole, AttachedJson, Attaching
from p2pchat.resident.passed_streams import ServicePart, StreamPart
from p2pchat.resident.program import AttachedProgram, WhoServes
from p2pchat.resident.server import ResidentServer
from p2pchat.runtime import Runtime


def server_of(
    runtime: Runtime, node: INode, starting: Starting, services: IServices | None = None
) -> ResidentServer:
    """
    Make the server of a node; it serves nothing yet.

    :param starting: how the node began.
    :param services: of the node; without them it offers none to programs.
    """
    attaching = Attaching(runtime, node, starting)
    attaching.watch()
    parts: dict[str, Callable[[AttachedProgram], IAttachedPart]] = {
        CONSOLE: lambda program: AttachedConsole(program, attaching),
        JSON: lambda program: AttachedJson(program, attaching),
    }
    if services is not None:
        given = services, runtime.reactor
        parts[SERVICE] = lambda program: ServicePart(program, *given)
        parts[STREAM] = lambda program: StreamPart(program, *given)
    return ResidentServer(runtime, WhoServes(node.peer_id, node.username, parts))
