"""
Two people, each behind whatever NAT they have, talk directly.

The layers of the package, imports pointing down this list only::

    __main__, demo   the program, and a conversation on one machine
    tap              command lines and services, for ``twistd`` too
    resident         a node that several programs use, by its socket
    ui               front ends on stdio: console and JSON lines
    forwarding       what comes in at one endpoint goes on to another
    registry, peer   the server; the client: sockets, signaling, node
    natcheck         readings of a NAT for people
    session          the endpoint: calls, links, conversations
    traversal        finding and keeping a path
    identity         keys, peer ids, signed documents, proofs
    attach           the socket that programs of one person share a node by
    wire             bytes and JSON to frozen values and back
    runtime          network, time and randomness, handed in
    rtnetlink        this machine's addresses, as Linux tells them
    host_addresses   an address of this machine, and where its interface leads
    interfaces       the seams
    events           what a node tells its front ends
    errors           every exception

``wire``, ``identity``, ``traversal`` and ``session`` are pure: no I/O, no clock and no
randomness of their own.  ``registry`` and ``peer`` never import each other.
"""

__version__ = "0.1.0"
