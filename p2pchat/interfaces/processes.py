"""The seams of other programs that run for us."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from zope.interface import Interface


class IChildProcess(Interface):
    """A program that runs for us, with whatever it has started itself."""

    def terminate() -> None:
        """Ask it to end."""

    def kill() -> None:
        """End it."""


class IProcessStarter(Interface):
    """The starting of programs."""

    def start(
        arguments: Sequence[str],
        variables: Mapping[str, str],
        text: bytes,
        ended: Callable[[str], None],
    ) -> IChildProcess:
        """
        Start a program, which gets nothing of ours but these.

        :param variables: beside those of our own environment.
        :param text: for its stdin; what it writes is thrown away.
        :param ended: called once, when it has ended: how, in words, "" for a success.
        :raises OSError: it can't be started.
        """
