"""
Commands for people: ``p2pchat share``, ``p2pchat pipe`` and their like.

Each does one thing through the node of this person, as a program that is attached to it.  What is
imported before a command begins is the standard library alone.

::

    commands      the words after p2pchat, and what each is given to
    grammar       command lines: words to values, help, mistakes
    statuses      exit statuses
    attached      the node, as a command is attached to it
    byte_pipe     stdin and stdout on one side, a socket on the other
    pipe          p2pchat pipe
    asking        p2pchat grant, revoke, grants, services, why, join
    sending       p2pchat send
    reactor_run   commands that stay, in the reactor
      ├── forward_report  what is said of their connections
      ├── share       p2pchat share
      └── opening     p2pchat open
"""
