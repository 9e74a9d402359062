"""
The server of a node: what programs may want of it.
"""

from __future__ import annotations

from p2pchat.attach.messages import CONSOLE, JSON
from p2pchat.events import Starting
from p2pchat.interfaces import INode
from p2pchat.resident.front_ends import AttachedConsole, AttachedJson, Attaching
from p2pchat.resident.program import WhoServes
from p2pchat.resident.server import ResidentServer
from p2pchat.runtime import Runtime


def server_of(runtime: Runtime, node: INode, starting: Starting) -> ResidentServer:
    """
    Make the server of a node; it serves nothing yet.

    :param starting: how the node began.
    """
    attaching = Attaching(runtime, node, starting)
    attaching.watch()
    parts = {
        CONSOLE: lambda program: AttachedConsole(program, attaching),
        JSON: lambda program: AttachedJson(program, attaching),
    }
    return ResidentServer(runtime, WhoServes(node.peer_id, node.username, parts))
