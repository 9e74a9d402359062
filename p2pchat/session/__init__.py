"""
What runs over a path: pure machines.

::

    Dialogue ── everything with one peer: calls, link, conversation
      ├── Call ── offers and answers, ringing and retries
      │    └── Attempt (traversal)
      ├── Link ── QUIC, and the proof of who is at the other end
      └── Conversation ── the two logs, receipts and heartbeats
"""
