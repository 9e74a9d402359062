"""
Forwards: what comes in at one endpoint goes on to another, both ways.

Owns no endpoint and no peer: any two of Twisted's will do, ``p2p:`` among them.

::

    bridge            two connections whose bytes go to each other
    web_proxy         HTTP from browsers of this machine to a service
    web_lock          whose requests pass
    forward           a port, each of whose connections gets a bridge
    endpoint_strings  endpoints from strings, on loopback where nothing else is said
"""
