"""
The NAT64 of a network with IPv6 alone: how IPv4 is reached from there.

Mobile carriers have such networks.  What is sent to an address that begins with the NAT64's prefix
reaches the IPv4 address within (RFC 6146); the network's name servers show the prefix when they are
asked for the IPv6 addresses of a name that has none (RFC 7050).

Everything above sees IPv4 addresses: sockets and connections put the prefix on and take it off, as
a CLAT does for a whole machine (RFC 6877).  Where this machine has an IPv4 address of its own,
nothing is asked and nothing translated.

Owns when the prefix is looked for: when our addresses have changed, and again after RETRY_AFTER
while it isn't known, or is in doubt because nothing answers; at once where somebody is called or a
registry was found, since a network may get its NAT64 late; and again after RENEW_AFTER where it is
known, since it may be replaced.  One that isn't shown any more is kept: nothing else leads to IPv4.
Whoever answers for the name servers could lead our IPv4 traffic elsewhere;
so it can for every name, and what is said stays encrypted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from twisted.internet.defer import Deferred

from p2pchat.runtime import Runtime
from p2pchat.traversal.reachability import families
from p2pchat.wire.addresses import Family
from p2pchat.wire.nat64 import WELL_KNOWN_NAME, prefix_in

RETRY_AFTER = (1.0, 2.0, 4.0, 15.0, 60.0)  # seconds; most networks have IPv4, or no NAT64
RENEW_AFTER = 60.0  # seconds; as long as most name servers let such an answer be kept


@attrs.define(eq=False)
class Nat64Discovery:
    """
    Looks for the prefix, which it keeps in the runtime.

    :param resolve: returns a Deferred of the addresses of a name; it never fails.
    :param changed: called when another prefix was found, with whether there was one before.
    """

    _runtime: Runtime
    _resolve: Callable[[str], Deferred[list[str]]]
    _changed: Callable[[bool], None]
    _hosts: frozenset[str] = frozenset()
    _in_doubt: bool = False
    _failures: int = 0
    _again_at: float | None = None  # None: nothing to look for, or it is being looked for

    def look(self, hosts: Iterable[str], in_doubt: bool = False) -> None:
        """
        Take this machine's addresses; to be called again and again, for time passes, too.

        :param in_doubt: whether nothing of IPv4 answers.
        """
        now, found = self._runtime.clock.seconds(), frozenset(hosts)
        if found != self._hosts:
            self._hosts, self._failures, self._again_at = found, 0, None
            self._runtime.nat64.settle()
            if _families(found) == {Family.IPV6}:
                self._again_at = now
                self._runtime.nat64.is_sought = True
            elif self._runtime.nat64.prefix is not None:
                self._runtime.nat64.prefix = None
                self._changed(True)
        if in_doubt and not self._in_doubt:
            self._failures = 0
            self.look_at_once()
        self._in_doubt = in_doubt
        if self._again_at is not None and now >= self._again_at:
            self._resolve_now()

    def look_at_once(self) -> None:
        """Look for the prefix now, where there may be another."""
        if self._again_at is not None:
            self._resolve_now()

    def _resolve_now(self) -> None:
        self._again_at = None
        self._resolve(WELL_KNOWN_NAME).addCallback(self._found, self._hosts)

    def _found(self, addresses: list[str], hosts: frozenset[str]) -> None:
        if hosts != self._hosts:
            return  # of another network than the one that we are in now
        # Where it is the one that we know, these are IPv4 addresses, and show none.
        prefix, known = prefix_in(addresses), self._runtime.nat64.prefix
        is_new = prefix is not None and prefix != known
        if is_new:
            self._runtime.nat64.prefix = prefix
        is_sure = is_new or (known is not None and not self._in_doubt)
        wait = RETRY_AFTER[min(self._failures, len(RETRY_AFTER) - 1)]
        self._failures = 0 if is_sure else self._failures + 1
        self._again_at = self._runtime.clock.seconds() + (RENEW_AFTER if is_sure else wait)
        self._runtime.nat64.settle()
        if is_new:
            self._changed(known is not None)


def lack_in_words(runtime: Runtime) -> str:
    """Return what a network of one family lacks, where no route leads to a server; or ""."""
    hosts = runtime.host_addresses()
    if runtime.nat64.prefix is None and _families(hosts) == {Family.IPV6}:
        return "; this machine has IPv6 alone, and its network shows no NAT64 that leads to IPv4"
    return ""


def _families(hosts: Iterable[str]) -> frozenset[Family]:
    return families((host, 0) for host in hosts)
