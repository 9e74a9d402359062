"""
Limits on what is sent to addresses that others name: to each host, and to all hosts together.

Whoever signs offers, or names STUN and TURN servers, chooses where our packets go.  So all of
them draw on one :class:`AmplificationLimit` for each *host*, an IPv4 address or the /64 of an IPv6
one, whatever the port, the attempt and the peer: BURST packets at once, RATE a second from then
on, hence no more than ``BURST + RATE * t`` in any t seconds (after RFC 9000 section 8).

Friends may be behind one address of a carrier.  So a known peer leaves others OTHERS of what it has
used of a host: one alone has 1,875 packets at once, which a run of probing and its checks fit into,
the next one 703, and so on.  Strangers, all together, leave KEPT_BURST.

What goes to a *validated* address doesn't count: an endpoint that answered a check of ours in the
attempt, or a relay that holds an allocation of ours.  With the answer what went there before is
given back, and so is a run of port guessing that led to it.  What went to other ports of the same
host is not: somebody else may be there.  Nor is anything given back for an answer over a relay of
ours: whoever runs it can make that up, together with the other side of the attempt.  An authentic
check that came from an endpoint validates nothing (RFC 9000 section 8.2 on paths of QUIC): the
other side has the key, and sources of UDP can be forged.

What attempts send to all hosts, checks, answers to checks and port guessing, validated or not,
over relays or not, is within one :class:`SendBudget`: in no second more than PACKETS packets with
BYTES bytes of UDP payload.  Strangers' attempts leave KEPT_PACKETS and KEPT_BYTES of that to known
peers, and of either kind those that check at the same time have equal shares.  One run of port
probing, 1,000 packets of 100 bytes a second, fits.

A packet that may not go isn't made or counted, and is tried again a little later.
"""

from __future__ import annotations

from collections import deque
from ipaddress import IPv6Address
from math import inf

import attrs

from p2pchat.wire.addresses import embedded_ipv4, parse_ip

BURST = 3000  # packets
RATE = 20.0  # packets a second; more than a conversation that is looked for again and again needs
OTHERS = 0.6  # of what a peer has used of a host is left to others; a run of probing fits then
KEPT_BURST = 1000  # packets of BURST, for known peers and servers
MAX_ENTRIES = 2048  # that are remembered: of hosts, and of peers at hosts
STRANGERS = ""  # what all strangers count as; a known peer counts as its id
SERVERS = "servers"  # what the STUN and TURN servers count as that a registry names
_ALL = "all"
ROUNDING = 1e-6  # of a packet

PACKETS = 1200  # in a second, to all hosts
BYTES = 150_000  # in a second, to all hosts; 1.2 Mbit/s, which most uplinks have
KEPT_PACKETS = 200  # of PACKETS, for known peers: two first seconds of nine candidates' checks
KEPT_BYTES = 25_000  # of BYTES
SLOT = 0.05  # seconds; a window is as many of them as reach back a second, and the present one
SLOTS = 20


def host_key(host: str) -> str:
    """Return what an IP address counts as: IPv4 as itself, IPv6 as its /64."""
    if ":" not in host:
        return host
    ip = parse_ip(host)
    if not isinstance(ip, IPv6Address):
        return host
    inner = embedded_ipv4(ip)  # where NAT64 and the like lead to
    return ip.packed[:8].hex() if inner is None else str(inner)


