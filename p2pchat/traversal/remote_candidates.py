"""
The candidates of the other side of one attempt.

A peer may send as many as it likes, as often as it likes: each address is kept once, with the type
that it had first, MAX_KEPT of them, and MAX_AT_RELAY IP addresses are named to a relay of ours.
"""

from __future__ import annotations

import attrs

from p2pchat.traversal.reachability import is_public_ipv4, may_be_checked
from p2pchat.wire.addresses import Address
from p2pchat.wire.documents import Candidate, CandidateType

MAX_KEPT = 64  # those of an offer or answer, and as many that come later
MAX_AT_RELAY = 12  # IP addresses that our relay is to let in; most peers have one, or two


@attrs.define
class RemoteCandidates:
    """
    The candidates that are kept.

    :ivar is_local: whether our person chose a registry on this machine.
    :ivar on_link: whether this machine has link-local addresses alone.
    """

    is_local: bool
    on_link: bool = False
    _kept: dict[Address, Candidate] = attrs.Factory(dict)
    _at_relay: dict[str, Address] = attrs.Factory(dict)  # by IP address

    def add(self, candidate: Candidate) -> bool:
        """Keep a candidate, unless it is known, forbidden, or one too many; tells whether."""
        address = candidate.address
        is_news = address not in self._kept and len(self._kept) < MAX_KEPT
        if not is_news or not may_be_checked(address, self.is_local, self.on_link):
            return False
        self._kept[address] = candidate
        if len(self._at_relay) < MAX_AT_RELAY and is_public_ipv4(address):
            self._at_relay.setdefault(address[0], address)
        return True

    def get(self, address: Address, kind: CandidateType) -> Candidate:
        """Return the candidate with this address, one of the given kind if there is none."""
        return self._kept.get(address) or Candidate(kind, address)

    @property
    def kept(self) -> tuple[Candidate, ...]:
        """All of them, in the order in which they came."""
        return tuple(self._kept.values())

    @property
    def at_relay(self) -> tuple[Address, ...]:
        """The addresses that a relay of ours is to let in, one for each IP address."""
        return tuple(self._at_relay.values())

    def is_at_relay(self, address: Address) -> bool:
        """Tell whether a relay of ours is to let this address in."""
        return address[0] in self._at_relay
