"""
Finding and keeping a path between two peers: pure state machines.

::

    Agent ── one for a socket: tells STUN from the rest, drains its children
      ├── Gathering ── our candidates, by Binding requests to the registry's STUN service
      ├── Relays ── our allocations on TURN servers
      └── Punching ── one for an attempt: checks both ways, and the choice of the path
    Attempt ── one offer and its answer: descriptions of both sides, and its Punching

Terms are those of RFC 8445 and RFC 8489; what deviates stands in the module concerned.
"""
