"""
What offers, calls and candidates can cost a peer, of strangers and of those that it accepts.

The victim has a friend, whose lines are timed without the attack and then beside it.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from benchmarks.asking import Connection, Site, new_people
from benchmarks.findings import MIB, Found, Plan
from benchmarks.hostile_peers import GROWTH, HELD, LINE_LIMIT
from benchmarks.programs import console
from benchmarks.raw_peer import RawPeer, run
from benchmarks.scene import connected, id_of, scene
from benchmarks.serving import UNLIMITED
from benchmarks.waits import Pace, attacking, call, cost_of, lines
from p2pchat.identity.keys import Identity
from p2pchat.wire.documents import (
    MAX_CANDIDATES,
    Candidate,
    Candidates,
    CandidateType,
    Description,
    Offer,
    Refusal,
)

SINK_PORT = 27120

THROWN_AWAY = 66  # keys that call
AT_ONCE = 33  # of their calls; one more than waited for a person once
CALLS = 60  # a second, of those
RINGS = 12  # a second, of one key that takes them back
BELLS = 5  # that they may ring
REGISTERED = 40  # a second: below the number of strangers from which on they must work
CALL_SOURCES = tuple(f"127.3.0.{number}" for number in range(1, 5))

CANDIDATE_PEERS = 4  # accepted, each from an address of its own
DOCUMENTS = 20  # a second of one key: what the registry takes
OFFERS = 60  # a second, of strangers that --accept all accepts
PACKETS, BYTES = 1200, 150_000  # that a peer may send to strangers in a second, over all hosts
GENEROUS = 2  # times as many in any second of a clock that isn't the peer's


# -- calls


def spam(tally: Any, prepared: Callable[[], None], site: Site, victim: str) -> None:
    """
    Call from throw-away keys, AT_ONCE and then CALLS a second, and ring from one key.

    Counts calls, those that the registry took, and rings.
    """
    ringing, *people = new_people(1 + THROWN_AWAY)
    ends = [Connection(site.dial(source)) for source in CALL_SOURCES]
    for number, person in enumerate([ringing, *people]):
        ends[number % len(ends)].ask(site.registration(person))
        time.sleep(1 / REGISTERED)
    prepared()
    calls, rings = Pace(CALLS), Pace(RINGS)
    while True:
        while tally[0] < AT_ONCE or calls.is_due():
            person = people[tally[0] % len(people)]
            end = ends[tally[0] % len(ends)].socket
            end.sendall(offer(site, person, victim))
            tally[0] += 1
            tally[1] += end.recv(65536).startswith(b"HTTP/1.1 20")
        if rings.is_due():
            _ring(site, ends[tally[2] % len(ends)].socket, ringing, victim)
            tally[2] += 1
        time.sleep(0.002)


def _ring(site: Site, end: socket.socket, ringing: Identity, victim: str) -> None:
    """Offer, and take it back."""
    session = os.urandom(16).hex()
    offer = Offer(session, Description("ringing", os.urandom(32), "ufrag", ()))
    for body in (offer, Refusal(session, "cancelled")):
        end.sendall(site.document(ringing, victim, body))
        end.recv(65536)


def calls(plan: Plan, policy: str, *limits: str) -> Found:
    """
    Strangers call and call; a friend talks, a contact calls, and the victim calls another.

    :param limits: options of the registry.
    """
    with scene(*limits) as here:
        options = (f"--accept={policy}", f"--state={here.home / 'state'}")
        all_accepted = ("--accept=all",)
        earlier, friend, contact, other = here.peers(
            victim=options, friend=all_accepted, contact=all_accepted, other=all_accepted
        )
        notes, faults = list[str](), list[str]()
        first = call(earlier, contact.peer_id)  # whom it calls on purpose is a contact
        notes.append(_call_note("own call alone", first, faults))
        earlier.leave()
        [victim] = here.peers(victim=options)
        connected(victim, friend.peer_id)
        answering = victim if policy == "ask" else None
        alone = lines(friend, victim.peer_id, plan.alone)
        with attacking(spam, here.site, victim.peer_id) as attack, cost_of(victim.pid) as cost:
            told = victim.counts["offer"]
            beside = lines(friend, victim.peer_id, plan.seconds)
            theirs = call(contact, victim.peer_id, answering)
            notes.append(_call_note("contact's call", theirs, faults))
            notes.append(_call_note("own call", call(victim, other.peer_id), faults))
            faults += attack.complaints()
        told = victim.counts["offer"] - told
        made, taken, rings = attack.tally[:3]
        notes.append(f"{made} calls ({taken} taken), {rings} rings, {told} offers told")
    return Found(LINE_LIMIT, alone, beside, cost, GROWTH, faults, notes)


def _call_note(what: str, outcome: tuple[float, str], faults: list[str]) -> str:
    seconds, failure = outcome
    if failure:
        faults.append(f"{what}: {failure}")
    return f"{what} {seconds * 1000:.0f} ms{' failed' if failure else ''}"


def ring(tally: Any, prepared: Callable[[], None], site: Site, victim: str) -> None:
    """Ring from one key, RINGS a second, and take each back; count them."""
    [me] = new_people(1)
    end = Connection(site.dial(CALL_SOURCES[0]))
    end.ask(site.registration(me))
    prepared()
    pace = Pace(RINGS)
    while True:
        pace.wait()
        _ring(site, end.socket, me, victim)
        tally[0] += 1


def rings(plan: Plan) -> Found:
    """One stranger rings and rings at somebody's console."""
    with scene() as here, ExitStack() as stack:
        victim = stack.enter_context(console(here.home, "victim", here.site.origin, (24, 80)))
        [friend] = here.peers(friend=("--accept=all",))
        victim_id = id_of(friend, "victim")
        victim.type(f"/connect {friend.peer_id}")
        friend.expect("connected", peer_id=victim_id)
        alone = lines(friend, victim_id, plan.alone)
        bells = victim.bells
        with attacking(ring, here.site, victim_id) as attack, cost_of(victim.pid) as cost:
            beside = lines(friend, victim_id, plan.seconds)
            faults = attack.complaints()
        bells = victim.bells - bells
    faults += [f"{bells} bells"] if bells > BELLS else []
    notes = [f"{attack.tally[0]} rings, {bells} bells"]
    return Found(LINE_LIMIT, alone, beside, cost, GROWTH, faults, notes)


