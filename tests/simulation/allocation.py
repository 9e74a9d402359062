"""
How a NAT chooses the public port of a new mapping (RFC 4787 section 4.2).

An allocation only wishes: it yields ports, best first and without end, and the NAT takes the
first that is free.  It may keep state from one mapping to the next; it draws from the random
numbers it is given.  Ports run from 1024 to 65535.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Protocol

import attrs

FIRST_PORT = 1024
LAST_PORT = 65535


class Allocation(Protocol):
    """The seam: any object with this method will do."""

    def wishes(self, internal_port: int, random: Random) -> Iterator[int]:
        """Yield the ports to try for an internal endpoint with this port."""


@attrs.frozen
class RandomAllocation:
    """Any port, each as likely."""

    def wishes(self, internal_port: int, random: Random) -> Iterator[int]:
        """See `Allocation`."""
        while True:
            yield random.randint(FIRST_PORT, LAST_PORT)


@attrs.frozen
class PreservingAllocation:
    """The internal port itself; a random one when that is taken."""

    def wishes(self, internal_port: int, random: Random) -> Iterator[int]:
        """See `Allocation`."""
        yield internal_port
        yield from RandomAllocation().wishes(internal_port, random)


@attrs.define
class SequentialAllocation:
    """Each port `step` above the last one, round and round."""

    step: int = 1
    last: int = 40000

    def wishes(self, internal_port: int, random: Random) -> Iterator[int]:
        """See `Allocation`."""
        while True:
            span = LAST_PORT - FIRST_PORT + 1
            self.last = FIRST_PORT + (self.last + self.step - FIRST_PORT) % span
            yield self.last
