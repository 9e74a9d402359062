"""
Two people, each behind whatever NAT they have, talk directly.

The layers of the package, imports pointing down this list only::

    tap         twistd options and services
    ui          the console and the JSON lines, on top of the node
    peer        the client: socket, driver of the machines, registry client, node
    registry    the server: registry resource and STUN service
    session     what runs over a path: QUIC link, conversation
    traversal   finding and keeping a path
    identity    keys, peer ids, signed documents, proofs
    wire        bytes and JSON to frozen values and back
    runtime, interfaces, errors

``wire``, ``identity``, ``traversal`` and ``session`` are pure: no I/O, no clock and no
randomness of their own.  ``registry`` and ``peer`` never import each other.
"""

__version__ = "0.1.0"
