"""
The STUN service beside the registry.

::

    binding_server  what a Binding request is answered; pure
    service         the UDP sockets
"""
