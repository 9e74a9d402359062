"""
The node of this person, as a command is attached to it.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Collection

from p2pchat.attach.node_socket import NodeSocket
from p2pchat.errors import NoResidentNode, P2PChatError
from p2pchat.tap.command.statuses import status_of
from p2pchat.tap.profiles import DEFAULT_PROFILE, directory_of


def state_directory(options: Namespace) -> str:
    """
    Return the state directory that a command line names.

    :raises ConfigurationError: it names none.
    """
    if options.state is not None:
        return os.path.abspath(os.path.expanduser(str(options.state)))
    return directory_of(options.profile if options.profile is not None else DEFAULT_PROFILE)


def attach(options: Namespace, wants: Collection[str]) -> NodeSocket:
    """
    Attach to the node that a command line names.

    :raises NoResidentNode: none is running; says what starts one.
    :raises P2PChatError: it doesn't take us.
    """
    directory = state_directory(options)
    try:
        return NodeSocket.attach(directory, wants)
    except NoResidentNode as error:
        raise NoResidentNode(
            f"{error}: start p2pchat in another window, or twistd -n p2pnode --state {directory}"
        ) from None


def failed(command: str, what: str, error: P2PChatError) -> int:
    """Say on stderr what failed, and return the exit status."""
    sys.stderr.write(f"p2pchat {command}: {what}{': ' if what else ''}{error}.\n")
    return status_of(error)
