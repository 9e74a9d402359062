"""
Limits on what is sent to addresses that others name: to each host, and to all hosts together.

Whoever signs offers, or names STUN and TURN servers, chooses where our packets go.  So all of
them draw on one :class:`AmplificationLimit` for each *host*, an IPv4 address or the /64 of an IPv6
one, whatever the port, the attempt and the peer: BURST packets at once, RATE a second from then
on, hence no more than ``BURST + RATE * t`` in any t seconds (after RFC 9000 section 8).

What goes to a *validated* address doesn't count: an endpoint that answered a check of ours in the
attempt, or a relay that holds an allocation of ours.  An authentic check that came from an endpoint
validates nothing (RFC 9000 section 8.2 on paths of QUIC): the other side of an attempt has the key,
and sources of UDP can be forged.

BURST lets every honest call through: a run of probing (1,750 packets) to one NAT, and the checks of
three attempts with nine candidates each, 26 in a round (702).

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

import attrs

from p2pchat.wire.addresses import embedded_ipv4, parse_ip

BURST = 3000  # packets
RATE = 20.0  # packets a second; more than a conversation that is looked for again and again needs
MAX_HOSTS = 1024  # that are remembered

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

    _spent: dict[str, tuple[float, float]] = attrs.Factory(dict)  # packets, and when that was

    def has_room(self, host: str, now: float) -> bool:
        """Tell whether one packet more may go to this IP address."""
        return self._owed(host_key(host), now) + 1 <= BURST

    def take(self, host: str, now: float) -> bool:
        """Ask to send one packet to this IP address; tells whether it may go."""
        key = host_key(host)
        spent = self._owed(key, now)
        if spent + 1 > BURST:
            return False
        if key not in self._spent and len(self._spent) >= MAX_HOSTS:
            self._forget(now)
        self._spent[key] = (spent + 1, now)
        return True

    def _owed(self, key: str, now: float) -> float:
        spent, when = self._spent.get(key, (0.0, now))
        return max(0.0, spent - RATE * (now - when))

    def _forget(self, now: float) -> None:
        """Forget half of the hosts, those with the most room left."""
        keys = sorted(self._spent, key=lambda key: self._owed(key, now))
        for key in keys[: MAX_HOSTS // 2]:
            del self._spent[key]


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
