"""
The theory of hole punching, as a predicate.

Plain punching is: one socket a side; the server-reflexive candidates are exchanged; both sides
check again and again; the source of a check that arrives is learnt (peer-reflexive) and checked
too.  A check succeeds if its response arrives on the socket it was sent from, and from the
address it was sent to (RFC 8445 section 7.2.5.2.1).  Ports are drawn at random, so none is met
by chance or by prediction, and both sides' NATs are separate.

Two homes behind one carrier's NAT are two NATs in a row each, the outer one shared.
"""

from __future__ import annotations

from tests.simulation.behaviour import Behaviour, NatKind

_INDEPENDENT = Behaviour.ENDPOINT_INDEPENDENT
_STRICTEST = Behaviour.ADDRESS_AND_PORT_DEPENDENT

NO_NAT = NatKind(_INDEPENDENT, _INDEPENDENT)


def direct_path_possible(a: NatKind | None, b: NatKind | None) -> bool:
    """
    Tell whether plain punching joins two peers behind these NATs; None is no NAT.

    A side hears the other only from ports that its filter admits, and it can open the filter
    only towards ports it knows.

    The other side's port, as seen by anyone but the STUN server, is the advertised one only if
    its mapping is endpoint-independent.  Otherwise its checks come from a port nobody was told,
    and a filter that is address- and port-dependent refuses them: the port is never learnt.  A
    filter that looks at addresses only, or at nothing, is opened by the side's own checks to the
    advertised port.  Hence, for each side: its filter is not address- and port-dependent, or the
    other's mapping is endpoint-independent.

    This gets first checks through both ways.  What remains is to answer from a stable port.  If
    one side's port towards the other host is one and the same (a mapping that is endpoint- or
    address-dependent), that port is learnt from its first check, and a check sent to it is
    answered from it.  If both mappings are address- and port-dependent, every learnt port makes
    the learner send from yet another new one, which the other learns in turn: requests arrive
    for ever, but each response comes from an address that no request was sent to.
    """
    a, b = a or NO_NAT, b or NO_NAT
    return _hears(a, b) and _hears(b, a) and (a.mapping, b.mapping) != (_STRICTEST, _STRICTEST)


def hard_path_possible(a: NatKind | None, b: NatKind | None) -> bool:
    """
    Tell whether peers behind these NATs are joined with many sockets and port probing.

    One side's mapping must be endpoint-independent: then the other, however strict, can open
    many mappings for the one address that everything from this side comes from, and this side
    finds one of them.  Where neither has such a mapping, both ports of a pair would have to be
    guessed, among 2**32; what plain punching can't do there, nothing can.
    """
    a, b = a or NO_NAT, b or NO_NAT
    return direct_path_possible(a, b) or _INDEPENDENT in {a.mapping, b.mapping}


def in_a_row(inner: NatKind | None, outer: NatKind | None) -> NatKind | None:
    """
    Return what two NATs in a row come to.

    A remote endpoint that makes a difference to one of them makes a difference to both together:
    a new mapping of the inner NAT is a new internal endpoint to the outer one.  What comes in has
    to pass both filters.
    """
    if inner is None or outer is None:
        return inner or outer
    return NatKind(max(inner.mapping, outer.mapping), max(inner.filtering, outer.filtering))


def carrier_path_possible(
    a: NatKind | None, b: NatKind | None, carrier: NatKind, hairpinning: bool
) -> bool:
    """
    Tell whether plain punching joins two homes behind one carrier's NAT; None is a host on the
    carrier's inside network, as a phone is.

    With hairpinning the shared NAT is to each home what a NAT of its own would be: it passes the
    other's datagrams from their public endpoint (RFC 4787 REQ-9 "external source IP address and
    port"), and filters them as anybody's.  So the pair is as good as two NATs in a row on each
    side, but for one thing that a row can't do.  A filter is opened for the internal endpoint that
    sent, and to the carrier's filter that is a mapping of the home's NAT.  Where the home maps by
    destination, the mapping that the STUN server saw stays shut to the peer, however often the
    home checks: it can hear only at a mapping that the peer has to learn from its checks first.
    Two homes that both wait to be heard never are.

    Without, nothing that is sent to a public endpoint of the carrier comes back in.  What is left
    are the addresses on the carrier's inside network.  A host there tells its own as a host
    candidate, and whoever is behind the same carrier reaches it, from behind a home NAT too, whose
    endpoint is learnt from its checks.  Of two homes neither can be told: the STUN server is
    outside, and shows each of them the carrier's address only.  They need a relay.
    """
    if a is None or b is None:
        return True
    mute = _is_shut(a, carrier) and _is_shut(b, carrier)
    together = in_a_row(a, carrier), in_a_row(b, carrier)
    return hairpinning and not mute and direct_path_possible(*together)


def hard_carrier_path_possible(
    a: NatKind | None, b: NatKind | None, carrier: NatKind, hairpinning: bool
) -> bool:
    """Tell the same with many sockets and port probing, which need hairpinning as well."""
    mappings = {max(one.mapping, carrier.mapping) for one in (a, b) if one is not None}
    hard = hairpinning and _INDEPENDENT in mappings
    return hard or carrier_path_possible(a, b, carrier, hairpinning)


def _is_shut(home: NatKind, carrier: NatKind) -> bool:
    """Tell whether the mapping that the STUN server saw lets no peer in, whatever is sent."""
    return home.mapping is not _INDEPENDENT and carrier.filtering is not _INDEPENDENT


def _hears(listener: NatKind, speaker: NatKind) -> bool:
    """Tell whether the listener's filter lets the speaker's first checks in."""
    return listener.filtering is not _STRICTEST or speaker.mapping is _INDEPENDENT
