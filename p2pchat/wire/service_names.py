"""
Names of services: what a peer asks for on a link, and never a host, a port or a path.

A name has small letters, figures, hyphens, dots and underscores, and begins with a letter or a
figure; so it is a part of an endpoint string as it stands.  Those that begin with RESERVED are
this program's own: nobody grants or takes them.
"""

from __future__ import annotations

import re

from p2pchat.errors import RemoteProtocolError

MAX_SERVICE = 63  # characters, as a label of a host name has
RESERVED = "p2pchat."

_NAME = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{MAX_SERVICE - 1}}}")


def is_service(name: str) -> bool:
    """Tell whether something can be the name of a service."""
    return _NAME.fullmatch(name) is not None


def check_service(name: str) -> str:
    """
    Return the name of a service.

    :raises RemoteProtocolError: it can't be one.
    """
    if not is_service(name):
        raise RemoteProtocolError("that is no name of a service")
    return name
