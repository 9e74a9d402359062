"""
What strangers who never stop leave of a peer's budget to those whom the registry has forgotten.

A victim that wrote to nobody is sent refusals by one key, a dozen, or many, from one address and as
fast as the registry takes them from there.  Friends at another address offer by turns, one every
second, and must come through.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import cycle
from typing import Any

from benchmarks.asking import MOST_BYTES, Connection, Site, new_people
from benchmarks.findings import MIB, Found, Plan
from benchmarks.serving import registry, serving
from benchmarks.waits import Pace, Waits, attacking, cost_of
from p2pchat.identity.keys import Identity
from p2pchat.wire.documents import Refusal

PORT = 27400
ATTACKER, HONEST = "127.8.0.1", "127.8.0.2"
KEYS = (1, 12, 100)
SENT = 45  # documents a second; the registry takes 50 from an address, and keys register, too
FRIENDS = 20  # so that each of them offers once in so many seconds
RENEWED = 30.0  # seconds; a lease has 60
OFFER_LIMIT = 0.05  # seconds that an offer may wait for its answer
MISSED = 2 / 3  # part of the offers that many keys may keep out; a dozen none
FEW = 12
GROWTH = 16 * MIB  # bytes


def insist(tally: Any, prepared: Callable[[], None], site: Site, victim: str, count: int) -> None:
    """Send refusals from so many keys, SENT a second; count them, and those that were taken."""
    people = new_people(count)
    end, registered = Connection(site.dial(ATTACKER)), dict[str, float]()
    for person in people:
        _register(end, site, person, registered)
    prepared()
    pace = Pace(SENT)
    for person in cycle(people):
        pace.wait()
        _register(end, site, person, registered)
        refusal = Refusal(os.urandom(16).hex(), "busy")
        end.socket.sendall(site.document(person, victim, refusal))
        tally[0] += 1
        tally[1] += end.socket.recv(MOST_BYTES).startswith(b"HTTP/1.1 202")


def _register(end: Connection, site: Site, person: Identity, registered: dict[str, float]) -> None:
    """Register whoever didn't lately."""
    now = time.monotonic()
    if now > registered.get(person.peer_id, -RENEWED) + RENEWED:
        end.ask(site.registration(person))
        registered[person.peer_id] = now


def offers(site: Site, victim: Identity, seconds: float) -> tuple[Waits, int]:
    """Offer once a second; return the waits of the offers, and how many weren't taken."""
    friends, registered = new_people(FRIENDS), dict[str, float]()
    end, pace = Connection(site.dial(HONEST)), Pace(1.0)
    _register(end, site, victim, registered)
    stream = site.dial(HONEST)
    stream.sendall(site.subscription(victim))
    stream.setblocking(False)
    time.sleep(1.0)  # the stream is live, and strangers may begin
    waits, missed, until = list[float](), 0, time.monotonic() + seconds
    for friend in cycle(friends):
        for person in (victim, friend):
            _register(end, site, person, registered)
        sent, began = site.offer(friend, victim.peer_id), time.monotonic()
        end.socket.sendall(sent)
        missed += not end.socket.recv(MOST_BYTES).startswith(b"HTTP/1.1 202")
        waits.append(time.monotonic() - began)
        with suppress(BlockingIOError):
            while stream.recv(MOST_BYTES):
                pass
        if time.monotonic() > until:
            return Waits(tuple(waits)), missed
        pace.wait()
    raise AssertionError("there is no last friend")


def beside(plan: Plan, count: int) -> Found:
    """Offer alone, and beside so many keys."""
    with serving(registry(PORT, "--stun=0"), PORT) as pid:
        site, [victim] = Site(PORT), new_people(1)
        alone, missed_alone = offers(site, victim, plan.alone)
        made = site, victim.peer_id, count
        with attacking(insist, *made) as attack, cost_of(pid) as cost:
            waits, missed = offers(site, victim, plan.seconds)
            faults = attack.complaints()
            sent, taken = attack.tally[:2]
    offered = len(waits.seconds)
    if missed_alone or missed > (0 if count <= FEW else MISSED * offered):
        faults.append(f"{missed} of {offered} offers weren't taken, {missed_alone} alone")
    notes = [f"{sent} refusals sent, {taken} taken; {offered - missed} of {offered} offers taken"]
    return Found(OFFER_LIMIT, alone, waits, cost, GROWTH, faults, notes)


STRANGER_SCENARIOS: dict[str, Callable[[Plan], Found]] = {
    f"insisting, {count}": partial(beside, count=count) for count in KEYS
}
