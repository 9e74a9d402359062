"""
What a NAT remembers: mappings, filters, and the strangers it has seen.

Three objects, because RFC 4787 treats them apart.  Only outbound traffic refreshes a mapping or
a filter (REQ-6); filters belong to the internal endpoint, whatever it is mapped to (section 5).
Whatever is older than its expiry does not exist, and is forgotten when it is met.  `now` is
float seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from random import Random

import attrs

from tests.simulation.allocation import Allocation
from tests.simulation.behaviour import Behaviour, Key, key
from tests.simulation.network import Address

MANY_WISHES = 10_000  # ports tried before a NAT counts as full
STRANGER_EXPIRY = 30.0  # seconds; Linux, nf_conntrack_udp_timeout of an unreplied flow


@attrs.define(eq=False)
class Mapping:
    """An internal endpoint's public port; `refreshed` is when it last sent through it."""

    key: Key
    internal: Address
    port: int
    refreshed: float


@attrs.define
class MappingTable:
    """The mappings of one NAT, by key and by public port."""

    behaviour: Behaviour
    expiry: float
    allocation: Allocation
    _random: Random
    _by_key: dict[Key, Mapping] = attrs.Factory(dict)
    _by_port: dict[int, Mapping] = attrs.Factory(dict)

    def __len__(self) -> int:
        return len(self._by_port)

    def find(self, its_key: Key, now: float) -> Mapping | None:
        """Return the live mapping of this key."""
        return self._alive(self._by_key.get(its_key), now)

    def holder(self, port: int, now: float) -> Mapping | None:
        """Return the live mapping that has this public port."""
        return self._alive(self._by_port.get(port), now)

    def create(
        self,
        its_key: Key,
        internal: Address,
        now: float,
        refused: Callable[[int], bool] | None = None,
    ) -> Mapping | None:
        """Map `internal` to a free port that isn't refused; None when all are taken."""
        self._forget(self._by_key.get(its_key))
        for port in islice(self.allocation.wishes(internal[1], self._random), MANY_WISHES):
            if self.holder(port, now) is None and (refused is None or not refused(port)):
                mapping = Mapping(its_key, internal, port, now)
                self._by_key[its_key] = self._by_port[port] = mapping
                return mapping
        return None

    def clear(self) -> None:
        """Forget every mapping."""
        self._by_key.clear()
        self._by_port.clear()

    def describe(self, now: float) -> list[str]:
        """Return a line for each live mapping."""
        live = [mapping for mapping in self._by_port.values() if self._is_live(mapping, now)]
        return [f"{m.internal[0]}:{m.internal[1]} -> port {m.port} {m.key[1]}" for m in live]

    def _alive(self, mapping: Mapping | None, now: float) -> Mapping | None:
        if mapping is None or now - mapping.refreshed < self.expiry:
            return mapping
        self._forget(mapping)
        return None

    def _is_live(self, mapping: Mapping, now: float) -> bool:
        return now - mapping.refreshed < self.expiry

    def _forget(self, mapping: Mapping | None) -> None:
        if mapping is not None:
            del self._by_key[mapping.key], self._by_port[mapping.port]


@attrs.define
class Filtering:
    """Whom each internal endpoint has sent to, and so may hear from."""

    behaviour: Behaviour
    expiry: float
    _sent: dict[Key, float] = attrs.Factory(dict)

    def permit(self, internal: Address, remote: Address, now: float) -> None:
        """Note that `internal` has sent to `remote`."""
        self._sent[key(self.behaviour, internal, remote)] = now

    def admits(self, internal: Address, remote: Address, now: float) -> bool:
        """Tell whether a datagram from `remote` may reach `internal`."""
        sent = self._sent.get(key(self.behaviour, internal, remote))
        return sent is not None and now - sent < self.expiry

    def clear(self) -> None:
        """Forget everything."""
        self._sent.clear()


@attrs.define
class Strangers:
    """
    Flows that strangers began with the NAT box itself, as the connection tracking of Linux
    keeps them: (remote endpoint, public port), each for 30 s after its last datagram.
    """

    _seen: dict[tuple[Address, int], float] = attrs.Factory(dict)

    def note(self, remote: Address, port: int, now: float) -> None:
        """Begin or refresh a flow."""
        self._seen[remote, port] = now

    def holds(self, remote: Address, port: int, now: float) -> bool:
        """Tell whether this public port is given away, as far as `remote` is concerned."""
        seen = self._seen.get((remote, port))
        return seen is not None and now - seen < STRANGER_EXPIRY

    def clear(self) -> None:
        """Forget every flow."""
        self._seen.clear()
