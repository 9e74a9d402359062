"""
How much may be sent to one IP address that hasn't proved that it wants it.

Whoever signs offers, or names STUN and TURN servers, chooses where our packets go.  So all of
them draw on one allowance for each IP address, whatever the port, the attempt and the peer: BURST
packets at once, RATE a second from then on, hence no more than ``BURST + RATE * t`` in any t
seconds.  What is above is dropped, as a network would.

Nothing is counted that goes to an endpoint which sent an authentic check or response in the
attempt, or to a relay that holds an allocation of ours: they proved that they want it.

BURST lets every honest call through: a run of probing (1,750 packets) to one NAT, and the checks of
three attempts with nine candidates each, 26 in a round (702).
"""

from __future__ import annotations

import attrs

BURST = 3000  # packets
RATE = 20.0  # packets a second; more than a conversation that is looked for again and again needs
MAX_PACKET = 200  # bytes; a check to the longest username fragment has less
MAX_HOSTS = 1024  # of which we remember what went there


@attrs.define
class Allowance:
    """
    The allowances of all addresses.

    :ivar refused: packets that were more than allowed.
    """

    refused: int = 0
    _spent: dict[str, tuple[float, float]] = attrs.Factory(dict)  # packets, and when that was

    def take(self, host: str, now: float) -> bool:
        """Ask to send one packet to this IP address; tells whether it may go."""
        spent = self._owed(host, now)
        if spent + 1 > BURST:
            self.refused += 1
            return False
        if host not in self._spent and len(self._spent) >= MAX_HOSTS:
            self._forget(now)
        self._spent[host] = (spent + 1, now)
        return True

    def _owed(self, host: str, now: float) -> float:
        spent, when = self._spent.get(host, (0.0, now))
        return max(0.0, spent - RATE * (now - when))

    def _forget(self, now: float) -> None:
        """Forget half of the addresses, those that the least went to."""
        hosts = sorted(self._spent, key=lambda host: self._owed(host, now))
        for host in hosts[: MAX_HOSTS // 2]:
            del self._spent[host]
