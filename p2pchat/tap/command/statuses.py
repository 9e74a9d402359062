"""
Exit statuses of the commands, the same for each of them; ``docs/command.rst`` lists them.
"""

from __future__ import annotations

from p2pchat import errors
from p2pchat.errors import P2PChatError

DONE = 0  # as all of these: of sysexits(3) only success and failure are the same
FAILED = 1  # what no other status says
MISTAKE = 2  # in the command line
NOT_GRANTED = 3
NO_SUCH_CONTACT = 4  # or no single one
OFFLINE = 5  # at no registry now
NO_PATH = 6  # to them
BROKEN = 7  # the stream ended before both sides had closed it
NO_NODE = 8  # no program of this person is running

_OF_ERRORS: tuple[tuple[type[P2PChatError], int], ...] = (
    (errors.NotGranted, NOT_GRANTED),
    (errors.WhoError, NO_SUCH_CONTACT),
    (errors.ServiceNameRefused, MISTAKE),
    (errors.PeerOffline, OFFLINE),
    (errors.NoPath, NO_PATH),
    (errors.LinkLost, BROKEN),
    (errors.NodeEnded, BROKEN),
    (errors.NoResidentNode, NO_NODE),
)


def status_of(error: P2PChatError) -> int:
    """Return the exit status that an error has."""
    return next((status for kind, status in _OF_ERRORS if isinstance(error, kind)), FAILED)
