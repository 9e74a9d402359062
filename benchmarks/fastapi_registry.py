"""
The other side of ``benchmarks.registry``: a registry on FastAPI that does the job unsigned.

It takes the members of a registration as plain JSON, validated by Pydantic with the limits that
p2pchat has, holds the record for one lease, and answers with what p2pchat answers.  No signature,
no audience, no nonce, no rate limit, no event streams: it is what one gets by leaving these out.

Run by uvicorn with its standard extras (uvloop and httptools), the fastest way it has::

    uvicorn benchmarks.fastapi_registry:app --no-access-log
"""

from __future__ import annotations

import time
from typing import Annotated, Any
from uuid import UUID

from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

LEASE = 60.0  # seconds
STUN = ["stun:127.0.0.1:3478", "stun:127.0.0.1:3479"]

app = FastAPI()
records: dict[UUID, dict[str, Any]] = {}
leases: dict[UUID, float] = {}


class Registration(BaseModel):  # type: ignore[misc]
    """The body of ``POST /register``."""

    v: Annotated[int, Field(ge=2, le=2)]
    iss: UUID
    aud: Annotated[str, Field(min_length=1, max_length=512)]
    iat: Annotated[float, Field(ge=0, lt=1e11)]
    jti: Annotated[str, Field(min_length=1, max_length=64)]
    username: Annotated[str, Field(min_length=1, max_length=64)]
    nat: Annotated[str, Field(max_length=64)] = ""
    addresses: Annotated[list[str], Field(max_length=32)] = []


@app.post("/register")  # type: ignore[untyped-decorator]
async def register(body: Registration, request: Request) -> Any:
    """Hold a record for one lease."""
    ip = request.client.host if request.client else ""
    record = {
        "peer_id": str(body.iss),
        "username": body.username,
        "nat": body.nat,
        "online": False,
        "as_of": int(time.time()),
        "ip": ip if body.addresses else None,
        "port": None,
        "addresses": body.addresses or None,
    }
    records[body.iss] = record
    leases[body.iss] = time.monotonic() + LEASE
    return {**record, "lease": LEASE, "stun": STUN, "your_ip": ip}


@app.get("/peer/{peer_id}")  # type: ignore[untyped-decorator]
async def peer(peer_id: UUID) -> Any:
    """Show a record while its lease runs."""
    record = records.get(peer_id)
    if record is None or time.monotonic() >= leases[peer_id]:
        raise HTTPException(404, "no such peer")
    return record
