"""
The registry's memory: records, used nonces, and the places of event streams.

::

    directory        records as leases; pure
    nameplate_table  what stands at nameplates, and for how long; pure
    memory           a store in its own process
    redis            a store in Redis, shared by several processes
    redis_link       the connections to it
    redis_scripts    its keys, what it is asked (scripts.lua), and what processes say; pure
    redis_url        where it is; pure

Both stores provide :class:`p2pchat.interfaces.IRegistryStore`.
"""
