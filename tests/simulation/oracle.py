"""
The theory of hole punching, as a predicate.

Plain punching is: one socket a side; the server-reflexive candidates are exchanged; both sides
check again and again; the source of a check that arrives is learnt (peer-reflexive) and checked
too.  A check succeeds if its response arrives on the socket it was sent from, and from the
address it was sent to (RFC 8445 section 7.2.5.2.1).  Ports are drawn at random, so none is met
by chance or by prediction, and both sides' NATs are separate.
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


def _hears(listener: NatKind, speaker: NatKind) -> bool:
    """Tell whether the listener's filter lets the speaker's first checks in."""
    return listener.filtering is not _STRICTEST or speaker.mapping is _INDEPENDENT
