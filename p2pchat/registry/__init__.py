"""
The server: the registry as a web resource, and a STUN service beside it.

::

    http               from connections to the registry's methods, and back
    registry           what a signed document may do, over a store and the streams
    nameplates         where two meet who share an invitation
    mailbox            what is kept for peers that are away
    presence           who of many peers is online
    store              what is remembered, in memory or in Redis
    event_streams      how documents reach the peers that subscribed
    kept_documents     what was written lately, for streams that replace dead ones; pure
    admission          rates, and proof of work under load
    stun               the STUN service
    relay_credentials  credentials for TURN relays; pure
    audiences          under which origins the registry is addressed; pure
    metrics            what is counted, and how Prometheus is shown it
    refusals           which refusal answers which error; pure
    ports              what the operator is told when a port can't be had

Never imports :mod:`p2pchat.peer`, nor is imported by it.
"""
