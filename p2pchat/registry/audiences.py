"""
The origins under which a registry is addressed, by the ``Host`` of a request and the ``aud`` of a
document.

::

    --public-url    the origins that it gives, the first of them the canonical one, for documents;
                    for ``Host``, their hosts, and the address and port of the connection itself
    without one     the address and port of the connection itself; on a loopback one, localhost too

Any other ``Host`` is refused.  A name doesn't prove whose registry it leads to: its owner may point
it at somebody else's, so that a page in a browser there reads what isn't meant for it (DNS
rebinding); and a registry that believed every ``Host`` would take the documents that were signed
for another, from whoever gets hold of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address

import attrs

from p2pchat.errors import RemoteProtocolError
from p2pchat.registry.refusals import Refused, refused
from p2pchat.wire.addresses import parse_ip
from p2pchat.wire.origins import host

_host = lru_cache(maxsize=256)(host)  # of origins, which are short: requests name the same few


def own_origins(ip: str, port: int, secure: bool) -> frozenset[str]:
    """
    Return the origins by which somebody may address the local end of a connection.

    :param ip: its address; or empty, or no address at all: it has none.
    """
    try:
        address = parse_ip(ip.partition("%")[0])
    except RemoteProtocolError:
        return frozenset()
    literal = f"[{address}]" if address.version == 6 else str(address)
    names = [literal, "localhost"] if address.is_loopback else [literal]
    scheme = "https" if secure else "http"
    return frozenset(f"{scheme}://{name}:{port}" for name in names)


def reachable_origins(
    bound: str, port: int, secure: bool, addresses: Iterable[str]
) -> tuple[str, ...]:
    """
    Return the origins by which peers can dial a port, those that only this machine can last.

    :param bound: the address that it is bound to, perhaps all of a family.
    :param addresses: those of this machine.
    """
    try:
        any_of = parse_ip(bound)
    except RemoteProtocolError:
        return ()
    versions = {4, 6} if any_of.version == 6 else {4}  # a port of IPv6 takes IPv4 as well
    mine = [ip for ip in addresses if parse_ip(ip).version in versions]
    chosen = mine if any_of.is_unspecified else [bound]
    ordered = sorted(dict.fromkeys(chosen), key=is_loopback)
    origins = [one for ip in ordered for one in own_origins(ip, port, secure)]
    return tuple(one for one in origins if "localhost" not in one)


def is_loopback(ip: str) -> bool:
    """Tell whether an address is this machine's own; what is no address isn't."""
    try:
        return ip_address(ip).is_loopback
    except ValueError:
        return False


@attrs.frozen
class Audiences:
    """
    The origins that an operator gave.

    :ivar public: the canonical one first; empty: the registry goes by its own addresses.
    """

    public: tuple[str, ...] = ()
    _by_host: dict[str, str] = attrs.field(init=False, eq=False, repr=False)
    _all: frozenset[str] = attrs.field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        by_host = {host(origin): origin for origin in reversed(self.public)}
        object.__setattr__(self, "_by_host", by_host)
        object.__setattr__(self, "_all", frozenset(self.public))

    def addressed(self, named: str, own: frozenset[str], by_proxy: bool) -> str:
        """
        Return the origin under which a request addresses the registry.

        :param named: the origin that its ``Host`` makes.
        :param own: those of the local end of its connection.
        :param by_proxy: whether a trusted proxy passed it on, whose ``Host`` may be its own.
        :raises Refused: it is meant for somebody else.
        """
        if not self.public:
            if named in own:
                return named
            raise self._misdirected(named)
        found = self._by_host.get(_host(named))
        if found is None and not (by_proxy or named in own):
            raise self._misdirected(named)
        return found or self.public[0]

    def accepted(self, addressed: str) -> frozenset[str]:
        """Return whom a document may be for that comes in a request to this origin."""
        return self._all or frozenset({addressed})

    def _misdirected(self, named: str) -> Refused:
        dial = f"dial {self.public[0]}, or" if self.public else "dial an address of its machine, or"
        detail = (
            f"this registry wasn't told that it is {named}: {dial} have its operator start it with "
            f"--public-url {named}"
        )
        return refused(421, "misdirected", detail)