def offer(
    site: Site, author: Identity, victim: str, candidates: tuple[Candidate, ...] = ()
) -> bytes:
    """Write an offer whose key, unlike a list of zeros, makes a secret."""
    body = Offer(os.urandom(16).hex(), Description("stranger", os.urandom(32), "ufrag", candidates))
    return site.document(author, victim, body)


def come_and_go(tally: Any, prepared: Callable[[], None], site: Site, victim: str) -> None:
    """Offer once from each of ever new keys, with an address where nobody is; count them."""
    ends = [Connection(site.dial(source)) for source in CALL_SOURCES]
    prepared()
    pace = Pace(REGISTERED)
    while True:
        pace.wait()
        [person], end = new_people(1), ends[tally[0] % len(ends)].socket
        for sent in (
            site.registration(person),
            offer(site, person, victim, candidates_at(tally[0] % 2048)[:1]),
        ):
            end.sendall(sent)
            end.recv(65536)
        tally[0] += 1


def strangers(plan: Plan) -> Found:
    """Ever new strangers are accepted by --accept all, and no path is found to any."""
    with scene(*UNLIMITED) as here:
        victim, friend = here.peers(victim=("--accept=all",), friend=())
        connected(friend, victim.peer_id)
        alone = lines(friend, victim.peer_id, plan.alone)
        with (
            attacking(come_and_go, here.site, victim.peer_id) as attack,
            cost_of(victim.pid) as cost,
        ):
            beside = lines(friend, victim.peer_id, plan.seconds)
            faults = attack.complaints()
    notes = [f"{attack.tally[0]} strangers"]
    return Found(LINE_LIMIT, alone, beside, cost, HELD, faults, notes)


# -- candidates


def candidates_at(number: int) -> tuple[Candidate, ...]:
    """Return as many candidates as a document may have, all new, on loopback, at the sink."""
    first = number * MAX_CANDIDATES
    return tuple(
        Candidate(CandidateType.HOST, (f"127.9.{one >> 8 & 255}.{one & 255}", SINK_PORT))
        for one in range(first, first + MAX_CANDIDATES)
    )


