"""
The client: the UDP socket, the driver of the machines, the registry client, the node.

Adapters only: what is decided here could not be decided in ``traversal`` or ``session``,
because it needs the network, the registry or the person.
"""
