"""
A simulated internet, in which whole peers and whole registries run on virtual time.

`Internet` is where to begin; `Nat` and `Behaviour` make its NATs, `Link` its weather, and
`direct_path_possible` says what hole punching can do in it.
"""

from tests.simulation.behaviour import NAT_KINDS, Behaviour, NatKind
from tests.simulation.host import Host
from tests.simulation.internet import Internet, NeverHappened
from tests.simulation.link import Link
from tests.simulation.nat import Nat
from tests.simulation.oracle import direct_path_possible

__all__ = [
    "NAT_KINDS",
    "Behaviour",
    "Host",
    "Internet",
    "Link",
    "Nat",
    "NatKind",
    "NeverHappened",
    "direct_path_possible",
]
