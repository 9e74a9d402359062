"""
What a registry that means ill can cost a peer.

The victim and its friend meet at an honest registry and talk.  Then a fake one takes its place at
the same port, and only the victim is answered there; in the end the honest one is back, and the
victim must be registered again.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from benchmarks import fake_registry
from benchmarks.fake_registry import ANSWERED, FAR_DATED, KINDS, LURED, PORT
from benchmarks.findings import Found, Plan
from benchmarks.hostile_peers import GROWTH, LINE_LIMIT
from benchmarks.programs import PATIENCE, POLL, Peer, peer
from benchmarks.scene import connected
from benchmarks.serving import TWISTD, serving
from benchmarks.waits import Attack, Cost, Waits, attacking, cost_of, lines
from p2pchat.identity.keys import Identity
from p2pchat.runtime import interface_addresses
from p2pchat.wire.addresses import Family, Scope, family, scope

RETURN = 60.0  # seconds in which a peer must be at the honest registry again


def honest(host: str) -> list[str]:
    """Return the command of a registry at this address."""
    listen = f"--listen=tcp:{PORT}:interface={host}"
    return [TWISTD, "-n", "--pidfile=", "p2psignal", listen, "--stun=0"]


def own_address() -> str:
    """Return an address of this machine that isn't loopback, or "" where there is none."""
    found = (one.host for one in interface_addresses() if family(one.host) is Family.IPV4)
    usable = {Scope.PRIVATE, Scope.GLOBAL}
    return next((one for one in found if scope(one) in usable), "")


def fake(plan: Plan, kind: str, host: str = "127.0.0.1") -> Found:
    """Let a fake registry of a kind take the honest one's place, for a while."""
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        with _registry(host):
            started = [
                stack.enter_context(peer(Path(home), name, f"http://{host}:{PORT}", "--accept=all"))
                for name in ("victim", "friend")
            ]
            for one in started:
                one.registered()
            victim, friend = started
            connected(friend, victim.peer_id)
            alone = lines(friend, victim.peer_id, plan.alone)
        arguments = (kind, host, victim.peer_id)
        with attacking(fake_registry.serve, *arguments) as attack, cost_of(victim.pid) as cost:
            since = len(victim.told)
            faults = _await_victim(attack)
            if kind == "relays":
                victim.expect("nat", since=since, udp_blocked=True)
            victim.command("/peers")
            victim.command(f"/connect {Identity.from_seed(os.urandom(32)).peer_id}")
            beside = lines(friend, victim.peer_id, plan.seconds)
            faults += attack.complaints()
        since, began = len(victim.told), time.monotonic()
        with _registry(host):
            is_back, took = _returned(victim, since), time.monotonic() - began
    asked, lured, far_dated = (attack.tally[one] for one in (ANSWERED, LURED, FAR_DATED))
    notes = [f"{asked} requests answered"]
    if not is_back:
        faults.append(f"isn't registered again {RETURN:.0f} s after the honest registry is back")
    else:
        notes.append(f"registered again after {took:.1f} s")
    if lured:
        faults.append(f"led to a port of this machine {lured} times")
    if far_dated:
        faults.append(f"{far_dated} documents dated more than two days from now")
    return Found(LINE_LIMIT, alone, beside, cost, GROWTH, faults, notes)


def _registry(host: str) -> AbstractContextManager[int]:
    return serving(honest(host), PORT, host)


def _await_victim(attack: Attack) -> list[str]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if attack.tally[ANSWERED]:
            return []
        time.sleep(POLL)
    return ["the victim asks the fake registry nothing"]


def _returned(victim: Peer, since: int) -> bool:
    until = time.monotonic() + RETURN
    while time.monotonic() < until:
        if victim.find(("registered",), since):
            return True
        time.sleep(POLL)
    return False


def relays(plan: Plan) -> Found:
    """
    Name relays and STUN servers at localhost.

    Where the registry is on loopback they may well be there, too: this one is at another address.
    """
    host = own_address()
    if not host:
        notes = ["not played: this machine has no address but loopback"]
        return Found(None, Waits(), Waits(), Cost(), 0, [], notes)
    return fake(plan, "relays", host)


def _kind(kind: str) -> Callable[[Plan], Found]:
    return lambda plan: fake(plan, kind)


REGISTRY_SCENARIOS: dict[str, Callable[[Plan], Found]] = {
    **{f"registry, {kind}": _kind(kind) for kind in KINDS},
    "registry, relays": relays,
}
