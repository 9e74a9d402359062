"""
Endpoints from strings such as ``tcp:8080``, as people give them to a forward.

Owns that local ports are on loopback unless another interface is spelled out: Twisted's own
``tcp:8080`` would be open to every machine that reaches this one.  A string that can't be used
is told in a sentence with an example, whatever its parser raises.
"""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint, IStreamServerEndpoint

from p2pchat.errors import ConfigurationError
from p2pchat.wire.visible import visible

LISTEN_EXAMPLES = "tcp:8080, unix:/run/user/1000/web.sock:mode=600 or p2p:web:allow=bob"
CONNECT_EXAMPLES = "tcp:127.0.0.1:3000, unix:/run/docker.sock or p2p:bob:web"

_LOOPBACK = {"tcp": "127.0.0.1", "tcp6": r"\:\:1"}
_PARTS = re.compile(r"(?:[^:\\]|\\.)+")  # between colons without a backslash before them


def on_loopback(description: str) -> str:
    """Return a string for a server's port with loopback as its interface, if it names none."""
    kind, *rest = _PARTS.findall(description) or [""]
    named = {part.partition("=")[0] for part in rest if "=" in part}
    places = [part for part in rest if "=" not in part]
    is_open = "interface" not in named and len(places) + ("port" in named) < 2
    return (
        f"{description}:interface={_LOOPBACK[kind]}"
        if is_open and kind in _LOOPBACK
        else (description)
    )


def server_endpoint(reactor: Any, description: str) -> IStreamServerEndpoint:
    """
    Return the endpoint that a string for listening names; without a reactor, to check it.

    :raises ConfigurationError: there is none.
    """
    try:
        found: IStreamServerEndpoint = serverFromString(reactor, on_loopback(description))
    except Exception as error:  # parsers raise what they like
        raise _unusable("--listen", description, error, LISTEN_EXAMPLES) from None
    return found


def client_endpoint(reactor: Any, description: str) -> IStreamClientEndpoint:
    """
    Return the endpoint that a string for connecting names; without a reactor, to check it.

    :raises ConfigurationError: there is none.
    """
    try:
        found: IStreamClientEndpoint = clientFromString(reactor, description)
    except Exception as error:
        raise _unusable("--connect", description, error, CONNECT_EXAMPLES) from None
    return found


def _unusable(option: str, description: str, error: Exception, examples: str) -> ConfigurationError:
    # A TypeError names a function of Twisted's: no person can do anything with that.
    reason = visible(str(error))
    if isinstance(error, TypeError | IndexError | KeyError | StopIteration):
        reason = "it has too few parts, or too many"
    elif reason.startswith("invalid literal for int"):
        reason = "a part that must be a number is none"
    return ConfigurationError(
        f"{option}: {visible(description)!r} is no endpoint ({reason}); try {examples}"
    )


def shown_address(address: IAddress) -> str:
    """Return an address as people write it; of a peer, the string that reaches it."""
    client_string = getattr(address, "client_string", None)
    if client_string is not None:
        return str(client_string())
    match address:
        case IPv4Address(host=host, port=port):
            return f"{host}:{port}"
        case IPv6Address(host=host, port=port):
            return f"[{host}]:{port}"
    name = getattr(address, "name", None)
    text = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return visible(text) if text else "this machine"


def is_exposed(address: IAddress) -> bool:
    """Tell whether other machines may reach a port."""
    if not isinstance(address, IPv4Address | IPv6Address):
        return False
    return not address.host.startswith("127.") and address.host != "::1"
