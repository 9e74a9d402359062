"""
The server: the registry as a web resource, and a STUN service beside it.

Where things are, decisions first::

    directory       records as leases; pure
    client_address  whose request it is, behind a proxy; pure
    audiences       under which origins the registry is addressed; pure
    rates           token buckets by address and by key; pure
    solicited       who has called or answered whom; pure
    pressure        whether strangers must work, and how much; pure
    toll            who pays with work, and whether it was done; pure
    defences        the buckets of a process, and its proof of work
    admission       what every request passes first: a token, then its Host
    lag             how late the event loop is
    refusals        which refusal answers which error; pure
    stun_answers    what a STUN request is answered; pure
    memory_store    what the registry remembers, in its own process
    redis_store     the same in Redis, shared by several processes; redis_link connects,
                    redis_scripts, redis_messages and redis_url are pure
    streams         event streams to the peers that subscribed
    metrics         what is counted, and how Prometheus is shown it
    registry        what a signed document may do, over a store and the streams
    resource        the HTTP routes (Klein)
    site            limits of the HTTP connection below the routes
    stun_service    the UDP sockets
    web_service     the listening HTTP ports, and the order of stopping

Never imports :mod:`p2pchat.peer`, nor is imported by it.
"""
