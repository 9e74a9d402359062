"""
A resident node: one node, which several programs of one person use.

::

    serving           the server of a node, with all that programs may want
    unattended        calls while nobody is there to be asked
    server            the socket of a node, and who is attached
    program           one attached program: its first line, its requests, its bound
    bounded_output    what a program hasn't read yet
    passing           descriptors on their way to a program
    passed_streams    streams of attached programs, and services that they serve
    node_link         the connection of an attached program to its node
    succession        the way to a node: its lock or its socket, again when it has ended
    attached_services services of a node, for a program that is attached
    shared_services   services of whoever is the node now
    front_ends        console and JSON lines of attached programs
"""