@attrs.define
class AmplificationLimit:
    """The limit on what is sent to each host, but for its validated addresses."""

    # Packets, and when that was; by host, and by peer or _ALL.
    _spent: dict[tuple[str, str], tuple[float, float]] = attrs.Factory(dict)

    def room(self, host: str, peer: str, now: float) -> int:
        """Return how many packets may go to this IP address because of a peer."""
        total, own = self._owed(host_key(host), peer, now)
        most, others = _shares(peer)
        return max(0, int((most - total - others * own) / (1 + others) + ROUNDING))

    def room_at(self, host: str, peer: str, packets: int, now: float) -> float:
        """Return when so many may go, if nothing goes there meanwhile; infinity for too many."""
        total, own = self._owed(host_key(host), peer, now)
        most, others = _shares(peer)
        most -= (1 + others) * packets  # of total + others * own
        if most < 0:
            return inf
        if total - own <= most:  # both come back until then
            return now + max(0.0, (total + others * own - most) / (RATE * (1 + others)))
        return now + (total - most) / RATE

    def take(self, host: str, peer: str, now: float) -> bool:
        """Ask to send one packet to this IP address because of a peer; tells whether it may go."""
        if self.room(host, peer, now) < 1:
            return False
        self._add(host, peer, 1, now)
        return True

    def give_back(self, host: str, peer: str, packets: int, now: float) -> None:
        """Forget packets that were wanted there."""
        self._add(host, peer, -packets, now)

    def _add(self, host: str, peer: str, packets: int, now: float) -> None:
        if len(self._spent) >= MAX_ENTRIES:
            self._forget(now)
        key = host_key(host)
        for who, owed in zip((_ALL, peer), self._owed(key, peer, now), strict=True):
            self._spent[key, who] = (max(0.0, owed + packets), now)

    def _owed(self, key: str, peer: str, now: float) -> tuple[float, float]:
        """Return what counts against all at a host, and what of that against the peer."""
        total, own = (self._spent.get((key, who), (0.0, now)) for who in (_ALL, peer))
        return max(0.0, total[0] - RATE * (now - total[1])), max(
            0.0, own[0] - RATE * (now - own[1])
        )

    def _forget(self, now: float) -> None:
        """Forget half of the entries, those with the most room left."""
        rows = sorted(self._spent.items(), key=lambda row: row[1][0] - RATE * (now - row[1][1]))
        for key, _spent in rows[: MAX_ENTRIES // 2]:
            del self._spent[key]


def _shares(peer: str) -> tuple[float, float]:
    """Return what all may use of a host because of a peer, and what it leaves to others."""
    return (BURST - KEPT_BURST, 0.0) if peer == STRANGERS else (BURST, OTHERS)


@attrs.define
class Window:
    """The packets and bytes sent in the last second, and up to SLOT more."""

    packets: int = 0
    octets: int = 0
    _slots: deque[tuple[int, int, int]] = attrs.Factory(deque)  # number, packets, octets

    def slide(self, now: float) -> None:
        """Forget what is older."""
        oldest = int(now / SLOT) - SLOTS
        while self._slots and self._slots[0][0] < oldest:
            _, packets, octets = self._slots.popleft()
            self.packets, self.octets = self.packets - packets, self.octets - octets

    def add(self, octets: int, now: float) -> None:
        """Count a packet."""
        number, packets, before = int(now / SLOT), 0, 0
        if self._slots and self._slots[-1][0] >= number:
            number, packets, before = self._slots.pop()
        self._slots.append((number, packets + 1, before + octets))
        self.packets, self.octets = self.packets + 1, self.octets + octets


@attrs.define
class SendBudget:
    """The limit on what attempts send to all hosts together."""

    _all: Window = attrs.Factory(Window)
    _each: dict[str, Window] = attrs.Factory(dict)  # by attempt

    def take(self, ufrag: str, has_priority: bool, sharing: int, octets: int, now: float) -> bool:
        """
        Ask to send a packet of an attempt; tells whether it may go.

        :param sharing: how many attempts with the same priority check now.
        """
        packets, most = PACKETS, BYTES
        if not has_priority:
            packets, most = packets - KEPT_PACKETS, most - KEPT_BYTES
        own = self._each.setdefault(ufrag, Window())
        for window, share in ((self._all, 1), (own, max(1, sharing))):
            window.slide(now)
            if window.packets + 1 > packets // share or window.octets + octets > most // share:
                return False
        for window in (self._all, own):
            window.add(octets, now)
        return True

    def forget(self, ufrag: str) -> None:
        """End an attempt's share; what it sent counts against all until its second is over."""
        self._each.pop(ufrag, None)
