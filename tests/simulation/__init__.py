"""
A simulated internet, in which whole peers and whole registries run on virtual time.

`Internet` is where to begin; `Nat` and `Behaviour` make its NATs, `Link` its weather, and
`direct_path_possible` says what hole punching can do in it.

The longest tests try a part of their worlds, unless all are asked for::

    P2PCHAT_SOAK=1 python -m twisted.trial tests.simulation
"""

import os

from tests.simulation.behaviour import NAT_KINDS, Behaviour, NatKind
from tests.simulation.host import Host
from tests.simulation.internet import Internet, NeverHappened
from tests.simulation.link import Link
from tests.simulation.nat import Nat
from tests.simulation.oracle import direct_path_possible

WHOLE = os.environ.get("P2PCHAT_SOAK") == "1"

__all__ = [
    "NAT_KINDS",
    "WHOLE",
    "Behaviour",
    "Host",
    "Internet",
    "Link",
    "Nat",
    "NatKind",
    "NeverHappened",
    "direct_path_possible",
]