def sink(tally: Any, prepared: Callable[[], None]) -> None:
    """
    Take what is sent to the candidates.

    Counts packets and bytes, the most packets in a second, and the most bytes in one.
    """
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 * MIB)
    end.bind(("0.0.0.0", SINK_PORT))
    prepared()
    second, packets, size = 0, 0, 0
    while True:
        length = len(end.recv(65536))
        now = int(time.monotonic())
        if now != second:
            second, packets, size = now, 0, 0
        packets, size = packets + 1, size + length
        tally[0] += 1
        tally[1] += length
        tally[2], tally[3] = max(tally[2], packets), max(tally[3], size)


def reflected(tally: Any) -> tuple[list[str], list[str]]:
    """Return faults and notes about what came to a sink."""
    packets, _, most, most_bytes = tally[:4]
    notes = [
        f"{packets} packets to strangers, at most {most} and {most_bytes / 1000:.0f} kB a second"
    ]
    over = most > GENEROUS * PACKETS or most_bytes > GENEROUS * BYTES
    return ([f"sends {most} packets a second where it is told to"] if over else []), notes


def add_candidates(tally: Any, prepared: Callable[[], None], site: Site, victim: str) -> None:
    """Be accepted, and add candidates as fast as the registry takes them; count documents."""
    people = new_people(CANDIDATE_PEERS)
    peers = [
        RawPeer(site, f"127.4.0.{number}", person, victim)
        for number, person in enumerate(people, 1)
    ]
    for one in peers:
        one.call()
    prepared()
    pace = Pace(DOCUMENTS * len(peers))

    def add(one: RawPeer) -> None:
        if pace.is_due():
            one.deliver(Candidates(one.session, candidates_at(tally[0] % 2048)))
            tally[0] += 1

    run(peers, add)


def offer_candidates(tally: Any, prepared: Callable[[], None], site: Site, victim: str) -> None:
    """Offer from ever other keys, with as many candidates as an offer may have; count offers."""
    people = new_people(THROWN_AWAY)
    ends = [Connection(site.dial(source)) for source in CALL_SOURCES]
    for number, person in enumerate(people):
        ends[number % len(ends)].ask(site.registration(person))
        time.sleep(1 / REGISTERED)
    prepared()
    pace = Pace(OFFERS)
    while True:
        pace.wait()
        person, end = people[tally[0] % len(people)], ends[tally[0] % len(ends)].socket
        end.sendall(offer(site, person, victim, candidates_at(tally[0] % 2048)))
        end.recv(65536)
        tally[0] += 1


def told_addresses(plan: Plan, attacker: Callable[..., None], what: str) -> Found:
    """Let somebody name addresses to one who accepts everybody, and count what comes there."""
    with scene(*UNLIMITED) as here:
        victim, friend = here.peers(victim=("--accept=all",), friend=())
        connected(friend, victim.peer_id)
        alone = lines(friend, victim.peer_id, plan.alone)
        with (
            attacking(sink) as hole,
            attacking(attacker, here.site, victim.peer_id) as attack,
            cost_of(victim.pid) as cost,
        ):
            beside = lines(friend, victim.peer_id, plan.seconds)
            faults = attack.complaints() + hole.complaints()
        over, notes = reflected(hole.tally)
    named = f"{attack.tally[0]} {what} with {MAX_CANDIDATES} candidates each"
    return Found(LINE_LIMIT, alone, beside, cost, GROWTH, faults + over, [named, *notes])


CALL_SCENARIOS: dict[str, Callable[[Plan], Found]] = {
    "calls, ask": lambda plan: calls(plan, "ask"),
    "calls, contacts": lambda plan: calls(plan, "contacts"),
    "calls, all": lambda plan: calls(plan, "all"),
    "calls, open registry": lambda plan: calls(plan, "ask", *UNLIMITED),
    "rings": rings,
    "strangers": strangers,
    "candidates": lambda plan: told_addresses(plan, add_candidates, "documents"),
    "reflector": lambda plan: told_addresses(plan, offer_candidates, "offers"),
}
