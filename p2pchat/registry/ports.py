"""
Errors for the operator when a port can't be had: one line with the port, the cause, the cure.
"""

from __future__ import annotations

import errno

from twisted.internet.error import CannotListenError

from p2pchat.errors import ConfigurationError

_CAUSES = {
    errno.EADDRINUSE: "is in use: stop the program that has it, or choose another with {option}",
    errno.EACCES: "needs more rights: choose one from 1024 on with {option}",
    errno.EADDRNOTAVAIL: "can't be had: this machine has no address {interface}",
}


def cannot_listen(
    kind: str, port: int | str, interface: str, error: CannotListenError, option: str
) -> ConfigurationError:
    """
    Return the error that says why a port can't be had.

    :param kind: ``TCP`` or ``UDP``.
    :param option: where the operator chose the port.
    """
    number = getattr(error.socketError, "errno", None)
    cause = _CAUSES.get(number or 0, f"can't be had: {error.socketError}")
    where = f" on {interface}" if interface else ""
    return ConfigurationError(
        f"{kind} port {port}{where} {cause.format(option=option, interface=interface)}"
    )
