"""
One aioice agent, worked through its standard streams; run by `aioice_pair`, inside a lab host.

::

    python aioice_agent.py

    reads   {"controlling", "stun": [address, port], "turn": options of Connection, "limit"}
    prints  {"username", "password", "candidates"}      when gathering has ended
    reads   the other agent's line of the same
    prints  {"ready": true}
    reads   an empty line: the start
    prints  {"milliseconds": of Connection.connect alone, "local", "remote": candidate types},
            or {"failed": why}

It ends when standard input does, so that neither agent stops answering before the other is done.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from aioice import Candidate, Connection


async def read_line() -> str:
    """Read a line without stopping the event loop."""
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


def tell(**fields: Any) -> None:
    """Print one line of JSON."""
    print(json.dumps(fields), flush=True)


def make_connection(orders: dict[str, Any]) -> Connection:
    """Make the agent that the first line asks for."""
    turn = dict(orders["turn"])
    if turn:
        turn["turn_server"] = tuple(turn["turn_server"])
    return Connection(
        ice_controlling=orders["controlling"],
        stun_server=tuple(orders["stun"]),
        use_ipv6=False,
        **turn,
    )


async def exchange_candidates(connection: Connection) -> None:
    """Gather, tell what was found, and take in what the other agent told."""
    await connection.gather_candidates()
    tell(
        username=connection.local_username,
        password=connection.local_password,
        candidates=[candidate.to_sdp() for candidate in connection.local_candidates],
    )
    remote = json.loads(await read_line())
    connection.remote_username = remote["username"]
    connection.remote_password = remote["password"]
    for line in remote["candidates"]:
        await connection.add_remote_candidate(Candidate.from_sdp(line))
    await connection.add_remote_candidate(None)


async def connect(connection: Connection, limit: float) -> None:
    """Connect within `limit` seconds and tell how it went."""
    began = time.perf_counter()
    try:
        await asyncio.wait_for(connection.connect(), limit)
    except TimeoutError:
        tell(failed=f"nothing in {limit:.0f} s")
    except ConnectionError as problem:
        tell(failed=str(problem))
    else:
        pair = connection._nominated[1]  # nothing public tells which pair won
        types = {"local": pair.local_candidate.type, "remote": pair.remote_candidate.type}
        tell(milliseconds=(time.perf_counter() - began) * 1000, **types)


async def run() -> None:
    """Be one agent, once."""
    orders = json.loads(await read_line())
    connection = make_connection(orders)
    await exchange_candidates(connection)
    tell(ready=True)
    await read_line()
    await connect(connection, orders["limit"])
    await read_line()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(run())
