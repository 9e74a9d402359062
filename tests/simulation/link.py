"""
The quality of a link, as a value: latency, loss, duplication.

Every datagram draws its own latency, so datagrams closer together than the spread of
`Link.latency` overtake one another: this is the only reordering there is.
"""

from __future__ import annotations

from random import Random

import attrs


def _as_range(latency: float | tuple[float, float]) -> tuple[float, float]:
    return latency if isinstance(latency, tuple) else (latency, latency)


@attrs.frozen
class Link:
    """
    One way over a link.

    :ivar latency: seconds, drawn evenly between the two; a single number means no jitter.
    :ivar loss: the probability, from 0 to 1, that a datagram is lost.
    :ivar duplicate: the probability that one which isn't lost arrives twice.
    """

    latency: tuple[float, float] = attrs.field(default=(0.010, 0.030), converter=_as_range)
    loss: float = 0.0
    duplicate: float = 0.0

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
