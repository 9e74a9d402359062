"""
One aioice agent, worked through its standard streams; run by `connect`, inside a lab host.

::

    python aioice_agent.py controlling|controlled STUN_ADDRESS STUN_PORT

    prints  {"username", "password", "candidates"}      when gathering has ended
    reads   the other agent's line of the same
    prints  {"ready": true}
    reads   an empty line: the start
    prints  {"milliseconds": of Connection.connect alone}, or {"failed": why}

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


async def run(role: str, address: str, port: str) -> None:
    """Be one agent, once."""
    connection = Connection(
        ice_controlling=role == "controlling", stun_server=(address, int(port)), use_ipv6=False
    )
    await exchange_candidates(connection)
    tell(ready=True)
    await read_line()
    began = time.perf_counter()
    try:
        await connection.connect()
    except ConnectionError as problem:
        tell(failed=str(problem))
    else:
        tell(milliseconds=(time.perf_counter() - began) * 1000)
    await read_line()
    await connection.close()


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:4]))
