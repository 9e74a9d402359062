"""
Attaching to a resident node: what the programs of one person on one machine say to each other.

Whoever uses a state directory holds its lock, and serves a UNIX socket over which others of the
same person share its node.  ``docs/attaching.rst`` describes it for their authors.  Nothing here
imports more than the standard library, so that a program that only asks something begins at once.

::

    messages      the lines of the socket; pure
    refusals      errors, and the words by which they pass the socket
    socket_path   the place of the socket of a directory, and its check
    node_socket   a program's end, for programs without an event loop
"""
