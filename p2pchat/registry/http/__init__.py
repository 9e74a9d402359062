"""
The registry's HTTP: from bytes on a connection to what the registry is asked, and back.

::

    client_address  whose request it is, behind a proxy; pure
    connections     which connections there may be, and for how long; pure
    access          what every request passes first: a token of its address, then its Host
    plain_requests  requests that are read without twisted.web
    site            the connections, and the limits below the routes
    resource        the routes (Klein)
    web_service     the listening ports, and the order of stopping

``openapi.json`` describes the routes to programs; the tests hold it to them.  Nothing outside this
folder imports it, but for what puts the services together.
"""
