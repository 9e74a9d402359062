"""
Token buckets by address: how often one source may ask for work that costs.

A bucket holds ``burst`` tokens and gains ``rate`` of them a second; a request takes one.  IPv6
sources share a bucket per /64, the least that one subscriber is given (RFC 6177).  The table is
bounded: above MAX_SOURCES the bucket that was used least recently goes, full or not.
"""

from __future__ import annotations

from collections import OrderedDict

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.wire.addresses import parse_ip

RATE = 50.0  # requests a second; a peer renews its lease a few times a minute
BURST = 200.0  # requests; a whole office behind one address comes back at once
MAX_SOURCES = 10_000  # about 250 bytes each


@attrs.define
class TokenBuckets:
    """The buckets of all sources."""

    rate: float = RATE
    burst: float = BURST
    capacity: int = MAX_SOURCES
    _levels: OrderedDict[str, tuple[float, float]] = attrs.field(init=False, factory=OrderedDict)

    def take(self, host: str, now: float) -> float:
        """
        Take a token; return 0, or the seconds after which there will be one.

        :param host: the source's IP address, or any other name of it.
        """
        source = _source(host)
        level, then = self._levels.pop(source, (self.burst, now))
        level = min(self.burst, level + (now - then) * self.rate)
        wait = 0.0 if level >= 1 else (1 - level) / self.rate
        self._levels[source] = (level if wait else level - 1, now)
        if len(self._levels) > self.capacity:
            self._levels.popitem(last=False)
        return wait


def _source(host: str) -> str:
    try:
        ip = parse_ip(host)
    except RemoteProtocolError:
        return host
    return host if ip.version == 4 else ip.packed[:8].hex()
