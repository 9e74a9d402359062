"""Children without processes: they note what they get, and end when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from errno import ENOEXEC

import attrs
from zope.interface import implementer

from p2pchat.interfaces import IChildProcess, IProcessStarter


@implementer(IChildProcess)
@attrs.define
class FakeChild:
    """
    A child.

    :ivar signals: what it was asked, in order.
    """

    arguments: Sequence[str]
    variables: Mapping[str, str]
    text: bytes
    ended: Callable[[str], None]
    signals: list[str] = attrs.Factory(list)

    def terminate(self) -> None:
        self.signals.append("terminate")

    def kill(self) -> None:
        self.signals.append("kill")


@implementer(IProcessStarter)
@attrs.define
class FakeStarter:
    """
    The starter.

    :ivar children: whom it started.
    :ivar is_failing: whether it can't.
    """

    children: list[FakeChild] = attrs.Factory(list)
    is_failing: bool = False

    def start(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        text: bytes,
        ended: Callable[[str], None],
    ) -> FakeChild:
        if self.is_failing:
            raise OSError(ENOEXEC, "Exec format error")
        self.children.append(FakeChild(arguments, variables, text, ended))
        return self.children[-1]
