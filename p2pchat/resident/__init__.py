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
    front_ends        console and JSON lines of attached programs
"""
