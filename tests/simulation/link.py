"""
The quality of a link, as a value: latency, loss, duplication, and what it lets through.

Every datagram draws its own latency, so datagrams closer together than the spread of
`Link.latency` overtake one another: this is the only reordering there is.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import attrs

IP_AND_UDP = 28  # bytes of both headers, with IPv4


def _as_range(latency: float | tuple[float, float]) -> tuple[float, float]:
    return latency if isinstance(latency, tuple) else (latency, latency)


class Fragmentable(bytes):
    """A datagram whose packet has no DF bit: routers may fragment it."""


def anything(_data: bytes) -> bool:
    """Let every datagram through."""
    return True


def up_to(mtu: int, fragments: bool = True) -> Callable[[bytes], bool]:
    """
    Let through what fits a packet of so many bytes, in silence: ICMP is blocked.

    :param fragments: whether fragments get through.
    """
    return lambda data: (
        len(data) + IP_AND_UDP <= mtu or (fragments and isinstance(data, Fragmentable))
    )


def no_long_headers(data: bytes) -> bool:
    """Let through what doesn't look like a packet of a QUIC handshake (RFC 9000 section 17.2)."""
    return not data or data[0] & 0xC0 != 0xC0


@attrs.frozen
class Link:
    """
    One way over a link.

    :ivar latency: seconds, drawn evenly between the two; a single number means no jitter.
    :ivar loss: the probability, from 0 to 1, that a datagram is lost.
    :ivar duplicate: the probability that one which isn't lost arrives twice.
    :ivar passes: which datagrams get through; of TCP everything does.
    """

    latency: tuple[float, float] = attrs.field(default=(0.010, 0.030), converter=_as_range)
    loss: float = 0.0
    duplicate: float = 0.0
    passes: Callable[[bytes], bool] = anything

    def transits(self, random: Random) -> tuple[float, ...]:
        """Draw the latency of each copy that arrives: none, one, or two."""
        if self.loss and random.random() < self.loss:
            return ()
        low, high = self.latency
        spread = high - low
        first = low + spread * random.random()
        if self.duplicate and random.random() < self.duplicate:
            return first, low + spread * random.random()
        return (first,)


PERFECT = Link(latency=0.0)
LOCAL_NETWORK = Link(latency=(0.0002, 0.0008))
SEVERED = Link(loss=1.0)
