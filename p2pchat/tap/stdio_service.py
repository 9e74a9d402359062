"""
The base of services that own stdio: they end the program, and say so where they fail.
"""

from __future__ import annotations

from typing import Any

import attrs
from twisted.application.service import Service
from twisted.logger import ILogObserver
from twisted.python.components import Componentized

from p2pchat.runtime import Runtime
from p2pchat.tap.process import Process


@attrs.define(eq=False, slots=False, kw_only=True)
class StdioService(Service):
    """
    A service that owns stdio: its log goes elsewhere, and its failure ends the program.

    :ivar observer: where log lines go; ``None``: wherever twistd sends them.
    """

    runtime: Runtime
    process: Process
    observer: ILogObserver | None = None
    _ending: bool = attrs.field(default=False, init=False)

    def setServiceParent(self, parent: Any) -> None:
        """Join an application, which takes its log observer from us before it logs anything."""
        if self.observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self.observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Begin as soon as the reactor runs, so that ending is possible."""
        super().startService()
        self.runtime.reactor.callWhenRunning(self.begin)

    def begin(self) -> object:
        """Do what the service is there for."""
        raise NotImplementedError

    def leave(self) -> None:
        """End the program; again is harmless."""
        if not self._ending:
            self._ending = True
            self.runtime.reactor.stop()

    def fail(self, sentence: str) -> None:
        """End the program with status 1."""
        self.process.stderr.write(f"{self.process.program}: {sentence}\n")
        self.process.set_exit_status(1)
        self.leave()
