"""
Mailboxes: envelopes for peers that are away (:mod:`p2pchat.wire.mailbox`).

::

    mailboxes     who may ask for what, and how often
    permits       who may send as much as an envelope, known from the head of a request; pure
    uploads       envelopes that are on their way here; pure
    outcomes      what a store answers
    tables        what is kept, as SQL: the limits, and what is deleted when
    sqlite_store  a store in memory or in a file
    redis_store   a store in Redis, shared by several processes (scripts.lua)

Every store provides :class:`p2pchat.interfaces.IMailboxStore`.
"""
