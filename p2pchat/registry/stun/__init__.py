"""
The STUN service beside the registry.

::

    binding_server  answers to Binding requests; pure
    service         the UDP sockets
"""
